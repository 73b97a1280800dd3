/**
 * Encrypted PKCS#8 (RFC 5958 section 3) by PBES2 (RFC 8018 section 6.2) with scrypt (RFC 7914) and AES-256-CBC:
 * of what OpenSSL and Node can read as well, the choice that costs a guesser the most memory.
 */
import { createCipheriv, createDecipheriv, randomFillSync, scrypt } from 'node:crypto'
import { concat, equalBytes, utf8 } from '../../src/bytes.ts'
import { DerReader, der, derInteger, derOid, TAG } from '../../src/crypto/der.ts'
import { FormatError } from '../../src/errors.ts'

interface ScryptCost {
  readonly N: number
  readonly r: number
  readonly p: number
}

/** OWASP's setting for 16 MiB; each guess costs a core about a fifth of a second. */
const COST: ScryptCost = { N: 2 ** 14, r: 8, p: 5 }
/** What a foreign file may make us spend: 128 N r bytes of memory, and p times the time to fill them. */
const SCRYPT_MEMORY_BYTES_MAX = 64 * 2 ** 20
const SCRYPT_R_MAX = 32
const SCRYPT_P_MAX = 16
const SALT_BYTES = 16
const SALT_BYTES_MAX = 64
const KEY_BYTES = 32
const IV_BYTES = 16

const PBES2 = derOid('1.2.840.113549.1.5.13')
const SCRYPT = derOid('1.3.6.1.4.1.11591.4.11')
const AES_256_CBC = derOid('2.16.840.1.101.3.4.1.42')

/** EncryptedPrivateKeyInfo in DER around PKCS#8 bytes. */
export async function encryptPkcs8(pkcs8: Uint8Array, passphrase: string): Promise<Uint8Array> {
  const salt = randomFillSync(new Uint8Array(SALT_BYTES))
  const iv = randomFillSync(new Uint8Array(IV_BYTES))
  const key = await deriveKey(passphrase, salt, COST)
  const cipher = createCipheriv('aes-256-cbc', key, iv)
  const encrypted = concat(cipher.update(pkcs8), cipher.final())
  key.fill(0)

  const cost = [COST.N, COST.r, COST.p].map(derInteger)
  const kdf = der(TAG.sequence, SCRYPT, der(TAG.sequence, der(TAG.octetString, salt), ...cost))
  const scheme = der(TAG.sequence, AES_256_CBC, der(TAG.octetString, iv))
  const algorithm = der(TAG.sequence, PBES2, der(TAG.sequence, kdf, scheme))
  return der(TAG.sequence, algorithm, der(TAG.octetString, encrypted))
}

/**
 * The PKCS#8 bytes inside, or undefined if the passphrase is wrong. Throws FormatError for other algorithms and
 * for costs above our bounds, before any of that cost is paid.
 */
export async function decryptPkcs8(bytes: Uint8Array, passphrase: string): Promise<Uint8Array | undefined> {
  const { salt, cost, iv, encrypted } = parse(bytes)
  const key = await deriveKey(passphrase, salt, cost)
  const decipher = createDecipheriv('aes-256-cbc', key, iv)
  key.fill(0)
  const head = decipher.update(encrypted)
  try {
    const pkcs8 = concat(head, decipher.final())
    if (isOneSequence(pkcs8)) return pkcs8
    pkcs8.fill(0)
    return undefined
  } catch {
    return undefined // bad padding
  } finally {
    head.fill(0)
  }
}

function parse(bytes: Uint8Array) {
  const outer = new DerReader(bytes)
  const info = outer.sequence()
  outer.end()
  const pbes2 = parameters(info, PBES2)
  const kdf = parameters(pbes2, SCRYPT)
  const scheme = algorithm(pbes2, AES_256_CBC)
  pbes2.end()
  const iv = scheme.read(TAG.octetString)
  scheme.end()
  const encrypted = info.read(TAG.octetString)
  info.end()

  const salt = kdf.read(TAG.octetString)
  const cost = { N: kdf.integer(), r: kdf.integer(), p: kdf.integer() }
  const keyBytes = kdf.peek() === TAG.integer ? kdf.integer() : KEY_BYTES
  kdf.end()
  if (iv.length !== IV_BYTES || keyBytes !== KEY_BYTES || salt.length > SALT_BYTES_MAX) throw unreadable()
  if (encrypted.length === 0 || encrypted.length % IV_BYTES !== 0) {
    throw new FormatError('truncated', 'The encrypted key is not a whole number of cipher blocks.')
  }
  checkCost(cost)
  return { salt, cost, iv, encrypted }
}

/** The content of an AlgorithmIdentifier that must name `oid`. */
function algorithm(reader: DerReader, oid: Uint8Array): DerReader {
  const identifier = reader.sequence()
  if (!equalBytes(der(TAG.oid, identifier.read(TAG.oid)), oid)) throw unreadable()
  return identifier
}

/** As `algorithm`, with a SEQUENCE as its parameters. */
function parameters(reader: DerReader, oid: Uint8Array): DerReader {
  const identifier = algorithm(reader, oid)
  const sequence = identifier.sequence()
  identifier.end()
  return sequence
}

function checkCost({ N, r, p }: ScryptCost): void {
  const powerOfTwo = N > 1 && (N & (N - 1)) === 0
  const bounded = r <= SCRYPT_R_MAX && p <= SCRYPT_P_MAX && 128 * N * r <= SCRYPT_MEMORY_BYTES_MAX
  if (!powerOfTwo || r < 1 || p < 1 || !bounded) {
    throw new FormatError('bad-key', "The encrypted key's scrypt cost is outside what is accepted.", {
      N,
      r,
      p,
    })
  }
}

function deriveKey(passphrase: string, salt: Uint8Array, cost: ScryptCost): Promise<Uint8Array> {
  // OpenSSL counts 128 r (N + p + 2) bytes, a little more than the bound that `checkCost` is about.
  const maxmem = 2 * SCRYPT_MEMORY_BYTES_MAX
  return new Promise((resolve, reject) => {
    scrypt(utf8(passphrase), salt, KEY_BYTES, { ...cost, maxmem }, (error, key) => {
      if (error) reject(error)
      else resolve(key)
    })
  })
}

/** Padding alone accepts one wrong passphrase in 256; being one DER SEQUENCE to the last byte hardly ever. */
function isOneSequence(bytes: Uint8Array): boolean {
  try {
    const reader = new DerReader(bytes)
    reader.sequence()
    reader.end()
    return true
  } catch {
    return false
  }
}

const unreadable = () =>
  new FormatError(
    'bad-key',
    'The key is encrypted in another way than PBES2 with scrypt and AES-256-CBC. ' +
      'Convert it with: openssl pkcs8 -topk8 -scrypt -v2 aes-256-cbc',
  )
