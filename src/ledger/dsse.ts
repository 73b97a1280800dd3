/**
 * DSSE v1 envelopes (secure-systems-lab/dsse), in one spelling: the RFC 8785 form of
 * `{payload, payloadType, signatures: [{keyid, sig}]}`. Those bytes are the leaf of the tree.
 *
 * The payload bytes stay exactly as their producer signed them.
 */
import { concat, fromBase64, fromUtf8, toBase64, utf8 } from '../bytes.ts'
import { keyId } from '../crypto/keys.ts'
import type { PublicKey, Signer } from '../crypto/suite.ts'
import { ML_DSA } from '../crypto/suite.ts'
import { FormatError } from '../errors.ts'
import { array, fields, type Json, parseJson, text } from '../json.ts'
import { ENTRY_BYTES_MAX, ENVELOPE_SIGNATURES_MAX } from '../limits.ts'
import { tooLarge } from './payload-types.ts'

export interface EnvelopeSignature {
  /** RFC 7638 thumbprint of the signer's AKP key: 43 characters of base64url. */
  readonly keyid: string
  readonly sig: Uint8Array
}

export interface Envelope {
  readonly payload: Uint8Array
  readonly payloadType: string
  readonly signatures: readonly EnvelopeSignature[]
}

// base64url of 32 bytes: the last of 43 characters carries four bits, and its two spare bits are zero.
const KEY_ID = /^[A-Za-z0-9_-]{42}[AEIMQUYcgkosw048]$/
const SIGNATURE_SIZES = new Set(Object.values(ML_DSA).map((sizes) => sizes.signature))

export function isKeyId(text: string): boolean {
  return KEY_ID.test(text)
}

/** Pre-authentication encoding: what is signed. `DSSEv1 SP len(type) SP type SP len(body) SP body`. */
export function pae(payloadType: string, payload: Uint8Array): Uint8Array {
  const typeBytes = utf8(payloadType).length
  return concat(utf8(`DSSEv1 ${typeBytes} ${payloadType} ${payload.length} `), payload)
}

/** Signs `payload` once with each signer; `keyid` names each key. */
export async function signEnvelope(
  payloadType: string,
  payload: Uint8Array,
  signers: readonly { keyid: string; signer: Signer }[],
): Promise<Envelope> {
  const message = pae(payloadType, payload)
  const signatures = await Promise.all(
    signers.map(async ({ keyid, signer }) => ({ keyid, sig: await signer.sign(message) })),
  )
  return { payload, payloadType, signatures }
}

/** The envelope of what `key` signed elsewhere: one signature, over `pae(payloadType, payload)`. Nothing is verified. */
export function envelopeBy(
  key: PublicKey,
  payloadType: string,
  payload: Uint8Array,
  sig: Uint8Array,
): Envelope {
  return { payload, payloadType, signatures: [{ keyid: keyId(key), sig }] }
}

/** The canonical bytes of an envelope; refuses one whose bytes would exceed a leaf. */
export function encodeEnvelope(envelope: Envelope): Uint8Array {
  return spell(
    toBase64(envelope.payload),
    envelope.payloadType,
    envelope.signatures.map(({ keyid, sig }) => ({ keyid, sig: toBase64(sig) })),
  )
}

/** Reads canonical envelope bytes; every other spelling of the same envelope is refused. */
export function decodeEnvelope(bytes: Uint8Array): Envelope {
  if (bytes.length > ENTRY_BYTES_MAX) {
    throw new FormatError('too-large', `A leaf has at most ${ENTRY_BYTES_MAX} bytes.`, {
      bytes: bytes.length,
    })
  }
  const spelled = fromUtf8(bytes)
  const apart = takeApart(spelled, bytes)
  if (apart) return envelopeFromJson(apart)
  // What is wrong with it is worth saying exactly.
  envelopeFromJson(parseJson(spelled, ENTRY_BYTES_MAX))
  if (/\s$/.test(spelled)) {
    throw new FormatError(
      'json-not-canonical',
      'White space stands behind the envelope, as editors add it. Take it away, or take a fresh copy.',
    )
  }
  throw new FormatError('json-not-canonical', 'The envelope is not in canonical form (RFC 8785).')
}

/**
 * The members of an envelope that is spelled canonically, found without parsing: no value of it holds a quote, and
 * what they hold is the caller's to check. Undefined for every other text. Four fifths of a leaf are its signature,
 * so this takes a third of the time of parsing and spelling it again.
 */
function takeApart(spelled: string, bytes: Uint8Array): Json | undefined {
  if (spelled.length !== bytes.length || spelled.includes('\\')) return undefined
  let at = 0
  const skip = (token: string): boolean => {
    const found = spelled.startsWith(token, at)
    if (found) at += token.length
    return found
  }
  /** The end of the value that begins here, at the quote behind it. */
  const valueEnd = (): number => {
    const end = spelled.indexOf('"', at)
    return end < 0 ? spelled.length : end
  }
  const long = (): string => {
    const start = at
    at = valueEnd()
    return spelled.slice(start, at)
  }
  // What is kept for long must not be a slice, which would keep the whole text.
  const short = (): string => {
    const start = at
    at = valueEnd()
    return fromUtf8(bytes.subarray(start, at))
  }
  if (!skip('{"payload":"')) return undefined
  const payload = long()
  if (!skip('","payloadType":"')) return undefined
  const payloadType = short()
  if (!skip('","signatures":[')) return undefined
  const signatures: Json[] = []
  do {
    if (!skip('{"keyid":"')) return undefined
    const keyid = short()
    if (!skip('","sig":"')) return undefined
    const sig = long()
    if (!skip('"}')) return undefined
    signatures.push({ keyid, sig })
  } while (skip(','))
  return skip(']}') && at === spelled.length ? { payload, payloadType, signatures } : undefined
}

/** The envelope as JSON; in canonical form, the bytes of `encodeEnvelope`. */
export function envelopeToJson({ payload, payloadType, signatures }: Envelope): Json {
  return {
    payload: toBase64(payload),
    payloadType,
    signatures: signatures.map(({ keyid, sig }) => ({ keyid, sig: toBase64(sig) })),
  }
}

/** As `envelopeFromJson`, with the canonical bytes of the envelope. FormatError too-large if they exceed a leaf. */
export function respell(value: Json): { envelope: Envelope; bytes: Uint8Array } {
  const envelope = envelopeFromJson(value)
  // Checked just now. Their base64 has one spelling, so it need not be made again.
  const { payload, signatures } = value as { payload: string; signatures: { keyid: string; sig: string }[] }
  return { envelope, bytes: spell(payload, envelope.payloadType, signatures) }
}

/** Reads an envelope from parsed JSON, in whatever order its members stood. */
export function envelopeFromJson(value: Json | undefined): Envelope {
  const envelope = fields(value, 'The envelope', ['payload', 'payloadType', 'signatures'])
  if (typeof envelope.payload !== 'string')
    throw new FormatError('bad-field', '"payload" must be a base64 text.')
  const payloadType = text(envelope.payloadType, '"payloadType"', 128)
  if (!/^[a-z0-9][a-z0-9.+-]*\/[a-z0-9][a-z0-9.+-]*$/.test(payloadType)) {
    throw new FormatError('bad-field', '"payloadType" must be a lower-case media type without parameters.')
  }
  const signatures = array(envelope.signatures, '"signatures"', 1, ENVELOPE_SIGNATURES_MAX).map(
    signatureFromJson,
  )
  if (new Set(signatures.map(({ keyid }) => keyid)).size !== signatures.length) {
    throw new FormatError('bad-field', 'Two signatures name the same key.')
  }
  return { payload: fromBase64(envelope.payload), payloadType, signatures }
}

function signatureFromJson(value: Json): EnvelopeSignature {
  const { keyid, sig } = fields(value, 'A signature', ['keyid', 'sig'])
  if (typeof keyid !== 'string' || !isKeyId(keyid)) {
    throw new FormatError('bad-field', '"keyid" must be an RFC 7638 thumbprint: 43 characters of base64url.')
  }
  if (typeof sig !== 'string') throw new FormatError('bad-field', '"sig" must be a base64 text.')
  const bytes = fromBase64(sig)
  if (!SIGNATURE_SIZES.has(bytes.length)) {
    throw new FormatError('bad-field', `No ML-DSA signature has ${bytes.length} bytes.`, {
      bytes: bytes.length,
    })
  }
  return { keyid, sig: bytes }
}

/** RFC 8785 by hand: member names are in order, and no value needs escaping (checked when read). */
function spell(
  payload: string,
  payloadType: string,
  signatures: readonly { keyid: string; sig: string }[],
): Uint8Array {
  const list = signatures.map(({ keyid, sig }) => `{"keyid":"${keyid}","sig":"${sig}"}`).join(',')
  const spelled = utf8(`{"payload":"${payload}","payloadType":"${payloadType}","signatures":[${list}]}`)
  if (spelled.length > ENTRY_BYTES_MAX) {
    throw tooLarge('The signed entry', payloadType, spelled.length)
  }
  return spelled
}
