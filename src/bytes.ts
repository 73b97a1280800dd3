/** Bytes to text and back, strictly: every value has one spelling, and every other spelling is refused. */
import { bytesToHex, concatBytes, hexToBytes } from '@noble/hashes/utils.js'
import { FormatError } from './errors.ts'

export const concat = concatBytes
export const toHex = bytesToHex

const encoder = new TextEncoder()
const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })

export function utf8(text: string): Uint8Array {
  return encoder.encode(text)
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

const BASE64 = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/'
const DIGIT = new Int8Array(128).fill(-1)
for (let i = 0; i < 64; i++) DIGIT[BASE64.charCodeAt(i)] = i
const CODES = utf8(BASE64)
const PAD = 61

/** Standard base64 with padding (RFC 4648 section 4). */
export function toBase64(bytes: Uint8Array): string {
  const out = new Uint8Array(Math.ceil(bytes.length / 3) * 4)
  let o = 0
  for (let i = 0; i < bytes.length; i += 3) {
    const a = bytes[i]!
    const b = bytes[i + 1] ?? 0
    const c = bytes[i + 2] ?? 0
    out[o++] = CODES[a >> 2]!
    out[o++] = CODES[((a & 3) << 4) | (b >> 4)]!
    out[o++] = i + 1 < bytes.length ? CODES[((b & 15) << 2) | (c >> 6)]! : PAD
    out[o++] = i + 2 < bytes.length ? CODES[c & 63]! : PAD
  }
  return decoder.decode(out)
}

/** Standard base64 with padding and zero spare bits; any other spelling of the same bytes is refused. */
export function fromBase64(text: string): Uint8Array {
  const bad = () => new FormatError('bad-base64', 'Expected canonical base64 (RFC 4648 section 4, padded).')
  if (text.length % 4 !== 0) throw bad()
  const pad = text.endsWith('==') ? 2 : text.endsWith('=') ? 1 : 0
  const out = new Uint8Array((text.length / 4) * 3 - pad)
  const whole = pad === 0 ? text.length : text.length - 4
  let o = 0
  for (let i = 0; i < whole; i += 4) {
    const bits =
      (digit(text, i) << 18) | (digit(text, i + 1) << 12) | (digit(text, i + 2) << 6) | digit(text, i + 3)
    if (bits < 0) throw bad()
    out[o++] = bits >> 16
    out[o++] = (bits >> 8) & 255
    out[o++] = bits & 255
  }
  if (pad > 0) {
    const third = pad === 1 ? digit(text, whole + 2) : 0
    const bits = (digit(text, whole) << 18) | (digit(text, whole + 1) << 12) | (third << 6)
    // What no byte is made of must be zero, or one value would have two spellings.
    if (bits < 0 || (bits & (pad === 1 ? 0xff : 0xffff)) !== 0) throw bad()
    out[o++] = bits >> 16
    if (pad === 1) out[o++] = (bits >> 8) & 255
  }
  return out
}

/** The six bits that a character stands for; negative, also after shifts, if it stands for none. */
function digit(text: string, at: number): number {
  const code = text.charCodeAt(at)
  return code < 128 ? DIGIT[code]! : -1
}

/** base64url without padding (RFC 4648 section 5), as JWK uses it. */
export function toBase64Url(bytes: Uint8Array): string {
  return toBase64(bytes).replace(/=+$/, '').replaceAll('+', '-').replaceAll('/', '_')
}

export function fromBase64Url(text: string): Uint8Array {
  if (/[+/=]/.test(text)) throw new FormatError('bad-base64', 'Expected base64url without padding.')
  const standard = text.replaceAll('-', '+').replaceAll('_', '/')
  return fromBase64(standard + '='.repeat((4 - (standard.length % 4)) % 4))
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
  const view = new DataView(out.buffer)
  view.setUint32(0, Math.floor(value / 2 ** 32))
  view.setUint32(4, value >>> 0)
  return out
}

/** Reads eight big-endian bytes at `offset`; refuses values above 2^53 − 1. */
export function fromU64(bytes: Uint8Array, offset = 0): number {
  if (bytes.length < offset + 8) throw new FormatError('truncated', 'Expected eight more bytes.')
  const view = new DataView(bytes.buffer, bytes.byteOffset + offset, 8)
  const value = view.getUint32(0) * 2 ** 32 + view.getUint32(4)
  if (!Number.isSafeInteger(value)) throw new FormatError('bad-integer', 'The number exceeds 2^53 - 1.')
  return value
}
