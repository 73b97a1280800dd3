/**
 * Everything a node keeps on disk: Raft's state and log, the applied chain, the tree, the indexes. Raft's log
 * and the chain are the same blocks, written once; applying a block adds what makes it findable and provable.
 */
import type { HardState, Block as RaftBlock } from '../../consensus/types.ts'
import { concat, fromU64, fromUtf8, toHex, u64, utf8 } from '../../src/bytes.ts'
import { invariant } from '../../src/errors.ts'
import { canonicalJson, parseCanonicalJson } from '../../src/json.ts'
import { type Block, decodeBlock } from '../../src/ledger/block.ts'
import { type ChainState, genesisState } from '../../src/ledger/chain.ts'
import type { Entry } from '../../src/ledger/entry.ts'
import { type Genesis, readGenesis } from '../../src/ledger/genesis.ts'
import { BLOCK_ENTRIES_MAX } from '../../src/limits.ts'
import { decodeEntryBundle } from '../../src/merkle/tiles.ts'
import { type BlockFacts, decodeFacts, encodeFacts } from './block-facts.ts'
import {
  blockKey,
  eventKey,
  factsKey,
  firstIndexKey,
  INDEXED,
  type IndexedAttribute,
  indexKey,
  leafKey,
  META,
  pendingKey,
  STORE_VERSION,
} from './keys.ts'
import type { Kv, KvWrite } from './kv.ts'
import { StoreError } from './level.ts'
import { TreeStore } from './tree-store.ts'

/** A block with its entries read, ready to be applied. Genesis has none that could be queried. */
export interface AppliedBlock {
  readonly block: Block
  readonly entries: readonly Entry[]
}

export interface Checkpointed {
  readonly size: number
  readonly root: Uint8Array
}

const LEAVES_CACHED_BLOCKS = 8

export class LedgerStore {
  readonly tree: TreeStore
  readonly genesis: Genesis
  readonly #kv: Kv
  #tip: BlockFacts
  /** Leaves of blocks read lately: neighbours are often asked for together. */
  readonly #leaves = new Map<number, Uint8Array[]>()

  private constructor(kv: Kv, genesis: Genesis, tree: TreeStore, tip: BlockFacts) {
    this.#kv = kv
    this.genesis = genesis
    this.tree = tree
    this.#tip = tip
  }

  /** Opens the store, writing genesis into an empty one; refuses a store of another ledger or version. */
  static async open(kv: Kv, genesisBytes: Uint8Array): Promise<LedgerStore> {
    const genesis = readGenesis(genesisBytes)
    const version = canonicalJson({ version: STORE_VERSION, genesis: genesis.block.id })
    const found = await kv.get(META.version)
    if (found === undefined) {
      const store = new LedgerStore(kv, genesis, await TreeStore.open(kv, 0), NO_BLOCK)
      await store.#write(
        [{ block: genesis.block, entries: [] }],
        [
          { key: blockKey(0), value: genesis.block.bytes },
          { key: META.version, value: version },
        ],
      )
      return store
    }
    checkVersion(found, genesis.block.id)
    const applied = await kv.get(META.applied)
    invariant(applied, 'The store has no applied height.')
    const tip = await readFacts(kv, fromU64(applied))
    invariant(tip, 'The facts of the applied block are missing.', { height: fromU64(applied) })
    const tree = await TreeStore.open(kv, tip.size)
    return new LedgerStore(kv, genesis, tree, tip)
  }

  /** The newest applied block. */
  get tip(): BlockFacts {
    return this.#tip
  }

  /** The chain after the newest applied block. */
  get state(): ChainState {
    const { height, term, hash, size, time } = this.#tip
    return { ...genesisState(this.genesis), height, term, hash, size, time }
  }

  // ---- Raft's share

  async hardState(): Promise<HardState> {
    const bytes = await this.#kv.get(META.hardState)
    if (!bytes) return { term: 0, votedFor: undefined }
    const { term, votedFor } = parseCanonicalJson(bytes, 1024) as { term: number; votedFor: string | null }
    return { term, votedFor: votedFor ?? undefined }
  }

  /** Raft's `persist`: one batch, on disk when the promise resolves. `logEnd` is the last height there was. */
  async persist(
    hardState: HardState | undefined,
    truncate: { from: number; logEnd: number } | undefined,
    blocks: readonly RaftBlock[],
  ): Promise<void> {
    const batch: KvWrite[] = []
    if (hardState) {
      const value = canonicalJson({ term: hardState.term, votedFor: hardState.votedFor ?? null })
      batch.push({ key: META.hardState, value })
    }
    if (truncate) {
      invariant(truncate.from > this.#tip.height, 'A committed block would be truncated.', { ...truncate })
      for (let height = truncate.from; height <= truncate.logEnd; height++)
        batch.push({ key: blockKey(height) })
    }
    for (const block of blocks) batch.push({ key: blockKey(block.height), value: block.body })
    if (batch.length > 0) await this.#kv.write(batch, true)
  }

  /** Raft's log as it stands on disk, from `height` to its end. */
  async logFrom(height: number): Promise<Block[]> {
    const blocks: Block[] = []
    const range = { from: blockKey(height), to: blockKey(Number.MAX_SAFE_INTEGER) }
    for await (const [, bytes] of this.#kv.range(range)) blocks.push(decodeBlock(bytes))
    return blocks
  }

  // ---- applying

  /** Applies committed blocks in one atomic batch; on disk when the promise resolves. */
  async apply(blocks: readonly AppliedBlock[]): Promise<void> {
    await this.#write(blocks, [])
  }

  async #write(blocks: readonly AppliedBlock[], first: readonly KvWrite[]): Promise<void> {
    const batch = [...first]
    const sizes = blocks.map(({ block }) => block.seal.firstIndex + block.leaves.length)
    const tree = this.tree.append(
      blocks.flatMap(({ block }) => block.leafHashes),
      sizes,
    )
    let tip = this.#tip
    for (const [i, { block, entries }] of blocks.entries()) {
      const { height, term, firstIndex, time } = block.seal
      invariant(height === tip.height + 1 && firstIndex === tip.size, 'Blocks are applied in order.', {
        height,
      })
      tip = { height, term, hash: block.id, firstIndex, size: sizes[i]!, root: tree.roots[i]!, time }
      batch.push({ key: factsKey(height), value: encodeFacts(tip) })
      batch.push({ key: firstIndexKey(firstIndex), value: u64(height) })
      for (const [j, hash] of block.leafHashes.entries())
        batch.push({ key: leafKey(hash), value: u64(firstIndex + j) })
      for (const [j, entry] of entries.entries()) batch.push(...indexWrites(entry, firstIndex + j))
    }
    batch.push(...tree.writes, { key: META.applied, value: u64(tip.height) })
    await this.#kv.write(batch, true)
    tree.adopt()
    this.#tip = tip
  }

  // ---- reading

  facts(height: number): Promise<BlockFacts | undefined> {
    return height < 0 || height > this.#tip.height ? Promise.resolve(undefined) : readFacts(this.#kv, height)
  }

  /** The applied block that ends with tree size `size`, if a block ends there. */
  async factsAtSize(size: number): Promise<BlockFacts | undefined> {
    const facts = size > 0 ? await this.factsOfLeaf(size - 1) : undefined
    return facts?.size === size ? facts : undefined
  }

  /** The applied block that holds leaf `index`. */
  async factsOfLeaf(index: number): Promise<BlockFacts | undefined> {
    if (index >= this.#tip.size) return undefined
    const range = { from: firstIndexKey(0), to: firstIndexKey(index + 1), reverse: true, limit: 1 }
    for await (const [, height] of this.#kv.range(range)) return readFacts(this.#kv, fromU64(height))
    return undefined
  }

  /** Bytes of an applied block. */
  async blockBytes(height: number): Promise<Uint8Array | undefined> {
    return height > this.#tip.height ? undefined : this.#kv.get(blockKey(height))
  }

  /** Bytes of an applied leaf. */
  async leaf(index: number): Promise<Uint8Array | undefined> {
    const facts = await this.factsOfLeaf(index)
    if (!facts) return undefined
    let leaves = this.#leaves.get(facts.height)
    if (!leaves) {
      const bytes = await this.blockBytes(facts.height)
      invariant(bytes, 'An applied block is missing on disk.', { height: facts.height })
      leaves = decodeEntryBundle(bytes, BLOCK_ENTRIES_MAX + 1)
      if (this.#leaves.size >= LEAVES_CACHED_BLOCKS) this.#leaves.clear()
      this.#leaves.set(facts.height, leaves)
    }
    return leaves[index - facts.firstIndex]
  }

  async leafIndex(hash: Uint8Array): Promise<number | undefined> {
    const bytes = await this.#kv.get(leafKey(hash))
    return bytes && fromU64(bytes)
  }

  async hasLeaves(hashes: readonly Uint8Array[]): Promise<boolean[]> {
    return this.#kv.hasMany(hashes.map(leafKey))
  }

  /** What stands in the chain of each entry already: its own leaf, or another that carries one of its CloudEvents. */
  async recorded(
    entries: readonly Entry[],
  ): Promise<{ leaf: number | undefined; event: number | undefined }[]> {
    const keys = entries.map(({ hash, claims }) => [
      leafKey(hash),
      ...claims.flatMap(({ source, id }) => (id === undefined ? [] : [eventKey(source, id)])),
    ])
    const found = await this.#kv.getMany(keys.flat())
    let at = 0
    return keys.map(({ length }) => {
      const [leaf, ...events] = found.slice(at, at + length)
      at += length
      const event = events.find((bytes) => bytes !== undefined)
      return { leaf: leaf && fromU64(leaf), event: event && fromU64(event) }
    })
  }

  /** Leaf indexes in [from, to) whose entry has the attribute, in the tree's order or against it. */
  async *indexesWith(attribute: IndexedAttribute, value: string, from: number, to: number, reverse: boolean) {
    const range = { from: indexKey(attribute, value, from), to: indexKey(attribute, value, to), reverse }
    for await (const [key] of this.#kv.range(range)) yield fromU64(key, key.length - 8)
  }

  // ---- cosigning and certificates

  /** The newest checkpoint this node has put its name to. */
  async cosigned(): Promise<Checkpointed | undefined> {
    const bytes = await this.#kv.get(META.cosigned)
    return bytes && { size: fromU64(bytes), root: bytes.slice(8) }
  }

  /** On disk before the cosignature leaves, so that a restart cannot sign an inconsistent one. */
  async setCosigned({ size, root }: Checkpointed): Promise<void> {
    await this.#kv.write([{ key: META.cosigned, value: concat(u64(size), root) }], true)
  }

  async certificate(): Promise<string | undefined> {
    const bytes = await this.#kv.get(META.certificate)
    return bytes && fromUtf8(bytes)
  }

  /** Not synced: a certificate that is lost can be assembled or fetched again. */
  async setCertificate(note: string): Promise<void> {
    await this.#kv.write([{ key: META.certificate, value: utf8(note) }], false)
  }

  // ---- entries acknowledged as pending

  async addPending(entries: readonly Entry[]): Promise<void> {
    await this.#kv.write(
      entries.map(({ hash, bytes }) => ({ key: pendingKey(hash), value: bytes })),
      true,
    )
  }

  async removePending(hashes: readonly Uint8Array[]): Promise<void> {
    await this.#kv.write(
      hashes.map((hash) => ({ key: pendingKey(hash) })),
      false,
    )
  }

  async pending(): Promise<Uint8Array[]> {
    const found: Uint8Array[] = []
    const range = { from: pendingKey(new Uint8Array(0)), to: utf8('Q') }
    for await (const [, bytes] of this.#kv.range(range)) found.push(bytes)
    return found
  }

  close(): Promise<void> {
    return this.#kv.close()
  }
}

const NO_BLOCK: BlockFacts = {
  height: -1,
  term: 0,
  hash: '',
  firstIndex: 0,
  size: 0,
  root: new Uint8Array(32),
  time: 0,
}

async function readFacts(kv: Kv, height: number): Promise<BlockFacts | undefined> {
  const bytes = await kv.get(factsKey(height))
  return bytes && decodeFacts(height, bytes)
}

function indexWrites(entry: Entry, index: number): KvWrite[] {
  const writes: KvWrite[] = []
  for (const [i, claim] of entry.claims.entries()) {
    const { source, id } = claim
    if (id !== undefined) writes.push({ key: eventKey(source, id), value: u64(index) })
    for (const attribute of Object.keys(INDEXED) as IndexedAttribute[]) {
      // The events of a batch mostly share their source and type.
      if (i > 0 && claim[attribute] === entry.claims[i - 1]![attribute]) continue
      writes.push({ key: indexKey(attribute, claim[attribute], index), value: NOTHING })
    }
  }
  return writes
}

const NOTHING = new Uint8Array(0)

function checkVersion(found: Uint8Array, genesis: string): void {
  const store = parseCanonicalJson(found, 1024) as { version: number; genesis: string }
  if (store.version !== STORE_VERSION) {
    throw new StoreError(
      'store-version',
      `The store has layout version ${store.version}; this program reads ${STORE_VERSION}. Use a matching release.`,
    )
  }
  if (store.genesis !== genesis) {
    throw new StoreError(
      'store-mismatch',
      `The store belongs to the ledger of genesis ${store.genesis.slice(0, 16)}…, the genesis file is ${genesis.slice(0, 16)}…. Point to the right folder or genesis file.`,
    )
  }
}

/** The block as Raft sees it. */
export function toRaftBlock(block: Block): RaftBlock {
  const { height, term, previous } = block.seal
  return { height, term, hash: block.id, prev: toHex(previous), body: block.bytes }
}
