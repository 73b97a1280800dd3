/** The hashes of the Merkle tree of RFC 6962 section 2.1 and RFC 9162 section 2.1.1, over SHA-256. */
import { sha256 } from '../crypto/hash.ts'

// The prefixes keep leaves and inner nodes apart, so that no node can be passed off as an entry.
const LEAF = Uint8Array.of(0x00)
const NODE = Uint8Array.of(0x01)

/** The root of the tree without leaves: SHA-256 of nothing. Shared; never write into it. */
export const EMPTY_ROOT: Uint8Array = sha256(new Uint8Array(0))

/** SHA-256(0x00 || entry), 32 bytes: the hash of one leaf, and the id by which the ledger calls an entry. */
export function leafHash(entry: Uint8Array): Uint8Array {
  return sha256(LEAF, entry)
}

/** SHA-256(0x01 || left || right), 32 bytes. Both children are 32 bytes; the caller has seen to that. */
export function nodeHash(left: Uint8Array, right: Uint8Array): Uint8Array {
  return sha256(NODE, left, right)
}

/**
 * The hash of a subtree from the perfect subtrees that make it up, largest and leftmost first. Every split of
 * RFC 6962 takes the largest power of two to the left, so the smaller ones on the right meet first.
 */
export function foldNodes(nodes: readonly Uint8Array[]): Uint8Array {
  if (nodes.length === 0) return EMPTY_ROOT
  return nodes.reduceRight((right, left) => nodeHash(left, right))
}
