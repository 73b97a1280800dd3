/**
 * Watches for a validator that cosigns two trees. Of each key it keeps the largest checkpoint that fits this
 * node's own tree, and a few that do not, or cannot be judged yet; as soon as the same key has put its name to a
 * fitting one at their size or above, this node's tree proves that the two exclude each other.
 */
import { equalBytes, toHex } from '../../src/bytes.ts'
import { sha256 } from '../../src/crypto/hash.ts'
import type { PublicKey } from '../../src/crypto/suite.ts'
import { type Cosigned, type TwoCosignatures, twoCosignatures } from '../../src/ledger/evidence.ts'
import type { Checkpoint } from '../../src/notes/checkpoint.ts'
import type { TreeStore } from '../store/tree-store.ts'

/** Of each key and sort; about 3 kB each. The smallest sizes are kept: they are the first to be decided. */
const OPEN_MAX = 8
/** The lines of one round ask for one root. */
const ROOTS_MAX = 16

/** A checkpoint that contradicts this node's tree, which has `root` at its size. */
interface Against extends Cosigned {
  readonly root: Uint8Array
}

interface Kept {
  readonly key: PublicKey
  fitting?: Cosigned
  /** Larger than this node's tree. */
  ahead: Cosigned[]
  /** No fitting one at their size or above has been seen yet. */
  against: Against[]
}

type Tree = Pick<TreeStore, 'size' | 'root' | 'consistencyPath'>

export class CosignatureWatch {
  readonly #tree: Tree
  /** By the SHA-256 of the public key; there are as many as validators. */
  readonly #kept = new Map<string, Kept>()
  readonly #roots = new Map<number, Uint8Array>()

  constructor(tree: Tree) {
    this.#tree = tree
  }

  /** Whether this node's tree has another root at that size. */
  async contradicts({ size, root }: Checkpoint): Promise<boolean> {
    return size > 0 && size <= this.#tree.size && !equalBytes(await this.#rootAt(size), root)
  }

  /** Takes a cosignature that is verified to be by `key`, and answers what it contradicts. */
  async see(key: PublicKey, said: Cosigned): Promise<TwoCosignatures[]> {
    const name = toHex(sha256(key.bytes))
    const kept = this.#kept.get(name) ?? { key, ahead: [], against: [] }
    this.#kept.set(name, kept)
    // Two roots of one size contradict each other whatever anyone's tree is.
    const { size, root } = said.checkpoint
    const rival = [kept.fitting, ...kept.ahead, ...kept.against].find(
      (other) => other?.checkpoint.size === size && !equalBytes(other.checkpoint.root, root),
    )
    await this.#judge(kept, said)
    return [...(rival ? [twoCosignatures(key, rival, said)] : []), ...(await this.#prove(kept))]
  }

  /** The largest checkpoint on this node's tree that the key has cosigned, as far as it was seen. */
  newestBy(key: PublicKey): Cosigned | undefined {
    return this.#kept.get(toHex(sha256(key.bytes)))?.fitting
  }

  /** This node's tree has grown: judges what was ahead of it. */
  async grew(): Promise<TwoCosignatures[]> {
    const found: TwoCosignatures[] = []
    for (const kept of this.#kept.values()) {
      const reached = kept.ahead.filter(({ checkpoint }) => checkpoint.size <= this.#tree.size)
      if (reached.length === 0) continue
      kept.ahead = kept.ahead.filter((said) => !reached.includes(said))
      for (const said of reached) await this.#judge(kept, said)
      found.push(...(await this.#prove(kept)))
    }
    return found
  }

  async #judge(kept: Kept, said: Cosigned): Promise<void> {
    const { size, root } = said.checkpoint
    if (size === 0) return
    if (size > this.#tree.size) {
      kept.ahead = smallest([...kept.ahead, said])
      return
    }
    const ours = await this.#rootAt(size)
    if (!equalBytes(ours, root)) kept.against = smallest([...kept.against, { ...said, root: ours }])
    else if (size >= (kept.fitting?.checkpoint.size ?? 0)) kept.fitting = said
  }

  /** Evidence from each contradicting checkpoint for which there is a fitting one to hold against it. */
  async #prove(kept: Kept): Promise<TwoCosignatures[]> {
    const { key, fitting, against } = kept
    if (!fitting) return []
    const { size: reach } = fitting.checkpoint
    const found: TwoCosignatures[] = []
    for (const said of against.filter(({ checkpoint }) => checkpoint.size <= reach)) {
      const { size } = said.checkpoint
      const path = size < reach ? await this.#tree.consistencyPath(size, reach) : undefined
      found.push(twoCosignatures(key, said, fitting, path && { root: said.root, path }))
    }
    kept.against = against.filter(({ checkpoint }) => checkpoint.size > reach)
    return found
  }

  async #rootAt(size: number): Promise<Uint8Array> {
    const known = this.#roots.get(size)
    if (known) return known
    const root = await this.#tree.root(size)
    if (this.#roots.size >= ROOTS_MAX) this.#roots.clear()
    this.#roots.set(size, root)
    return root
  }
}

/** By size, each size once: two roots of one size are evidence already. */
function smallest<S extends Cosigned>(all: readonly S[]): S[] {
  const bySize = new Map(all.toReversed().map((said) => [said.checkpoint.size, said]))
  return [...bySize.values()].sort((a, b) => a.checkpoint.size - b.checkpoint.size).slice(0, OPEN_MAX)
}
