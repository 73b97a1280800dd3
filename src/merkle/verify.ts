/** Checking proofs, by the algorithms of RFC 9162 sections 2.1.3.2 (inclusion) and 2.1.4.2 (consistency). */
import { equalBytes } from '../bytes.ts'
import { ProofError } from '../errors.ts'
import { HASH_BYTES } from '../limits.ts'
import { checkIndex } from './geometry.ts'
import { nodeHash } from './hash.ts'

export interface Inclusion {
  readonly index: number
  readonly size: number
  readonly leafHash: Uint8Array
  /** The leaf's sibling first. */
  readonly path: readonly Uint8Array[]
}

export interface Consistency {
  readonly size1: number
  readonly size2: number
  readonly root1: Uint8Array
  readonly root2: Uint8Array
  readonly path: readonly Uint8Array[]
}

// nodeHash joins two byte strings: were their lengths free, one could be cut in two places.
function allHashes(hashes: readonly Uint8Array[]): boolean {
  return hashes.every((hash) => hash.length === HASH_BYTES)
}

function badInclusion(why: string, { index, size }: Inclusion): ProofError {
  return new ProofError('bad-inclusion', `The inclusion proof does not hold: ${why}.`, { index, size })
}

function badConsistency(why: string, { size1, size2 }: Consistency): ProofError {
  return new ProofError('bad-consistency', `The consistency proof does not hold: ${why}.`, { size1, size2 })
}

/**
 * The root that the proof leads to. It proves nothing until it is compared with a root that is trusted.
 * Throws ProofError out-of-range unless index < size, and bad-inclusion if the path cannot be of this tree.
 */
export function rootFromInclusion(proof: Inclusion): Uint8Array {
  const { index, size, leafHash, path } = proof
  checkIndex(index)
  checkIndex(size)
  if (index >= size) {
    throw new ProofError('out-of-range', 'The leaf lies beyond the end of the tree.', { index, size })
  }
  if (!allHashes([leafHash, ...path])) throw badInclusion('a hash does not have 32 bytes', proof)
  let fn = index
  let sn = size - 1
  let root = leafHash
  for (const hash of path) {
    if (sn === 0) throw badInclusion('the path is too long', proof)
    if (fn % 2 === 1 || fn === sn) {
      root = nodeHash(hash, root)
      // A node without right neighbour is passed up unchanged until it becomes a right child.
      while (fn % 2 === 0 && fn !== 0) {
        fn /= 2
        sn = Math.floor(sn / 2)
      }
    } else {
      root = nodeHash(root, hash)
    }
    fn = Math.floor(fn / 2)
    sn = Math.floor(sn / 2)
  }
  if (sn !== 0) throw badInclusion('the path is too short', proof)
  return root
}

/** Throws ProofError unless the leaf stands at `index` in the tree of `size` leaves with this root. */
export function verifyInclusion(proof: Inclusion & { readonly root: Uint8Array }): void {
  if (!equalBytes(rootFromInclusion(proof), proof.root)) {
    throw badInclusion('it leads to another root', proof)
  }
}

/**
 * Throws ProofError unless the tree of `size2` leaves with `root2` begins with the tree of `size1` leaves
 * with `root1`. `size1` = 0 is refused: every tree extends the empty one, and a caller who may meet that case
 * (a witness that sees a log for the first time) has to decide it knowingly.
 */
export function verifyConsistency(proof: Consistency): void {
  const { size1, size2, root1, root2, path } = proof
  checkIndex(size1)
  checkIndex(size2)
  if (size1 === 0 || size1 > size2) {
    throw new ProofError(
      'out-of-range',
      'A consistency proof leads from a tree of 1 or more leaves upwards.',
      {
        size1,
        size2,
      },
    )
  }
  if (size1 === size2) {
    if (path.length > 0) throw badConsistency('between equal sizes the path must be empty', proof)
    if (!equalBytes(root1, root2)) throw badConsistency('one size has two roots', proof)
    return
  }
  if (path.length === 0) throw badConsistency('the path is empty', proof)

  let fn = size1 - 1
  let sn = size2 - 1
  while (fn % 2 === 1) {
    fn = (fn - 1) / 2
    sn = Math.floor(sn / 2)
  }
  // fn is 0 here only if size1 is a power of two; then the old root itself is a node of the new tree.
  const nodes = fn === 0 ? [root1, ...path] : path
  if (!allHashes(nodes)) throw badConsistency('a hash does not have 32 bytes', proof)
  let fr = nodes[0]!
  let sr = nodes[0]!
  for (const hash of nodes.slice(1)) {
    if (sn === 0) throw badConsistency('the path is too long', proof)
    if (fn % 2 === 1 || fn === sn) {
      fr = nodeHash(hash, fr)
      sr = nodeHash(hash, sr)
      while (fn % 2 === 0 && fn !== 0) {
        fn /= 2
        sn = Math.floor(sn / 2)
      }
    } else {
      sr = nodeHash(sr, hash)
    }
    fn = Math.floor(fn / 2)
    sn = Math.floor(sn / 2)
  }
  if (sn !== 0) throw badConsistency('the path is too short', proof)
  if (!equalBytes(fr, root1)) throw badConsistency('it leads to another old root', proof)
  if (!equalBytes(sr, root2)) throw badConsistency('it leads to another new root', proof)
}
