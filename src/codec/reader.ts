/**
 * Takes a binary message apart, big-endian and strictly: whatever is missing, left over or above its bound is
 * refused with a FormatError. No length that a sender claims is believed before the bytes are there.
 */
import { fromU64, fromUtf8 } from '../bytes.ts'
import { FormatError } from '../errors.ts'

export class Reader {
  readonly #input: Uint8Array
  #offset = 0

  constructor(input: Uint8Array) {
    this.#input = input
  }

  u8(): number {
    return this.#whole(1)
  }

  u16(): number {
    return this.#whole(2)
  }

  u32(): number {
    return this.#whole(4)
  }

  /** Eight bytes, refused above 2^53 − 1. */
  u53(): number {
    return fromU64(this.bytes(8))
  }

  /** One byte, 0 or 1; any other value is a second spelling and refused. */
  flag(): boolean {
    const value = this.u8()
    if (value > 1) throw new FormatError('bad-field', 'A flag is 0 or 1.', { value })
    return value === 1
  }

  /** Exactly `length` bytes: a view on the input, not a copy. */
  bytes(length: number): Uint8Array {
    const end = this.#offset + length
    if (end > this.#input.length) {
      throw new FormatError('truncated', `Expected ${length} more bytes.`, { offset: this.#offset })
    }
    const out = this.#input.subarray(this.#offset, end)
    this.#offset = end
    return out
  }

  /** Bytes behind their length as u32, at most `max`. */
  blob(max: number): Uint8Array {
    return this.bytes(bounded(this.u32(), max))
  }

  /** UTF-8 behind its length in bytes as u16, at most `max` bytes. */
  string(max: number): string {
    return fromUtf8(this.bytes(bounded(this.u16(), max)))
  }

  /** A count as u16, at most `max`. */
  count(max: number): number {
    return bounded(this.u16(), max)
  }

  /** Nothing may be left. */
  end(): void {
    const rest = this.#input.length - this.#offset
    if (rest !== 0) throw new FormatError('trailing-bytes', `${rest} bytes follow the end of the message.`)
  }

  #whole(bytes: number): number {
    return this.bytes(bytes).reduce((value, byte) => value * 256 + byte, 0)
  }
}

function bounded(length: number, max: number): number {
  if (length > max)
    throw new FormatError('too-large', `At most ${max} are allowed, ${length} were announced.`)
  return length
}
