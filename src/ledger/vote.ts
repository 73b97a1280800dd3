/**
 * A vote: a validator's signed word that it follows one candidate in one term. All who vote for a candidate sign
 * the same bytes; the candidate's own vote is its candidacy. Validators send each other only the signature:
 * the receiver knows what is voted on, and makes the payload again.
 */
import type { PublicKey } from '../crypto/suite.ts'
import { canonicalJson, count, fields, type Json, parseCanonicalJson, text } from '../json.ts'
import { ENTRY_BYTES_MAX } from '../limits.ts'
import { type Envelope, envelopeBy, pae } from './dsse.ts'
import { checkMemberName, MEMBER_NAME_BYTES_MAX, ORIGIN_BYTES_MAX } from './names.ts'
import { PAYLOAD_TYPES } from './payload-types.ts'
import { hexHash } from './seal.ts'

export interface Vote {
  /** The ledger's origin. */
  readonly ledger: string
  /** The term in which the candidate stands. */
  readonly term: number
  /** The validator's name. */
  readonly candidate: string
  /** The candidate's highest certified block: it begins its term on it. */
  readonly base: Base
}

export interface Base {
  readonly height: number
  /** The term in which the block was proposed. */
  readonly term: number
  /** Block hash in lower-case hex. */
  readonly hash: string
}

/** The payload: canonical JSON. */
export function encodeVote({ ledger, term, candidate, base }: Vote): Uint8Array {
  return canonicalJson({
    base: { hash: base.hash, height: base.height, term: base.term },
    candidate,
    ledger,
    term,
  })
}

/** Reads what `encodeVote` writes and nothing else. Throws FormatError. */
export function decodeVote(payload: Uint8Array): Vote {
  const json = parseCanonicalJson(payload, ENTRY_BYTES_MAX)
  const vote = fields(json, 'The vote', ['base', 'candidate', 'ledger', 'term'])
  return {
    ledger: text(vote.ledger, '"ledger"', ORIGIN_BYTES_MAX),
    term: count(vote.term, '"term"'),
    candidate: checkMemberName(text(vote.candidate, '"candidate"', MEMBER_NAME_BYTES_MAX)),
    base: baseFromJson(vote.base),
  }
}

function baseFromJson(value: Json | undefined): Base {
  const base = fields(value, '"base"', ['hash', 'height', 'term'])
  return {
    height: count(base.height, '"height" of the base'),
    term: count(base.term, '"term" of the base'),
    hash: hexHash(base.hash, '"hash" of the base'),
  }
}

/** The bytes that are signed, and verified: DSSE's encoding of payload type and payload. */
export function voteMessage(vote: Vote): Uint8Array {
  return pae(PAYLOAD_TYPES.vote, encodeVote(vote))
}

/** The vote as a statement that stands by itself, for evidence. The signature is not verified. */
export function voteEnvelope(key: PublicKey, vote: Vote, signature: Uint8Array): Envelope {
  return envelopeBy(key, PAYLOAD_TYPES.vote, encodeVote(vote), signature)
}
