/** JSON, strictly: I-JSON (RFC 7493) in, RFC 8785 canonical bytes out, and typed access to fields. */
import canonicalize from 'canonicalize'
import { equalBytes, exceedsUtf8, fromUtf8, utf8 } from './bytes.ts'
import { FormatError } from './errors.ts'
import { JSON_DEPTH_MAX } from './limits.ts'

export type Json = null | boolean | number | string | Json[] | { [key: string]: Json }
export type JsonObject = { [key: string]: Json }

/**
 * Parses one JSON text. Refuses what `JSON.parse` lets pass: duplicate names in an object, lone surrogates,
 * numbers beyond IEEE double, nesting deeper than JSON_DEPTH_MAX, invalid UTF-8 and input over `bytesMax`.
 */
export function parseJson(input: Uint8Array | string, bytesMax: number): Json {
  return parseNoting(input, bytesMax).value
}

/** As `parseJson`; says as well whether each number is spelled as `JSON.stringify` would spell it. */
export function parseNoting(
  input: Uint8Array | string,
  bytesMax: number,
): { readonly text: string; readonly value: Json; readonly isExact: boolean } {
  if (typeof input === 'string' ? exceedsUtf8(input, bytesMax) : input.length > bytesMax) {
    throw new FormatError('too-large', `The JSON text exceeds ${bytesMax} bytes.`, { length: input.length })
  }
  const text = typeof input === 'string' ? input : fromUtf8(input)
  const isExact = scan(text)
  try {
    return { text, value: JSON.parse(text), isExact }
  } catch (cause) {
    throw new FormatError('json-syntax', 'The text is not valid JSON.', {}, { cause })
  }
}

/** RFC 8785 bytes of a JSON value. */
export function canonicalJson(value: Json): Uint8Array {
  let text: string | undefined
  try {
    text = canonicalize(value)
  } catch (cause) {
    throw new FormatError('bad-field', 'The value has no canonical JSON form (RFC 8785).', {}, { cause })
  }
  if (text === undefined) throw new FormatError('bad-field', 'The value has no JSON form.')
  return utf8(text)
}

/** Parses JSON that must already be in its RFC 8785 form: one value, one spelling. */
export function parseCanonicalJson(bytes: Uint8Array, bytesMax: number): Json {
  const value = parseJson(bytes, bytesMax)
  if (!equalBytes(canonicalJson(value), bytes)) {
    throw new FormatError('json-not-canonical', 'The JSON is not in canonical form (RFC 8785).')
  }
  return value
}

/**
 * One pass over the tokens for what JSON.parse does not report. Syntax itself is left to JSON.parse. Answers whether
 * each number is spelled as JSON.stringify would.
 */
function scan(text: string): boolean {
  let isExact = true
  const names: (Set<string> | undefined)[] = []
  let nameExpected = false
  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i)
    if (code === 0x22) {
      const end = stringEnd(text, i)
      const raw = text.slice(i + 1, end)
      const value = raw.includes('\\') ? unescapeString(text.slice(i, end + 1)) : raw
      if (!value.isWellFormed()) throw new FormatError('bad-utf8', 'A string holds a lone surrogate.')
      const seen = names.at(-1)
      if (nameExpected && seen) {
        if (seen.has(value)) {
          throw new FormatError(
            'json-duplicate-key',
            `The name ${JSON.stringify(value.slice(0, 64))} stands twice.`,
          )
        }
        seen.add(value)
        nameExpected = false
      }
      i = end
    } else if (code === 0x7b || code === 0x5b) {
      if (names.length >= JSON_DEPTH_MAX) {
        throw new FormatError('json-too-deep', `JSON may be nested ${JSON_DEPTH_MAX} levels deep at most.`)
      }
      names.push(code === 0x7b ? new Set() : undefined)
      nameExpected = code === 0x7b
    } else if (code === 0x7d || code === 0x5d) {
      names.pop()
      nameExpected = false
    } else if (code === 0x2c) {
      nameExpected = names.at(-1) !== undefined
    } else if (code === 0x2d || (code >= 0x30 && code <= 0x39)) {
      const end = numberEnd(text, i)
      const spelled = text.slice(i, end + 1)
      const value = Number(spelled)
      if (!Number.isFinite(value)) throw badNumber(text, i, spelled)
      isExact &&= String(value) === spelled
      i = end
    }
  }
  return isExact
}

function stringEnd(text: string, start: number): number {
  for (let at = start + 1; ; at++) {
    at = text.indexOf('"', at)
    if (at < 0) throw new FormatError('json-syntax', 'A JSON string does not end.')
    let slashes = 0
    while (text.charCodeAt(at - 1 - slashes) === 0x5c) slashes++
    if (slashes % 2 === 0) return at
  }
}

function unescapeString(token: string): string {
  try {
    return JSON.parse(token) as string
  } catch (cause) {
    throw new FormatError('json-syntax', 'A JSON string is malformed.', {}, { cause })
  }
}

function numberEnd(text: string, start: number): number {
  let end = start
  while (end + 1 < text.length && /[-+.0-9eE]/.test(text[end + 1]!)) end++
  return end
}

function badNumber(text: string, start: number, spelled: string): FormatError {
  const before = text.slice(0, start)
  const line = before.split('\n').length
  const column = start - before.lastIndexOf('\n')
  const number = spelled.length > 40 ? `${spelled.slice(0, 40)}…` : spelled
  return new FormatError(
    'bad-field',
    `The number ${number} (line ${line}, column ${column}) is malformed or outside the range of IEEE doubles. ` +
      'Send it as a text, in quotes.',
    { number, line, column },
  )
}

// ---- typed access: `what` names the thing in the error message

/** A JSON object: no list, no null, and nothing that stands for a number. */
export function isObject(value: unknown): value is JsonObject {
  if (typeof value !== 'object' || value === null) return false
  const prototype: unknown = Object.getPrototypeOf(value)
  return prototype === Object.prototype || prototype === null
}

export function object(value: Json | undefined, what: string): JsonObject {
  if (!isObject(value)) {
    throw new FormatError('bad-field', `${what} must be a JSON object.`)
  }
  return value
}

/** An object with exactly the members of `required`, and none beyond those and `optional`. */
export function fields(
  value: Json | undefined,
  what: string,
  required: readonly string[],
  optional: readonly string[] = [],
): JsonObject {
  const found = object(value, what)
  for (const name of required) {
    if (!Object.hasOwn(found, name))
      throw new FormatError('missing-field', `${what} lacks "${name}".`, { name })
  }
  for (const name of Object.keys(found)) {
    if (!required.includes(name) && !optional.includes(name)) {
      throw new FormatError(
        'unknown-field',
        `${what} has an unknown field ${JSON.stringify(name.slice(0, 64))}.`,
      )
    }
  }
  return found
}

export function array(value: Json | undefined, what: string, min: number, max: number): Json[] {
  if (!Array.isArray(value) || value.length < min || value.length > max) {
    throw new FormatError('bad-field', `${what} must be a list of ${min} to ${max} items.`)
  }
  return value
}

// What CloudEvents 1.0 forbids in a string: U+0000 to U+001F, U+007F to U+009F, and Unicode noncharacters.
const UNPRINTABLE = /[\p{Cc}\p{Noncharacter_Code_Point}]/u

/** A non-empty string of at most `bytesMax` UTF-8 bytes without control characters and noncharacters. */
export function text(value: Json | undefined, what: string, bytesMax: number): string {
  if (typeof value !== 'string' || value.length === 0 || exceedsUtf8(value, bytesMax)) {
    throw new FormatError('bad-field', `${what} must be a text of 1 to ${bytesMax} bytes.`)
  }
  if (UNPRINTABLE.test(value)) throw new FormatError('bad-field', `${what} holds a control character.`)
  return value
}

export function texts(
  value: Json | undefined,
  what: string,
  min: number,
  max: number,
  bytesMax: number,
): string[] {
  return array(value, what, min, max).map((item) => text(item, what, bytesMax))
}

/** A whole number from 0 to 2^53 − 1. */
export function count(value: Json | undefined, what: string): number {
  if (typeof value !== 'number' || !Number.isSafeInteger(value) || value < 0 || Object.is(value, -0)) {
    throw new FormatError('bad-field', `${what} must be a whole number from 0 to 2^53 - 1.`)
  }
  return value
}

export function oneOf<T extends string>(value: Json | undefined, what: string, allowed: readonly T[]): T {
  const found = allowed.find((item) => item === value)
  if (found === undefined)
    throw new FormatError('bad-field', `${what} must be one of: ${allowed.join(', ')}.`)
  return found
}

/**
 * Milliseconds since 1970 of an instant in our own records: exactly `YYYY-MM-DDTHH:MM:SS.mmmZ`, from 1970 to the
 * end of 9999. Outside that, ECMAScript spells years with a sign, which RFC 3339 does not know.
 */
export function instant(value: Json | undefined, what: string): number {
  const ms = typeof value === 'string' && value.length === 24 ? Date.parse(value) : Number.NaN
  if (!(ms >= 0) || formatInstant(ms) !== value) {
    throw new FormatError('bad-field', `${what} must be a UTC time such as 2026-01-31T12:00:00.000Z.`)
  }
  return ms
}

/** The one spelling of an instant in our own records. */
export function formatInstant(ms: number): string {
  return new Date(ms).toISOString()
}
