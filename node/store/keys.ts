/**
 * The key space of a node's store: every key there is, in one table. A first byte that was ever used is never
 * given another meaning; a change of layout raises STORE_VERSION, and other versions are refused. On the disk
 * every value is followed by its checksum: checked-kv.ts.
 *
 * | first byte | key | value |
 * |---|---|---|
 * | M | name | one of META |
 * | B | height u64 | block bytes; also blocks that are not committed yet |
 * | H | height u64 | facts of an applied block: block-facts.ts |
 * | I | index of the block's first leaf u64 | height u64 |
 * | L | leaf hash (32) | leaf index u64 |
 * | T | tile level u8, tile index u64 | hashes of a full or partial tile (C2SP tlog-tiles, height 8) |
 * | E | SHA-256 of JSON [source, id] (32) | leaf index u64 of the entry that carries this CloudEvent |
 * | S, Y, J | first 16 bytes of SHA-256 of a source, type, subject; index of a block's first leaf u64 | which leaves of the block have it: index-record.ts |
 * | A | sequence u64 | leaf index u64 of the change of membership |
 * | C | tree size u64 | a certificate that is kept: of a boundary, the block that carries a change, and the last of each minute by the seals; text of the signed note |
 * | P | leaf hash (32) | bytes of an entry that was acknowledged as pending and is in no block yet |
 */
import { u64, utf8 } from '../../src/bytes.ts'
import { sha256 } from '../../src/crypto/hash.ts'

export const STORE_VERSION = 4

/**
 * All but `certificate`, `owner` and `recovering` are there from the first write on, so that one which is absent is lost:
 * a node that took a lost vote for none would vote twice.
 */
export const META = {
  /** STORE_VERSION and the genesis block hash, JSON. */
  version: key('M', utf8('version')),
  /** Raft's term, vote and abstention, JSON. */
  hardState: key('M', utf8('hard-state')),
  /** The highest certified block of the log, on which this node is locked, with its proof: bytes as in a message. */
  certified: key('M', utf8('certified')),
  /** Height and hash of the last block there is, applied or not: u64, 32 bytes. */
  logEnd: key('M', utf8('log-end')),
  /** Height of the last applied block, u64. */
  applied: key('M', utf8('applied')),
  /** Size and root of the newest checkpoint this node has cosigned: u64, 32 bytes; size 0 if there is none. */
  cosigned: key('M', utf8('cosigned')),
  /**
   * There if this store may have forgotten what the node had signed: restored from a backup, empty on a new disk,
   * damaged, an old copy. JSON: `keys`, the ids of the node and cosigner keys that must not sign any more, and `why`.
   * Earlier releases wrote `without` instead; such a record is read as one that names no key yet.
   */
  recovering: key('M', utf8('recovering')),
  /**
   * Whose promises these are. JSON: `name` of the node, and `keys`, the ids of its node and cosigner keys when it was
   * started last. Absent in a store that was put back or repaired, until its node starts.
   */
  owner: key('M', utf8('owner')),
  /** The newest certificate: text of the signed note. */
  certificate: key('M', utf8('certificate')),
} as const

export const blockKey = (height: number) => key('B', u64(height))
export const factsKey = (height: number) => key('H', u64(height))
export const firstIndexKey = (index: number) => key('I', u64(index))
export const leafKey = (hash: Uint8Array) => key('L', hash)
export const tileKey = (level: number, index: number) => key('T', Uint8Array.of(level), u64(index))
export const eventKey = (source: string, id: string) => key('E', sha256(utf8(JSON.stringify([source, id]))))
export const changeKey = (sequence: number) => key('A', u64(sequence))
export const certificateKey = (size: number) => key('C', u64(size))
export const pendingKey = (hash: Uint8Array) => key('P', hash)

/** What entries can be found by; each has an index of its own. */
export const INDEXED = { source: 'S', type: 'Y', subject: 'J' } as const
export type IndexedAttribute = keyof typeof INDEXED

/** @param firstIndex of the block whose leaves the record names */
export function indexKey(attribute: IndexedAttribute, value: string, firstIndex: number): Uint8Array {
  return key(INDEXED[attribute], sha256(utf8(value)).subarray(0, 16), u64(firstIndex))
}

/** All certificates that are kept. */
export const CERTIFICATES = { from: certificateKey(0), to: utf8('D') }

function key(prefix: string, ...parts: readonly Uint8Array[]): Uint8Array {
  let length = 1
  for (const part of parts) length += part.length
  const bytes = new Uint8Array(length)
  bytes[0] = prefix.charCodeAt(0)
  let at = 1
  for (const part of parts) {
    bytes.set(part, at)
    at += part.length
  }
  return bytes
}
