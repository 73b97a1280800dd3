/**
 * One record of an attribute's index: which leaves of a block have the value. Offsets from the block's first leaf,
 * u16 big-endian, ascending, at least one.
 */
import { damaged } from './store-error.ts'

export function encodeOffsets(offsets: readonly number[]): Uint8Array {
  const bytes = new Uint8Array(2 * offsets.length)
  for (const [i, offset] of offsets.entries()) {
    bytes[2 * i] = offset >>> 8
    bytes[2 * i + 1] = offset
  }
  return bytes
}

/** Throws StoreError `store-damaged` for what `encodeOffsets` does not write. */
export function decodeOffsets(bytes: Uint8Array): number[] {
  const offsets: number[] = []
  for (let at = 0; at + 1 < bytes.length; at += 2) offsets.push(bytes[at]! * 256 + bytes[at + 1]!)
  const ascending = offsets.every((offset, i) => i === 0 || offset > offsets[i - 1]!)
  if (bytes.length % 2 !== 0 || offsets.length === 0 || !ascending) {
    throw damaged('A record of an index cannot be read.')
  }
  return offsets
}
