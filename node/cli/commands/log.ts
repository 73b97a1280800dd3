/** `qat log`: records events, signed here with a key or by the node's gateway for a bearer token. */
import type { Command } from 'commander'
import type { Json } from '../../../src/json.ts'
import type { Entry } from '../../../src/ledger/entry.ts'
import { ENTRY_BYTES_MAX } from '../../../src/limits.ts'
import type { Stage, Submission } from '../../service.ts'
import { type EventOptions, readEvents } from '../event-input.ts'
import { CliError } from '../exit.ts'
import { readInput } from '../files.ts'
import { type RpcOptions, rfc3339, rpcOption, timeoutOption, tokenOption, waitOption } from '../options.ts'
import { factSheet, printJson, printText } from '../output.ts'
import { ledgerOf, readReply, submission } from '../replies.ts'
import { askUntil, follow, reached, type Target } from '../rpc.ts'
import { envelopeJson, openSigner, signEvents, signStatement } from '../sign-input.ts'

interface Options extends RpcOptions, EventOptions {
  readonly token?: string
  readonly key?: string
  readonly inToto?: string
  readonly wait: Stage
  readonly timeout: number
}

const EXAMPLES = `
Examples:
  qat log --token "$QAT_TOKEN" --source //ci/build --type ci.build.finished --subject app@1.2 --data @build.json
  qat log --key team.key --source //ci/build --type ci.build.finished --subject app@1.2 --data '{"ok":true}'
  qat log --key team.key --in-toto provenance.json
  make-events | qat log --token "$QAT_TOKEN" --batch - --json

With --key the entry is signed here (QAT_PASSPHRASE opens an encrypted key); without it, the node signs for the
bearer token. A node that cannot be reached is tried again until --timeout, always with the same event id, so
that nothing is recorded twice. To repeat a command safely, give the id yourself.
`

export function addLogCommand(program: Command): void {
  program
    .command('log')
    .description('record an event')
    .addOption(rpcOption())
    .addOption(tokenOption())
    .option('--key <file>', 'sign here with this private key')
    .option('--source <uri>', 'who says so: the system in which it happened')
    .option('--type <name>', 'what kind of thing happened')
    .option('--subject <name>', 'what it happened to')
    .option('--data <json>', 'details: JSON, @FILE, or - for standard input')
    .option('--id <id>', 'id of the event, once per source; a random UUID if not given')
    .option('--time <time>', 'when it happened, RFC 3339; now if not given', rfc3339)
    .option('--batch <file>', 'several events: a JSON array or JSON lines, - for standard input')
    .option('--in-toto <file>', 'an in-toto statement instead of an event; needs --key')
    .addOption(waitOption('final'))
    .addOption(timeoutOption(30))
    .addHelpText('after', EXAMPLES)
    .action(async (_options, command: Command) => log(command.optsWithGlobals<Options>()))
}

async function log(options: Options): Promise<void> {
  const endMs = performance.now() + 1_000 * options.timeout
  const leftMs = () => Math.max(1, endMs - performance.now())
  const { target, method, params } = await prepare(options, leftMs)
  const waiting = (timeoutMs: number) => ({ ...params, wait: options.wait, timeoutMs })
  const first = readReply(await askUntil(target, method, waiting, leftMs()), submission)
  const result = await follow(target, first, options.wait, endMs)
  if (!reached(result, options.wait)) {
    const message = `Entry ${result.id} is ${result.status}, not yet ${options.wait}, after ${options.timeout} s.`
    throw new CliError('timed-out', message, { ...result })
  }
  if (options.json) printJson(result)
  else printText(submissionSheet(result))
}

interface Call {
  readonly target: Target
  readonly method: string
  readonly params: Record<string, Json>
}

/** The call that submits what the options describe. The same one is made again if there is no answer. */
async function prepare(options: Options, leftMs: () => number): Promise<Call> {
  const { key, token, inToto, rpc } = options
  if (inToto !== undefined) return submitEntry(rpc, await signedStatement(inToto, options))
  if (key === undefined && token === undefined) {
    throw new CliError('usage', 'Give --key to sign here, or --token (QAT_TOKEN) for the node to sign.')
  }
  const events = await readEvents(options)
  if (key === undefined) {
    const [only] = events
    const event = events.length === 1 && only ? only : events
    return { target: options, method: 'event.submit', params: { event } }
  }
  const signer = await openSigner(key)
  const status = await askUntil({ rpc }, 'node.status', () => ({}), leftMs())
  return submitEntry(rpc, await signEvents(events, readReply(status, ledgerOf), signer))
}

/** A signed entry speaks for itself: the token, which QAT_TOKEN may have set, stays here. */
function submitEntry(rpc: string, entry: Entry): Call {
  return { target: { rpc }, method: 'entry.submit', params: { entry: envelopeJson(entry) } }
}

async function signedStatement(path: string, options: Options): Promise<Entry> {
  const { key } = options
  if (key === undefined)
    throw new CliError('usage', '--in-toto needs --key: a statement is signed by its maker.')
  for (const name of ['type', 'source', 'subject', 'data', 'id', 'time', 'batch'] as const) {
    if (options[name] !== undefined) {
      throw new CliError('usage', `--${name} cannot stand beside --in-toto: the statement says it all.`)
    }
  }
  const statement = await readInput(path, ENTRY_BYTES_MAX)
  return signStatement(statement, await openSigner(key))
}

function submissionSheet({ id, status, index, height, duplicate }: Submission): string {
  return factSheet([
    ['Entry', id],
    ['Status', duplicate ? `${status} (the same event had been recorded before)` : status],
    ['Index', index],
    ['Block', height],
  ])
}
