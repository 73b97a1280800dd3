/** `qat devnet`: a whole ledger on this machine, to try things out. */
import { join } from 'node:path'
import { type Command, Option } from 'commander'
import { VALIDATORS_MAX } from '../../../src/limits.ts'
import type { Exit } from '../../devnet/child.ts'
import { DEVNET_NODES, DEVNET_PORT, PEER_PORT_OFFSET } from '../../devnet/names.ts'
import type { Devnet } from '../../devnet.ts'
import {
  type GlobalOptions,
  ledgerOrigin,
  type QkdMode,
  qkdOption,
  timeoutOption,
  wholeNumber,
} from '../options.ts'
import { factSheet, goOnWithoutOutput, printJson, printText, table } from '../output.ts'
import { stopRequest } from '../stop-request.ts'

interface Options extends GlobalOptions {
  readonly dir: string
  readonly nodes?: number
  readonly port?: number
  readonly ledger?: string
  readonly restart?: true
  readonly logLevel: string
  readonly timeout: number
  readonly qkd: QkdMode
}

const EXAMPLES = `
Examples:
  qat devnet --dir .devnet
  qat devnet --dir .devnet --nodes 7 --port 9000 --restart

The first run makes the ledger, later runs continue it. Each node logs to DIR/<name>/log. Ctrl-C stops all. A node
that was removed from the ledger says so and stops; the others go on. Nodes that joined with a folder elsewhere are
started by "qat start", as anywhere.
`

export function addDevnetCommand(program: Command): void {
  program
    .command('devnet')
    .description('run a whole ledger on this machine')
    .requiredOption('--dir <dir>', 'where it lives: a new folder, or that of an earlier devnet')
    .option('--nodes <count>', `number of nodes (new: ${DEVNET_NODES})`, wholeNumber(1, VALIDATORS_MAX))
    .option(
      '--port <port>',
      `JSON-RPC port of the first node (new: ${DEVNET_PORT}); peers use + ${PEER_PORT_OFFSET}`,
      wholeNumber(1, 64_535),
    )
    .option('--ledger <origin>', 'name of the ledger', ledgerOrigin)
    .addOption(qkdOption('prefer'))
    .option('--restart', 'start a node again if it ends by itself')
    .addOption(new Option('--log-level <level>', 'of the nodes').default('info'))
    .addOption(timeoutOption(60))
    .addHelpText('after', EXAMPLES)
    .action(async (_options, command: Command) => devnet(command.optsWithGlobals<Options>()))
}

async function devnet({
  dir,
  nodes,
  port,
  ledger,
  restart,
  logLevel,
  timeout,
  qkd,
  json,
}: Options): Promise<void> {
  goOnWithoutOutput()
  const stopped = stopRequest()
  const { startDevnet } = await import('../../devnet.ts') // large, and of no use to the other commands
  const starting = startDevnet({
    dir,
    logLevel,
    readyMs: 1_000 * timeout,
    ...(nodes !== undefined && { nodes }),
    ...(port !== undefined && { port }),
    ...(ledger !== undefined && { ledger }),
    ...(restart && { restart }),
    ...(qkd !== 'off' && { qkd }),
    onExit: (name, exit, removed) => reportExit(name, exit, removed, json === true),
  })
  const early = await Promise.race([starting, stopped])
  if (typeof early === 'string') {
    await starting.then((net) => net.stop()).catch(() => undefined)
    return
  }
  if (json) printJson(readyLine(early))
  else printText(readyText(early))
  await stopped
  await early.stop()
}

function readyLine({ dir, nodes, forgetful, token, policyPath, keyPath }: Devnet) {
  return {
    event: 'ready',
    nodes: nodes.map(({ name, rpc, pid, dir: folder }) => ({ name, rpc, pid, dir: folder })),
    rpc: nodes.map(({ rpc }) => rpc),
    token,
    key: keyPath,
    policy: policyPath,
    dir,
    ...(forgetful.length > 0 && { forgetful }),
  }
}

function readyText({ dir, nodes, forgetful, token, policyPath, keyPath }: Devnet): string {
  const rows = nodes.map(({ name, rpc, pid, dir }) => [name, rpc, String(pid), dir])
  const facts = factSheet([
    ['Token', token],
    ['Key', keyPath],
    ['Policy', policyPath],
  ])
  const [first] = nodes
  const example =
    `qat log --rpc ${first?.rpc} --token ${token} \\\n` +
    `  --source //demo --type demo.hello --subject world --data '{"hello":"world"}'`
  const notes = forgetful.map(
    (name) =>
      `${name} may have forgotten what it signed, and needs new keys before it signs again:\n` +
      `  qat rotate --rpc ${first?.rpc} --dir ${join(dir, name)} --admin-key ${join(dir, 'admin.key')}\n\n`,
  )
  return `${table(['NODE', 'JSON-RPC', 'PID', 'FOLDER'], rows)}\n\n${facts}\n\n${notes.join('')}Try:\n  ${example}\n\nCtrl-C stops it.`
}

function reportExit(name: string, { code, signal }: Exit, removed: boolean, json: boolean): void {
  if (json) printJson(removed ? { event: 'removed', name } : { event: 'exit', name, code, signal })
  else if (removed)
    printText(`${name} is no member of the ledger any more, and has stopped. Its folder is kept.`)
  else printText(`${name} ended by itself (${signal ?? `exit code ${code}`}).`)
}
