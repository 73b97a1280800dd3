/**
 * Whether reconciliation has left two equal keys: a universal hash of each, compared in the open. The tag counts as
 * disclosed. For n bits two different keys have the same tag with probability below (n / 128) / 2^64.
 */
import { packBits } from './bits.ts'
import { PolynomialHash } from './polynomial-hash.ts'

export const VERIFICATION_BYTES = 8
export const VERIFICATION_BITS = 8 * VERIFICATION_BYTES

/** @param point 16 random bytes, chosen after the bits were fixed; not secret */
export function verificationTag(bits: Uint8Array, point: Uint8Array): Uint8Array {
  const packed = packBits(bits)
  const hash = new PolynomialHash(point)
  const tag = hash.update(packed).digest().slice(0, VERIFICATION_BYTES)
  packed.fill(0)
  hash.wipe()
  return tag
}
