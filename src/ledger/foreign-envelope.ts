/**
 * DSSE envelopes as other software writes them (DSSE v1.0.2): standard or URL-safe base64, with padding or without,
 * members that we do not know, and key ids that are missing or mean something to their writer only. What is signed does
 * not change by any of this. Inside the ledger an envelope has the one spelling of dsse.ts.
 */
import { FormatError } from '../errors.ts'
import { array, type Json, object } from '../json.ts'
import { ENVELOPE_SIGNATURES_MAX } from '../limits.ts'
import { isKeyId } from './dsse.ts'

/** In the spelling of dsse.ts, but for key ids that are absent; what else is inside is read later, strictly. */
export type ForeignEnvelope = {
  readonly payload: string
  readonly payloadType: Json
  /** `keyid` is absent where none of ours was given: then only trying says which key has signed. */
  readonly signatures: readonly { readonly keyid?: string; readonly sig: string }[]
}

/** Throws FormatError. */
export function readForeignEnvelope(value: Json): ForeignEnvelope {
  const envelope = object(value, 'The envelope')
  const signatures = array(envelope.signatures, '"signatures"', 1, ENVELOPE_SIGNATURES_MAX).map((item) => {
    const { keyid, sig } = object(item, 'A signature')
    const text = respelled(sig, '"sig"')
    return typeof keyid === 'string' && isKeyId(keyid) ? { keyid, sig: text } : { sig: text }
  })
  return {
    payload: respelled(envelope.payload, '"payload"'),
    payloadType: envelope.payloadType ?? null,
    signatures,
  }
}

/** The key ids of all signatures; undefined if one names no key. */
export function keyIdsOf({ signatures }: ForeignEnvelope): string[] | undefined {
  const keyids = signatures.flatMap(({ keyid }) => keyid ?? [])
  return keyids.length === signatures.length ? keyids : undefined
}

/** The envelope with a key id for each signature, in their order. */
export function withKeyIds({ signatures, ...rest }: ForeignEnvelope, keyids: readonly string[]): Json {
  return { ...rest, signatures: signatures.map(({ sig }, i) => ({ keyid: keyids[i]!, sig })) }
}

/** Base64 in either alphabet, in the standard one with padding. */
function respelled(value: Json | undefined, what: string): string {
  if (typeof value !== 'string') throw new FormatError('bad-field', `${what} must be a base64 text.`)
  const standard = /[-_]/.test(value) ? value.replaceAll('-', '+').replaceAll('_', '/') : value
  return standard.length % 4 === 0 ? standard : standard + '='.repeat(4 - (standard.length % 4))
}
