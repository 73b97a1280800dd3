/**
 * Every block that any node has ever written, as the judge sees them: by content, each read once. With the twin
 * of the tree: roots computed word by word as RFC 6962 defines them, with nothing of src/merkle.
 */
import { createHash, hash } from 'node:crypto'
import { toHex } from '../../src/bytes.ts'
import { type Block, decodeBlock } from '../../src/ledger/block.ts'

export class Blocks {
  readonly #byHash = new Map<string, Block>()
  readonly #byContent = new Map<string, Block>()
  readonly #byBytes = new WeakMap<Uint8Array, Block>()

  /** The block of these bytes, which must be one: nodes check blocks before they write them. */
  read(bytes: Uint8Array): Block {
    const known = this.#byBytes.get(bytes)
    if (known !== undefined) return known
    const content = hash('sha256', bytes, 'base64')
    const block = this.#byContent.get(content) ?? decodeBlock(bytes.slice())
    this.#byContent.set(content, block)
    this.#byBytes.set(bytes, block)
    this.#byHash.set(block.id, block)
    return block
  }

  get(hash: string): Block | undefined {
    return this.#byHash.get(hash)
  }

  /** The ancestor at `height` of the block named `hash`, itself included; undefined if the branch is unknown. */
  ancestor(hash: string, height: number): Block | undefined {
    let block = this.#byHash.get(hash)
    while (block !== undefined && block.seal.height > height) {
      block = this.#byHash.get(toHex(block.seal.previous))
    }
    return block?.seal.height === height ? block : undefined
  }

  /** Genesis first, `hash` last. */
  branch(hash: string): Block[] {
    const blocks: Block[] = []
    for (let block = this.get(hash); block !== undefined; block = this.get(toHex(block.seal.previous))) {
      blocks.unshift(block)
    }
    return blocks
  }
}

/** The Merkle Tree Hash of a growing list of leaves. Complete subtrees never change, so they are remembered. */
export class TreeTwin {
  readonly #leaves: Uint8Array[] = []
  readonly #complete = new Map<number, Map<number, Uint8Array>>()
  /** Hash of the last block added, and the tree's size after each block. */
  #tip = ''
  readonly #roots = new Map<string, string>()

  /** The root after `block`, in hex; undefined if it neither follows the last one added nor is known. */
  rootAfter(block: Block): string | undefined {
    const known = this.#roots.get(block.id)
    if (known !== undefined) return known
    if (block.seal.height > 0 && toHex(block.seal.previous) !== this.#tip) return undefined
    this.#leaves.push(...block.leaves.map((leaf) => sha(Uint8Array.of(0), leaf)))
    const root = toHex(this.#mth(0, this.#leaves.length))
    this.#tip = block.id
    this.#roots.set(block.id, root)
    return root
  }

  /** MTH(D[start : start + size]), RFC 6962 section 2.1. */
  #mth(start: number, size: number): Uint8Array {
    if (size === 0) return sha()
    if (size === 1) return this.#leaves[start]!
    let k = 1
    while (k * 2 < size) k *= 2
    const complete = k * 2 === size ? this.#rememberedAt(size) : undefined
    const known = complete?.get(start)
    if (known !== undefined) return known
    const hash = sha(Uint8Array.of(1), this.#mth(start, k), this.#mth(start + k, size - k))
    complete?.set(start, hash)
    return hash
  }

  #rememberedAt(size: number): Map<number, Uint8Array> {
    const known = this.#complete.get(size) ?? new Map<number, Uint8Array>()
    this.#complete.set(size, known)
    return known
  }
}

function sha(...parts: Uint8Array[]): Uint8Array {
  const hash = createHash('sha256')
  for (const part of parts) hash.update(part)
  return new Uint8Array(hash.digest())
}
