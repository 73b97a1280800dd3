/** Builds a binary message field by field, big-endian. Every length is written by the code that reads it back. */
import { concat, u64, utf8 } from '../bytes.ts'
import { FormatError } from '../errors.ts'

export class Writer {
  readonly #parts: Uint8Array[] = []

  u8(value: number): this {
    return this.#whole(value, 1)
  }

  u16(value: number): this {
    return this.#whole(value, 2)
  }

  u32(value: number): this {
    return this.#whole(value, 4)
  }

  /** A whole number from 0 to 2^53 − 1 in eight bytes. */
  u53(value: number): this {
    this.#parts.push(u64(value))
    return this
  }

  /** Bytes whose length both sides know. The array is not copied before `finish`. */
  bytes(value: Uint8Array): this {
    this.#parts.push(value)
    return this
  }

  /** Bytes behind their length as u32. */
  blob(value: Uint8Array): this {
    return this.u32(value.length).bytes(value)
  }

  /** UTF-8 behind its length in bytes as u16. */
  string(value: string): this {
    const encoded = utf8(value)
    return this.u16(encoded.length).bytes(encoded)
  }

  finish(): Uint8Array {
    return concat(...this.#parts)
  }

  #whole(value: number, bytes: number): this {
    if (!Number.isInteger(value) || value < 0 || value >= 2 ** (8 * bytes)) {
      throw new FormatError('bad-integer', `Expected a whole number of ${bytes} bytes.`, { value })
    }
    const out = new Uint8Array(bytes)
    for (let i = bytes - 1, rest = value; i >= 0; i--, rest = Math.floor(rest / 256)) out[i] = rest
    this.#parts.push(out)
    return this
  }
}
