/** The Merkle tree on disk: hash tiles that grow at the right edge, and the nodes that proofs need. */
import { concat } from '../../src/bytes.ts'
import { HASH_BYTES } from '../../src/limits.ts'
import { Frontier } from '../../src/merkle/frontier.ts'
import type { NodeId } from '../../src/merkle/geometry.ts'
import {
  consistencyNodes,
  foldPath,
  inclusionNodes,
  type ProofPlan,
  rootNodes,
} from '../../src/merkle/proof.ts'
import { nodeFromTile, nodeTile, TILE_HEIGHT, TILE_WIDTH, type TileSlice } from '../../src/merkle/tiles.ts'
import { tileKey } from './keys.ts'
import type { Kv, KvWrite } from './kv.ts'
import { damaged } from './store-error.ts'

/** The tiles at the right edge that are not full: for each stored level the bytes so far. */
type Edge = ReadonlyMap<number, Uint8Array>

const NO_EDGE: Edge = new Map()

/** About two megabytes. Those above a million leaves are 4,096 by themselves, and every proof needs some of them. */
const FOLDED_MAX = 16_384

export class TreeStore {
  readonly #kv: Kv
  #frontier: Frontier
  #edge: Edge
  /** Nodes between the levels of tiles, which never change once they are complete: the oldest goes first. */
  readonly #folded = new Map<string, Uint8Array>()

  private constructor(kv: Kv, frontier: Frontier, edge: Edge) {
    this.#kv = kv
    this.#frontier = frontier
    this.#edge = edge
  }

  /** Opens the tree of `size` leaves, reading only its right edge. */
  static async open(kv: Kv, size: number): Promise<TreeStore> {
    const tree = new TreeStore(kv, new Frontier(), new Map())
    await tree.reload(size)
    return tree
  }

  /** Takes the tree of `size` leaves as it stands on disk for this one. */
  async reload(size: number): Promise<void> {
    this.#folded.clear()
    const edge = new Map<number, Uint8Array>()
    for (let level = 0; TILE_WIDTH ** level <= size; level++) {
      const hashes = Math.floor(size / TILE_WIDTH ** level)
      const width = hashes % TILE_WIDTH
      if (width === 0) continue
      const tile = await this.#kv.get(tileKey(level, Math.floor(hashes / TILE_WIDTH)))
      if (!tile || tile.length < width * HASH_BYTES) {
        throw damaged('A tile at the edge of the tree is missing.', { level })
      }
      edge.set(level, tile.slice(0, width * HASH_BYTES))
    }
    const nodes = await this.#read([rootNodes(size)], NO_EDGE)
    this.#frontier = new Frontier(size, nodes.flat())
    this.#edge = edge
  }

  get size(): number {
    return this.#frontier.size
  }

  /**
   * Appends leaf hashes without touching this tree: returns the writes, the root after each of `boundaries`
   * (tree sizes, ascending), and a function that adopts the result once the writes are on disk.
   */
  append(leafHashes: readonly Uint8Array[], boundaries: readonly number[]) {
    const frontier = this.#frontier.clone()
    const edge = new Map(this.#edge)
    const added = new Map<number, Uint8Array[]>()
    const roots: Uint8Array[] = []
    const writes: KvWrite[] = []
    const flush = (level: number, hashesAfter: number) => {
      const hashes = added.get(level) ?? []
      if (hashes.length === 0) return
      const tile = concat(edge.get(level) ?? new Uint8Array(0), ...hashes)
      writes.push({ key: tileKey(level, Math.ceil(hashesAfter / TILE_WIDTH) - 1), value: tile })
      if (tile.length === TILE_WIDTH * HASH_BYTES) edge.delete(level)
      else edge.set(level, tile)
      added.set(level, [])
    }
    for (const leafHash of leafHashes) {
      frontier.append(leafHash, (nodeLevel, index, hash) => {
        if (nodeLevel % TILE_HEIGHT !== 0) return
        const level = nodeLevel / TILE_HEIGHT
        const list = added.get(level) ?? []
        list.push(hash)
        added.set(level, list)
        if ((index + 1) % TILE_WIDTH === 0) flush(level, index + 1)
      })
      if (frontier.size === boundaries[roots.length]) roots.push(frontier.root())
    }
    for (const level of added.keys()) flush(level, Math.floor(frontier.size / TILE_WIDTH ** level))
    const adopt = () => {
      this.#frontier = frontier
      this.#edge = edge
    }
    return { writes, roots, adopt }
  }

  /** The root of the tree's first `size` leaves. */
  async root(size: number): Promise<Uint8Array> {
    const [root] = await this.#path([rootNodes(size)])
    return root!
  }

  /** The RFC 6962 audit path of leaf `index` in the tree of `size` leaves. */
  async inclusionPath(index: number, size: number): Promise<Uint8Array[]> {
    return this.#path(inclusionNodes(index, size))
  }

  /** The RFC 6962 consistency proof from `size1` to `size2` leaves. */
  async consistencyPath(size1: number, size2: number): Promise<Uint8Array[]> {
    return this.#path(consistencyNodes(size1, size2))
  }

  async #path(plan: ProofPlan): Promise<Uint8Array[]> {
    const hashes = await this.#read(plan, this.#edge)
    const byPosition = new Map<string, Uint8Array>()
    for (const [i, nodes] of plan.entries()) {
      for (const [j, node] of nodes.entries()) byPosition.set(position(node), hashes[i]![j]!)
    }
    return foldPath(plan, (level, index) => byPosition.get(position({ level, index }))!)
  }

  /**
   * The hashes of the nodes of a plan; each tile is read once. The tiles at the right edge, `edge`, are at hand; they
   * are taken before anything is awaited, for the tree may grow meanwhile.
   */
  async #read(plan: ProofPlan, edge: Edge): Promise<Uint8Array[][]> {
    const hashes = new Map<string, Uint8Array>()
    const tiles = new Map<string, Uint8Array | undefined>()
    const wanted = new Map<string, TileSlice>()
    const { size } = this
    for (const node of plan.flat()) {
      const folded = this.#folded.get(position(node))
      if (folded) {
        hashes.set(position(node), folded)
        continue
      }
      const slice = nodeTile(node)
      const last = Math.floor(size / TILE_WIDTH ** (slice.level + 1))
      const tile = slice.index === last ? edge.get(slice.level) : undefined
      if (tile) tiles.set(position(slice), tile)
      else wanted.set(position(slice), slice)
    }
    const values = await this.#kv.getMany(
      [...wanted.values()].map(({ level, index }) => tileKey(level, index)),
    )
    for (const [i, name] of [...wanted.keys()].entries()) tiles.set(name, values[i])
    const hashOf = (node: NodeId): Uint8Array => {
      const name = position(node)
      const known = hashes.get(name)
      if (known) return known
      const slice = nodeTile(node)
      const { level, index } = slice
      const tile = tiles.get(position(slice))
      if (!tile) throw damaged('A tile of the tree is missing.', { level, index })
      const hash = nodeFromTile(tile, slice)
      if (slice.count > 1) this.#keepFolded(name, hash)
      return hash
    }
    return plan.map((nodes) => nodes.map(hashOf))
  }

  #keepFolded(name: string, hash: Uint8Array): void {
    this.#folded.set(name, hash)
    if (this.#folded.size > FOLDED_MAX) this.#folded.delete(this.#folded.keys().next().value!)
  }
}

function position({ level, index }: NodeId): string {
  return `${level}/${index}`
}
