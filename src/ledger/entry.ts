/** An entry: a signed submission of events or of a change, one leaf of the tree. Its id is its leaf hash. */
import { toHex } from '../bytes.ts'
import { keyId } from '../crypto/keys.ts'
import type { PublicKey, SignatureSuite, Signer } from '../crypto/suite.ts'
import type { Json } from '../json.ts'
import { leafHash } from '../merkle/hash.ts'
import { decodeChange } from './change.ts'
import { decodeEnvelope, type Envelope, encodeEnvelope, pae, respell, signEnvelope } from './dsse.ts'
import { type Claim, readClaims } from './event.ts'
import { PAYLOAD_TYPES } from './payload-types.ts'

export interface Entry {
  /** The leaf: canonical envelope bytes. */
  readonly bytes: Uint8Array
  /** RFC 6962 leaf hash of `bytes`. */
  readonly hash: Uint8Array
  /** `hash` in hex: the name by which everyone refers to the entry. */
  readonly id: string
  readonly envelope: Envelope
  /** What it says happened; nothing if it is a change of membership. */
  readonly claims: readonly Claim[]
}

/**
 * Reads a submitted entry from its canonical bytes.
 * @param hash the leaf hash of `bytes`, for who has it already
 */
export function decodeEntry(bytes: Uint8Array, hash: Uint8Array = leafHash(bytes)): Entry {
  return entryOf(bytes, hash, decodeEnvelope(bytes))
}

/** Reads a submitted entry from parsed JSON, re-spelling the envelope: one signed event has one leaf. */
export function entryFromJson(value: Json): Entry {
  const { envelope, bytes } = respell(value)
  return entryOf(bytes, leafHash(bytes), envelope)
}

/** Signs a payload as an entry. Reads the payload first, so that nothing malformed is ever signed. */
export async function signEntry(
  payloadType: string,
  payload: Uint8Array,
  ...signers: readonly Signer[]
): Promise<Entry> {
  const claims = readPayload(payloadType, payload)
  const keyed = signers.map((signer) => ({ keyid: keyId(signer.publicKey), signer }))
  const envelope = await signEnvelope(payloadType, payload, keyed)
  const bytes = encodeEnvelope(envelope)
  const hash = leafHash(bytes)
  return { bytes, hash, id: toHex(hash), envelope, claims }
}

function readPayload(payloadType: string, payload: Uint8Array): readonly Claim[] {
  if (payloadType !== PAYLOAD_TYPES.change) return readClaims(payloadType, payload)
  decodeChange(payload)
  return []
}

function entryOf(bytes: Uint8Array, hash: Uint8Array, envelope: Envelope): Entry {
  const claims = readPayload(envelope.payloadType, envelope.payload)
  return { bytes, hash, id: toHex(hash), envelope, claims }
}

/** One signature still to be checked; checking is slow, so it is described here and done elsewhere, in parallel. */
export interface SignatureCheck {
  readonly key: PublicKey
  readonly message: Uint8Array
  readonly signature: Uint8Array
}

/** The check of the envelope's signature at `index` against `key`. */
export function signatureCheck(envelope: Envelope, index: number, key: PublicKey): SignatureCheck {
  return {
    key,
    message: pae(envelope.payloadType, envelope.payload),
    signature: envelope.signatures[index]!.sig,
  }
}

/** True if all of them verify. */
export async function verifyAll(suite: SignatureSuite, checks: readonly SignatureCheck[]): Promise<boolean> {
  const results = await Promise.all(
    checks.map((check) => suite.verify(check.key, check.message, check.signature)),
  )
  return results.every(Boolean)
}
