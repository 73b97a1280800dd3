/**
 * JSON Web Keys of type AKP, "Algorithm Key Pair" (RFC 9964 section 3). Members that we do not know are ignored, as RFC
 * 7517 section 4 demands: WebCrypto writes `key_ops` and `ext`, others `kid`, `use` or `x5t`. A key's name here is `keyId`.
 */
import { fromBase64Url } from '../bytes.ts'
import { FormatError } from '../errors.ts'
import { ML_DSA, type MlDsaAlg, type PublicKey, SEED_BYTES } from './suite.ts'

export interface PublicJwk {
  readonly kty: 'AKP'
  readonly alg: MlDsaAlg
  /** base64url of FIPS 204 pkEncode. */
  readonly pub: string
}

export interface PrivateJwk extends PublicJwk {
  /** base64url of the 32-byte seed; RFC 9964 knows no other private form. */
  readonly priv: string
}

/**
 * Checks the members of a parsed JSON value and decodes them; `priv` only by its length. Throws FormatError:
 * `missing-field`, `bad-field`, `bad-base64`, or `bad-key` for a value of the wrong size.
 */
export function parseJwk(value: unknown): { publicKey: PublicKey; seed: Uint8Array | undefined } {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw new FormatError('bad-key', 'Expected a JWK, a JSON object.')
  }
  const members = new Map<string, unknown>(Object.entries(value))
  if (text(members, 'kty') !== 'AKP') throw new FormatError('bad-field', 'The JWK member kty must be "AKP".')
  const alg = text(members, 'alg')
  if (!isMlDsaAlg(alg)) {
    throw new FormatError('bad-field', 'The JWK member alg must be ML-DSA-44, ML-DSA-65 or ML-DSA-87.')
  }
  return {
    publicKey: { alg, bytes: octets(members, 'pub', ML_DSA[alg].publicKey) },
    seed: members.has('priv') ? octets(members, 'priv', SEED_BYTES) : undefined,
  }
}

function isMlDsaAlg(name: string): name is MlDsaAlg {
  return Object.hasOwn(ML_DSA, name)
}

function text(members: Map<string, unknown>, name: string, charsMax = 16): string {
  const value = members.get(name)
  if (value === undefined) throw new FormatError('missing-field', `The JWK has no member ${name}.`)
  if (typeof value !== 'string' || value.length > charsMax) {
    throw new FormatError(
      'bad-field',
      `The JWK member ${name} must be a string of at most ${charsMax} characters.`,
    )
  }
  return value
}

function octets(members: Map<string, unknown>, name: string, length: number): Uint8Array {
  const bytes = fromBase64Url(text(members, name, 4_096))
  if (bytes.length !== length) {
    throw new FormatError('bad-key', `The JWK member ${name} must hold ${length} bytes, not ${bytes.length}.`)
  }
  return bytes
}
