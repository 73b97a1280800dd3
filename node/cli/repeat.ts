/** How to say again what was sent, where its answer is not known: by the ids that the events were sent with. */
import { errorMessage, QatError } from '../../src/errors.ts'
import type { Json, JsonObject } from '../../src/json.ts'
import { UnansweredError } from './exit.ts'
import { failureOf, report } from './failure.ts'

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

/** The failure, and how to ask again without recording anything twice. */
export function unanswered(error: QatError, sent: Sent): UnansweredError {
  const { entry, events } = sent
  const facts = { ...error.facts, ...(entry !== undefined && { entry }), events }
  return new UnansweredError(error.code, `${errorMessage(error)} ${advice(sent)}`, facts, { cause: error })
}

/** On Ctrl-C and SIGTERM, says so and ends by that signal. Returns what takes this back. */
export function tellOnSignal(sent: () => Sent, json: boolean): () => void {
  const tell = (signal: NodeJS.Signals) => {
    takeBack()
    const error = unanswered(new QatError('interrupted', 'Interrupted.'), sent())
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
  const signed = entry === undefined ? '' : ` as entry ${entry}`
  const maybe = `It may have been recorded all the same${signed}.`
  if (events.length === 0) return `${maybe} "qat get" says whether it is.`
  if (made.length === 0) return `${maybe} Run the command again: what has an id is recorded once.`
  if (made.length === 1) {
    return `${maybe} Run the command again with its id, and it is recorded once: --id ${made[0]}`
  }
  return `${maybe} Events without an id were sent with these, in their order: ${made.join(' ')}`
}
