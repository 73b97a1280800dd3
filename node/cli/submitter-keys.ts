/** Submitters' public keys from a file, in the forms in which keys are handed around. */
import { publicKeyFromJwk, publicKeyFromPem } from '../../src/crypto/keys.ts'
import type { PublicKey } from '../../src/crypto/suite.ts'
import { array } from '../../src/json.ts'
import { inFile, parseJsonText, readTextInput } from './files.ts'
import { presentFromJson } from './member/present.ts'

const KEYS_BYTES_MAX = 4_194_304
const KEYS_MAX = 1_000

/**
 * The file holds a JWK, a list of JWKs, a JWK set (RFC 7517 section 5), one PEM public key, or the members as
 * `qat member list --json` prints them, of whom the submitters count.
 */
export async function readKeys(path: string): Promise<readonly PublicKey[]> {
  const text = await readTextInput(path, KEYS_BYTES_MAX)
  return inFile(path, () => (text.includes('-----BEGIN ') ? [publicKeyFromPem(text)] : keysIn(text)))
}

function keysIn(text: string): PublicKey[] {
  const value = parseJsonText(text, KEYS_BYTES_MAX)
  if (Array.isArray(value)) return array(value, 'The list of keys', 1, KEYS_MAX).map(publicKeyFromJwk)
  if (typeof value === 'object' && value !== null && value.keys !== undefined) {
    return array(value.keys, '"keys"', 1, KEYS_MAX).map(publicKeyFromJwk)
  }
  if (typeof value === 'object' && value !== null && value.members !== undefined) {
    return presentFromJson(value).membership.submitters.map(({ key }) => key)
  }
  return [publicKeyFromJwk(value)]
}
