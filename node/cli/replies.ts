/** What nodes answer, read as far as the commands use it. Further members are left alone: nodes may be newer. */
import { fromBase64 } from '../../src/bytes.ts'
import { errorMessage, FormatError } from '../../src/errors.ts'
import { array, count, type Json, type JsonObject, object, oneOf, text } from '../../src/json.ts'
import type { BundleTexts } from '../../src/light/bundle.ts'
import { decodePolicyUpdates, type PolicyUpdate } from '../../src/light/updates.ts'
import { INDEX_MAX } from '../../src/limits.ts'
import { ClientError } from '../rpc/client.ts'
import { type EntryView, STAGES, type Submission } from '../service.ts'

const TEXT_BYTES_MAX = 4_096

/** Reads a reply with `reader`; what it refuses is no answer of this ledger's nodes. */
export function readReply<T>(reply: Json, reader: (value: Json) => T): T {
  try {
    return reader(reply)
  } catch (cause) {
    const message = `The answer is not one of a Quantum Audit Trail node. ${errorMessage(cause)}`
    throw new ClientError('bad-answer', message, {}, { cause })
  }
}

export function submission(value: Json): Submission {
  const found = object(value, 'The submission')
  return {
    id: entryId(found.id),
    status: oneOf(found.status, '"status"', STAGES),
    ...optional(found, 'index', count),
    ...optional(found, 'height', count),
    ...(found.duplicate === true ? { duplicate: true } : {}),
  }
}

export function entryView(value: Json): EntryView {
  const found = object(value, 'The entry')
  return {
    ...submission(value),
    entry: object(found.entry, '"entry"'),
    ...optional(found, 'recorded', shortText),
    ...optional(found, 'submitter', shortText),
  }
}

export interface Page {
  readonly entries: readonly EntryView[]
  /** Cursor of the next page. */
  readonly next?: string
}

export function queryPage(value: Json): Page {
  const page = object(value, 'The page')
  const entries = array(page.entries, '"entries"', 0, INDEX_MAX).map(entryView)
  return {
    entries,
    ...(page.next === undefined || page.next === null ? {} : { next: shortText(page.next, '"next"') }),
  }
}

export function bundleTexts(value: Json): BundleTexts & { readonly id: string } {
  const found = object(value, 'The proof')
  const part = (name: string) => {
    const content = found[name]
    return typeof content === 'string' ? content : text(content, `"${name}"`, TEXT_BYTES_MAX)
  }
  const records = found.records === undefined ? {} : { records: part('records') }
  return {
    id: entryId(found.id),
    entry: part('entry'),
    proof: part('proof'),
    ...records,
    policy: part('policy'),
  }
}

/** From policy.updates; read, and not yet verified. */
export function policyUpdates(value: Json): PolicyUpdate[] {
  const { updates } = object(value, 'The answer')
  return decodePolicyUpdates(
    fromBase64(typeof updates === 'string' ? updates : text(updates, '"updates"', 1)),
  )
}

/** The ledger's origin, from node.status. */
export function ledgerOf(value: Json): string {
  return shortText(object(value, 'The status').ledger, '"ledger"')
}

export function shortText(value: Json | undefined, what: string): string {
  return text(value, what, TEXT_BYTES_MAX)
}

function entryId(value: Json | undefined): string {
  const id = shortText(value, '"id"')
  if (!isEntryId(id)) throw new FormatError('bad-field', '"id" must be 64 hex digits.')
  return id
}

/** Leaf hash in lower-case hex. */
export function isEntryId(value: string): boolean {
  return /^[0-9a-f]{64}$/.test(value)
}

function optional<Name extends string, T>(
  holder: JsonObject,
  name: Name,
  reader: (value: Json | undefined, what: string) => T,
): { [key in Name]?: T } {
  const value = holder[name]
  if (value === undefined || value === null) return {}
  return { [name]: reader(value, `"${name}"`) } as { [key in Name]?: T }
}
