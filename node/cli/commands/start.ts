/** `qat start`: one node, until it is told to stop. */
import { type Command, Option } from 'commander'
import { errorMessage, QatError } from '../../../src/errors.ts'
import { CliError } from '../exit.ts'
import type { GlobalOptions } from '../options.ts'
import { printJson, printText } from '../output.ts'
import { stopRequest } from '../stop-request.ts'

interface Options extends GlobalOptions {
  readonly dir: string
  readonly logLevel: string
}

const LEVELS = ['trace', 'debug', 'info', 'warn', 'error', 'silent']

const EXAMPLES = `
Examples:
  qat start --dir ledger/alpha
  qat start --dir ledger/alpha --log-level warn 2>>alpha.log

Logs are JSON lines on standard error. SIGINT (Ctrl-C) and SIGTERM stop the node in order; a second one ends it
at once, which costs nothing but a longer start. Set QAT_PASSPHRASE if the node's keys are encrypted.
`

export function addStartCommand(program: Command): void {
  program
    .command('start')
    .description('run one node')
    .requiredOption('--dir <dir>', 'folder of the node, as "qat init" made it')
    .addOption(
      new Option('--log-level <level>', 'least important lines to log').choices(LEVELS).default('info'),
    )
    .addHelpText('after', EXAMPLES)
    .action(async (_options, command: Command) => start(command.optsWithGlobals<Options>()))
}

async function start({ dir, logLevel, json }: Options): Promise<void> {
  const stopped = stopRequest()
  const passphrase = process.env.QAT_PASSPHRASE
  const failed = Promise.withResolvers<never>()
  const removed = Promise.withResolvers<'removed'>()
  const { startNode } = await import('../../start.ts') // large, and of no use to the other commands
  const node = await startNode(dir, {
    logLevel,
    ...(passphrase !== undefined && { passphrase }),
    onFatal: failed.reject,
    onRemoved: () => removed.resolve('removed'),
  }).catch((cause: unknown) => {
    if (cause instanceof QatError) throw cause
    throw new CliError('not-started', `The node could not start: ${errorMessage(cause)}`, { dir }, { cause })
  })
  const { name } = node.status()
  if (json) printJson({ event: 'ready', name, rpc: node.rpcUrl, pid: process.pid, dir })
  else printText(`${name} answers at ${node.rpcUrl}. Ctrl-C stops it.`)
  // A parent that started this process learns that it is this one that answers, and why it ends.
  if (process.connected) process.send?.({ event: 'ready' })
  const end = await Promise.race([stopped, failed.promise, removed.promise])
  if (end === 'removed') {
    if (process.connected) process.send?.({ event: 'removed' })
    if (json) printJson({ event: 'removed', name })
    else printText(`${name} is no member of the ledger any more, and has stopped. Its store is kept.`)
  }
  await node.stop()
}
