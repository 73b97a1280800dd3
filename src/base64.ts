/**
 * base64, strictly: every value has one spelling, and every other spelling is refused. The shell may hand in a
 * native codec: it is ten times as fast, and an ML-DSA signature is 4.4 kB of base64.
 */
import { FormatError } from './errors.ts'

/** Base64 with padding. `decode` may read base64url as well, skip what it cannot read, and ignore spare bits. */
export interface Base64Codec {
  encode(bytes: Uint8Array): string
  /** `length` is that of the result if the text is well-formed. Undefined if the text held less than that. */
  decode(text: string, length: number): Uint8Array | undefined
}

let native: Base64Codec | undefined

/**
 * Hands in a native codec; undefined: back to the one below. Called once, by the composition root. Like
 * `useSha256` it cannot change a result: every digit of a text that is taken has counted, and none has spare bits.
 */
export function useBase64(codec: Base64Codec | undefined): void {
  native = codec
}

const DIGITS = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/'
const DIGIT = new Int8Array(128).fill(-1)
const CODES = new Uint8Array(64)
for (let i = 0; i < 64; i++) {
  CODES[i] = DIGITS.charCodeAt(i)
  DIGIT[CODES[i]!] = i
}
const PAD = 61
const ascii = new TextDecoder('utf-8', { ignoreBOM: true })

/** Standard base64 with padding (RFC 4648 section 4). */
export function toBase64(bytes: Uint8Array): string {
  return native === undefined ? encode(bytes) : native.encode(bytes)
}

/** Standard base64 with padding and zero spare bits; any other spelling of the same bytes is refused. */
export function fromBase64(text: string): Uint8Array {
  if (text.length % 4 !== 0) throw bad()
  const pad = text.endsWith('==') ? 2 : text.endsWith('=') ? 1 : 0
  const length = (text.length / 4) * 3 - pad
  if (native === undefined) return decode(text, length, pad)
  // All of the bytes can only come out if no character was skipped.
  const bytes = native.decode(text, length)
  if (bytes === undefined || text.includes('-') || text.includes('_') || hasSpareBits(text, pad)) throw bad()
  return bytes
}

/** Whether the last digit of a padded text says more than the bytes hold: one value would have two spellings. */
function hasSpareBits(text: string, pad: number): boolean {
  return pad > 0 && (digit(text, text.length - 1 - pad) & (pad === 1 ? 0b11 : 0b1111)) !== 0
}

/** base64url without padding (RFC 4648 section 5), as JWK uses it. */
export function toBase64Url(bytes: Uint8Array): string {
  const text = toBase64(bytes)
  const pad = (3 - (bytes.length % 3)) % 3
  return text
    .slice(0, text.length - pad)
    .replaceAll('+', '-')
    .replaceAll('/', '_')
}

export function fromBase64Url(text: string): Uint8Array {
  if (/[+/=]/.test(text)) throw new FormatError('bad-base64', 'Expected base64url without padding.')
  const standard = text.replaceAll('-', '+').replaceAll('_', '/')
  return fromBase64(standard + '='.repeat((4 - (standard.length % 4)) % 4))
}

function encode(bytes: Uint8Array): string {
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
  return ascii.decode(out)
}

function decode(text: string, length: number, pad: number): Uint8Array {
  const out = new Uint8Array(length)
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

function bad(): FormatError {
  return new FormatError('bad-base64', 'Expected canonical base64 (RFC 4648 section 4, padded).')
}
