/** From options and files to events in CloudEvents 1.0 JSON, ready to be sent or signed. */
import { randomUUID } from 'node:crypto'
import { errorMessage, FormatError } from '../../src/errors.ts'
import { array, type Json, type JsonObject, object } from '../../src/json.ts'
import { readEvent } from '../../src/ledger/event.ts'
import { BATCH_EVENTS_MAX, ENTRY_BYTES_MAX } from '../../src/limits.ts'
import { CliError } from './exit.ts'
import { inFile, parseJsonText, readJsonInput, readTextInput } from './files.ts'
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

/** One event by the options; with `batch`, the events of that file, in which the options fill what is missing. */
export async function readEvents(options: EventOptions): Promise<JsonObject[]> {
  if (options.batch !== undefined) return readBatch(options.batch, options)
  for (const name of ['type', 'source', 'subject'] as const) {
    if (options[name] === undefined) {
      throw new CliError('usage', `--${name} is needed (or --batch or --in-toto, which bring their own).`)
    }
  }
  const data = options.data === undefined ? undefined : await readData(options.data)
  const event = complete({}, options, data)
  readEvent(event)
  return [event]
}

async function readBatch(path: string, options: EventOptions): Promise<JsonObject[]> {
  if (options.id !== undefined || options.data !== undefined) {
    throw new CliError('usage', '--id and --data belong to one event: they cannot stand beside --batch.')
  }
  const text = await readTextInput(path, ENTRY_BYTES_MAX)
  return inFile(path, () => array(parseBatch(text), 'The batch', 1, BATCH_EVENTS_MAX).map(readItem))

  function readItem(item: Json, i: number): JsonObject {
    try {
      const event = complete(object(item, 'It'), options, undefined)
      readEvent(event)
      return event
    } catch (cause) {
      throw new FormatError('bad-event', `Event ${i + 1} of it: ${errorMessage(cause)}`, {}, { cause })
    }
  }
}

/** A JSON array, one JSON object over several lines, or one JSON object a line. */
function parseBatch(text: string): Json {
  if (text.trimStart().startsWith('[')) return parseJsonText(text, ENTRY_BYTES_MAX)
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
    return parseJsonText(text, ENTRY_BYTES_MAX)
  } catch (cause) {
    const message = `${spell(errorMessage(cause))} A batch is a JSON array, or one JSON object a line.`
    throw new FormatError('json-syntax', message, {}, { cause })
  }
}

async function readData(spec: string): Promise<Json> {
  if (spec === '-') return readJsonInput('-', ENTRY_BYTES_MAX)
  if (spec.startsWith('@')) return readJsonInput(spec.slice(1), ENTRY_BYTES_MAX)
  try {
    return parseJsonText(spec, ENTRY_BYTES_MAX)
  } catch (cause) {
    const what = '--data takes JSON, @FILE, or - for standard input; text is JSON in quotes: \'"text"\'.'
    const message = `${what} ${errorMessage(cause)}`
    throw new CliError('usage', message, {}, { cause })
  }
}

/** The identity of an event is made here, once: whatever is sent again later is the same event. */
function complete(event: JsonObject, options: EventOptions, data: Json | undefined): JsonObject {
  return {
    specversion: '1.0',
    id: options.id ?? randomUUID(),
    ...(options.source !== undefined && { source: options.source }),
    ...(options.type !== undefined && { type: options.type }),
    ...(options.subject !== undefined && { subject: options.subject }),
    time: options.time ?? new Date().toISOString(),
    datacontenttype: 'application/json',
    ...(data !== undefined && { data }),
    ...event,
  }
}
