/** The seal: the last leaf of a block, signed by its proposer, which fixes the block's place in the chain. */
import { fromHex, toHex } from '../bytes.ts'
import { FormatError } from '../errors.ts'
import {
  canonicalJson,
  count,
  fields,
  formatInstant,
  instant,
  type Json,
  parseCanonicalJson,
  text,
} from '../json.ts'
import { ENTRY_BYTES_MAX, HASH_BYTES } from '../limits.ts'
import { MEMBER_NAME_BYTES_MAX, ORIGIN_BYTES_MAX } from './names.ts'

export interface Seal {
  /** The ledger's origin. */
  readonly ledger: string
  /** Height of the block; genesis is 0. */
  readonly height: number
  /** Raft term in which the block was proposed; kept when a later leader commits it. */
  readonly term: number
  /** Name of the validator that proposed it; `genesis` for block 0. */
  readonly proposer: string
  /** Block hash of the predecessor (leaf hash of its seal); 32 zero bytes for genesis. */
  readonly previous: Uint8Array
  /** Tree index of the block's first leaf. */
  readonly firstIndex: number
  /** Leaves of the block before the seal. The seal's own index is `firstIndex + count`. */
  readonly count: number
  /** RFC 6962 root over the leaves before the seal. */
  readonly entriesRoot: Uint8Array
  /** Proposer's clock, milliseconds since 1970; never runs backwards along the chain. */
  readonly time: number
}

const FIELDS = [
  'ledger',
  'height',
  'term',
  'proposer',
  'previous',
  'firstIndex',
  'count',
  'entriesRoot',
  'time',
]

export function encodeSeal(seal: Seal): Uint8Array {
  return canonicalJson({
    ...seal,
    previous: toHex(seal.previous),
    entriesRoot: toHex(seal.entriesRoot),
    time: formatInstant(seal.time),
  })
}

export function decodeSeal(payload: Uint8Array): Seal {
  const seal = fields(parseCanonicalJson(payload, ENTRY_BYTES_MAX), 'The seal', FIELDS)
  return {
    ledger: text(seal.ledger, '"ledger"', ORIGIN_BYTES_MAX),
    height: count(seal.height, '"height"'),
    term: count(seal.term, '"term"'),
    proposer: text(seal.proposer, '"proposer"', MEMBER_NAME_BYTES_MAX),
    previous: hash(seal.previous, '"previous"'),
    firstIndex: count(seal.firstIndex, '"firstIndex"'),
    count: count(seal.count, '"count"'),
    entriesRoot: hash(seal.entriesRoot, '"entriesRoot"'),
    time: instant(seal.time, '"time"'),
  }
}

/** A hash in one of our records, which stays in hex: 64 lower-case digits. */
export function hexHash(value: Json | undefined, what: string): string {
  return toHex(hash(value, what))
}

/** A hash in one of our records: 64 hex digits. */
export function hash(value: Json | undefined, what: string): Uint8Array {
  if (typeof value !== 'string') throw new FormatError('bad-field', `${what} must be a hash in hex.`)
  return fromHex(value, HASH_BYTES)
}
