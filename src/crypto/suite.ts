/**
 * The one interface behind which ML-DSA (FIPS 204, pure, empty context) stands.
 *
 * Three implementations pass the same tests: `noble.ts` (browser, cross-check), `node/crypto/openssl.ts`
 * (OpenSSL, off the main thread) and, in simulations only, a cheap stand-in. It is asynchronous because the
 * fast implementations are.
 */
import { FormatError } from '../errors.ts'

export type MlDsaAlg = 'ML-DSA-44' | 'ML-DSA-65' | 'ML-DSA-87'

export interface PublicKey {
  readonly alg: MlDsaAlg
  /** FIPS 204 pkEncode: 1312, 1952 or 2592 bytes. */
  readonly bytes: Uint8Array
}

/** Holds a private key and never shows it; may be a file, another thread or an HSM. */
export interface Signer {
  readonly publicKey: PublicKey
  sign(message: Uint8Array): Promise<Uint8Array>
}

export interface SignatureSuite {
  /** Deterministic key generation from a 32-byte seed (FIPS 204 ML-DSA.KeyGen_internal). */
  signer(alg: MlDsaAlg, seed: Uint8Array): Signer
  /** False for any signature that does not verify, wrong length included; never throws on bad input bytes. */
  verify(key: PublicKey, message: Uint8Array, signature: Uint8Array): Promise<boolean>
}

/** Sizes in bytes (FIPS 204 table 2) and the X.509 object identifier (RFC 9881). */
export const ML_DSA: Readonly<Record<MlDsaAlg, { publicKey: number; signature: number; oid: string }>> = {
  'ML-DSA-44': { publicKey: 1312, signature: 2420, oid: '2.16.840.1.101.3.4.3.17' },
  'ML-DSA-65': { publicKey: 1952, signature: 3309, oid: '2.16.840.1.101.3.4.3.18' },
  'ML-DSA-87': { publicKey: 2592, signature: 4627, oid: '2.16.840.1.101.3.4.3.19' },
}

export const SEED_BYTES = 32

/** Refuses a seed that is not 32 bytes, before any library sees it. */
export function checkSeed(seed: Uint8Array): void {
  if (seed.length !== SEED_BYTES) {
    throw new FormatError('bad-key', `An ML-DSA seed has ${SEED_BYTES} bytes, this one has ${seed.length}.`)
  }
}

/** Whether key and signature have the sizes of the key's parameter set: what every verifier checks first. */
export function sizesFit(key: PublicKey, signature: Uint8Array): boolean {
  const sizes = ML_DSA[key.alg]
  return key.bytes.length === sizes.publicKey && signature.length === sizes.signature
}
