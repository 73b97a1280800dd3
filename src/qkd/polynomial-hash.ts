/**
 * GHASH: the message as a polynomial over GF(2^128), evaluated at a secret point, with the field and the order of bits
 * of NIST SP 800-38D, section 6.4. Two messages of at most m blocks collide for at most m of 2^128 points.
 */

const BLOCK_BYTES = 16
/** x^128 = x^7 + x^2 + x + 1, for the four bits that fall off in one step: the highest word of their remainder. */
const REMAINDERS = Uint32Array.from({ length: 16 }, (_, low) => {
  let word = 0
  for (let bit = 0; bit < 4; bit++) if ((low >> bit) & 1) word ^= (0xe1000000 >>> (3 - bit)) >>> 0
  return word
})

/** Hashes what it is given piece by piece; a piece that ends within a block of 16 bytes is filled up with zeros. */
export class PolynomialHash {
  /** Multiples of the point by all polynomials of degree 3, four words each. */
  readonly #table = new Uint32Array(64)
  readonly #sum = new Uint32Array(4)

  /** @param point 16 secret bytes */
  constructor(point: Uint8Array) {
    const view = new DataView(point.buffer, point.byteOffset, BLOCK_BYTES)
    const power = Uint32Array.from([0, 4, 8, 12], (at) => view.getUint32(at))
    // Bits count from the left: index 8 is 1, 4 is x, 2 is x^2, 1 is x^3.
    for (let index = 8; index > 0; index >>= 1) {
      this.#table.set(power, 4 * index)
      timesX(power)
    }
    for (let index = 2; index < 16; index++) {
      const highest = 1 << (31 - Math.clz32(index))
      for (let word = 0; word < 4; word++) {
        const rest = this.#table[4 * (index - highest) + word]!
        if (index !== highest) this.#table[4 * index + word] = this.#table[4 * highest + word]! ^ rest
      }
    }
    power.fill(0)
  }

  update(bytes: Uint8Array): this {
    const whole = bytes.length - (bytes.length % BLOCK_BYTES)
    const view = new DataView(bytes.buffer, bytes.byteOffset, whole)
    for (let at = 0; at < whole; at += BLOCK_BYTES) this.#block(view, at)
    if (whole < bytes.length) {
      const last = new Uint8Array(BLOCK_BYTES)
      last.set(bytes.subarray(whole))
      this.#block(new DataView(last.buffer), 0)
    }
    return this
  }

  /** The value so far, 16 bytes; more can follow. */
  digest(): Uint8Array {
    const out = new Uint8Array(BLOCK_BYTES)
    const view = new DataView(out.buffer)
    for (let word = 0; word < 4; word++) view.setUint32(4 * word, this.#sum[word]!)
    return out
  }

  wipe(): void {
    this.#table.fill(0)
    this.#sum.fill(0)
  }

  #block(view: DataView, at: number): void {
    const sum = this.#sum
    for (let word = 0; word < 4; word++) sum[word]! ^= view.getUint32(at + 4 * word)
    // Horner's rule over groups of four bits, from the last to the first.
    const table = this.#table
    let [a, b, c, d] = [0, 0, 0, 0]
    for (let word = 3; word >= 0; word--) {
      for (let shift = 0; shift < 32; shift += 4) {
        const fallen = d & 15
        d = (d >>> 4) | (c << 28)
        c = (c >>> 4) | (b << 28)
        b = (b >>> 4) | (a << 28)
        a = (a >>> 4) ^ REMAINDERS[fallen]!
        const index = 4 * ((sum[word]! >>> shift) & 15)
        a ^= table[index]!
        b ^= table[index + 1]!
        c ^= table[index + 2]!
        d ^= table[index + 3]!
      }
    }
    sum[0] = a
    sum[1] = b
    sum[2] = c
    sum[3] = d
  }
}

function timesX(words: Uint32Array): void {
  const fallen = words[3]! & 1
  for (let word = 3; word > 0; word--) words[word] = (words[word]! >>> 1) | (words[word - 1]! << 31)
  words[0] = (words[0]! >>> 1) ^ (fallen ? 0xe1000000 : 0)
}
