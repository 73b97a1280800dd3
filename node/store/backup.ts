/**
 * Backup and restore. A backup is what a node that has just joined would ask for, kept in a file: genesis and
 * sync answers up to the newest certificate. So restoring is catching up from a file, verified like any other.
 */

import type { SignatureSuite } from '../../src/crypto/suite.ts'
import { FormatError, RefusedError } from '../../src/errors.ts'
import { readGenesis } from '../../src/ledger/genesis.ts'
import { decodeSyncAnswer } from '../core/sync.ts'
import { type BackupReader, BackupWriter } from './backup-file.ts'
import { ChainWalk } from './chain-walk.ts'
import type { AppliedBlock } from './derived.ts'
import type { LedgerStore } from './ledger-store.ts'
import { NO_HARD_STATE } from './records.ts'
import { StoreError } from './store-error.ts'
import { SyncWalk } from './sync-walk.ts'

/** How far a long piece of work is: `done` of `total`, in whatever it counts. */
export type OnProgress = (done: number, total: number) => void

export interface BackupResult {
  readonly ledger: string
  readonly genesis: string
  readonly height: number
  /** Leaves: the size of the newest certificate's tree. */
  readonly size: number
  readonly bytes: number
}

/**
 * Writes a backup to `path`, verifying it as it goes. `source` answers, encoded, for a height; `target` is the
 * height that its newest certificate covered at the beginning, or more.
 */
export async function writeBackup(
  path: string,
  genesisBytes: Uint8Array,
  source: (from: number) => Promise<Uint8Array>,
  suite: SignatureSuite,
  target: number,
  onProgress: OnProgress,
): Promise<BackupResult> {
  const walk = await ChainWalk.begin(suite, readGenesis(genesisBytes))
  const sync = new SyncWalk(walk, suite)
  const writer = await BackupWriter.create(path, genesisBytes)
  try {
    let verified: Promise<void> = Promise.resolve()
    // A certificate of the tree so far is no end by itself: at a change of membership there is one, too.
    const whole = () => walk.state.size === sync.certified?.size
    while (!whole() || walk.state.height < target) {
      const blob = await source(walk.state.height + 1)
      const answer = decodeSyncAnswer(blob)
      if (answer.blocks.length === 0) {
        if (whole()) break
        throw nothingFinal(walk.state.height)
      }
      const taken = await sync.take(answer)
      await writer.add(blob)
      // One answer is verified while the next is fetched.
      await verified
      verified = taken.verified
      onProgress(walk.state.height, Math.max(target, walk.state.height))
    }
    await verified
    await writer.finish()
  } catch (error) {
    await writer.abandon()
    throw error
  }
  return { ...summary(walk), bytes: writer.bytes }
}

/**
 * Verifies a backup and applies it to `store`, which must be new and of the same ledger. Throws FormatError,
 * ProofError or RefusedError; the store is then of no use.
 */
export async function readBackup(
  reader: BackupReader,
  store: LedgerStore,
  suite: SignatureSuite,
  onProgress: OnProgress,
): Promise<BackupResult> {
  const genesis = readGenesis(await reader.genesis())
  if (genesis.block.id !== store.genesis.block.id) {
    throw new StoreError(
      'store-mismatch',
      `The backup is of the ledger ${genesis.parameters.ledger} with genesis ${genesis.block.id.slice(0, 16)}…; this node belongs to genesis ${store.genesis.block.id.slice(0, 16)}…. Use a backup of this ledger.`,
    )
  }
  const walk = await ChainWalk.begin(suite, genesis)
  const sync = new SyncWalk(walk, suite)
  for await (const blob of reader.answers()) {
    const { applied, verified } = await sync.take(decodeSyncAnswer(blob))
    await verified
    await installNew(store, applied)
    const { size, note } = sync.certified!
    if (size === store.tip.size) await store.setCertificate(note, size)
    onProgress(reader.offset, reader.size)
  }
  if (sync.certified?.size !== store.tip.size) {
    throw new FormatError('truncated', 'The backup ends before the tree that its last certificate is about.')
  }
  // Raft's term is never below that of a block in its log.
  await store.put({ hardState: { ...NO_HARD_STATE, term: store.tip.term } })
  return { ...summary(walk), bytes: reader.size }
}

/** Installs blocks after making sure that none of their entries stands in the store already. */
export async function installNew(store: LedgerStore, blocks: readonly AppliedBlock[]): Promise<void> {
  const hashes = blocks.flatMap(({ entries }) => entries.map(({ hash }) => hash))
  const found = await store.hasLeaves(hashes)
  const ids = new Set(blocks.flatMap(({ entries }) => entries.map(({ id }) => id)))
  if (found.some(Boolean) || ids.size < hashes.length) {
    throw new RefusedError('duplicate-entry', 'An entry stands in the chain twice.')
  }
  await store.install(blocks)
}

function summary({ state, genesis }: ChainWalk): Omit<BackupResult, 'bytes'> {
  const { height, size } = state
  return { ledger: genesis.parameters.ledger, genesis: genesis.block.id, height, size }
}

function nothingFinal(height: number): StoreError {
  const message =
    height === 0
      ? 'Nothing is final yet: there is no certificate to back up to. Try again when there is one.'
      : `The source has nothing final above block ${height}. Try again, or ask another node.`
  return new StoreError('store-unusable', message, { height })
}
