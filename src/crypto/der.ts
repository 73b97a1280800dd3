/**
 * The part of DER (X.690) that key files need: definite, minimal lengths up to 65,535 bytes, tags below 31.
 * Whoever reads finishes with `end()`, so that no byte of the input goes unread.
 */
import { concat } from '../bytes.ts'
import { FormatError } from '../errors.ts'

export const TAG = {
  integer: 0x02,
  bitString: 0x03,
  octetString: 0x04,
  null: 0x05,
  oid: 0x06,
  sequence: 0x30,
  /** [0] IMPLICIT over a primitive type. */
  context0: 0x80,
} as const

/** One element: tag, minimal length, the contents one after the other. */
export function der(tag: number, ...contents: Uint8Array[]): Uint8Array {
  const content = concat(...contents)
  const n = content.length
  if (n > 0xffff) throw new FormatError('too-large', `A DER element of ${n} bytes is above our bound.`)
  const length = n < 0x80 ? [n] : n < 0x100 ? [0x81, n] : [0x82, n >> 8, n & 0xff]
  return concat(Uint8Array.of(tag, ...length), content)
}

/** An OBJECT IDENTIFIER from its dotted spelling (X.690 8.19). */
export function derOid(dotted: string): Uint8Array {
  const [first, second, ...rest] = dotted.split('.').map(Number)
  const content: number[] = []
  for (const arc of [40 * first! + second!, ...rest]) {
    const digits = [arc & 0x7f]
    for (let high = Math.floor(arc / 128); high > 0; high = Math.floor(high / 128)) {
      digits.unshift((high & 0x7f) | 0x80)
    }
    content.push(...digits)
  }
  return der(TAG.oid, Uint8Array.from(content))
}

/** A whole number from 0 to 2^31 − 1 as INTEGER. */
export function derInteger(value: number): Uint8Array {
  const content = [value & 0xff]
  for (let high = value >> 8; high > 0; high >>= 8) content.unshift(high & 0xff)
  if (content[0]! >= 0x80) content.unshift(0)
  return der(TAG.integer, Uint8Array.from(content))
}

/**
 * Reads elements one after the other. Contents are views into the input, not copies. Throws FormatError:
 * `truncated`, `trailing-bytes`, or `bad-key` for another tag than expected and for spellings DER forbids.
 */
export class DerReader {
  readonly #bytes: Uint8Array
  #at = 0

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes
  }

  /** The tag of the next element; undefined at the end. */
  peek(): number | undefined {
    return this.#bytes[this.#at]
  }

  /** The content of the next element, which must carry `tag`. */
  read(tag: number): Uint8Array {
    const found = this.#byte()
    if (found !== tag) throw malformed(`tag ${hex(found)} stands where ${hex(tag)} belongs`)
    const length = this.#length()
    const end = this.#at + length
    if (end > this.#bytes.length) throw truncated()
    const content = this.#bytes.subarray(this.#at, end)
    this.#at = end
    return content
  }

  /** A reader over the elements of the next SEQUENCE. */
  sequence(): DerReader {
    return new DerReader(this.read(TAG.sequence))
  }

  /** The next INTEGER, which must lie between 0 and 2^31 − 1. */
  integer(): number {
    const content = this.read(TAG.integer)
    const [first, second] = content
    if (first === undefined) throw malformed('an INTEGER is empty')
    if (first === 0 && second !== undefined && second < 0x80) throw malformed('an INTEGER is not minimal')
    if (first >= 0x80 || content.length > 5) throw malformed('an INTEGER is out of bounds')
    const value = content.reduce((sum, byte) => sum * 256 + byte, 0)
    if (value > 0x7fffffff) throw malformed('an INTEGER is out of bounds')
    return value
  }

  /** Refuses unread bytes. */
  end(): void {
    const left = this.#bytes.length - this.#at
    if (left > 0) throw new FormatError('trailing-bytes', `The key's DER has ${left} bytes too many.`)
  }

  #byte(): number {
    const byte = this.#bytes[this.#at++]
    if (byte === undefined) throw truncated()
    return byte
  }

  #length(): number {
    const first = this.#byte()
    if (first < 0x80) return first
    if (first !== 0x81 && first !== 0x82) throw malformed('a length is indefinite or above 65,535')
    let length = 0
    for (let left = first & 0x7f; left > 0; left--) length = length * 256 + this.#byte()
    if (length < (first === 0x81 ? 0x80 : 0x100)) throw malformed('a length is not minimal')
    return length
  }
}

const hex = (byte: number): string => `0x${byte.toString(16).padStart(2, '0')}`
const malformed = (what: string) => new FormatError('bad-key', `The key is not the DER we read: ${what}.`)
const truncated = () => new FormatError('truncated', "The key's DER ends too early.")
