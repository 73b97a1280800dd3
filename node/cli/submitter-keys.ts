/** Submitters' public keys from a file, in the forms in which keys are handed around. */
import { publicKeyFromJwk, publicKeyFromPem } from '../../src/crypto/keys.ts'
import type { PublicKey } from '../../src/crypto/suite.ts'
import { array, type Json, parseJson } from '../../src/json.ts'
import { inFile, readTextInput } from './files.ts'

const KEYS_BYTES_MAX = 4_194_304
const KEYS_MAX = 1_000

/** The file holds a JWK, a list of JWKs, a JWK set (RFC 7517 section 5) or one PEM public key. */
export async function readKeys(path: string): Promise<readonly PublicKey[]> {
  const text = await readTextInput(path, KEYS_BYTES_MAX)
  return inFile(path, () =>
    text.includes('-----BEGIN ') ? [publicKeyFromPem(text)] : jwks(text).map(publicKeyFromJwk),
  )
}

function jwks(text: string): Json[] {
  const value = parseJson(text, KEYS_BYTES_MAX)
  if (Array.isArray(value)) return array(value, 'The list of keys', 1, KEYS_MAX)
  if (typeof value === 'object' && value !== null && value.keys !== undefined) {
    return array(value.keys, '"keys"', 1, KEYS_MAX)
  }
  return [value]
}
