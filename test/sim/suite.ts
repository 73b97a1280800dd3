/**
 * Signatures of a simulation. Most seeds use a stand-in: a MAC by a secret that only the signer object and the
 * suite's own register hold, so nobody forges one, at a thousandth of the cost. The others use ML-DSA itself,
 * called synchronously, because a thread pool would answer in an order that no seed decides.
 */
import { createPrivateKey, createPublicKey, sign, verify } from 'node:crypto'
import { KeyObjectCache } from '../../node/crypto/openssl.ts'
import { toHex, utf8 } from '../../src/bytes.ts'
import { sha256 } from '../../src/crypto/hash.ts'
import { nobleDeterministicSuite } from '../../src/crypto/noble.ts'
import { seedToPkcs8 } from '../../src/crypto/private-keys.ts'
import {
  ML_DSA,
  type MlDsaAlg,
  type PublicKey,
  type SignatureSuite,
  type Signer,
  sizesFit,
} from '../../src/crypto/suite.ts'

function digest(label: string, ...parts: Uint8Array[]): Uint8Array {
  return sha256(utf8(label), ...parts)
}

const MAC_BYTES = 32

/** `head`, and zeros up to `length`. */
function padded(head: Uint8Array, length: number): Uint8Array {
  const bytes = new Uint8Array(length)
  bytes.set(head)
  return bytes
}

/** Secrets by public key. A verifier looks its MACs up here; a liar has only the signer objects it was given. */
const secrets = new Map<string, Uint8Array>()

export const standInSuite: SignatureSuite = {
  signer(alg, seed) {
    const secret = digest(`secret ${alg}`, seed)
    const publicKey = { alg, bytes: padded(digest('public', secret), ML_DSA[alg].publicKey) }
    secrets.set(nameOf(publicKey), secret)
    return {
      publicKey,
      sign: async (message) => macOf(secret, message, 0, ML_DSA[alg].signature),
    }
  },
  async verify(key, message, signature) {
    const secret = secrets.get(nameOf(key))
    if (secret === undefined || !sizesFit(key, signature)) return false
    return Buffer.compare(signature, macOf(secret, message, signature[MAC_BYTES]!, signature.length)) === 0
  },
}

/** A second signature of the same message, of other bytes: ML-DSA is hedged, and a liar may sign as often as it likes. */
export async function signAnew(signer: Signer, message: Uint8Array): Promise<Uint8Array> {
  const secret = secrets.get(nameOf(signer.publicKey))
  return secret === undefined
    ? signer.sign(message)
    : macOf(secret, message, 1, ML_DSA[signer.publicKey.alg].signature)
}

/** The byte behind the MAC tells signatures of one message apart. */
function macOf(secret: Uint8Array, message: Uint8Array, variant: number, length: number): Uint8Array {
  const bytes = padded(digest('mac', secret, Uint8Array.of(variant), message), length)
  bytes[MAC_BYTES] = variant
  return bytes
}

function nameOf({ alg, bytes }: PublicKey): string {
  return alg + toHex(bytes.subarray(0, 32))
}

const keyObjects = new KeyObjectCache(256)

/** ML-DSA by OpenSSL on the main thread. Signatures are hedged: different bytes on every run. */
export const synchronousSuite: SignatureSuite = {
  signer(alg, seed) {
    const key = createPrivateKey({ key: Buffer.from(seedToPkcs8(alg, seed)), format: 'der', type: 'pkcs8' })
    const { pub } = createPublicKey(key).export({ format: 'jwk' })
    return {
      publicKey: { alg, bytes: new Uint8Array(Buffer.from(String(pub), 'base64url')) },
      sign: async (message) => new Uint8Array(sign(null, message, key)),
    }
  },
  async verify(key, message, signature) {
    return sizesFit(key, signature) && verify(null, message, keyObjects.get(key), signature)
  },
}

/**
 * A signer whose signatures are the same on every run. Entries need one: their hashes order what a node reloads
 * after a crash, and a seed must replay to the last event.
 */
export function replayableSigner(suite: SignatureSuite, alg: MlDsaAlg, seed: Uint8Array): Signer {
  return (suite === standInSuite ? standInSuite : nobleDeterministicSuite).signer(alg, seed)
}

/** The 32 bytes that everything about the key of this name follows from. */
export function digestSeed(name: string): Uint8Array {
  return digest('seed', utf8(name))
}
