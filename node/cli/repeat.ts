/** How to say again what was sent, where its answer is not known: by the ids that the events were sent with. */
import { errorMessage, QatError } from '../../src/errors.ts'
import type { Json, JsonObject } from '../../src/json.ts'
import { EXIT, UnansweredError } from './exit.ts'
import { failureOf, report } from './failure.ts'
import { counted } from './output.ts'

/** What names an event: its producer and the id. */
export interface EventName {
  readonly source: Json
  readonly id: Json
}

export interface Sent {
  readonly events: readonly EventName[]
  /** Ids that `qat log` made, of events that had none. */
  readonly made: readonly string[]
  /** Known before the answer where the entry is signed here. */
  readonly entry?: string
}

export function namesOf(events: readonly JsonObject[]): EventName[] {
  return events.map(({ source, id }) => ({ source: source!, id: id! }))
}

function sentence(failure: QatError): string {
  return errorMessage(failure)
    .trim()
    .replace(/[^.!?]$/, '$&.')
}

/** The failure, and how to ask again without recording anything twice. */
export function unanswered(failure: QatError, exit: number, sent: Sent): UnansweredError {
  const { entry, events } = sent
  const facts = { ...(entry !== undefined && { entry }), events }
  const signed = entry === undefined ? '' : ` as entry ${entry}`
  const message = `${sentence(failure)} It may have been recorded all the same${signed}. ${advice(sent)}`
  return new UnansweredError(failure, exit, message, facts)
}

/** The failure of one entry of a batch, of which others are recorded. */
export function brokenOff(failure: QatError, exit: number, sent: Sent, recorded: number): UnansweredError {
  const before = `${counted(recorded, 'entry', 'entries')} of the batch before it ${recorded === 1 ? 'is' : 'are'} recorded.`
  const message = `${sentence(failure)} ${before} ${advice(sent)}`
  return new UnansweredError(failure, exit, message, { events: sent.events })
}

/** On Ctrl-C and SIGTERM, says so and ends by that signal. Returns what takes this back. */
export function tellOnSignal(sent: () => Sent, json: boolean): () => void {
  const tell = (signal: NodeJS.Signals) => {
    takeBack()
    const error = unanswered(new QatError('interrupted', 'Interrupted.'), EXIT.unreachable, sent())
    report(failureOf(error), error, json)
    process.kill(process.pid, signal)
  }
  const takeBack = () => {
    for (const signal of ['SIGINT', 'SIGTERM'] as const) process.removeListener(signal, tell)
  }
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, tell)
  return takeBack
}

function advice({ events, made, entry }: Sent): string {
  if (events.length === 0) return `Ask for it: qat get ${entry}`
  if (made.length === 0) return 'Run the command again: what has an id is recorded once.'
  if (made.length === 1) return `Run the command again with its id, and it is recorded once: --id ${made[0]}`
  return `Events without an id were sent with these, in their order: ${made.join(' ')}`
}
