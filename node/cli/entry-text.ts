/** Entries in words: what an envelope says happened, for tables, fact sheets and JSON output. */
import { parseExactJson } from '../../src/exact-json.ts'
import type { Json, JsonObject } from '../../src/json.ts'
import { envelopeFromJson } from '../../src/ledger/dsse.ts'
import { type Claim, readClaims } from '../../src/ledger/event.ts'
import { SUBMITTED } from '../../src/ledger/payload-types.ts'
import { ENTRY_BYTES_MAX } from '../../src/limits.ts'
import type { EntryView } from '../service.ts'
import { counted, factSheet, printable } from './output.ts'
import { type RecordText, recordText } from './record-text.ts'

export interface EntrySummary {
  readonly payloadType: string
  /** Key ids of the envelope's signatures. */
  readonly keyids: readonly string[]
  /** Empty for the ledger's own records: genesis, members, seals. */
  readonly claims: readonly Claim[]
  readonly payload: Json
  /** What a record of the ledger's own says. */
  readonly record?: RecordText
}

export function summarizeJson(json: JsonObject): EntrySummary {
  const envelope = envelopeFromJson(json)
  const { payloadType, payload, signatures } = envelope
  const record = recordText(envelope)
  return {
    payloadType,
    keyids: signatures.map(({ keyid }) => keyid),
    claims: SUBMITTED.includes(payloadType) ? readClaims(payloadType, payload) : [],
    payload: parseExactJson(payload, ENTRY_BYTES_MAX),
    ...(record && { record }),
  }
}

/** Bytes of a payload that people are shown; programs get all of it. */
const PAYLOAD_SHOWN = 4_096

/** The payload on indented lines, up to a bound. */
export function payloadText(payload: Json): string {
  const text = JSON.stringify(payload, undefined, 2)
  const shown = text.length > PAYLOAD_SHOWN ? text.slice(0, PAYLOAD_SHOWN).replace(/[^\n]*$/, '') : text
  const lines = shown.trimEnd().split('\n').map(printable)
  return shown === text
    ? lines.join('\n')
    : `${lines.join('\n')}\n… and ${text.length - shown.length} further characters: give --json`
}

/** Who sent an event, as CloudEvents' Auth Context extension says: on a gateway, the name of the token. */
export interface Sender {
  readonly authtype?: Json
  readonly authid?: Json
}

/** One for each event of the payload. What a submitter with a key of its own says of others is its word. */
export function sendersIn(payload: Json): Sender[] {
  const events = Array.isArray(payload) ? payload : [payload]
  return events.map((event) => {
    const { authtype, authid } = event as JsonObject
    return { ...(authtype !== undefined && { authtype }), ...(authid !== undefined && { authid }) }
  })
}

const spelled = (value: Json) => (typeof value === 'string' ? value : JSON.stringify(value))

/** Each sender once. */
export function senderLines(payload: Json, shown = 5): string[] {
  const senders = sendersIn(payload).flatMap(({ authtype, authid }) =>
    authid === undefined
      ? []
      : [`${spelled(authid)}${authtype === undefined ? '' : ` (${spelled(authtype)})`}`],
  )
  const lines = [...new Set(senders)]
  const more = lines.length - shown
  return more > 0 ? [...lines.slice(0, shown), `and ${counted(more, 'further sender')}`] : lines
}

/** What happened, one line for each event; several events are counted and the first ones shown. */
export function claimLines({ claims }: Pick<EntrySummary, 'claims'>, shown = 5): string[] {
  const lines = claims.slice(0, shown).map(({ source, type, subject, id, time, timeFilledIn }) => {
    const when =
      time === undefined
        ? ''
        : `, at ${time} by the clock of ${timeFilledIn ? 'who signed it' : 'its source'}`
    return `${type} on ${subject}, from ${source}${id === undefined ? '' : ` (id ${id})`}${when}`
  })
  return claims.length > shown ? [...lines, `and ${counted(claims.length - shown, 'further event')}`] : lines
}

/** One entry for programs: as the node gave it, and the payload in plain sight. */
export function entryJson(view: EntryView): EntryView & { readonly payload: Json } {
  return { ...view, payload: summarizeJson(view.entry).payload }
}

/** One entry for people. */
export function entrySheet(view: EntryView): string {
  const summary = summarizeJson(view.entry)
  const { record } = summary
  const sheet = factSheet([
    ['Entry', view.id],
    ['Status', view.status],
    ['Index', view.index],
    ['Block', view.height],
    ['Recorded', view.recorded],
    ['Submitter', view.submitter],
    ['Key id', summary.keyids.join(', ')],
    ...senderLines(summary.payload).map((line) => ['Sent by', line] as const),
    ...claimLines(summary).map((line) => ['Event', line] as const),
    ['Record', record?.line],
    ...(record?.facts ?? []),
  ])
  return `${sheet}\n\n${payloadText(summary.payload)}`
}

/** Cells of one entry: index, recorded, source, type, subject, id. A batch shows its first event. */
export const ENTRY_COLUMNS = ['INDEX', 'RECORDED', 'SOURCE', 'TYPE', 'SUBJECT', 'ID'] as const

export function entryCells(view: EntryView): string[] {
  const { claims, payloadType } = summarizeJson(view.entry)
  const [claim] = claims
  const more = claims.length > 1 ? ` (+${claims.length - 1})` : ''
  return [
    view.index === undefined ? view.status : String(view.index),
    view.recorded ?? '-',
    claim?.source ?? '-',
    claim?.type ?? payloadType,
    `${claim?.subject ?? '-'}${more}`,
    view.id,
  ]
}
