/**
 * Verifies the blocks of a store that may be damaged, from genesis to the end of the log. A block that is lost is
 * stepped over where facts and tiles tell enough about it, so that one bad block does not hide the next.
 */
import { equalBytes, fromU64, toHex } from '../../src/bytes.ts'
import type { SignatureSuite } from '../../src/crypto/suite.ts'
import { decodeBlock } from '../../src/ledger/block.ts'
import { decodeChange } from '../../src/ledger/change.ts'
import type { Genesis } from '../../src/ledger/genesis.ts'
import { HASH_BYTES } from '../../src/limits.ts'
import { TILE_WIDTH } from '../../src/merkle/tiles.ts'
import { type BlockFacts, decodeFacts } from './block-facts.ts'
import { BlockInspector, type Inspector, inspectedGenesis } from './block-inspector.ts'
import { ChainWalk } from './chain-walk.ts'
import { checkedKv } from './checked-kv.ts'
import type { Findings } from './finding.ts'
import { DerivedCheck } from './fsck-derived.ts'
import { blockKey, changeKey, factsKey, tileKey } from './keys.ts'
import type { Kv } from './kv.ts'
import { ReadAhead } from './read-ahead.ts'
import { sift, siftValue } from './sift.ts'

export interface ChainReport {
  readonly walk: ChainWalk
  /** The chain could be followed up to this applied height, and the tree to this size. */
  readonly height: number
  readonly size: number
  /** Whether that was all of it. */
  readonly complete: boolean
  /** Applied blocks that are lost or wrong, by height. */
  readonly badBlocks: ReadonlySet<number>
  /** Entries whose signatures were verified. */
  readonly entries: number
  /** That were verified: those of entries and seals. */
  readonly signatures: number
  /** Roots of the tree at the sizes that were asked for. */
  readonly roots: ReadonlyMap<number, Uint8Array>
}

export interface ChainTask {
  readonly raw: Kv
  readonly genesis: Genesis
  readonly suite: SignatureSuite
  /** Who looks at the blocks; this thread if nobody is named. */
  readonly inspector?: Inspector | undefined
  readonly findings: Findings
  readonly applied: number
  readonly logEnd: number
  /** Tree sizes whose roots are of interest. */
  readonly sizes: ReadonlySet<number>
  readonly onProgress: (height: number, logEnd: number) => void
}

export async function checkChain(task: ChainTask): Promise<ChainReport> {
  const { raw, genesis, suite, findings, applied, logEnd, sizes, onProgress } = task
  const walk = await ChainWalk.begin(suite, genesis)
  const inspector = task.inspector ?? new BlockInspector(suite, genesis)
  const derived = await DerivedCheck.begin(raw, findings)
  const roots = new Map<number, Uint8Array>()
  const badBlocks = new Set<number>()
  let entries = 0
  let signatures = 0
  let size = 0
  const keep = (facts: BlockFacts) => {
    size = facts.size
    if (sizes.has(size)) roots.set(size, facts.root)
  }
  const report = (height: number, what: string, lost: boolean) => {
    findings.add(height <= applied ? 'block' : 'promise', `block ${height}`, what, lost)
    if (height <= applied) badBlocks.add(height)
  }

  keep(await derived.block(inspectedGenesis(genesis)))
  const ahead = new ReadAhead(raw, inspector, logEnd, walk.state)
  while (walk.state.height < logEnd) {
    const height = walk.state.height + 1
    const found = await ahead.next()
    if (found.problem === undefined) {
      const change = found.change && decodeChange(found.change)
      walk.resumeAfter(found.place, change)
      if (found.change) inspector.change(found.change)
      if (change) ahead.restart(walk.state)
      if (found.unsigned !== undefined) report(height, found.unsigned, false)
      entries += found.entries
      signatures += found.signatures
      if (height <= applied) keep(await derived.block(found))
    } else {
      report(height, found.problem, found.lost)
      const facts = height <= applied && (await stepOver(raw, walk, derived, height))
      if (!facts) break
      keep(facts)
      ahead.restart(walk.state)
    }
    onProgress(height, logEnd)
  }
  const { height } = walk.state
  if (height < applied) {
    findings.add(
      'block',
      `blocks ${height + 2} to ${applied}`,
      `cannot be checked without block ${height + 1}`,
    )
  } else await derived.finish()
  const followed = Math.min(height, applied)
  return {
    walk,
    height: followed,
    size,
    complete: followed === applied,
    badBlocks,
    entries,
    signatures,
    roots,
  }
}

/** Goes on behind a lost block if its facts and tiles agree on what it was; a change of membership stops. */
async function stepOver(
  raw: Kv,
  walk: ChainWalk,
  derived: DerivedCheck,
  height: number,
): Promise<BlockFacts | undefined> {
  const bytes = await siftValue(raw, factsKey(height))
  if (!bytes) return undefined
  const facts = decodeFacts(height, bytes)
  if (facts.firstIndex !== walk.state.size || facts.size <= facts.firstIndex) return undefined
  if (await mayCarryChange(raw, facts)) return undefined
  const leafHashes = await leafHashesOf(raw, facts)
  if (!leafHashes || toHex(leafHashes.at(-1)!) !== facts.hash) return undefined
  const root = await derived.unread(leafHashes)
  if (!equalBytes(root, facts.root)) return undefined
  walk.resumeAfter(facts)
  return facts
}

async function mayCarryChange(raw: Kv, { firstIndex, size }: BlockFacts): Promise<boolean> {
  try {
    const range = { from: changeKey(0), to: changeKey(Number.MAX_SAFE_INTEGER) }
    for await (const [, value] of checkedKv(raw).range(range)) {
      const index = fromU64(value)
      if (index >= firstIndex && index < size) return true
    }
    return false
  } catch {
    return true
  }
}

async function leafHashesOf(raw: Kv, { firstIndex, size }: BlockFacts): Promise<Uint8Array[] | undefined> {
  const hashes: Uint8Array[] = []
  for (let index = firstIndex; index < size; ) {
    const tile = await siftValue(raw, tileKey(0, Math.floor(index / TILE_WIDTH)))
    const end = Math.min(size, (Math.floor(index / TILE_WIDTH) + 1) * TILE_WIDTH)
    for (; index < end; index++) {
      const at = (index % TILE_WIDTH) * HASH_BYTES
      if (!tile || tile.length < at + HASH_BYTES) return undefined
      hashes.push(tile.slice(at, at + HASH_BYTES))
    }
  }
  return hashes
}

/**
 * Up to where blocks are applied. The record of it counts if there are facts of that block; and so do facts above
 * it, because facts are written together with it.
 */
export async function appliedHeight(raw: Kv, recorded: number | undefined): Promise<number> {
  // In a table that LevelDB cannot read, every key looks damaged, also one that never was.
  const there = async (key: Uint8Array) => (await sift(raw, key)).is === 'there'
  const trusted = recorded !== undefined && (await sift(raw, factsKey(recorded))).is !== 'missing'
  let height = trusted ? recorded : await highest(raw, factsKey)
  while ((await there(factsKey(height + 1))) && (await there(blockKey(height + 1)))) height++
  return height
}

/** The highest block there is a record of under keys from `make(0)` on, for a store that has lost its own word. */
export async function highest(raw: Kv, make: (height: number) => Uint8Array): Promise<number> {
  const range = { from: make(0), to: make(Number.MAX_SAFE_INTEGER), reverse: true, limit: 1 }
  try {
    for await (const [key] of raw.range(range)) return fromU64(key, 1)
  } catch {
    // Nothing that can be read.
  }
  return 0
}

/** Whether the genesis block of the store is the one that the folder has. */
export function sameGenesis(stored: Uint8Array, genesis: Genesis): boolean {
  try {
    return decodeBlock(stored).id === genesis.block.id
  } catch {
    return false
  }
}
