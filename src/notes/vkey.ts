/** Verifier keys of C2SP signed-note: `<name>+<key ID>+<base64 of type byte and public key>`. */
import { concat, fromBase64, toBase64, toHex, utf8 } from '../bytes.ts'
import { sha256 } from '../crypto/hash.ts'
import { ML_DSA } from '../crypto/suite.ts'
import { FormatError } from '../errors.ts'

/** Type byte of a timestamped ML-DSA-44 cosignature, the only kind of signature that this ledger checks. */
export const COSIGNATURE_TYPE = 0x06

export interface VerifierKey {
  /** Not empty, without `+`, white space or control characters. */
  readonly name: string
  /** The signature type byte. Keys of types other than 0x06 are carried along and match no signature. */
  readonly type: number
  /** The key ID, 8 lower-case hex digits: an identifier, not a commitment to the key. */
  readonly id: string
  readonly bytes: Uint8Array
}

/** The key ID that signed-note recommends and tlog-cosignature demands, as 8 hex digits. */
export function noteKeyId(name: string, type: number, publicKey: Uint8Array): string {
  return toHex(sha256(utf8(`${name}\n`), Uint8Array.of(type), publicKey).subarray(0, 4))
}

/** Refuses what C2SP does not allow as a key name, with FormatError bad-key. */
export function checkKeyName(name: string): void {
  const control = [...name].some((character) => character < ' ')
  if (name === '' || control || !name.isWellFormed() || /[\p{White_Space}+]/u.test(name)) {
    throw new FormatError(
      'bad-key',
      'A key name has no white space, control characters or plus, and is not empty.',
    )
  }
}

/**
 * Reads a verifier key. Of type 0x06 the key ID and the length must be right. Other types have rules of their
 * own, so their ID stands as written. Throws FormatError bad-key or bad-base64.
 */
export function parseVkey(text: string): VerifierKey {
  const [, name, id, encoded] = /^([^+]+)\+([0-9a-f]{8})\+([A-Za-z0-9+/=]+)$/.exec(text) ?? []
  if (name === undefined || id === undefined || encoded === undefined) {
    throw new FormatError('bad-key', 'A verifier key reads <name>+<8 hex digits>+<base64>.')
  }
  checkKeyName(name)
  const decoded = fromBase64(encoded)
  const type = decoded[0]!
  const bytes = decoded.subarray(1)
  if (bytes.length === 0) throw new FormatError('bad-key', 'The verifier key holds no public key.', { name })
  if (type === COSIGNATURE_TYPE) {
    if (bytes.length !== ML_DSA['ML-DSA-44'].publicKey) {
      throw new FormatError('bad-key', 'A verifier key of type 0x06 holds an ML-DSA-44 key of 1312 bytes.', {
        name,
      })
    }
    if (noteKeyId(name, type, bytes) !== id) {
      throw new FormatError('bad-key', 'The key ID does not belong to this name and key.', { name, id })
    }
  }
  return { name, type, id, bytes }
}

export function printVkey({ name, type, id, bytes }: VerifierKey): string {
  checkKeyName(name)
  return `${name}+${id}+${toBase64(concat(Uint8Array.of(type), bytes))}`
}
