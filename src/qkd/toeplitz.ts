/**
 * Privacy amplification by a random Toeplitz matrix: y_i = ⊕_j t_{i − j + n − 1} x_j. Each diagonal of the matrix is one
 * bit of the seed; the family is 2-universal (Krawczyk, CRYPTO '94), which is what the leftover hash lemma asks for.
 */
import { FormatError } from '../errors.ts'

/** Bits of seed for n bits in and `length` bits out. */
export function toeplitzSeedBits(n: number, length: number): number {
  return n + length - 1
}

/**
 * Hashes `bits` (one in each byte) to `length` bits, packed, the first one the highest. `seed` is packed alike.
 * A column of the matrix is a piece of the seed, so y is the sum of the pieces for the bits that are 1. They start at
 * any bit: the seed is kept in 32 versions, one for each shift within a word.
 */
export function toeplitz(bits: Uint8Array, seed: Uint8Array, length: number): Uint8Array {
  const n = bits.length
  if (seed.length !== Math.ceil(toeplitzSeedBits(n, length) / 8)) {
    throw new FormatError('bad-field', `A Toeplitz seed for ${n} to ${length} bits has another length.`)
  }
  const words = Math.ceil(length / 32)
  const versions = shiftedVersions(seed)
  const sum = new Uint32Array(words)
  for (let j = 0; j < n; j++) {
    if (bits[j] === 0) continue
    const start = n - 1 - j
    const version = versions[start & 31]!
    for (let k = 0, at = start >>> 5; k < words; k++, at++) sum[k]! ^= version[at]!
  }
  const out = new Uint8Array(4 * words)
  const view = new DataView(out.buffer)
  for (let k = 0; k < words; k++) view.setUint32(4 * k, sum[k]!)
  sum.fill(0)
  const hashed = out.slice(0, Math.ceil(length / 8))
  if (length % 8 !== 0) hashed[hashed.length - 1]! &= 0xff << (8 - (length % 8))
  out.fill(0)
  return hashed
}

/** Word w of version s holds the bits 32 w + s to 32 w + s + 31. Reading goes up to two words beyond the end. */
function shiftedVersions(seed: Uint8Array): Uint32Array[] {
  const words = Math.ceil(seed.length / 4)
  const padded = new Uint8Array(4 * (words + 2))
  padded.set(seed)
  const view = new DataView(padded.buffer)
  const aligned = Uint32Array.from({ length: words + 2 }, (_, w) => view.getUint32(4 * w))
  return Array.from({ length: 32 }, (_, shift) => {
    if (shift === 0) return aligned
    const version = new Uint32Array(words + 2)
    for (let w = 0; w <= words; w++) version[w] = (aligned[w]! << shift) | (aligned[w + 1]! >>> (32 - shift))
    return version
  })
}
