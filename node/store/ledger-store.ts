/**
 * Everything a node keeps on disk: Raft's state and log, the applied chain, the tree, the indexes. Raft's log
 * and the chain are the same blocks, written once; applying a block adds what makes it findable and provable.
 */
import type { Write } from '../../consensus/driver.ts'
import { refOf } from '../../consensus/log.ts'
import type { Certified, HardState, Block as RaftBlock } from '../../consensus/types.ts'
import { fromU64, fromUtf8, toHex, utf8 } from '../../src/bytes.ts'
import { invariant } from '../../src/errors.ts'
import { type Block, decodeBlock } from '../../src/ledger/block.ts'
import { type ChainState, changeIn, genesisState } from '../../src/ledger/chain.ts'
import { decodeEntry, type Entry } from '../../src/ledger/entry.ts'
import { type Genesis, readGenesis } from '../../src/ledger/genesis.ts'
import type { Membership } from '../../src/ledger/membership.ts'
import { BLOCK_ENTRIES_MAX, HASH_BYTES } from '../../src/limits.ts'
import { leafHash } from '../../src/merkle/hash.ts'
import { decodeEntryBundle } from '../../src/merkle/tiles.ts'
import { type BlockFacts, decodeFacts } from './block-facts.ts'
import { checkedKv } from './checked-kv.ts'
import { type AppliedBlock, derivedWrites, factsOf } from './derived.ts'
import { DISK_RESERVE_BYTES } from './disk-space.ts'
import { decodeOffsets } from './index-record.ts'
import {
  blockKey,
  CERTIFICATES,
  certificateKey,
  changeKey,
  eventKey,
  factsKey,
  firstIndexKey,
  type IndexedAttribute,
  indexKey,
  leafKey,
  META,
  pendingKey,
} from './keys.ts'
import type { Kv, KvWrite } from './kv.ts'
import { MemberHistory } from './member-history.ts'
import * as records from './records.ts'
import { damaged } from './store-error.ts'
import { TreeStore } from './tree-store.ts'

export type { AppliedBlock } from './derived.ts'
export type { Checkpointed, Recovering } from './records.ts'

export interface StoreOptions {
  /**
   * An empty store belongs to a node that never ran. Otherwise it stands for a disk that was lost, and is marked:
   * what the node has signed is forgotten.
   */
  readonly fresh?: boolean
  /** Below this much free space the disk counts as full; DISK_RESERVE_BYTES if not given. */
  readonly reserveBytes?: number
}

const LEAVES_CACHED_BLOCKS = 8

export class LedgerStore {
  readonly tree: TreeStore
  readonly genesis: Genesis
  readonly #kv: Kv
  #members: MemberHistory
  readonly #reserveBytes: number
  #tip: BlockFacts
  /** Leaves of blocks read lately: neighbours are often asked for together. */
  readonly #leaves = new Map<number, Uint8Array[]>()

  private constructor(kv: Kv, genesis: Genesis, tree: TreeStore, tip: BlockFacts, reserveBytes: number) {
    this.#kv = kv
    this.genesis = genesis
    this.#members = new MemberHistory(genesis.membership)
    this.tree = tree
    this.#tip = tip
    this.#reserveBytes = reserveBytes
  }

  /**
   * Opens the store over `raw`, writing genesis into an empty one. Throws StoreError: `store-version`,
   * `store-mismatch` for another ledger, `store-damaged`.
   * @param founding genesis, or the bytes of its block, which are then read
   */
  static async open(
    raw: Kv,
    founding: Genesis | Uint8Array,
    options: StoreOptions = {},
  ): Promise<LedgerStore> {
    const { fresh = false, reserveBytes = DISK_RESERVE_BYTES } = options
    const genesis = founding instanceof Uint8Array ? readGenesis(founding) : founding
    await records.checkLayout(raw)
    const kv = checkedKv(raw)
    const version = await kv.get(META.version)
    if (version !== undefined) {
      records.checkVersion(version, genesis.block.id)
      const tip = await readTip(kv)
      const store = new LedgerStore(kv, genesis, await TreeStore.open(kv, tip.size), tip, reserveBytes)
      await store.#readChanges()
      return store
    }
    for await (const _ of kv.range(ANYTHING)) throw damaged('The store has lost its version record.')
    const store = new LedgerStore(kv, genesis, await TreeStore.open(kv, 0), NO_BLOCK, reserveBytes)
    await store.#write(
      [{ block: genesis.block, entries: [] }],
      [
        records.versionWrite(genesis.block.id),
        records.hardStateWrite(records.NO_HARD_STATE),
        records.certifiedWrite({ block: refOf(toRaftBlock(genesis.block)), proof: { kind: 'genesis' } }),
        records.cosignedWrite(records.NOTHING_COSIGNED),
        ...blockWrites([genesis.block]),
        ...(fresh ? [] : [records.recoveringWrite({ keys: [], why: 'lost' })]),
      ],
    )
    return store
  }

  /** After a failed write: makes the store writable again, and reads anew what it knows of itself. */
  async reopen(): Promise<void> {
    await this.#kv.reopen()
    this.#tip = await readTip(this.#kv)
    await this.tree.reload(this.#tip.size)
    this.#leaves.clear()
    await this.#readChanges()
  }

  /** Whether the disk has so little left that the node should stop writing before it must. */
  async lowOnSpace(): Promise<boolean> {
    return (await this.#kv.free()) < this.#reserveBytes
  }

  /** The newest applied block. */
  get tip(): BlockFacts {
    return this.#tip
  }

  /** The chain after the newest applied block. */
  get state(): ChainState {
    const { height, term, hash, size, time } = this.#tip
    return { ...genesisState(this.genesis), membership: this.members.newest, height, term, hash, size, time }
  }

  /** The memberships up to the applied tip. */
  get members(): MemberHistory {
    return this.#members
  }

  async #readChanges(): Promise<void> {
    const members = new MemberHistory(this.genesis.membership)
    const range = { from: changeKey(0), to: changeKey(Number.MAX_SAFE_INTEGER) }
    for await (const [, value] of this.#kv.range(range)) {
      const index = fromU64(value)
      const leaf = await this.leaf(index)
      const facts = await this.factsOfLeaf(index)
      const change = leaf && changeIn(decodeEntry(leaf))
      if (!change || !facts) throw damaged('A change of membership is not where the store says.', { index })
      members.add(change, facts.size)
    }
    this.#members = members
  }

  // ---- Raft's share

  async hardState(): Promise<HardState> {
    return records.readHardState(await this.#kv.get(META.hardState))
  }

  /** The highest certified block of the log, and its proof. */
  async certified(): Promise<Certified> {
    return records.readCertified(await this.#kv.get(META.certified))
  }

  /** Raft's `persist`: one batch, on disk when the promise resolves. `logEnd` is the last height there was. */
  async persist({ hardState, truncateFrom, blocks, certified }: Write, logEndBefore: number): Promise<void> {
    const batch: KvWrite[] = []
    if (hardState) batch.push(records.hardStateWrite(hardState))
    if (certified) batch.push(records.certifiedWrite(certified))
    if (truncateFrom !== undefined) {
      invariant(truncateFrom > this.#tip.height, 'A committed block would be truncated.', { truncateFrom })
      for (let height = truncateFrom; height <= logEndBefore; height++) batch.push({ key: blockKey(height) })
    }
    for (const block of blocks) batch.push({ key: blockKey(block.height), value: block.body })
    const logEnd = blocks.at(-1)?.height ?? (truncateFrom === undefined ? undefined : truncateFrom - 1)
    if (logEnd !== undefined) batch.push(records.logEndWrite(logEnd))
    if (batch.length > 0) await this.#kv.write(batch, true)
  }

  /** Blocks that are not applied yet, and what Raft remembers beside them, as they come from elsewhere than from Raft. */
  async put(write: Partial<Write>): Promise<void> {
    await this.persist({ ...NOTHING, ...write }, this.#tip.height)
  }

  /** Raft's log as it stands on disk, from `height` to its end. */
  async logFrom(height: number): Promise<Block[]> {
    const blocks: Block[] = []
    const end = records.readLogEnd(await this.#kv.get(META.logEnd))
    const range = { from: blockKey(height), to: blockKey(end + 1) }
    for await (const [, bytes] of this.#kv.range(range)) blocks.push(decodeBlock(bytes))
    for (const [i, { seal }] of blocks.entries()) {
      if (seal.height !== height + i) throw damaged('A block of the log is missing.', { height: height + i })
    }
    if (blocks.length <= end - height) throw damaged('The last blocks of the log are missing.', { end })
    return blocks
  }

  // ---- recovery

  /** Whose promises these are; undefined until its node has started. */
  async owner(): Promise<records.Owner | undefined> {
    return records.readOwner(await this.#kv.get(META.owner))
  }

  async setOwner(value: records.Owner): Promise<void> {
    await this.#kv.write([records.ownerWrite(value)], true)
  }

  /** There if the node must not sign under the keys that it names: it may have signed with them what this store forgot. */
  async recovering(): Promise<records.Recovering | undefined> {
    return records.readRecovering(await this.#kv.get(META.recovering))
  }

  async setRecovering(value: records.Recovering): Promise<void> {
    await this.#kv.write([records.recoveringWrite(value)], true)
  }

  /**
   * The node has other keys, which have signed nothing yet. In the present term it votes for nobody but itself all the
   * same, since its old keys may have voted: one validator has one vote a term.
   */
  async clearRecovering(name: string): Promise<void> {
    const { term } = await this.hardState()
    const { height, term: tipTerm, hash } = this.#tip
    // In this term the old keys may have voted for somebody: the new ones vote for nobody else.
    const vote = { candidate: name, base: { height, term: tipTerm, hash } }
    await this.#kv.write(
      [
        records.hardStateWrite({ term: Math.max(term, tipTerm), vote, abstains: false }),
        records.cosignedWrite(records.NOTHING_COSIGNED),
        { key: META.recovering },
      ],
      true,
    )
  }

  // ---- applying

  /** Applies committed blocks in one atomic batch; on disk when the promise resolves. */
  async apply(blocks: readonly AppliedBlock[]): Promise<void> {
    await this.#write(blocks, [])
  }

  /** Applies blocks that are not in the log yet, such as those of a backup; nothing may stand above them. */
  async install(blocks: readonly AppliedBlock[]): Promise<void> {
    if (blocks.length > 0) await this.#write(blocks, blockWrites(blocks.map(({ block }) => block)))
  }

  async #write(blocks: readonly AppliedBlock[], first: readonly KvWrite[]): Promise<void> {
    const batch = [...first]
    const tree = this.tree.append(
      blocks.flatMap(({ block }) => block.leafHashes),
      blocks.map(({ block }) => block.seal.firstIndex + block.leaves.length),
    )
    let tip = this.#tip
    for (const [i, applied] of blocks.entries()) {
      const { height, firstIndex } = applied.block.seal
      invariant(height === tip.height + 1 && firstIndex === tip.size, 'Blocks are applied in order.', {
        height,
      })
      tip = factsOf(applied.block, tree.roots[i]!)
      batch.push(...derivedWrites(applied, tip))
    }
    batch.push(...tree.writes, records.appliedWrite(tip.height))
    await this.#kv.write(batch, true)
    tree.adopt()
    this.#tip = tip
    for (const { block, entries } of blocks) {
      const change = entries.map(changeIn).find((found) => found !== undefined)
      if (change) this.members.add(change, block.seal.firstIndex + block.leaves.length)
    }
  }

  // ---- reading

  async facts(height: number): Promise<BlockFacts | undefined> {
    if (height < 0 || height > this.#tip.height) return undefined
    return readFacts(this.#kv, height)
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
    for await (const [, height] of this.#kv.range(range)) {
      const facts = await readFacts(this.#kv, fromU64(height))
      if (index < facts.size) return facts
    }
    throw damaged('The place of a leaf is missing.', { index })
  }

  /** Bytes of an applied block: the one that its facts name. */
  async blockBytes(height: number): Promise<Uint8Array | undefined> {
    const facts = await this.facts(height)
    if (!facts) return undefined
    const bytes = await this.#blockOf(facts)
    leavesOf(bytes, facts)
    return bytes
  }

  /** Bytes of an applied leaf. `onRead` is told how many bytes of its block were read for it, if any were. */
  async leaf(index: number, onRead?: (bytes: number) => void): Promise<Uint8Array | undefined> {
    const facts = await this.factsOfLeaf(index)
    if (!facts) return undefined
    let leaves = this.#leaves.get(facts.height)
    if (!leaves) {
      const block = await this.#blockOf(facts)
      onRead?.(block.length)
      leaves = leavesOf(block, facts)
      if (this.#leaves.size >= LEAVES_CACHED_BLOCKS) this.#leaves.clear()
      this.#leaves.set(facts.height, leaves)
    }
    return leaves[index - facts.firstIndex]
  }

  async #blockOf({ height }: BlockFacts): Promise<Uint8Array> {
    const bytes = await this.#kv.get(blockKey(height))
    if (bytes === undefined) throw damaged('An applied block is missing.', { height })
    return bytes
  }

  async leafIndex(hash: Uint8Array): Promise<number | undefined> {
    const bytes = await this.#kv.get(leafKey(hash))
    return bytes && fromU64(bytes)
  }

  /** As `leafIndex`, of many in one reading. */
  async leafIndexes(hashes: readonly Uint8Array[]): Promise<(number | undefined)[]> {
    const found = await this.#kv.getMany(hashes.map(leafKey))
    return found.map((bytes) => bytes && fromU64(bytes))
  }

  async hasLeaves(hashes: readonly Uint8Array[]): Promise<boolean[]> {
    return this.#kv.hasMany(hashes.map(leafKey))
  }

  /** What stands in the chain of an entry already: its own leaf, or else another that carries one of its CloudEvents. */
  async recorded(entry: Entry): Promise<{ leaf: number | undefined; event: number | undefined }> {
    const keys = [leafKey(entry.hash)]
    for (const { source, id } of entry.claims) if (id !== undefined) keys.push(eventKey(source, id))
    const [at, bytes] = (await this.#kv.findFirst(keys)) ?? []
    const index = bytes && fromU64(bytes)
    return at === 0 ? { leaf: index, event: undefined } : { leaf: undefined, event: index }
  }

  /** Leaf indexes in [from, to) whose entry has the attribute, in the tree's order or against it. */
  async *indexesWith(
    attribute: IndexedAttribute,
    value: string,
    from: number,
    to: number,
    reverse: boolean,
  ): AsyncGenerator<number> {
    // Records stand under the first leaf of their block, so the block that `from` lies in belongs to the range.
    const first = await this.factsOfLeaf(from)
    if (!first || from >= to) return
    const keys = { from: indexKey(attribute, value, first.firstIndex), to: indexKey(attribute, value, to) }
    for await (const [key, record] of this.#kv.range({ ...keys, reverse })) {
      const firstIndex = fromU64(key, key.length - 8)
      const offsets = decodeOffsets(record)
      for (const offset of reverse ? offsets.reverse() : offsets) {
        const index = firstIndex + offset
        if (index >= from && index < to) yield index
      }
    }
  }

  // ---- cosigning and certificates

  /** The newest checkpoint this node has put its name to. */
  async cosigned(): Promise<records.Checkpointed | undefined> {
    return records.readCosigned(await this.#kv.get(META.cosigned))
  }

  /** On disk before the cosignature leaves, so that a restart cannot sign an inconsistent one. */
  async setCosigned(checkpoint: records.Checkpointed): Promise<void> {
    await this.#kv.write([records.cosignedWrite(checkpoint)], true)
  }

  async certificate(): Promise<string | undefined> {
    const bytes = await this.#kv.get(META.certificate)
    return bytes && fromUtf8(bytes)
  }

  /** The membership in force: a change counts once its certificate is here. */
  async membersInForce(): Promise<Membership> {
    const note = await this.certificate()
    return this.members.at((note === undefined ? 0 : records.certificateSize(note)) + 1)
  }

  /**
   * The newest certificate, of a tree of `size` leaves. Not synced: one that is lost can be assembled or fetched
   * again. Two are kept for ever: that of a boundary, since the way from policy to policy leads over it; and the last
   * one of each minute by the seals, so that a proof made years later still shows who had cosigned by then.
   */
  async setCertificate(note: string, size: number): Promise<void> {
    const value = utf8(note)
    const boundary = this.members.boundaryAbove(size - 1) === size
    const batch = [{ key: META.certificate, value }]
    if (boundary) batch.push({ key: certificateKey(size), value })
    const before = await this.certificate()
    const sizeBefore = before === undefined ? size : records.certificateSize(before)
    if (sizeBefore < size && (await this.#minuteOf(sizeBefore)) !== (await this.#minuteOf(size))) {
      batch.push({ key: certificateKey(sizeBefore), value: utf8(before!) })
    }
    await this.#kv.write(batch, boundary)
  }

  /** In which minute since 1970 the block was sealed that ends at `size`. Seals' times never run backwards. */
  async #minuteOf(size: number): Promise<number | undefined> {
    const facts = await this.factsAtSize(size)
    return facts && Math.floor(facts.time / 60_000)
  }

  /** Keeps a certificate beside the newest one. */
  async keepCertificate(note: string, size: number): Promise<void> {
    await this.#kv.write([{ key: certificateKey(size), value: utf8(note) }], false)
  }

  /** Of the certificates that are kept, that of the smallest tree of `size` leaves or more. */
  async certificateFrom(size: number): Promise<{ readonly size: number; readonly note: string } | undefined> {
    for await (const [key, value] of this.#kv.range({
      ...CERTIFICATES,
      from: certificateKey(size),
      limit: 1,
    })) {
      return { size: fromU64(key, 1), note: fromUtf8(value) }
    }
    return undefined
  }

  /** The certificate of a boundary, once there is one. */
  async boundaryCertificate(size: number): Promise<string | undefined> {
    const bytes = await this.#kv.get(certificateKey(size))
    return bytes && fromUtf8(bytes)
  }

  /** Leaf index of change `sequence`. */
  async changeIndex(sequence: number): Promise<number | undefined> {
    const bytes = await this.#kv.get(changeKey(sequence))
    return bytes && fromU64(bytes)
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

const NOTHING: Write = { hardState: undefined, truncateFrom: undefined, blocks: [], certified: undefined }

const NO_BLOCK: BlockFacts = {
  height: -1,
  term: 0,
  hash: '',
  firstIndex: 0,
  size: 0,
  root: new Uint8Array(HASH_BYTES),
  time: 0,
}

async function readTip(kv: Kv): Promise<BlockFacts> {
  return readFacts(kv, records.readApplied(await kv.get(META.applied)))
}

async function readFacts(kv: Kv, height: number): Promise<BlockFacts> {
  const bytes = await kv.get(factsKey(height))
  if (bytes === undefined) throw damaged('The facts of an applied block are missing.', { height })
  return decodeFacts(height, bytes)
}

/** Blocks as the end of the log. */
function blockWrites(blocks: readonly Block[]): KvWrite[] {
  const writes: KvWrite[] = blocks.map(({ seal, bytes }) => ({ key: blockKey(seal.height), value: bytes }))
  return [...writes, records.logEndWrite(blocks.at(-1)!.seal.height)]
}

/** Every key of the store begins with a letter. */
const ANYTHING = { from: utf8('A'), to: utf8('['), limit: 1 }

/** The leaves of the block that `facts` name, as its seal's hash shows; the checksum vouches for the others. */
function leavesOf(bytes: Uint8Array, { height, hash }: BlockFacts): Uint8Array[] {
  const leaves = decodeEntryBundle(bytes, BLOCK_ENTRIES_MAX + 1)
  const seal = leaves.at(-1)
  if (!seal || toHex(leafHash(seal)) !== hash) {
    throw damaged('A block is not the one that was applied at its height.', { height })
  }
  return leaves
}

/** The block as Raft sees it. */
export function toRaftBlock(block: Block): RaftBlock {
  const { height, term, previous, proposer } = block.seal
  const proposal = { by: proposer, seal: block.leaves.at(-1)! }
  return { height, term, hash: block.id, prev: toHex(previous), body: block.bytes, proposal }
}
