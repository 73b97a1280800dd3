/** What a leaf of the tree is and says, by its bytes alone: a submitted entry, or a record of the ledger's own. */
import { keyId } from '../crypto/keys.ts'
import type { PublicKey, SignatureSuite } from '../crypto/suite.ts'
import { RefusedError } from '../errors.ts'
import { decodeChange } from '../ledger/change.ts'
import { decodeEnvelope, type Envelope } from '../ledger/dsse.ts'
import { signatureCheck, verifyAll } from '../ledger/entry.ts'
import { type Claim, readClaims } from '../ledger/event.ts'
import { readParameters } from '../ledger/genesis.ts'
import { decodeMember } from '../ledger/member.ts'
import { PAYLOAD_TYPES } from '../ledger/payload-types.ts'
import { decodeSeal } from '../ledger/seal.ts'

export type LeafKind = 'entry' | 'change' | 'seal' | 'genesis' | 'member'

export interface Leaf {
  readonly kind: LeafKind
  readonly envelope: Envelope
  /** What a submitted entry claims, at least one; empty for the ledger's own records. */
  readonly claims: readonly Claim[]
}

/** What became of the leaf's own signatures; the ledger's validators checked them before it was recorded. */
export type EntrySignature = 'verified' | 'unknown-key' | 'not-checked'

/** Reads a leaf of any kind, payload included. Throws FormatError, or RefusedError for what is never a leaf. */
export function readLeaf(bytes: Uint8Array): Leaf {
  const envelope = decodeEnvelope(bytes)
  const { payloadType, payload } = envelope
  switch (payloadType) {
    case PAYLOAD_TYPES.seal:
      decodeSeal(payload)
      return { kind: 'seal', envelope, claims: [] }
    case PAYLOAD_TYPES.genesis:
      readParameters(envelope)
      return { kind: 'genesis', envelope, claims: [] }
    case PAYLOAD_TYPES.member:
      decodeMember(payload)
      return { kind: 'member', envelope, claims: [] }
    case PAYLOAD_TYPES.change:
      decodeChange(payload)
      return { kind: 'change', envelope, claims: [] }
    default:
      return { kind: 'entry', envelope, claims: readClaims(payloadType, payload) }
  }
}

/**
 * Verifies every signature of the envelope whose key is among `keys`: `verified` if there is at least one, and
 * `unknown-key` if there is none. Throws RefusedError bad-signature if one does not verify.
 */
export async function checkSignatures(
  suite: SignatureSuite,
  envelope: Envelope,
  keys: readonly PublicKey[],
): Promise<'verified' | 'unknown-key'> {
  const byKeyId = new Map(keys.map((key) => [keyId(key), key]))
  const checks = envelope.signatures.flatMap(({ keyid }, i) => {
    const key = byKeyId.get(keyid)
    return key ? [signatureCheck(envelope, i, key)] : []
  })
  if (checks.length === 0) return 'unknown-key'
  if (await verifyAll(suite, checks)) return 'verified'
  throw new RefusedError(
    'bad-signature',
    'A signature on the entry itself, by a key that is known here, does not verify.',
  )
}
