/**
 * An acknowledgement: a validator's signed word that a block is on its disk, with all blocks before it. It is given
 * in the term in which the block was proposed, and in no other. Only its signature travels, as with votes.
 */
import type { PublicKey } from '../crypto/suite.ts'
import { canonicalJson, count, fields, parseCanonicalJson, text } from '../json.ts'
import { ENTRY_BYTES_MAX } from '../limits.ts'
import { type Envelope, envelopeBy, pae } from './dsse.ts'
import { ORIGIN_BYTES_MAX } from './names.ts'
import { PAYLOAD_TYPES } from './payload-types.ts'
import { hexHash } from './seal.ts'

export interface Acknowledgement {
  /** The ledger's origin. */
  readonly ledger: string
  /** The term in which the block was proposed, and in which this was said. */
  readonly term: number
  readonly height: number
  /** Block hash in lower-case hex. */
  readonly hash: string
}

/** The payload: canonical JSON. */
export function encodeAcknowledgement({ ledger, term, height, hash }: Acknowledgement): Uint8Array {
  return canonicalJson({ hash, height, ledger, term })
}

/** Reads what `encodeAcknowledgement` writes and nothing else. Throws FormatError. */
export function decodeAcknowledgement(payload: Uint8Array): Acknowledgement {
  const json = parseCanonicalJson(payload, ENTRY_BYTES_MAX)
  const found = fields(json, 'The acknowledgement', ['hash', 'height', 'ledger', 'term'])
  return {
    ledger: text(found.ledger, '"ledger"', ORIGIN_BYTES_MAX),
    term: count(found.term, '"term"'),
    height: count(found.height, '"height"'),
    hash: hexHash(found.hash, '"hash"'),
  }
}

/** The bytes that are signed, and verified: DSSE's encoding of payload type and payload. */
export function acknowledgementMessage(acknowledgement: Acknowledgement): Uint8Array {
  return pae(PAYLOAD_TYPES.acknowledgement, encodeAcknowledgement(acknowledgement))
}

/** The acknowledgement as a statement that stands by itself, for evidence. The signature is not verified. */
export function acknowledgementEnvelope(
  key: PublicKey,
  acknowledgement: Acknowledgement,
  signature: Uint8Array,
): Envelope {
  return envelopeBy(key, PAYLOAD_TYPES.acknowledgement, encodeAcknowledgement(acknowledgement), signature)
}
