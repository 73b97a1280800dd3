/** Bytes to text and back, strictly: every value has one spelling, and every other spelling is refused. */
import { bytesToHex, hexToBytes } from '@noble/hashes/utils.js'
import { FormatError } from './errors.ts'

export { fromBase64, fromBase64Url, toBase64, toBase64Url } from './base64.ts'

export const toHex = bytesToHex

const encoder = new TextEncoder()
const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })

export function utf8(text: string): Uint8Array {
  return encoder.encode(text)
}

/** Whether the text has more than `max` UTF-8 bytes. One of n UTF-16 units has n to 3n: few need be encoded. */
export function exceedsUtf8(text: string, max: number): boolean {
  return text.length > max || (3 * text.length > max && utf8(text).length > max)
}

export function fromUtf8(bytes: Uint8Array): string {
  try {
    return decoder.decode(bytes)
  } catch {
    throw new FormatError('bad-utf8', 'The text is not valid UTF-8.')
  }
}

/** Lower-case hex only; `bytes`, if given, is the exact length demanded. */
export function fromHex(text: string, bytes?: number): Uint8Array {
  if (!/^(?:[0-9a-f]{2})*$/.test(text)) throw new FormatError('bad-hex', 'Expected lower-case hex digits.')
  if (bytes !== undefined && text.length !== 2 * bytes) {
    throw new FormatError('bad-hex', `Expected ${2 * bytes} hex digits, got ${text.length}.`)
  }
  return hexToBytes(text)
}

export function concat(...parts: readonly Uint8Array[]): Uint8Array {
  let length = 0
  for (const part of parts) length += part.length
  const whole = new Uint8Array(length)
  let at = 0
  for (const part of parts) {
    whole.set(part, at)
    at += part.length
  }
  return whole
}

/** Constant-time in the content; lengths are not secret. */
export function equalBytes(a: Uint8Array, b: Uint8Array): boolean {
  if (a.length !== b.length) return false
  let difference = 0
  for (let i = 0; i < a.length; i++) difference |= a[i]! ^ b[i]!
  return difference === 0
}

/** A whole number in decimal, no sign, no leading zero, at most 2^53 − 1. */
export function parseDecimal(text: string): number {
  const value = /^(?:0|[1-9][0-9]{0,15})$/.test(text) ? Number(text) : Number.NaN
  if (!Number.isSafeInteger(value)) {
    throw new FormatError(
      'bad-integer',
      'Expected a decimal number from 0 to 2^53 - 1 without leading zeros.',
    )
  }
  return value
}

/** Eight bytes, big-endian. Refuses what is not a whole number from 0 to 2^53 − 1. */
export function u64(value: number): Uint8Array {
  if (!Number.isSafeInteger(value) || value < 0) {
    throw new FormatError('bad-integer', 'Expected a whole number from 0 to 2^53 - 1.', { value })
  }
  const out = new Uint8Array(8)
  for (let rest = value, i = 7; rest > 0; rest = Math.floor(rest / 256)) out[i--] = rest % 256
  return out
}

/** Reads eight big-endian bytes at `offset`; refuses values above 2^53 − 1. */
export function fromU64(bytes: Uint8Array, offset = 0): number {
  if (bytes.length < offset + 8) throw new FormatError('truncated', 'Expected eight more bytes.')
  let value = 0
  for (let i = offset; i < offset + 8; i++) value = value * 256 + bytes[i]!
  if (!Number.isSafeInteger(value)) throw new FormatError('bad-integer', 'The number exceeds 2^53 - 1.')
  return value
}
