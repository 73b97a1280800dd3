/**
 * DSSE envelopes as other software writes them (DSSE v1.0.2): standard or URL-safe base64, with padding or without,
 * members that we do not know, and key ids that are missing or mean something to their writer only. What is signed does
 * not change by any of this. Inside the ledger an envelope has the one spelling of dsse.ts.
 */
import { fromBase64 } from '../bytes.ts'
import { FormatError } from '../errors.ts'
import { array, type Json, object } from '../json.ts'
import { ENVELOPE_SIGNATURES_MAX } from '../limits.ts'
import { isKeyId } from './dsse.ts'

export interface ForeignEnvelope {
  readonly payload: Uint8Array
  readonly payloadType: Json
  /** `keyid` is absent where none of ours was given: then only trying says which key has signed. */
  readonly signatures: readonly { readonly keyid?: string; readonly sig: Uint8Array }[]
  /** In the spelling of dsse.ts, but for the key ids that are absent. */
  readonly json: Json
}

/** Throws FormatError. What is inside is read later, by the strict readers. */
export function readForeignEnvelope(value: Json): ForeignEnvelope {
  const envelope = object(value, 'The envelope')
  const payload = respelled(envelope.payload, '"payload"')
  const payloadType = envelope.payloadType ?? null
  const signatures = array(envelope.signatures, '"signatures"', 1, ENVELOPE_SIGNATURES_MAX).map((item) => {
    const { keyid, sig } = object(item, 'A signature')
    const text = respelled(sig, '"sig"')
    return typeof keyid === 'string' && isKeyId(keyid) ? { keyid, sig: text } : { sig: text }
  })
  return {
    payload: fromBase64(payload),
    payloadType,
    signatures: signatures.map((signature) => ({ ...signature, sig: fromBase64(signature.sig) })),
    json: { payload, payloadType, signatures },
  }
}

/** Whether every signature names its key. */
export function namesItsKeys({ signatures }: ForeignEnvelope): boolean {
  return signatures.every(({ keyid }) => keyid !== undefined)
}

/** The envelope with the key id of each signature, in their order. */
export function withKeyIds({ json }: ForeignEnvelope, keyids: readonly string[]): Json {
  const envelope = json as { signatures: { sig: string }[] }
  return { ...envelope, signatures: envelope.signatures.map(({ sig }, i) => ({ keyid: keyids[i]!, sig })) }
}

/** Base64 in either alphabet, in the standard one with padding. */
function respelled(value: Json | undefined, what: string): string {
  if (typeof value !== 'string') throw new FormatError('bad-field', `${what} must be a base64 text.`)
  const standard = value.replaceAll('-', '+').replaceAll('_', '/')
  return standard.length % 4 === 0 ? standard : standard + '='.repeat(4 - (standard.length % 4))
}
