/** Parameters whose meaning a schema cannot check: times and cursors. */
import { parseDecimal } from '../../src/bytes.ts'
import { rpcError } from './errors.ts'

/** RFC 3339 with seconds and offset; a fraction is read to the millisecond. */
export const TIME_PATTERN =
  '^\\d{4}-\\d{2}-\\d{2}[Tt]\\d{2}:\\d{2}:\\d{2}(?:\\.\\d{1,9})?(?:[Zz]|[+-]\\d{2}:\\d{2})$'

/** Milliseconds since 1970 of a time that matches TIME_PATTERN. Throws RpcError `invalid-params`. */
export function timeParam(spelled: string, name: string): number {
  const ms = Date.parse(spelled.toUpperCase())
  // Date.parse lets 30 February pass as 2 March.
  const [year, month, day] = spelled.slice(0, 10).split('-').map(Number)
  if (Number.isNaN(ms) || day! > new Date(Date.UTC(year!, month!, 0)).getUTCDate()) {
    throw rpcError('invalid-params', `"${name}" is no RFC 3339 time such as 2026-01-31T12:00:00Z.`, { name })
  }
  return ms
}

export type Order = 'asc' | 'desc'

/** Where a query goes on. It names its order, so that it cannot continue a query that ran the other way. */
export function encodeCursor(order: Order, after: number): string {
  return `${order}.${after}`
}

/** Throws RpcError `invalid-params` for what encodeCursor did not make for this order. */
export function decodeCursor(cursor: string, order: Order): number {
  const [spelled, after] = [cursor.slice(0, order.length + 1), cursor.slice(order.length + 1)]
  try {
    if (spelled === `${order}.`) return parseDecimal(after)
  } catch {
    // Answered below, in the words of a parameter.
  }
  throw rpcError('invalid-params', '"cursor" must be the "next" of a query with the same order.', {
    name: 'cursor',
  })
}
