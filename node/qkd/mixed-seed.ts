/**
 * A signing seed out of two sources: HKDF-SHA-512 (RFC 5869) over fresh local randomness and a QKD key, each behind its
 * length. Whoever knows one of the two, such as every KME on the way of the
 * key, or whoever broke this machine's generator, knows nothing of the seed.
 */
import { expand, extract } from '@noble/hashes/hkdf.js'
import { sha512 } from '@noble/hashes/sha2.js'
import { utf8 } from '../../src/bytes.ts'
import { Writer } from '../../src/codec/writer.ts'
import { SEED_BYTES } from '../../src/crypto/suite.ts'

/** Zeroes both sources, which have 32 bytes each. */
export function mixedSeed(qkdKey: Uint8Array, local: Uint8Array): Uint8Array {
  const material = new Writer().blob(local).blob(qkdKey).finish()
  const prk = extract(sha512, material, utf8('quantum-audit-trail/mixed-seed'))
  const seed = expand(sha512, prk, utf8('ML-DSA seed'), SEED_BYTES)
  for (const secret of [qkdKey, local, material, prk]) secret.fill(0)
  return seed
}
