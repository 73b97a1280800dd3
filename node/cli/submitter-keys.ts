/** Submitters' public keys from a file, and the check of an entry's own signatures against them. */
import { keyId, publicKeyFromJwk, publicKeyFromPem } from '../../src/crypto/keys.ts'
import type { PublicKey } from '../../src/crypto/suite.ts'
import { RefusedError } from '../../src/errors.ts'
import { array, type Json, parseJson } from '../../src/json.ts'
import { decodeEntry, signatureCheck, verifyAll } from '../../src/ledger/entry.ts'
import { opensslSuite } from '../crypto/openssl.ts'
import { inFile, readTextInput } from './files.ts'

const KEYS_BYTES_MAX = 4_194_304
const KEYS_MAX = 1_000

/** By key id. The file holds a JWK, a list of JWKs, a JWK set (RFC 7517 section 5) or one PEM public key. */
export async function readKeys(path: string): Promise<ReadonlyMap<string, PublicKey>> {
  const text = await readTextInput(path, KEYS_BYTES_MAX)
  const keys = inFile(path, () =>
    text.startsWith('-----') ? [publicKeyFromPem(text)] : jwks(text).map(publicKeyFromJwk),
  )
  return new Map(keys.map((key) => [keyId(key), key]))
}

/** Resolves to true if a known key signed the entry. Throws RefusedError unknown-key or bad-signature. */
export async function checkSubmitter(leaf: Uint8Array, keys: ReadonlyMap<string, PublicKey>): Promise<true> {
  const { envelope } = decodeEntry(leaf)
  const checks = envelope.signatures.flatMap(({ keyid }, i) => {
    const key = keys.get(keyid)
    return key ? [signatureCheck(envelope, i, key)] : []
  })
  if (checks.length === 0) {
    const keyids = envelope.signatures.map(({ keyid }) => keyid)
    throw new RefusedError('unknown-key', `None of the given keys is that of the submitter, ${keyids}.`, {
      keyids,
    })
  }
  if (await verifyAll(opensslSuite, checks)) return true
  throw new RefusedError('bad-signature', "The submitter's signature on the entry does not verify.")
}

function jwks(text: string): Json[] {
  const value = parseJson(text, KEYS_BYTES_MAX)
  if (Array.isArray(value)) return array(value, 'The list of keys', 1, KEYS_MAX)
  if (typeof value === 'object' && value !== null && value.keys !== undefined) {
    return array(value.keys, '"keys"', 1, KEYS_MAX)
  }
  return [value]
}
