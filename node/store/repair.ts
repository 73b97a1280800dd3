/**
 * Builds a new store from what is sound in a damaged one. Nothing is patched: every block is verified again on
 * its way, from this store or from a peer, and whatever follows from the blocks is made anew. What cannot be had
 * again is left out, and the new store is marked, so that its node signs nothing more under its keys.
 */
import { equalBytes } from '../../src/bytes.ts'
import type { SignatureSuite } from '../../src/crypto/suite.ts'
import { decodeEntry, type Entry } from '../../src/ledger/entry.ts'
import type { Genesis } from '../../src/ledger/genesis.ts'
import { type Membership, policyOf } from '../../src/ledger/membership.ts'
import { verifyCertificate } from '../../src/notes/certificate.ts'
import type { SyncAnswer } from '../core/sync.ts'
import { installNew, type OnProgress } from './backup.ts'
import { ChainWalk, SIGNATURES_IN_FLIGHT } from './chain-walk.ts'
import type { AppliedBlock } from './derived.ts'
import { Findings } from './finding.ts'
import { appliedHeight, highest } from './fsck-chain.ts'
import { type Anchors, keysIn, PENDING, readAnchors } from './fsck-records.ts'
import { blockKey, CERTIFICATES, certificateKey, META, pendingKey } from './keys.ts'
import type { Kv } from './kv.ts'
import { type LedgerStore, toRaftBlock } from './ledger-store.ts'
import * as records from './records.ts'
import { sift, siftValue } from './sift.ts'
import { StoreError } from './store-error.ts'
import { SyncWalk } from './sync-walk.ts'

export interface RepairTask {
  /** The damaged store, below the checksums. */
  readonly raw: Kv
  /** A new store of the same ledger. */
  readonly store: LedgerStore
  readonly genesis: Genesis
  readonly suite: SignatureSuite
  readonly badBlocks: ReadonlySet<number>
  /** Whether the node may have forgotten what it vouched for. */
  readonly forgetful: boolean
  /** Ids of the keys that must not sign any more if it has. */
  readonly keys: readonly string[]
  /** Asks peers for final blocks from a height on; undefined if none has them. Answers are proved here. */
  readonly fetch: (from: number) => Promise<SyncAnswer | undefined>
  readonly onProgress: OnProgress
}

export interface RepairReport {
  readonly height: number
  /** Blocks that came from peers. */
  readonly fetched: number
  /** Blocks of the log that were not applied yet, and were kept. */
  readonly unapplied: number
  readonly pending: number
  readonly recovering: boolean
  /** Ids of the keys that must not sign any more, then. */
  readonly spent: readonly string[]
  /** At the end of the new store. */
  readonly membership: Membership
  /** What could not be had again, in words. */
  readonly missing: readonly string[]
}

export async function repairStore(task: RepairTask): Promise<RepairReport> {
  const { raw, store, genesis, suite, forgetful, keys } = task
  const anchors = await readAnchors(raw, new Findings())
  const applied = await appliedHeight(raw, anchors.applied)
  const walk = await ChainWalk.begin(suite, genesis)
  const sync = new SyncWalk(walk, suite)
  const fetched = await rebuildChain(task, walk, sync, applied)
  const missing = await restoreCertificates(task, walk, anchors, sync)
  const unapplied = await restoreLog(task, walk)
  const kept = await restorePromises(task, anchors, walk.state.term)
  const pending = await restorePending(task)
  const marked = await markOf(raw)
  const recovering = forgetful || !kept || marked !== undefined
  const mark = marked?.keys.length ? marked : ({ keys, why: 'repaired' } as const)
  if (recovering) await store.setRecovering(mark)
  const { tip, members } = store
  const done = { height: tip.height, fetched, unapplied, pending, recovering, spent: mark.keys }
  return { ...done, membership: members.newest, missing }
}

/** Blocks 1 to `applied`, and of a forgetful store whatever peers have above. Returns how many came from peers. Throws StoreError if one is not to be had. */
async function rebuildChain(
  { raw, store, badBlocks, forgetful, fetch, onProgress }: RepairTask,
  walk: ChainWalk,
  sync: SyncWalk,
  applied: number,
): Promise<number> {
  let fetched = 0
  let batch: AppliedBlock[] = []
  let checks: Promise<void>[] = []
  let signatures = 0
  const flush = async () => {
    await Promise.all(checks)
    await installNew(store, batch)
    batch = []
    checks = []
    signatures = 0
    onProgress(walk.state.height, applied)
  }
  const takeFromPeer = async (height: number): Promise<boolean> => {
    const answer = await fetch(height)
    if (!answer || answer.blocks.length === 0) return false
    const proven = await sync.take(answer)
    await proven.verified
    await installNew(store, proven.applied)
    fetched += proven.applied.length
    onProgress(walk.state.height, Math.max(applied, walk.state.height))
    return true
  }
  while (walk.state.height < applied) {
    const height = walk.state.height + 1
    const taken = badBlocks.has(height) ? undefined : takeLocal(walk, await siftValue(raw, blockKey(height)))
    if (taken) {
      batch.push(taken.applied)
      checks.push(taken.verified)
      signatures += taken.signatures
      if (signatures >= SIGNATURES_IN_FLIGHT) await flush()
      continue
    }
    await flush()
    if (!(await takeFromPeer(height))) {
      throw new StoreError(
        'store-damaged',
        `Block ${height} is damaged or lost, and no peer could give it. Name nodes that have it by --rpc; nothing was changed.`,
        { height },
      )
    }
  }
  await flush()
  // A store that has lost its end does not know what was there.
  while (forgetful && (await takeFromPeer(walk.state.height + 1))) {}
  return fetched
}

function takeLocal(walk: ChainWalk, bytes: Uint8Array | undefined) {
  if (!bytes) return undefined
  try {
    return walk.take(bytes)
  } catch {
    return undefined // not the next block of this ledger: a peer must bring it
  }
}

/** Returns those that are needed and could not be had. */
async function restoreCertificates(
  { raw, store, suite, fetch }: RepairTask,
  walk: ChainWalk,
  anchors: Anchors,
  sync: SyncWalk,
): Promise<string[]> {
  const missing: string[] = []
  const holds = async (note: string | undefined): Promise<number | undefined> => {
    if (note === undefined) return undefined
    try {
      const size = records.certificateSize(note)
      const policy = policyOf(walk.genesis.parameters.ledger, walk.members.at(size))
      const { checkpoint } = await verifyCertificate(suite, policy, note)
      const facts = await store.factsAtSize(size)
      return facts && equalBytes(facts.root, checkpoint.root) ? size : undefined
    } catch {
      return undefined
    }
  }
  const keep = async (candidates: readonly (string | undefined)[], only?: number): Promise<boolean> => {
    for (const note of candidates) {
      const size = await holds(note)
      if (size === undefined || (only !== undefined && size !== only)) continue
      await store.setCertificate(note!, size)
      return true
    }
    return false
  }
  for (
    let size = walk.members.boundaryAbove(0);
    size !== undefined;
    size = walk.members.boundaryAbove(size)
  ) {
    if (size > store.tip.size) break
    const local = records.textOf(await siftValue(raw, certificateKey(size)))
    if (await keep([local], size)) continue
    const { height } = (await store.factsAtSize(size))!
    const answer = await fetch(height)
    if (!(await keep([answer?.certificate], size)))
      missing.push(`the certificate of the change at size ${size}`)
  }
  for (const key of await keysIn(raw, CERTIFICATES)) {
    const note = records.textOf(await siftValue(raw, key))
    const size = await holds(note)
    if (size !== undefined) await store.keepCertificate(note!, size)
  }
  const newest = [anchors.certificate, sync.certified?.note]
  if (!(await keep(newest)) && anchors.certificate !== undefined) {
    missing.push('the newest certificate (the node fetches one when it runs)')
  }
  return missing
}

/**
 * The part of the log that is not applied, up to the first block that does not hold; returns its length. Where it ends
 * is told by the blocks: those that Raft gave up were deleted with the record of the end, which may be damaged.
 */
async function restoreLog({ raw, store }: RepairTask, walk: ChainWalk): Promise<number> {
  const end = await highest(raw, blockKey)
  const kept: AppliedBlock[] = []
  while (walk.state.height < end) {
    const taken = takeLocal(walk, await siftValue(raw, blockKey(walk.state.height + 1)))
    const valid = taken && (await taken.verified.then(() => true).catch(() => false))
    if (!valid) break
    kept.push(taken.applied)
  }
  const blocks = kept.map(({ block }) => toRaftBlock(block))
  if (blocks.length > 0) await store.put({ blocks })
  return blocks.length
}

/** Vote, lock and cosigned pair, if they fit the chain; whether all was there. */
async function restorePromises({ store }: RepairTask, anchors: Anchors, term: number): Promise<boolean> {
  const { cosigned, hardState: known, certified } = anchors
  const locked = certified && (await store.logFrom(certified.block.height).catch(() => []))[0]?.id
  const lock = locked !== undefined && locked === certified?.block.hash ? certified : undefined
  // Raft's term is never below that of a block in its log.
  const raised = known && known.term >= term ? known : { ...records.NO_HARD_STATE, term }
  await store.put({ hardState: raised, certified: lock })
  if (!cosigned) return known !== undefined && lock !== undefined
  const facts = await store.factsAtSize(cosigned.size)
  const fits = facts !== undefined && equalBytes(facts.root, cosigned.root)
  if (fits) await store.setCosigned(cosigned)
  return fits && known !== undefined && lock !== undefined
}

const UNREADABLE: records.Recovering = { keys: [], why: 'unknown' }

/** The mark of a store that was recovering already; unreadable, it still is one. */
async function markOf(raw: Kv): Promise<records.Recovering | undefined> {
  const found = await sift(raw, META.recovering)
  if (found.is === 'missing') return undefined
  try {
    return found.is === 'there' ? records.readRecovering(found.value) : UNREADABLE
  } catch {
    return UNREADABLE
  }
}

async function restorePending({ raw, store }: RepairTask): Promise<number> {
  const entries: Entry[] = []
  try {
    for await (const [key] of raw.range(PENDING)) {
      const entry = readEntry(await siftValue(raw, key))
      if (entry && equalBytes(pendingKey(entry.hash), key)) entries.push(entry)
    }
  } catch {
    // What can be read is kept.
  }
  if (entries.length > 0) await store.addPending(entries)
  return entries.length
}

function readEntry(bytes: Uint8Array | undefined): Entry | undefined {
  try {
    return bytes && decodeEntry(bytes)
  } catch {
    return undefined
  }
}
