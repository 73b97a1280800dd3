/**
 * ML-DSA and SHA-256 by the OpenSSL inside Node: about a tenth of noble's time, and signatures on the libuv
 * pool, so that the event loop only waits. What leaves here are plain Uint8Arrays, never Buffers.
 */
import { createPrivateKey, createPublicKey, hash, type KeyObject, sign, verify } from 'node:crypto'
import { fromBase64Url } from '../../src/bytes.ts'
import { publicKeyToJwk } from '../../src/crypto/keys.ts'
import { seedToPkcs8 } from '../../src/crypto/private-keys.ts'
import { type PublicKey, type SignatureSuite, sizesFit } from '../../src/crypto/suite.ts'
import { invariant } from '../../src/errors.ts'

/** About 15 kB each with OpenSSL's expanded matrix, so 15 MB in all; a ledger has fewer active submitters. */
const PUBLIC_KEYS_MAX = 1_024

/**
 * Imported public keys, the least recently used dropped first. Importing costs a fifth of a verification. The
 * lookup is by content, because a caller may parse the same key anew for each entry.
 */
export class KeyObjectCache {
  readonly #max: number
  readonly #keys = new Map<string, KeyObject>()

  constructor(max: number) {
    this.#max = max
  }

  get size(): number {
    return this.#keys.size
  }

  get(key: PublicKey): KeyObject {
    const name = key.alg + view(key.bytes).toString('latin1')
    const known = this.#keys.get(name)
    if (known !== undefined) this.#keys.delete(name)
    const found = known ?? createPublicKey({ key: { ...publicKeyToJwk(key) }, format: 'jwk' })
    this.#keys.set(name, found)
    if (this.#keys.size > this.#max) {
      const [oldest] = this.#keys.keys()
      this.#keys.delete(oldest!)
    }
    return found
  }
}

const publicKeys = new KeyObjectCache(PUBLIC_KEYS_MAX)

/** In front of the look-up by content: the keys of members are the same objects again and again. */
const byIdentity = new WeakMap<PublicKey, KeyObject>()

function keyObjectOf(key: PublicKey): KeyObject {
  let found = byIdentity.get(key)
  if (found === undefined) {
    found = publicKeys.get(key)
    byIdentity.set(key, found)
  }
  return found
}

/** Signs hedged, as OpenSSL does by default. The message is copied before the call returns. */
export const opensslSuite: SignatureSuite = {
  signer(alg, seed) {
    const pkcs8 = seedToPkcs8(alg, seed)
    const privateKey = createPrivateKey({ key: view(pkcs8), format: 'der', type: 'pkcs8' })
    pkcs8.fill(0)
    const { pub } = createPublicKey(privateKey).export({ format: 'jwk' })
    invariant(typeof pub === 'string', 'OpenSSL exported an ML-DSA key without its public part.')
    return {
      publicKey: { alg, bytes: fromBase64Url(pub) },
      sign: (message) =>
        new Promise((resolve, reject) => {
          sign(null, message, privateKey, (error, signature) => {
            if (error) reject(error)
            else resolve(plain(signature))
          })
        }),
    }
  },

  async verify(key, message, signature) {
    if (!sizesFit(key, signature)) return false
    const keyObject = keyObjectOf(key)
    return new Promise((resolve, reject) => {
      verify(null, message, keyObject, signature, (error, valid) => {
        if (error) reject(error)
        else resolve(valid)
      })
    })
  },
}

/**
 * As `opensslSuite`, but it verifies in the thread that asks, which does nothing else meanwhile: for threads that
 * are there for that. It saves a tenth of the time that a job of libuv's pool takes.
 */
export const opensslInThread: SignatureSuite = {
  signer: (alg, seed) => opensslSuite.signer(alg, seed),
  async verify(key, message, signature) {
    return sizesFit(key, signature) && verify(null, message, keyObjectOf(key), signature)
  },
}

/** SHA-256 in one native call; the composition root hands it to `useSha256`. */
export function sha256(bytes: Uint8Array): Uint8Array {
  return plain(hash('sha256', bytes, 'buffer'))
}

function view(bytes: Uint8Array): Buffer {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
}

function plain(buffer: Buffer): Uint8Array {
  return new Uint8Array(buffer.buffer, buffer.byteOffset, buffer.byteLength)
}
