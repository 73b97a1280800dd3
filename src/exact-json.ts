/**
 * JSON whose numbers stay as they were spelled. `JSON.parse` makes doubles: 12345678901234567890 becomes
 * 12345678901234567000, 1.10 becomes 1.1 and -0 becomes 0. What a producer has sent must not change that way.
 */
import { isObject, type Json, parseNoting } from './json.ts'

// Of ECMAScript's "JSON.parse source text access", which the compiler's library does not describe yet.
type Reviver = (key: string, value: Json, context: { readonly source?: string }) => unknown
const { parse, rawJSON } = JSON as unknown as {
  parse(text: string, reviver: Reviver): Json
  rawJSON?(text: string): unknown
}

/** A number that a double would spell otherwise. `JSON.stringify` writes it as it was spelled. */
export class SpelledNumber {
  readonly spelled: string

  constructor(spelled: string) {
    this.spelled = spelled
  }

  toJSON(): unknown {
    return rawJSON!(this.spelled)
  }
}

export interface ParsedTwice {
  /** As `parseJson` reads it. */
  readonly value: Json
  /** The same with each SpelledNumber in its place; made when asked for, which takes longer than parsing. */
  readonly exact: () => Json
}

/** As `parseJson`, for who passes on what was written. Throws FormatError. */
export function parseTwice(input: Uint8Array | string, bytesMax: number): ParsedTwice {
  const { text, value, isExact } = parseNoting(input, bytesMax)
  if (isExact) return { value, exact: () => value }
  let exact: Json | undefined
  return {
    value,
    exact: () => {
      exact ??= parse(text, (_key, item, { source }) =>
        typeof item === 'number' && String(item) !== source ? new SpelledNumber(source!) : item,
      )
      return exact
    },
  }
}

/** As `parseJson`, with each SpelledNumber in its place: for reading and writing again, not for reckoning. */
export function parseExactJson(input: Uint8Array | string, bytesMax: number): Json {
  return parseTwice(input, bytesMax).exact()
}

/** Whether two values say the same: numbers to their last digit, members of objects in any order. */
export function sameJson(a: unknown, b: unknown): boolean {
  if (isNumber(a) || isNumber(b)) return isNumber(a) && isNumber(b) && decimalOf(a) === decimalOf(b)
  if (Array.isArray(a)) {
    return Array.isArray(b) && a.length === b.length && a.every((item, i) => sameJson(item, b[i]))
  }
  if (!isObject(a) || !isObject(b)) return a === b
  const names = Object.keys(a)
  return (
    names.length === Object.keys(b).length &&
    names.every((name) => Object.hasOwn(b, name) && sameJson(a[name], b[name]))
  )
}

function isNumber(value: unknown): value is number | SpelledNumber {
  return typeof value === 'number' || value instanceof SpelledNumber
}

/** One text for each decimal value: sign, digits without zeros at either end, power of ten. -0 is not 0. */
function decimalOf(value: number | SpelledNumber): string {
  const spelled = typeof value === 'number' ? String(value) : value.spelled
  const [, sign, whole = '', fraction = '', power = '0'] = /^(-?)(\d+)(?:\.(\d+))?(?:[eE]([-+]?\d+))?$/.exec(
    spelled,
  )!
  const digits = (whole + fraction).replace(/^0+/, '')
  const trimmed = digits.replace(/0+$/, '')
  if (trimmed === '') return `${sign}0`
  return `${sign}${trimmed}e${BigInt(power) - BigInt(fraction.length) + BigInt(digits.length - trimmed.length)}`
}
