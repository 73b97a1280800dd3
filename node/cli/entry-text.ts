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
    ...claimLines(summary).map((line) => ['Event', line] as const),
    ['Record', record?.line],
    ...(record?.facts ?? []),
  ])
  const payload = JSON.stringify(summary.payload, undefined, 2).split('\n').map(printable).join('\n')
  return `${sheet}\n\n${payload}`
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
