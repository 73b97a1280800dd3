/** ML-KEM-768 (FIPS 203) by the OpenSSL inside Node. */
import { createPublicKey, decapsulate, encapsulate, generateKeyPairSync } from 'node:crypto'
import { concat, fromHex } from '../../src/bytes.ts'
import { FormatError } from '../../src/errors.ts'

export const ML_KEM_768 = { publicKey: 1_184, ciphertext: 1_088, secret: 32 } as const

/** SubjectPublicKeyInfo of id-alg-ml-kem-768 (RFC 9935), up to the key. */
const SPKI_HEAD = fromHex('308204b2300b0609608648016503040402038204a100')

export interface KemKeyPair {
  /** FIPS 203 ek, 1184 bytes. */
  readonly publicKey: Uint8Array
  /** 32 bytes, which whoever asks zeroes. A ciphertext that was changed gives another secret, and no error. */
  decapsulate(ciphertext: Uint8Array): Uint8Array
}

/** For one key agreement: the private key is never written anywhere. */
export function generateKemKeyPair(): KemKeyPair {
  const { publicKey, privateKey } = generateKeyPairSync('ml-kem-768')
  return {
    publicKey: new Uint8Array(publicKey.export({ format: 'der', type: 'spki' }).subarray(SPKI_HEAD.length)),
    decapsulate: (ciphertext) => {
      if (ciphertext.length !== ML_KEM_768.ciphertext) throw badKey('ciphertext')
      return new Uint8Array(decapsulate(privateKey, ciphertext))
    },
  }
}

/** Throws FormatError `bad-key` if the key fails the checks of FIPS 203 section 7.2. */
export function encapsulateTo(publicKey: Uint8Array): { ciphertext: Uint8Array; secret: Uint8Array } {
  if (publicKey.length !== ML_KEM_768.publicKey) throw badKey('public key')
  try {
    const key = Buffer.from(concat(SPKI_HEAD, publicKey))
    const { sharedKey, ciphertext } = encapsulate(createPublicKey({ key, format: 'der', type: 'spki' }))
    return { ciphertext: new Uint8Array(ciphertext), secret: new Uint8Array(sharedKey) }
  } catch {
    throw badKey('public key')
  }
}

function badKey(what: string): FormatError {
  return new FormatError('bad-key', `This is no ML-KEM-768 ${what}.`)
}
