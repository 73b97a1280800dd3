/** `qat log`: records events, signed here with a key or by the node's gateway for a bearer token. */
import type { Command } from 'commander'
import { QatError } from '../../../src/errors.ts'
import type { Json, JsonObject } from '../../../src/json.ts'
import type { Entry } from '../../../src/ledger/entry.ts'
import type { Stage, Submission } from '../../service.ts'
import { type EventOptions, readEvents, readEvidence } from '../event-input.ts'
import { CliError, EXIT } from '../exit.ts'
import { failureOf } from '../failure.ts'
import { inFile } from '../files.ts'
import { type RpcOptions, rfc3339, rpcOption, timeoutOption, tokenOption, waitOption } from '../options.ts'
import { counted, factSheet, printJson, printText } from '../output.ts'
import { brokenOff, namesOf, type Sent, tellOnSignal, unanswered } from '../repeat.ts'
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

With --key the entry is signed here (QAT_PASSPHRASE opens an encrypted key, or QAT_PASSPHRASE_FILE, or you at a
terminal); without it, the node signs for the bearer token. A node that cannot be reached is tried again until
--timeout, always with the same event id, so that nothing is recorded twice. If there is no answer in time, or on
Ctrl-C, the id is said: the command with --id and that id records the event once, through any node and with any
token that may log it, as long as what you give is the same. A batch that is larger than one entry becomes several,
and --timeout is for all of them. Numbers are recorded as you spell them.
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
    .option('--batch <file>', 'many events: a JSON array or JSON lines, - for standard input')
    .option('--in-toto <file>', 'an in-toto statement instead of an event; needs --key')
    .addOption(waitOption('final'))
    .addOption(timeoutOption(30))
    .addHelpText('after', EXAMPLES)
    .action(async (_options, command: Command) => log(command.optsWithGlobals<Options>()))
}

async function log(options: Options): Promise<void> {
  const endMs = performance.now() + 1_000 * options.timeout
  const leftMs = () => Math.max(1, endMs - performance.now())
  for (const [recorded, call] of (await prepare(options, leftMs)).entries()) {
    const { target, method, params, sent } = call
    const waiting = (timeoutMs: number) => ({ ...params, wait: options.wait, timeoutMs })
    let latest = sent
    const takeBack = tellOnSignal(() => latest, options.json === true)
    try {
      const first = readReply(await askUntil(target, method, waiting, leftMs()), submission)
      latest = { ...sent, entry: first.id }
      const result = await follow(target, first, options.wait, endMs)
      if (!reached(result, options.wait)) {
        const message = `Entry ${result.id} is ${result.status}, not yet ${options.wait}, after ${options.timeout} s.`
        throw new CliError('timed-out', message, { ...result })
      }
      if (options.json) printJson({ ...result, ...(sent.events.length > 0 && { events: sent.events }) })
      else printText(submissionSheet(result, sent))
    } catch (error) {
      if (!(error instanceof QatError)) throw error
      const { exit } = failureOf(error)
      if (exit === EXIT.unreachable) throw unanswered(error, exit, latest)
      throw recorded > 0 ? brokenOff(error, exit, sent, recorded) : error
    } finally {
      takeBack()
    }
  }
}

interface Call {
  readonly target: Target
  readonly method: string
  readonly params: Record<string, Json>
  readonly sent: Sent
}

/** The calls that submit what the options describe. The same one is made again if there is no answer. */
async function prepare(options: Options, leftMs: () => number): Promise<Call[]> {
  const { key, token, inToto, rpc } = options
  if (inToto !== undefined) return [submitEntry(rpc, await signedStatement(inToto, options), [], [])]
  if (key === undefined && token === undefined) {
    throw new CliError('usage', 'Give --key to sign here, or --token (QAT_TOKEN) for the node to sign.')
  }
  const { entries, made } = await readEvents(options)
  if (key === undefined) {
    return entries.map((events) => {
      const event = events.length === 1 ? events[0]! : events
      const sent = { events: namesOf(events), made }
      return { target: options, method: 'event.submit', params: { event }, sent }
    })
  }
  const signer = await openSigner(key)
  const ledger = readReply(await askUntil({ rpc }, 'node.status', () => ({}), leftMs()), ledgerOf)
  return Promise.all(
    entries.map(async (events) => submitEntry(rpc, await signEvents(events, ledger, signer), events, made)),
  )
}

/** A signed entry speaks for itself: the token, which QAT_TOKEN may have set, stays here. */
function submitEntry(
  rpc: string,
  entry: Entry,
  events: readonly JsonObject[],
  made: readonly string[],
): Call {
  const sent = { events: namesOf(events), made, entry: entry.id }
  return { target: { rpc }, method: 'entry.submit', params: { entry: envelopeJson(entry) }, sent }
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
  const statement = await readEvidence(path)
  const signer = await openSigner(key)
  // What is wrong with the statement is wrong with the file.
  return signStatement(statement, signer).catch((cause: unknown) => {
    return inFile(path, () => {
      throw cause
    })
  })
}

const EVENTS_SHOWN = 5

function submissionSheet({ id, status, index, height, duplicate }: Submission, { events }: Sent): string {
  const more = events.length - EVENTS_SHOWN
  return factSheet([
    ['Entry', id],
    ...events.slice(0, EVENTS_SHOWN).map((event) => ['Event', String(event.id)] as const),
    ['', more > 0 ? `and ${counted(more, 'further event')}; --json lists all` : undefined],
    ['Status', duplicate ? `${status} (the same event had been recorded before)` : status],
    ['Index', index],
    ['Block', height],
  ])
}
