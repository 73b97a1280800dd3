/**
 * The right edge of a growing tree: all that is needed to append leaves and to know the root, in O(log n)
 * memory. The IETF calls the same thing a compact range that starts at 0.
 */
import { invariant } from '../errors.ts'
import { HASH_BYTES } from '../limits.ts'
import { checkIndex, perfectNodes } from './geometry.ts'
import { foldNodes, nodeHash } from './hash.ts'

/** Told of every perfect subtree at the moment it is complete, leaves included: what tiles are made of. */
export type OnNode = (level: number, index: number, hash: Uint8Array) => void

export class Frontier {
  #size: number
  readonly #nodes: Uint8Array[]

  /**
   * A tree of `size` leaves; `nodes` are the hashes of its perfect subtrees, largest first, at
   * the positions that `rootNodes(size)` of `proof.ts` names. Without arguments, the empty tree.
   */
  constructor(size = 0, nodes: readonly Uint8Array[] = []) {
    checkIndex(size)
    invariant(
      nodes.length === perfectNodes(0, size).length && nodes.every((node) => node.length === HASH_BYTES),
      'These are not the nodes of a frontier of this size.',
      { size, nodes: nodes.length },
    )
    this.#size = size
    this.#nodes = [...nodes]
  }

  /** The number of leaves. */
  get size(): number {
    return this.#size
  }

  /** The hashes of the perfect subtrees, largest first: `new Frontier(size, nodes)` is an equal frontier. */
  get nodes(): readonly Uint8Array[] {
    return [...this.#nodes]
  }

  /** Adds one leaf by its hash; O(1) hashes on average. FormatError bad-integer beyond 2^53 - 1 leaves. */
  append(leafHash: Uint8Array, onNode?: OnNode): void {
    invariant(leafHash.length === HASH_BYTES, 'A leaf hash has 32 bytes.', { length: leafHash.length })
    checkIndex(this.#size + 1)
    let hash = leafHash
    let level = 0
    let index = this.#size
    onNode?.(level, index, hash)
    // An odd index is a right child: its left sibling is complete and is the last node that we hold.
    while (index % 2 === 1) {
      hash = nodeHash(this.#nodes.pop()!, hash)
      level++
      index = (index - 1) / 2
      onNode?.(level, index, hash)
    }
    this.#nodes.push(hash)
    this.#size++
  }

  /** The tree's root, MTH of RFC 6962 section 2.1. */
  root(): Uint8Array {
    return foldNodes(this.#nodes)
  }

  /** A second copy of the tree: to try a block on, and to drop if the block is refused. */
  clone(): Frontier {
    return new Frontier(this.#size, this.#nodes)
  }
}
