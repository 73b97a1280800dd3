/**
 * Encrypted PKCS#8 (RFC 5958 section 3) by PBES2 (RFC 8018 section 6.2). Written with scrypt (RFC 7914) and AES-256-CBC:
 * of what OpenSSL and Node can read as well, the choice that costs a guesser the most memory. Read also with PBKDF2, which
 * is what OpenSSL, Node and others write unless told otherwise, and with shorter AES keys.
 */
import { createCipheriv, createDecipheriv, pbkdf2, randomFillSync, scrypt } from 'node:crypto'
import { promisify } from 'node:util'
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

/** OWASP asks for 600,000 with SHA-256; some seconds of one core. */
const PBKDF2_ITERATIONS_MAX = 10_000_000

const PBES2 = derOid('1.2.840.113549.1.5.13')
const SCRYPT = derOid('1.3.6.1.4.1.11591.4.11')
const PBKDF2 = derOid('1.2.840.113549.1.5.12')
const AES_256_CBC = derOid('2.16.840.1.101.3.4.1.42')
const CIPHERS = [
  { oid: AES_256_CBC, name: 'aes-256-cbc', keyBytes: KEY_BYTES },
  { oid: derOid('2.16.840.1.101.3.4.1.22'), name: 'aes-192-cbc', keyBytes: 24 },
  { oid: derOid('2.16.840.1.101.3.4.1.2'), name: 'aes-128-cbc', keyBytes: 16 },
]
/** RFC 8018 appendix B.1: HMAC with this hash. SHA-1 is what an absent one means. */
const HASHES = [
  { oid: derOid('1.2.840.113549.2.7'), name: 'sha1' },
  { oid: derOid('1.2.840.113549.2.9'), name: 'sha256' },
  { oid: derOid('1.2.840.113549.2.10'), name: 'sha384' },
  { oid: derOid('1.2.840.113549.2.11'), name: 'sha512' },
]

/** EncryptedPrivateKeyInfo in DER around PKCS#8 bytes. */
export async function encryptPkcs8(pkcs8: Uint8Array, passphrase: string): Promise<Uint8Array> {
  const salt = randomFillSync(new Uint8Array(SALT_BYTES))
  const iv = randomFillSync(new Uint8Array(IV_BYTES))
  const key = await byScrypt(passphrase, salt, COST)
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
  const { derive, cipher, iv, encrypted } = parse(bytes)
  const key = await derive(passphrase)
  const decipher = createDecipheriv(cipher, key, iv)
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
  const pbes2 = parametersOf(identifier(info), PBES2)
  const kdf = identifier(pbes2)
  const scheme = identifier(pbes2)
  pbes2.end()
  const cipher = named(CIPHERS, scheme.oid)
  const iv = scheme.rest.read(TAG.octetString)
  scheme.rest.end()
  const encrypted = info.read(TAG.octetString)
  info.end()
  const derive = equalBytes(kdf.oid, PBKDF2)
    ? readPbkdf2(parametersOf(kdf, PBKDF2), cipher.keyBytes)
    : readScrypt(parametersOf(kdf, SCRYPT), cipher.keyBytes)
  if (iv.length !== IV_BYTES) throw unreadable()
  if (encrypted.length === 0 || encrypted.length % IV_BYTES !== 0) {
    throw new FormatError('truncated', 'The encrypted key is not a whole number of cipher blocks.')
  }
  return { derive, cipher: cipher.name, iv, encrypted }
}

type Derive = (passphrase: string) => Promise<Buffer>

function readScrypt(kdf: DerReader, keyBytes: number): Derive {
  const salt = saltOf(kdf)
  const cost = { N: kdf.integer(), r: kdf.integer(), p: kdf.integer() }
  checkKeyBytes(kdf, keyBytes)
  kdf.end()
  checkCost(cost)
  return (passphrase) => byScrypt(passphrase, salt, cost, keyBytes)
}

function readPbkdf2(kdf: DerReader, keyBytes: number): Derive {
  const salt = saltOf(kdf)
  const iterations = kdf.integer()
  checkKeyBytes(kdf, keyBytes)
  let hash = 'sha1'
  if (kdf.peek() !== undefined) {
    const prf = identifier(kdf)
    hash = named(HASHES, prf.oid).name
    if (prf.rest.peek() !== undefined) prf.rest.read(TAG.null)
    prf.rest.end()
  }
  kdf.end()
  if (iterations < 1 || iterations > PBKDF2_ITERATIONS_MAX) {
    throw new FormatError(
      'bad-key',
      "The encrypted key's number of iterations is outside what is accepted.",
      {
        iterations,
      },
    )
  }
  return promisify((passphrase: string, done: (error: Error | null, key: Buffer) => void) =>
    pbkdf2(utf8(passphrase), salt, iterations, keyBytes, hash, done),
  )
}

function saltOf(kdf: DerReader): Uint8Array {
  const salt = kdf.read(TAG.octetString)
  if (salt.length > SALT_BYTES_MAX) throw unreadable()
  return salt
}

/** Both may state the length of the key, which the cipher knows. */
function checkKeyBytes(kdf: DerReader, keyBytes: number): void {
  if (kdf.peek() === TAG.integer && kdf.integer() !== keyBytes) throw unreadable()
}

interface Identifier {
  readonly oid: Uint8Array
  /** Its parameters. */
  readonly rest: DerReader
}

/** The next AlgorithmIdentifier. */
function identifier(reader: DerReader): Identifier {
  const rest = reader.sequence()
  return { oid: der(TAG.oid, rest.read(TAG.oid)), rest }
}

/** The SEQUENCE that is the parameters of an algorithm, which must be `oid`. */
function parametersOf({ oid: found, rest }: Identifier, oid: Uint8Array): DerReader {
  if (!equalBytes(found, oid)) throw unreadable()
  const sequence = rest.sequence()
  rest.end()
  return sequence
}

function named<T extends { readonly oid: Uint8Array }>(table: readonly T[], oid: Uint8Array): T {
  const found = table.find((row) => equalBytes(row.oid, oid))
  if (!found) throw unreadable()
  return found
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

function byScrypt(
  passphrase: string,
  salt: Uint8Array,
  cost: ScryptCost,
  keyBytes = KEY_BYTES,
): Promise<Buffer> {
  // OpenSSL counts 128 r (N + p + 2) bytes, a little more than the bound that `checkCost` is about.
  const maxmem = 2 * SCRYPT_MEMORY_BYTES_MAX
  return new Promise((resolve, reject) => {
    scrypt(utf8(passphrase), salt, keyBytes, { ...cost, maxmem }, (error, key) => {
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
    'The key is encrypted in another way than PBES2 with scrypt or PBKDF2 and AES-CBC. ' +
      'Convert it with: openssl pkcs8 -topk8 -scrypt -v2 aes-256-cbc',
  )
