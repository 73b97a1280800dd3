/** Public keys as people and protocols exchange them: key id, AKP JWK (RFC 9964), SPKI PEM (RFC 9881). */
import { toBase64Url, utf8 } from '../bytes.ts'
import { FormatError } from '../errors.ts'
import { algorithmIdentifier, readAlgorithmIdentifier } from './algorithm-id.ts'
import { DerReader, der, TAG } from './der.ts'
import { sha256 } from './hash.ts'
import { type PublicJwk, parseJwk } from './jwk.ts'
import { fromPem, toPem } from './pem.ts'
import { ML_DSA, type PublicKey } from './suite.ts'

/** The keys of members are the same objects again and again, and never change. */
const keyIds = new WeakMap<PublicKey, string>()

/**
 * The name of a key everywhere in the ledger: base64url of its RFC 7638 thumbprint with SHA-256, 43 characters.
 * RFC 9964 makes alg, kty and pub the members that it covers.
 */
export function keyId(key: PublicKey): string {
  const known = keyIds.get(key)
  if (known !== undefined) return known
  const id = thumbprint(key)
  keyIds.set(key, id)
  return id
}

function thumbprint(key: PublicKey): string {
  const { alg, kty, pub } = publicKeyToJwk(key)
  // The order of the members and the absence of white space are the format. All three values are plain ASCII.
  return toBase64Url(sha256(utf8(`{"alg":"${alg}","kty":"${kty}","pub":"${pub}"}`)))
}

export function publicKeyToJwk(key: PublicKey): PublicJwk {
  checkSize(key)
  return { kty: 'AKP', alg: key.alg, pub: toBase64Url(key.bytes) }
}

/**
 * Reads a parsed JSON value. A JWK with `priv` is refused, so that nobody hands out a private key unnoticed.
 * Throws FormatError as `parseJwk` does.
 */
export function publicKeyFromJwk(value: unknown): PublicKey {
  const { publicKey, seed } = parseJwk(value)
  if (seed !== undefined) {
    seed.fill(0)
    throw new FormatError(
      'bad-key',
      'This JWK holds a private key (priv). Give the public key: kty, alg, pub.',
    )
  }
  return publicKey
}

/** SubjectPublicKeyInfo in PEM, RFC 9881 section 4. */
export function publicKeyToPem(key: PublicKey): string {
  checkSize(key)
  const unusedBits = Uint8Array.of(0)
  const bits = der(TAG.bitString, unusedBits, key.bytes)
  return toPem('PUBLIC KEY', der(TAG.sequence, algorithmIdentifier(key.alg), bits))
}

/** Reads what `publicKeyToPem` writes, in PEM as `fromPem` takes it. Throws FormatError. */
export function publicKeyFromPem(pem: string): PublicKey {
  const outer = new DerReader(fromPem('PUBLIC KEY', pem))
  const spki = outer.sequence()
  outer.end()
  const alg = readAlgorithmIdentifier(spki)
  const bits = spki.read(TAG.bitString)
  spki.end()
  if (bits[0] !== 0) throw new FormatError('bad-key', 'The public key is not a whole number of bytes.')
  const key: PublicKey = { alg, bytes: bits.slice(1) }
  checkSize(key)
  return key
}

function checkSize(key: PublicKey): void {
  const demanded = ML_DSA[key.alg].publicKey
  if (key.bytes.length !== demanded) {
    throw new FormatError(
      'bad-key',
      `An ${key.alg} public key has ${demanded} bytes, not ${key.bytes.length}.`,
    )
  }
}
