/**
 * Making proofs: first the positions of the nodes that a proof is made of, so that the caller can fetch them
 * from disk in one go, then a pure fold of their hashes. Stored nodes are perfect subtrees only; the ragged
 * subtree at the right edge is folded from several of them, which is why a plan has a list for each hash.
 *
 *     const plan = inclusionNodes(index, size)
 *     const hashes = await fetch(plan.flat())
 *     const path = foldPath(plan, (level, index) => hashes.get(...))
 */
import { ProofError } from '../errors.ts'
import { checkIndex, type NodeId, perfectNodes, splitPoint } from './geometry.ts'
import { foldNodes } from './hash.ts'

/** For each hash of a proof, in the proof's order, the perfect subtrees it is folded from, largest first. */
export type ProofPlan = readonly (readonly NodeId[])[]

/** The hash of the perfect subtree `index` at `level`. */
export type ReadNode = (level: number, index: number) => Uint8Array

/** The perfect subtrees of a tree of `size` leaves, largest first. Their hashes make a
 * `Frontier`, and their fold is the root. */
export function rootNodes(size: number): NodeId[] {
  checkIndex(size)
  return perfectNodes(0, size)
}

/**
 * PATH(index, D[size]) of RFC 6962 section 2.1.1: the plan of a leaf's inclusion proof, sibling first.
 * Throws ProofError out-of-range unless index < size.
 */
export function inclusionNodes(index: number, size: number): ProofPlan {
  checkIndex(index)
  checkIndex(size)
  if (index >= size) {
    throw new ProofError('out-of-range', 'The leaf lies beyond the end of the tree.', { index, size })
  }
  const plan: NodeId[][] = []
  let start = 0
  let end = size
  while (end - start > 1) {
    const middle = start + splitPoint(end - start)
    if (index < middle) {
      plan.push(perfectNodes(middle, end))
      end = middle
    } else {
      plan.push(perfectNodes(start, middle))
      start = middle
    }
  }
  return plan.reverse()
}

/**
 * PROOF(size1, D[size2]) of RFC 6962 section 2.1.2: the plan of the proof that the tree of `size2` leaves
 * extends the tree of its first `size1`. Empty if the sizes are equal. Throws ProofError out-of-range unless
 * 0 < size1 <= size2: every tree extends the empty one, so there is nothing to prove about it.
 */
export function consistencyNodes(size1: number, size2: number): ProofPlan {
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
  const plan: NodeId[][] = []
  let start = 0
  let end = size2
  while (end !== size1) {
    const middle = start + splitPoint(end - start)
    if (size1 <= middle) {
      plan.push(perfectNodes(middle, end))
      end = middle
    } else {
      plan.push(perfectNodes(start, middle))
      start = middle
    }
  }
  // While `start` is 0 the subtree reached is the old tree itself, whose root the verifier already has.
  if (start > 0) plan.push(perfectNodes(start, end))
  return plan.reverse()
}

/** The hashes of a proof, from its plan and the nodes that the plan names. */
export function foldPath(plan: ProofPlan, read: ReadNode): Uint8Array[] {
  return plan.map((nodes) => foldNodes(nodes.map(({ level, index }) => read(level, index))))
}

/** The inclusion proof of leaf `index` in the tree of `size` leaves, for callers with the nodes at hand. */
export function inclusionPath(index: number, size: number, read: ReadNode): Uint8Array[] {
  return foldPath(inclusionNodes(index, size), read)
}

/** The consistency proof from `size1` to `size2` leaves, for callers with the nodes at hand. */
export function consistencyPath(size1: number, size2: number, read: ReadNode): Uint8Array[] {
  return foldPath(consistencyNodes(size1, size2), read)
}
