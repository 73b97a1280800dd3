/**
 * Private keys as files and JWKs hold them. The private key of this project is always the 32-byte seed: it is
 * what RFC 9964 allows, what RFC 9881 recommends, and it cannot contradict itself. Nothing here is encrypted.
 */
import { equalBytes, toBase64Url } from '../bytes.ts'
import { FormatError } from '../errors.ts'
import { algorithmIdentifier, readAlgorithmIdentifier } from './algorithm-id.ts'
import { DerReader, der, derInteger, TAG } from './der.ts'
import { type PrivateJwk, parseJwk } from './jwk.ts'
import { publicKeyToJwk } from './keys.ts'
import { expandSeed } from './noble.ts'
import { fromPem, toPem } from './pem.ts'
import { checkSeed, type MlDsaAlg, SEED_BYTES } from './suite.ts'

/** Whoever holds one zeroes `seed` after use. */
export interface PrivateKey {
  readonly alg: MlDsaAlg
  /** FIPS 204 ξ, 32 bytes. */
  readonly seed: Uint8Array
}

/** PKCS#8 with the seed alone (RFC 9881 section 6, choice `seed`): 54 bytes of DER. */
export function seedToPkcs8(alg: MlDsaAlg, seed: Uint8Array): Uint8Array {
  checkSeed(seed)
  const choice = der(TAG.context0, seed)
  return der(TAG.sequence, derInteger(0), algorithmIdentifier(alg), der(TAG.octetString, choice))
}

/**
 * Reads PKCS#8 in the choices `seed` and `both` of RFC 9881; in `both`, the expanded key must be the one that
 * the seed generates. The choice `expandedKey` is refused, for it can't be turned back into a seed, and so are
 * PKCS#8 attributes and version 2. Throws FormatError.
 */
export function seedFromPkcs8(bytes: Uint8Array): PrivateKey {
  const outer = new DerReader(bytes)
  const info = outer.sequence()
  outer.end()
  if (info.integer() !== 0) throw new FormatError('bad-key', 'Only version 1 of PKCS#8 is read.')
  const alg = readAlgorithmIdentifier(info)
  const choice = new DerReader(info.read(TAG.octetString))
  info.end()
  const seed = readChoice(alg, choice)
  choice.end()
  return { alg, seed }
}

export function seedToPem(alg: MlDsaAlg, seed: Uint8Array): string {
  const bytes = seedToPkcs8(alg, seed)
  try {
    return toPem('PRIVATE KEY', bytes)
  } finally {
    bytes.fill(0)
  }
}

/** Reads PEM as `seedFromPkcs8` reads its DER. */
export function seedFromPem(pem: string): PrivateKey {
  const bytes = fromPem('PRIVATE KEY', pem)
  try {
    return seedFromPkcs8(bytes)
  } finally {
    bytes.fill(0)
  }
}

export function privateKeyToJwk(alg: MlDsaAlg, seed: Uint8Array): PrivateJwk {
  const { publicKey, expanded } = expandSeed(alg, seed)
  expanded.fill(0)
  return { ...publicKeyToJwk(publicKey), priv: toBase64Url(seed) }
}

/** Reads a parsed JSON value with `priv`; `pub` must be the public key of that seed. Throws FormatError. */
export function privateKeyFromJwk(value: unknown): PrivateKey {
  const { publicKey, seed } = parseJwk(value)
  if (seed === undefined)
    throw new FormatError('missing-field', 'The JWK has no private key: no member priv.')
  const derived = expandSeed(publicKey.alg, seed)
  derived.expanded.fill(0)
  if (!equalBytes(derived.publicKey.bytes, publicKey.bytes)) {
    throw new FormatError('bad-key', 'The JWK contradicts itself: pub is not the public key of priv.')
  }
  return { alg: publicKey.alg, seed }
}

function readChoice(alg: MlDsaAlg, choice: DerReader): Uint8Array {
  switch (choice.peek()) {
    case TAG.context0:
      return seedOf(choice.read(TAG.context0))
    case TAG.sequence: {
      const both = choice.sequence()
      const seed = seedOf(both.read(TAG.octetString))
      const expanded = both.read(TAG.octetString)
      both.end()
      const derived = expandSeed(alg, seed).expanded
      const same = equalBytes(derived, expanded)
      derived.fill(0)
      if (same) return seed
      seed.fill(0)
      throw new FormatError(
        'bad-key',
        'The private key contradicts itself: its two forms are different keys.',
      )
    }
    case TAG.octetString:
      throw new FormatError(
        'bad-key',
        'The private key is in expanded form only. The seed form is needed: export the key with its seed, ' +
          'or make a new one; a seed cannot be computed back from an expanded key.',
      )
    default:
      throw new FormatError('bad-key', 'The private key is in none of the three forms of RFC 9881.')
  }
}

function seedOf(content: Uint8Array): Uint8Array {
  if (content.length !== SEED_BYTES) {
    throw new FormatError(
      'bad-key',
      `The seed in the private key has ${content.length} bytes, not ${SEED_BYTES}.`,
    )
  }
  return content.slice()
}
