/** `fsck` as a library: a store folder checked from its files up, and rebuilt if that is asked for. */
import type { SignatureSuite } from '../../src/crypto/suite.ts'
import { errorCode, errorMessage } from '../../src/errors.ts'
import type { Genesis } from '../../src/ledger/genesis.ts'
import type { SyncAnswer } from '../core/sync.ts'
import type { OnProgress } from './backup.ts'
import type { Inspector } from './block-inspector.ts'
import { Findings } from './finding.ts'
import { checkStore, type StoreReport } from './fsck.ts'
import type { Kv } from './kv.ts'
import { openLevel, repairLevel } from './level.ts'
import { hasStore, inspectFiles, noteDamaged, noteStopped } from './level-files.ts'
import { type RepairReport, repairStore } from './repair.ts'
import { replaceStore } from './replace-store.ts'
import { StoreError } from './store-error.ts'

export interface FolderTask {
  /** The folder that LevelDB uses. */
  readonly folder: string
  readonly genesis: Genesis
  /** Of the node whose store it is. */
  readonly name: string
  readonly suite: SignatureSuite
  /** Who looks at the blocks; this thread if nobody is named. */
  readonly inspector?: Inspector | undefined
  readonly onProgress: (phase: 'checking' | 'rebuilding', done: number, total: number) => void
}

export interface RepairOptions {
  readonly fetch: (from: number) => Promise<SyncAnswer | undefined>
  /** Ids of the node's keys, which must not sign any more if the store has forgotten what they signed. */
  readonly keys: readonly string[]
}

export interface FolderReport {
  readonly findings: Findings
  /** Undefined if LevelDB could not open the store. */
  readonly store?: StoreReport
  /** Of a repair that was done. */
  readonly repair?: RepairReport & { readonly kept: string | undefined }
}

/**
 * Throws StoreError for what is no damage: no store, a running node, another ledger, another layout; and if a
 * repair cannot be completed, and then nothing has changed.
 */
export async function checkFolder(task: FolderTask, repair?: RepairOptions): Promise<FolderReport> {
  const { folder } = task
  const findings = new Findings()
  if (!(await hasStore(folder))) {
    const message = `There is no store in ${folder}. A node that starts without one fetches everything from its peers.`
    throw new StoreError('store-missing', message)
  }
  const problems = await inspectFiles(folder)
  for (const { file, what, afterCrash } of problems) findings.add(afterCrash ? 'note' : 'files', file, what)
  const grave = problems.filter(({ afterCrash }) => !afterCrash)
  if (grave.length > 0 && !problems.some(({ file }) => file === 'DAMAGED')) await noteDamaged(folder, grave)
  const raw = await openDamaged(folder, findings, repair !== undefined)
  if (!raw) return { findings }
  try {
    return await checkAndRepair(task, raw, findings, repair)
  } finally {
    await raw.close()
    // A check that found the files sound leaves them as it found them, with their list.
    if (findings.count('files') === 0) await noteStopped(folder).catch(() => {})
  }
}

async function checkAndRepair(
  task: FolderTask,
  raw: Kv,
  findings: Findings,
  repair: RepairOptions | undefined,
): Promise<FolderReport> {
  const { folder, genesis, suite, onProgress } = task
  const progress =
    (phase: 'checking' | 'rebuilding'): OnProgress =>
    (done, total) =>
      onProgress(phase, done, total)
  const store = await checkStore({ ...task, raw, findings, onProgress: progress('checking') })
  const hopeless = findings.count('fork') + findings.count('genesis') > 0
  if (!repair || hopeless || !(findings.damage || findings.forgetful)) return { findings, store }
  const { result, kept } = await replaceStore(folder, genesis, (fresh) =>
    repairStore({
      ...{ raw, store: fresh, genesis, suite },
      badBlocks: store.badBlocks,
      forgetful: findings.forgetful,
      fetch: repair.fetch,
      keys: repair.keys,
      onProgress: progress('rebuilding'),
    }),
  )
  return { findings, store, repair: { ...result, kept } }
}

/** Opens what is left; with `mend`, after LevelDB has rebuilt its own bookkeeping if it must. */
async function openDamaged(folder: string, findings: Findings, mend: boolean): Promise<Kv | undefined> {
  const options = { create: false, evenIfDamaged: true }
  try {
    if (!findings.kept.some(({ where }) => where === 'CURRENT')) return await openLevel(folder, options)
  } catch (error) {
    if (errorCode(error) !== 'store-damaged' && errorCode(error) !== 'store-unusable') throw error
    const reason = error instanceof StoreError ? error.facts.reason : undefined
    const what = typeof reason === 'string' ? reason : errorMessage(error)
    const noted = findings.kept.some(({ where }) => where === 'DAMAGED')
    findings.add('files', 'LevelDB:', what)
    if (!noted) await noteDamaged(folder, [{ file: 'LevelDB:', what }])
  }
  if (!mend) return undefined
  await repairLevel(folder)
  return openLevel(folder, options)
}
