/** Strings of bits: one in each byte while they are worked on, eight in each on the wire, the first one the highest. */
import { FormatError } from '../errors.ts'

export function packBits(bits: Uint8Array): Uint8Array {
  const packed = new Uint8Array(Math.ceil(bits.length / 8))
  for (let i = 0; i < bits.length; i++) packed[i >> 3]! |= (bits[i]! & 1) << (7 - (i & 7))
  return packed
}

/** Throws FormatError unless `packed` has exactly the bytes for `count` bits, and zeros behind them. */
export function unpackBits(packed: Uint8Array, count: number): Uint8Array {
  if (packed.length !== Math.ceil(count / 8)) {
    throw new FormatError('bad-field', `Expected ${count} bits in ${Math.ceil(count / 8)} bytes.`)
  }
  const bits = new Uint8Array(count)
  for (let i = 0; i < count; i++) bits[i] = (packed[i >> 3]! >> (7 - (i & 7))) & 1
  const behind = count & 7
  if (behind > 0 && (packed[packed.length - 1]! & (0xff >> behind)) !== 0) {
    throw new FormatError('bad-field', 'Bits behind the last one must be zero.')
  }
  return bits
}

/** The elements of `values` at `indices`. */
export function pick(values: Uint8Array, indices: Uint32Array): Uint8Array {
  const picked = new Uint8Array(indices.length)
  for (let i = 0; i < indices.length; i++) picked[i] = values[indices[i]!]!
  return picked
}
