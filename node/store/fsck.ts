/**
 * Verifies a whole store as if every byte of it came from a stranger: blocks and all signatures, what follows from
 * them, certificates, and what the node has promised. Only reads.
 */
import type { SignatureSuite } from '../../src/crypto/suite.ts'
import { errorCode, errorMessage, QatError } from '../../src/errors.ts'
import { type Genesis, verifyGenesis } from '../../src/ledger/genesis.ts'
import type { OnProgress } from './backup.ts'
import type { Inspector } from './block-inspector.ts'
import type { Findings } from './finding.ts'
import { appliedHeight, checkChain, highest, sameGenesis } from './fsck-chain.ts'
import { checkRecords, readAnchors, sizesOfInterest } from './fsck-records.ts'
import { blockKey, META } from './keys.ts'
import type { Kv } from './kv.ts'
import * as records from './records.ts'
import { sift } from './sift.ts'

export interface StoreReport {
  /** Applied height and tree size up to which the chain could be followed. */
  readonly height: number
  readonly size: number
  /** Entries whose signatures were verified. */
  readonly entries: number
  /** Of those and of seals. */
  readonly signatures: number
  /** Applied blocks that are lost or wrong, by height. */
  readonly badBlocks: ReadonlySet<number>
  readonly recovering: boolean
}

export interface StoreTask {
  /** The Kv below the checksums. */
  readonly raw: Kv
  readonly genesis: Genesis
  /** Of the node whose store it is. */
  readonly name: string
  readonly suite: SignatureSuite
  /** Who looks at the blocks; this thread if nobody is named. */
  readonly inspector?: Inspector | undefined
  readonly findings: Findings
  readonly onProgress: OnProgress
}

/** Throws StoreError for a store of another ledger or layout: that is no damage. */
export async function checkStore(task: StoreTask): Promise<StoreReport> {
  const { raw, genesis, suite, inspector, findings, onProgress } = task
  const nothing = {
    height: -1,
    size: 0,
    entries: 0,
    signatures: 0,
    badBlocks: new Set<number>(),
    recovering: false,
  }
  try {
    await verifyGenesis(suite, genesis)
  } catch (error) {
    findings.add('genesis', 'genesis.block', errorMessage(error))
    return nothing
  }
  await checkIdentity(task)
  const anchors = await readAnchors(raw, findings)
  const applied = await appliedHeight(raw, anchors.applied)
  if (anchors.applied !== undefined && anchors.applied !== applied) {
    const what = `is recorded as ${anchors.applied}; there are facts up to block ${applied}`
    findings.add('derived', 'the height of the applied chain', what, true)
  }
  const logEnd = Math.max(applied, anchors.logEnd ?? (await highest(raw, blockKey)))
  const sizes = await sizesOfInterest(raw, anchors)
  const range = { applied, logEnd, sizes }
  const chain = await checkChain({ raw, genesis, suite, inspector, findings, ...range, onProgress })
  const recovering = await isRecovering(task)
  await checkRecords({ raw, findings, suite, name: task.name, anchors, chain, recovering })
  const beyond = await highest(raw, blockKey)
  if (beyond > logEnd) {
    findings.add('promise', `block ${beyond}`, `stands above the end of the log, ${logEnd}`, true)
  }
  const { height, size, entries, signatures, badBlocks } = chain
  return { height, size, entries, signatures, badBlocks, recovering }
}

/** Version and genesis block. Both follow from the genesis file of the folder. */
async function checkIdentity({ raw, genesis, findings }: StoreTask): Promise<void> {
  await records.checkLayout(raw).catch((error: unknown) => {
    if (errorCode(error) === 'store-version') throw error // the rest is found below
  })
  const version = await sift(raw, META.version)
  if (version.is !== 'there') {
    findings.add('derived', 'the version record', `is ${version.is}`, version.is === 'missing')
  } else {
    try {
      records.checkVersion(version.value, genesis.block.id)
    } catch (error) {
      if (errorCode(error) !== 'store-damaged') throw error
      findings.add('derived', 'the version record', 'cannot be read')
    }
  }
  const block = await sift(raw, blockKey(0))
  if (block.is !== 'there') {
    findings.add('derived', 'block 0 (genesis)', `is ${block.is}`, block.is === 'missing')
  } else if (!sameGenesis(block.value, genesis)) {
    findings.add('derived', 'block 0 (genesis)', 'is not the genesis.block of the folder', true)
  }
}

async function isRecovering({ raw, findings }: StoreTask): Promise<boolean> {
  const found = await sift(raw, META.recovering)
  if (found.is === 'missing') return false
  try {
    if (found.is === 'there') records.readRecovering(found.value)
    else throw new QatError('damaged', 'its checksum does not fit')
  } catch (error) {
    findings.add('promise', 'the mark of a recovering node', `cannot be read: ${errorMessage(error)}`)
  }
  return true
}
