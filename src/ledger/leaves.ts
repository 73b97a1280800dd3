/** Leaves in a row: for each its length (u16, big-endian), then its bytes, as in a C2SP entry bundle. */
import { concat } from '../bytes.ts'
import { FormatError } from '../errors.ts'
import { ENTRY_BYTES_MAX } from '../limits.ts'

export function joinLeaves(leaves: readonly Uint8Array[]): Uint8Array {
  const parts: Uint8Array[] = []
  for (const leaf of leaves) {
    if (leaf.length > ENTRY_BYTES_MAX) {
      throw new FormatError('too-large', `A leaf has at most ${ENTRY_BYTES_MAX} bytes.`, {
        bytes: leaf.length,
      })
    }
    parts.push(Uint8Array.of(leaf.length >> 8, leaf.length & 255), leaf)
  }
  return concat(...parts)
}

/** The leaves as views of `bytes`; at most `most` of them, and nothing after the last. */
export function splitLeaves(bytes: Uint8Array, most: number): Uint8Array[] {
  const leaves: Uint8Array[] = []
  for (let at = 0; at < bytes.length; ) {
    if (leaves.length === most) throw new FormatError('too-large', `Expected at most ${most} leaves.`)
    if (at + 2 > bytes.length) throw new FormatError('truncated', 'A leaf lacks its length.')
    const end = at + 2 + ((bytes[at]! << 8) | bytes[at + 1]!)
    if (end > bytes.length) throw new FormatError('truncated', 'A leaf is cut off.')
    leaves.push(bytes.subarray(at + 2, end))
    at = end
  }
  return leaves
}
