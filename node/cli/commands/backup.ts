/** `qat backup`: everything that is final, in one file that proves itself. */
import { access } from 'node:fs/promises'
import { join } from 'node:path'
import type { Command } from 'commander'
import { fromBase64 } from '../../../src/bytes.ts'
import { count, object } from '../../../src/json.ts'
import { answerFrom, encodeSyncAnswer } from '../../core/sync.ts'
import { useNativeCode } from '../../crypto/native.ts'
import { opensslSuite } from '../../crypto/openssl.ts'
import { verifyQueue } from '../../crypto/verify-queue.ts'
import { isMounted } from '../../durable-file.ts'
import { FILES, readNodeFolder } from '../../folder.ts'
import { type BackupResult, writeBackup } from '../../store/backup.ts'
import { LedgerStore } from '../../store/ledger-store.ts'
import { openLevel } from '../../store/level.ts'
import { nodeAddress } from '../connection.ts'
import { CliError } from '../exit.ts'
import { type GlobalOptions, tokenOption } from '../options.ts'
import { factSheet, printJson, printText } from '../output.ts'
import { createProgress } from '../progress.ts'
import { readReply } from '../replies.ts'
import { askUntil, type Target } from '../rpc.ts'
import { syncFrom } from '../sync-source.ts'

interface Options extends GlobalOptions {
  readonly rpc?: string
  readonly token?: string
  readonly dir?: string
  readonly out: string
  readonly force?: true
}

const EXAMPLES = `
Examples:
  qat backup --rpc http://10.0.0.7:8480 --token "$QAT_TOKEN" --out ledger.qat-backup    from a running node
  qat backup --dir ledger/alpha --out ledger.qat-backup    from the folder of a stopped one

The file holds genesis and every block up to the newest certificate. All of it is verified as it is written:
certificates, chain and every signature. Compare the genesis id that is printed with the one you know. Keys and
tokens are not in it: keep copies of a node's *.key files apart.
`

const QUESTION_MS = 30_000

export function addBackupCommand(program: Command): void {
  program
    .command('backup')
    .description('copy everything that is final into a file')
    .option('--rpc <url>', 'from the running node at this address', nodeAddress('--rpc'))
    .addOption(tokenOption())
    .option('--dir <dir>', 'from the folder of a stopped node')
    .requiredOption('--out <file>', 'the file to write')
    .option('--force', 'replace the file if there is one')
    .addHelpText('after', EXAMPLES)
    .action(async (_options, command: Command) => backup(command.optsWithGlobals<Options>()))
}

interface Source {
  readonly genesis: Uint8Array
  /** Height of the newest final block, for the progress. */
  readonly target: number
  readonly answer: (from: number) => Promise<Uint8Array>
  readonly close: () => Promise<void>
}

async function backup({ rpc, token, dir, out, force, json }: Options): Promise<void> {
  if ((rpc === undefined) === (dir === undefined)) {
    throw new CliError('usage', 'Give either --rpc for a running node, or --dir for a stopped one.')
  }
  if (rpc !== undefined && token === undefined) {
    throw new CliError(
      'usage',
      'A running node gives its whole ledger to holders of a token: give --token (QAT_TOKEN).',
    )
  }
  if (!force && (await exists(out))) {
    throw new CliError('file', `${out} exists. Give another name, or --force to replace it.`, { path: out })
  }
  if (await isMounted(out)) {
    throw new CliError(
      'file',
      `${out} is mounted by itself, so nothing can take its place. Give another name.`,
    )
  }
  useNativeCode()
  const source =
    rpc !== undefined
      ? await runningNode({ rpc, ...(token !== undefined && { token }) })
      : await stoppedNode(dir!)
  const progress = createProgress(json === true)
  // So that the thread pool has room for the disk among thousands of signatures.
  const suite = verifyQueue(opensslSuite).ordinary
  try {
    const { genesis, answer, target } = source
    const result = await writeBackup(out, genesis, answer, suite, target, (done, total) =>
      progress.update('Backing up', done, total, 'blocks'),
    )
    progress.end()
    if (json) printJson({ ...result, file: out })
    else printText(sheet(result, out))
  } finally {
    progress.end()
    await source.close()
  }
}

async function runningNode(node: Target): Promise<Source> {
  const ask = (method: string) => askUntil(node, method, () => ({}), QUESTION_MS)
  const genesis = readReply(await ask('genesis.get'), (value) => {
    const { genesis: text } = object(value, 'The genesis')
    return fromBase64(typeof text === 'string' ? text : '')
  })
  const target = readReply(await ask('checkpoint.get'), (value) => {
    return count(object(value, 'The checkpoint').height, '"height"')
  })
  return { genesis, target, answer: (from) => syncFrom(node, from), close: async () => {} }
}

async function stoppedNode(dir: string): Promise<Source> {
  const { genesis } = await readNodeFolder(dir)
  const kv = await openLevel(join(dir, FILES.store), { create: false })
  try {
    const store = await LedgerStore.open(kv, genesis)
    const certificate = await store.certificate()
    return {
      genesis: genesis.block.bytes,
      target: store.tip.height,
      answer: async (from) => encodeSyncAnswer(await answerFrom(store, certificate, from)),
      close: () => kv.close(),
    }
  } catch (error) {
    await kv.close()
    throw error
  }
}

function sheet({ ledger, genesis, height, size, bytes }: BackupResult, file: string): string {
  const facts = factSheet([
    ['Ledger', ledger],
    ['Genesis', genesis],
    ['Height', height],
    ['Leaves', size],
    ['File', `${file} (${bytes} bytes)`],
  ])
  return `${facts}\n\nAll of it was verified as it was written. To put it back: qat restore ${file} --dir <node folder>`
}

function exists(path: string): Promise<boolean> {
  return access(path).then(
    () => true,
    () => false,
  )
}
