/** From options and files to events in CloudEvents 1.0 JSON, ready to be sent or signed. */
import { randomUUID } from 'node:crypto'
import { toHex, utf8 } from '../../src/bytes.ts'
import { sha256 } from '../../src/crypto/hash.ts'
import { errorCode, errorMessage, FormatError } from '../../src/errors.ts'
import { parseExactJson } from '../../src/exact-json.ts'
import { array, type Json, type JsonObject, object } from '../../src/json.ts'
import { defaultContentType, readEvent, withoutUnset } from '../../src/ledger/event.ts'
import { BATCH_EVENTS_MAX, ENTRY_BYTES_MAX, INDEX_MAX } from '../../src/limits.ts'
import { CliError } from './exit.ts'
import { inFile, parseJsonText, readInput, readTextInput } from './files.ts'
import { isUnfinished } from './json-fault.ts'

export interface EventOptions {
  readonly type?: string
  readonly source?: string
  readonly subject?: string
  /** `@file`, `-` for standard input, or the JSON itself. */
  readonly data?: string
  readonly id?: string
  readonly time?: string
  readonly batch?: string
}

export interface EventInput {
  /** The events of each entry. The same input makes the same entries, so that all of it can be sent again. */
  readonly entries: readonly JsonObject[][]
  /** Ids that were made here, for events without one. */
  readonly made: readonly string[]
}

/** What is read of a batch: some thousand entries. */
const BATCH_BYTES_MAX = 67_108_864
/** Signatures by the largest keys, and base64, take the rest of an entry. */
const ENTRY_PAYLOAD_BYTES = 44_000
/** What is filled in beside an event: the ledger, the time, and who sent it. */
const FILLED_IN_BYTES = 500

/** One event by the options; with `batch`, the events of that file, in which the options fill what is missing. */
export async function readEvents(options: EventOptions): Promise<EventInput> {
  const made: string[] = []
  const makeId = () => {
    made.push(randomUUID())
    return made.at(-1)!
  }
  if (options.batch !== undefined) return { entries: await readBatch(options.batch, options, makeId), made }
  for (const name of ['type', 'source', 'subject'] as const) {
    if (options[name] === undefined) {
      throw new CliError('usage', `--${name} is needed (or --batch or --in-toto, which bring their own).`)
    }
  }
  const data = options.data === undefined ? undefined : await readData(options.data)
  const event = complete({}, options, data, makeId)
  check(event)
  return { entries: [[event]], made }
}

async function readBatch(path: string, options: EventOptions, makeId: () => string): Promise<JsonObject[][]> {
  if (options.id !== undefined || options.data !== undefined) {
    throw new CliError('usage', '--id and --data belong to one event: they cannot stand beside --batch.')
  }
  const text = await readTextInput(path, BATCH_BYTES_MAX)
  return inFile(path, () => split(array(parseBatch(text), 'The batch', 1, INDEX_MAX).map(readItem)))

  function readItem(item: Json, i: number): JsonObject {
    try {
      const event = complete(object(item, 'It'), options, undefined, makeId)
      check(event)
      checkSize(event)
      return event
    } catch (cause) {
      throw new FormatError('bad-event', `Event ${i + 1} of it: ${errorMessage(cause)}`, {}, { cause })
    }
  }
}

/** Fills one entry after the other, in order. */
function split(events: readonly JsonObject[]): JsonObject[][] {
  const entries: JsonObject[][] = []
  let bytes = Number.POSITIVE_INFINITY
  for (const event of events) {
    const more = utf8(JSON.stringify(event)).length + FILLED_IN_BYTES
    bytes += more
    if (bytes > ENTRY_PAYLOAD_BYTES || entries.at(-1)!.length === BATCH_EVENTS_MAX) {
      entries.push([])
      bytes = more
    }
    entries.at(-1)!.push(event)
  }
  return entries
}

/** A JSON array, one JSON object over several lines, or one JSON object a line. */
function parseBatch(text: string): Json {
  if (text.trimStart().startsWith('[')) return parseJsonText(text, BATCH_BYTES_MAX, parseExactJson)
  const lines = text.split('\n').map((line, i) => [line, i + 1] as const)
  const events = lines.filter(([line]) => line.trim() !== '')
  // An object that is spread over several lines.
  if (events.length > 1 && isUnfinished(events[0]![0])) return [whole(text)]
  return events.map(([line, number]) => {
    return whole(line, (fault) => `Line ${number}: ${fault.replace('line 1, ', '')}`)
  })
}

function whole(text: string, spell = (fault: string) => fault): Json {
  try {
    return parseJsonText(text, ENTRY_BYTES_MAX, parseExactJson)
  } catch (cause) {
    const message = `${spell(errorMessage(cause))} A batch is a JSON array, or one JSON object a line.`
    throw new FormatError('json-syntax', message, {}, { cause })
  }
}

/** A file for one entry. Throws CliError `file`. */
export async function readEvidence(path: string): Promise<Uint8Array> {
  const bytes = await readInput(path, BATCH_BYTES_MAX)
  if (bytes.length <= ENTRY_BYTES_MAX) return bytes
  throw new CliError('file', insteadOf(path === '-' ? 'Standard input' : path, bytes), {
    path,
    bytes: bytes.length,
  })
}

/** What can be logged in place of what is too large. */
function insteadOf(what: string, bytes: Uint8Array): string {
  const digest = `--data '{"sha256":"${toHex(sha256(bytes))}"}'`
  return `${what} has ${bytes.length} bytes, and an entry holds about 45,000. Keep it, and log its digest as an event: ${digest}`
}

async function readData(spec: string): Promise<Json> {
  if (spec === '-' || spec.startsWith('@')) {
    const path = spec === '-' ? spec : spec.slice(1)
    const bytes = await readEvidence(path)
    return inFile(path, () => parseExactJson(bytes, ENTRY_BYTES_MAX))
  }
  const bytes = utf8(spec)
  if (bytes.length > ENTRY_BYTES_MAX) throw new CliError('usage', insteadOf('--data', bytes))
  try {
    return parseJsonText(spec, ENTRY_BYTES_MAX, parseExactJson)
  } catch (cause) {
    if (errorCode(cause) !== 'json-syntax') {
      throw new CliError('usage', `--data is not usable: ${errorMessage(cause)}`, {}, { cause })
    }
    const what = '--data takes JSON, @FILE, or - for standard input; text is JSON in quotes: \'"text"\'.'
    const message = `${what} ${errorMessage(cause)}`
    throw new CliError('usage', message, {}, { cause })
  }
}

/** Throws FormatError for what no node would take. A time is filled in where the event is signed. */
function check(event: JsonObject): void {
  readEvent({ time: '1970-01-01T00:00:00Z', ...event })
}

/** What can be in no entry is said before any of the batch is recorded. */
function checkSize(event: JsonObject): void {
  const bytes = utf8(JSON.stringify(event)).length
  if (bytes <= ENTRY_PAYLOAD_BYTES - FILLED_IN_BYTES) return
  const what = `Event ${JSON.stringify(event.id)} has ${bytes} bytes, and one of a batch at most`
  const most = ENTRY_PAYLOAD_BYTES - FILLED_IN_BYTES
  throw new CliError('file', `${what} ${most}. Log large evidence by its SHA-256.`, { bytes })
}

/** The id of an event is made here, once: what is sent again later is the same event. */
function complete(
  sent: JsonObject,
  options: EventOptions,
  data: Json | undefined,
  makeId: () => string,
): JsonObject {
  const event = withoutUnset(sent)
  return {
    specversion: '1.0',
    id: event.id ?? options.id ?? makeId(),
    ...(options.source !== undefined && { source: options.source }),
    ...(options.type !== undefined && { type: options.type }),
    ...(options.subject !== undefined && { subject: options.subject }),
    ...(options.time !== undefined && { time: options.time }),
    datacontenttype: defaultContentType(event),
    ...(data !== undefined && { data }),
    ...event,
  }
}
