/** `qat fsck`: whether the store of a stopped node is whole, and how it can be made so. */
import { join } from 'node:path'
import type { Command } from 'commander'
import { useNativeCode } from '../../crypto/native.ts'
import { opensslSuite } from '../../crypto/openssl.ts'
import { verifyQueue } from '../../crypto/verify-queue.ts'
import { FILES, readNodeFolder } from '../../folder.ts'
import { commandsFor, keyRingOf, prepareNewKeys } from '../../new-keys.ts'
import { foundingRecord } from '../../node-record.ts'
import { checkFolder, type FolderReport } from '../../store/check-folder.ts'
import { type FindingKind, MEANINGS } from '../../store/finding.ts'
import { inspectorThreads } from '../../store/inspector-threads.ts'
import { nodeAddress } from '../connection.ts'
import { CliError, EXIT } from '../exit.ts'
import { newKeysText } from '../new-keys-text.ts'
import { type GlobalOptions, tokenOption } from '../options.ts'
import { counted, factSheet, printable, printJson, printText } from '../output.ts'
import { folderPassphrase } from '../passphrase.ts'
import { createProgress } from '../progress.ts'
import { syncFromAny } from '../sync-source.ts'

type Repaired = NonNullable<FolderReport['repair']>

interface Options extends GlobalOptions {
  readonly repair?: true
  readonly rpc?: readonly string[]
  readonly token?: string
}

const EXAMPLES = `
Examples:
  qat fsck ledger/alpha
  qat fsck ledger/alpha --repair --rpc http://10.0.0.8:8480 http://10.0.0.9:8480 --token "$QAT_TOKEN"

Verifies everything in the store: every block and signature, the tree, all indexes, certificates, and what the
node has promised. The node must be stopped. With --repair a new store is built beside the damaged one, from what
is sound and what the nodes at --rpc can prove; the damaged one is kept under another name. If the node may have
forgotten what it has signed, its keys must not sign any more: new ones are made in DIR/next, and an admin has to
admit them. Set QAT_PASSPHRASE or QAT_PASSPHRASE_FILE if the node's keys are encrypted.

Ends with 0 if the store is sound or was repaired, 4 if it is damaged, 1 if it could not be checked.
`

export function addFsckCommand(program: Command): void {
  program
    .command('fsck')
    .argument('<dir>', 'folder of the node, which must be stopped')
    .description("verify a node's store, and repair it")
    .option('--repair', 'build a sound store from what is left')
    .option('--rpc <url...>', 'nodes to fetch lost blocks from', addUrl)
    .addOption(tokenOption())
    .addHelpText('after', EXAMPLES)
    .action(async (dir: string, _options, command: Command) => fsck(dir, command.optsWithGlobals<Options>()))
}

function addUrl(value: string, earlier: readonly string[] = []): string[] {
  return [...earlier, nodeAddress('--rpc')(value)]
}

async function fsck(dir: string, { repair, rpc = [], token, json }: Options): Promise<void> {
  if (rpc.length > 0 && token === undefined) {
    const message =
      'Running nodes give blocks to holders of a token of theirs: give --token (QAT_TOKEN) beside --rpc.'
    throw new CliError('usage', message)
  }
  const nodes = rpc.map((url) => ({ rpc: url, ...(token !== undefined && { token }) }))
  const passphrase = repair ? await folderPassphrase(dir) : undefined
  useNativeCode()
  const { config, genesis } = await readNodeFolder(dir)
  const progress = createProgress(json === true)
  // So that the thread pool has room for the disk among thousands of signatures.
  const suite = verifyQueue(opensslSuite).ordinary
  const onProgress = (phase: 'checking' | 'rebuilding', done: number, total: number) =>
    progress.update(phase === 'checking' ? 'Checking' : 'Rebuilding', done, total, 'blocks')
  const folder = join(dir, FILES.store)
  const fetch = (from: number) =>
    syncFromAny(nodes, from, (message) => {
      progress.end()
      if (!json) process.stderr.write(`qat: ${printable(message)}\n`)
    })
  const inspector = inspectorThreads(genesis)
  try {
    const task = { folder, genesis, name: config.name, suite, inspector, onProgress }
    const startMs = performance.now()
    const report = await checkFolder(
      task,
      repair ? { fetch, keys: await keysOf(dir, passphrase) } : undefined,
    )
    const seconds = (performance.now() - startMs) / 1_000
    progress.end()
    if (report.repair?.recovering) await prepare(dir, config.name, passphrase, report.repair)
    const sound =
      !report.findings.damage || (report.repair !== undefined && report.repair.missing.length === 0)
    if (json) printJson({ dir, sound, seconds: Number(seconds.toFixed(3)), ...jsonOf(dir, report) })
    else printText(textOf(dir, report, seconds))
    if (!sound) process.exitCode = EXIT.damaged
  } finally {
    progress.end()
    await inspector.close()
  }
}

/** Of all keys that the node has at present. */
async function keysOf(dir: string, passphrase: string | undefined): Promise<string[]> {
  const { inPlace, next } = await keyRingOf(dir, passphrase).ids()
  return [...inPlace, ...next]
}

async function prepare(
  dir: string,
  name: string,
  passphrase: string | undefined,
  { membership, spent }: Repaired,
): Promise<void> {
  const before = membership.nodeByName.get(name) ?? (await foundingRecord(dir))
  await prepareNewKeys(dir, before, passphrase, spent)
}

function jsonOf(dir: string, { findings, store, repair }: FolderReport): object {
  const { badBlocks: _, ...checked } = store ?? { badBlocks: undefined }
  const report = { ...checked, counts: findings.counts, findings: findings.kept }
  if (!repair) return report
  const { membership: _2, spent: _3, ...done } = repair
  return { ...report, repair: { ...done, ...(repair.recovering && { next: commandsFor(dir).here }) } }
}

function textOf(dir: string, { findings, store, repair }: FolderReport, seconds: number): string {
  const total = Object.values(findings.counts).reduce((sum, count) => sum + count, 0)
  const facts = factSheet([
    ['Store', join(dir, FILES.store)],
    ['Height', store?.height],
    ['Leaves', store?.size],
    ['Entries', store?.entries],
    ['Signatures', store && `${store.signatures} of entries and seals, every one verified`],
    ['Took', timeOf(store, repair === undefined ? seconds : undefined)],
    ['Recovering', store?.recovering ? 'yes: the node needs new keys before it signs anything' : undefined],
    ['Found', total === 0 ? 'nothing wrong' : counted(total, 'problem')],
  ])
  const kinds = (Object.keys(MEANINGS) as FindingKind[]).filter((kind) => findings.count(kind) > 0)
  const sections = kinds.map((kind) => {
    const kept = findings.kept.filter((finding) => finding.kind === kind)
    // One block has many records of a kind, and each may be damaged.
    const times = new Map<string, number>()
    for (const { where, what } of kept) {
      const line = printable(`${where} ${what}`)
      times.set(line, (times.get(line) ?? 0) + 1)
    }
    const lines = [...times].map(([line, count]) => `  - ${line}${count > 1 ? ` (${count} times)` : ''}`)
    const more = findings.count(kind) - kept.length
    if (more > 0) lines.push(`  and ${more} more of this kind`)
    const { means, mend } = MEANINGS[kind]
    return `${lines.join('\n')}\n  What it means: ${means}\n  What to do:    ${mend}`
  })
  return [facts, ...sections, ...(repair ? [repairText(dir, repair)] : [])].join('\n\n')
}

/** Of a check alone: a repair verifies everything once more. */
function timeOf(store: FolderReport['store'], seconds: number | undefined): string | undefined {
  if (!store || seconds === undefined) return undefined
  return `${seconds.toFixed(1)} s, ${Math.round(store.entries / seconds)} entries/s`
}

function repairText(dir: string, repair: Repaired): string {
  const { height, fetched, unapplied, pending, recovering, missing, kept } = repair
  const facts = factSheet([
    ['Rebuilt', `to block ${height}, ${counted(fetched, 'block')} of it from peers`],
    ['Log', unapplied > 0 ? `${counted(unapplied, 'block')} not applied yet` : undefined],
    ['Pending', pending > 0 ? counted(pending, 'entry', 'entries') : undefined],
    ['Old store', kept],
  ])
  const lost = missing.map((what) => `  - ${what} could not be had again`)
  const next = recovering ? newKeysText(dir) : `Next: qat start --dir ${dir}`
  return `${[facts, ...(lost.length > 0 ? [lost.join('\n')] : [])].join('\n')}\n\n${next}`
}
