/** `qat start`: one node, until it is told to stop. */
import { resolve } from 'node:path'
import { type Command, InvalidArgumentError, Option } from 'commander'
import { errorMessage, QatError } from '../../../src/errors.ts'
import { LINK_POLICIES, type LinkPolicy } from '../../net/qkd-noise/messages.ts'
import type { QkdConfig } from '../../qkd/config.ts'
import { hostOf } from '../../rpc/host.ts'
import { CliError } from '../exit.ts'
import { type GlobalOptions, wholeNumber } from '../options.ts'
import { goOnWithoutOutput, printJson, printText } from '../output.ts'
import { folderPassphrase } from '../passphrase.ts'
import { stopRequest } from '../stop-request.ts'

interface Options extends GlobalOptions {
  readonly dir: string
  readonly logLevel: string
  readonly rpcName?: readonly string[]
  readonly qkdServer?: string
  readonly qkdCa?: string
  readonly qkdCert?: string
  readonly qkdKey?: string
  readonly qkdMode?: LinkPolicy
  readonly qkdMaxAged?: number
}

const LEVELS = ['trace', 'debug', 'info', 'warn', 'error', 'silent']

const EXAMPLES = `
Examples:
  qat start --dir ledger/alpha
  qat start --dir ledger/alpha --log-level warn 2>>alpha.log
  qat start --dir ledger/alpha --qkd-server https://kme.example:443 --qkd-ca kme-ca.pem \\
    --qkd-cert alpha.pem --qkd-key alpha.key --qkd-mode require

Logs are JSON lines on standard error. SIGINT (Ctrl-C) and SIGTERM stop the node in order; a second one ends it
at once, which costs nothing but a longer start. Tokens count as DIR/tokens.json has them: it is read again when it
changes, and at SIGHUP; a file that cannot be read changes nothing, and the log says why. If the node's keys are
encrypted, set QAT_PASSPHRASE or QAT_PASSPHRASE_FILE, or type the passphrase at the terminal.
`

export function addStartCommand(program: Command): void {
  program
    .command('start')
    .description('run one node')
    .requiredOption('--dir <dir>', 'folder of the node, as "qat init" made it')
    .addOption(
      new Option('--log-level <level>', 'least important lines to log').choices(LEVELS).default('info'),
    )
    .option(
      '--rpc-name <host>',
      'a further name or address that JSON-RPC is called by, such as that of a proxy; repeat for each',
      rpcName,
    )
    .option('--qkd-server <url>', 'take QKD keys from this KME, by ETSI GS QKD 014: https://host:port')
    .option('--qkd-ca <file>', 'PEM certificate of the authority of that KME')
    .option('--qkd-cert <file>', 'PEM client certificate of this node')
    .option('--qkd-key <file>', 'PEM private key of that certificate')
    .addOption(
      new Option('--qkd-mode <mode>', 'whether links may do without QKD keys').choices(LINK_POLICIES),
    )
    .option(
      '--qkd-max-aged <seconds>',
      'with the mode require: how long a link may go on without a new QKD key',
      wholeNumber(1, 31_536_000),
    )
    .addHelpText('after', EXAMPLES)
    .action(async (_options, command: Command) => start(command.optsWithGlobals<Options>()))
}

async function start(options: Options): Promise<void> {
  const { dir, logLevel, json } = options
  goOnWithoutOutput()
  const qkd = qkdOf(options)
  const passphrase = await folderPassphrase(dir)
  const stopped = stopRequest(['SIGINT', 'SIGTERM'])
  let reload = async () => {}
  // Also before the node is up: it ends a process that does not listen.
  process.on('SIGHUP', () => void reload())
  const failed = Promise.withResolvers<never>()
  const removed = Promise.withResolvers<'removed'>()
  const { startNode } = await import('../../start.ts') // large, and of no use to the other commands
  const node = await startNode(dir, {
    logLevel,
    ...(passphrase !== undefined && { passphrase }),
    ...(qkd && { qkd }),
    ...(options.rpcName && { rpcNames: options.rpcName }),
    onFatal: failed.reject,
    onRemoved: () => removed.resolve('removed'),
  }).catch((cause: unknown) => {
    if (cause instanceof QatError) throw cause
    throw new CliError('not-started', `The node could not start: ${errorMessage(cause)}`, { dir }, { cause })
  })
  reload = () => node.reload()
  const { name, role, note } = node.status()
  const apart = role === 'recovering' && note !== undefined ? { note } : undefined
  if (json) printJson({ event: 'ready', name, rpc: node.rpcUrl, pid: process.pid, dir, ...apart })
  else printText(`${name} answers at ${node.rpcUrl}. Ctrl-C stops it.`)
  if (apart && !json) printText(`\n${apart.note}`)
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

function rpcName(value: string, earlier: readonly string[] = []): string[] {
  const host = hostOf(value.includes(':') && !value.startsWith('[') ? `[${value}]` : value)
  if (host === undefined)
    throw new InvalidArgumentError('Expected a name or an address, without scheme and port.')
  return [...earlier, host]
}

/** Another KME than the node's folder names. All four parts or none. */
function qkdOf({
  qkdServer,
  qkdCa,
  qkdCert,
  qkdKey,
  qkdMode,
  qkdMaxAged,
}: Options): Partial<QkdConfig> | undefined {
  const parts = [qkdServer, qkdCa, qkdCert, qkdKey]
  const rest = { ...(qkdMode && { mode: qkdMode }), ...(qkdMaxAged && { maxAgedSeconds: qkdMaxAged }) }
  if (parts.every((part) => part === undefined)) return Object.keys(rest).length > 0 ? rest : undefined
  if (qkdServer === undefined || qkdCa === undefined || qkdCert === undefined || qkdKey === undefined) {
    throw new CliError('usage', 'Give --qkd-server, --qkd-ca, --qkd-cert and --qkd-key together.')
  }
  const files = { ca: resolve(qkdCa), cert: resolve(qkdCert), key: resolve(qkdKey) }
  return { server: qkdServer, ...files, ...rest }
}
