/**
 * ML-DSA by @noble/post-quantum: the implementation of browsers and of offline verifiers, and the independent
 * judge of the node's OpenSSL. Synchronous work behind the asynchronous interface: about 3 ms to verify.
 */
import { ml_dsa44, ml_dsa65, ml_dsa87 } from '@noble/post-quantum/ml-dsa.js'
import { checkSeed, type MlDsaAlg, type PublicKey, type SignatureSuite, sizesFit } from './suite.ts'

const IMPLEMENTATION: Readonly<Record<MlDsaAlg, typeof ml_dsa65>> = {
  'ML-DSA-44': ml_dsa44,
  'ML-DSA-65': ml_dsa65,
  'ML-DSA-87': ml_dsa87,
}

/**
 * FIPS 204 algorithm 6, ML-DSA.KeyGen_internal: the key pair of a 32-byte seed. `expanded` is skEncode (2560,
 * 4032 or 4896 bytes) and secret; the caller zeroes it. Throws FormatError `bad-key` for another seed length.
 */
export function expandSeed(
  alg: MlDsaAlg,
  seed: Uint8Array,
): { publicKey: PublicKey; expanded: Uint8Array<ArrayBuffer> } {
  checkSeed(seed)
  const pair = IMPLEMENTATION[alg].keygen(seed)
  return { publicKey: { alg, bytes: pair.publicKey }, expanded: pair.secretKey }
}

function suite(options: { extraEntropy?: false }): SignatureSuite {
  return {
    signer(alg, seed) {
      const { publicKey, expanded } = expandSeed(alg, seed)
      return {
        publicKey,
        sign: async (message) => IMPLEMENTATION[alg].sign(message, expanded, options),
      }
    },
    async verify(key, message, signature) {
      return sizesFit(key, signature) && IMPLEMENTATION[key.alg].verify(signature, message, key.bytes)
    },
  }
}

/** Hedged signing (FIPS 204 section 3.4): 32 fresh random bytes in every signature, as the standard prefers. */
export const nobleSuite: SignatureSuite = suite({})

/** Deterministic signing, the standard's other variant: equal bytes on every run, for vectors and simulations. */
export const nobleDeterministicSuite: SignatureSuite = suite({ extraEntropy: false })
