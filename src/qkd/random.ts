/**
 * Randomness as the QKD simulation draws it: bytes are handed in (a secure generator in a node, a seeded one in
 * tests), and taken apart here.
 */

/** Returns so many fresh random bytes. */
export type Random = (bytes: number) => Uint8Array

const BUFFER_BYTES = 65_536

/** Draws numbers and bits from a source of bytes, which it asks for large pieces. */
export class RandomStream {
  readonly #random: Random
  #view: DataView = new DataView(new ArrayBuffer(0))
  #at = 0
  #bits = 0
  #bitsLeft = 0

  constructor(random: Random) {
    this.#random = random
  }

  /** 0 to 2^32 − 1. */
  u32(): number {
    if (this.#at + 4 > this.#view.byteLength) {
      const bytes = this.#random(BUFFER_BYTES)
      this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length)
      this.#at = 0
    }
    const value = this.#view.getUint32(this.#at)
    this.#at += 4
    return value
  }

  bit(): number {
    if (this.#bitsLeft === 0) {
      this.#bits = this.u32()
      this.#bitsLeft = 32
    }
    const bit = this.#bits & 1
    this.#bits >>>= 1
    this.#bitsLeft--
    return bit
  }

  /** 0 ≤ value < 1, a multiple of 2^−53. */
  uniform(): number {
    const high = this.u32() >>> 5
    const low = this.u32() >>> 6
    return (high * 67_108_864 + low) / 9_007_199_254_740_992
  }
}
