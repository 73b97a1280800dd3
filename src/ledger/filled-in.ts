/**
 * What stands in an event that its producer did not give: `qat log` and the gateway fill in what is left out, and say
 * so in the extension attribute `filledin`. A producer that repeats an event gives the same again; the time, the
 * token and the node may be others.
 */
import { FormatError } from '../errors.ts'
import type { JsonObject } from '../json.ts'

/** Names the attributes that were filled in, with a space between them. */
const FILLED_IN = 'filledin'
const FILLABLE: readonly string[] = ['authtype', 'authid', 'ledger', 'time']

/** The event with those of `attributes` that it lacks, and the list of them. Throws FormatError bad-event. */
export function fillIn(event: JsonObject, attributes: JsonObject): JsonObject {
  if (Object.hasOwn(event, FILLED_IN)) {
    throw new FormatError('bad-event', `"${FILLED_IN}" is set by who fills in attributes; leave it out.`, {
      name: FILLED_IN,
    })
  }
  const names = Object.keys(attributes).filter((name) => !Object.hasOwn(event, name))
  if (names.length === 0) return event
  const filled = Object.fromEntries(names.map((name) => [name, attributes[name]!]))
  return { ...event, ...filled, [FILLED_IN]: names.join(' ') }
}

/** What of the event its producer did not give. */
export function filledIn(event: JsonObject): readonly string[] {
  const list = event[FILLED_IN]
  return typeof list === 'string' ? list.split(' ').filter((name) => FILLABLE.includes(name)) : []
}

/** The event as its producer gave it. */
export function asGiven(event: JsonObject): JsonObject {
  const names = filledIn(event)
  if (names.length === 0) return event
  return Object.fromEntries(
    Object.entries(event).filter(([name]) => name !== FILLED_IN && !names.includes(name)),
  )
}
