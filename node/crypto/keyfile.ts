/**
 * Private keys on disk: PKCS#8 PEM of the seed, mode 0600, plain or under a passphrase. A key is never
 * overwritten, and a file that other users can read is never used.
 */
import { randomBytes, randomFillSync } from 'node:crypto'
import { type FileHandle, link, open, unlink } from 'node:fs/promises'
import { dirname } from 'node:path'
import { fromUtf8, toHex, utf8 } from '../../src/bytes.ts'
import { fromPem, PEM_CHARS_MAX, pemLabel, toPem } from '../../src/crypto/pem.ts'
import {
  type PrivateKey,
  seedFromPem,
  seedFromPkcs8,
  seedToPem,
  seedToPkcs8,
} from '../../src/crypto/private-keys.ts'
import { type MlDsaAlg, SEED_BYTES } from '../../src/crypto/suite.ts'
import { errorMessage, QatError } from '../../src/errors.ts'
import { decryptPkcs8, encryptPkcs8 } from './pbes2.ts'

const ENCRYPTED = 'ENCRYPTED PRIVATE KEY'

export class KeyFileError extends QatError<
  'key-file-exists' | 'key-file-mode' | 'key-file-passphrase' | 'key-file-unreadable' | 'key-file-unwritable'
> {}

/** 32 bytes from the operating system's generator: a new private key. */
export function generateSeed(): Uint8Array {
  return randomFillSync(new Uint8Array(SEED_BYTES))
}

/**
 * Writes a new key file and returns once it would survive a power cut. With a passphrase it is encrypted.
 * Throws KeyFileError: `key-file-exists`, `key-file-passphrase` (an empty one), `key-file-unwritable`.
 */
export async function writeKeyFile(
  path: string,
  alg: MlDsaAlg,
  seed: Uint8Array,
  passphrase?: string,
): Promise<void> {
  if (passphrase === '') {
    throw new KeyFileError('key-file-passphrase', 'The passphrase is empty. Give one, or none at all.', {
      path,
    })
  }
  const pem = passphrase === undefined ? seedToPem(alg, seed) : await encryptedPem(alg, seed, passphrase)
  try {
    await writeNew(path, utf8(pem))
  } catch (cause) {
    if (errno(cause) === 'EEXIST') {
      const message = `${path} exists already. A key is never overwritten: choose another name or move it away.`
      throw new KeyFileError('key-file-exists', message, { path }, { cause })
    }
    const message = `The key file ${path} could not be written: ${errorMessage(cause)}`
    throw new KeyFileError('key-file-unwritable', message, { path }, { cause })
  }
}

/**
 * Reads a key file; the caller zeroes the seed after use. Throws KeyFileError: `key-file-mode` if group or
 * others may read or write it, `key-file-passphrase` if one is missing, wrong or not needed, and
 * `key-file-unreadable` for all else.
 */
export async function readKeyFile(path: string, passphrase?: string): Promise<PrivateKey> {
  try {
    return await parseKeyFile(path, await readOwnFile(path), passphrase)
  } catch (cause) {
    if (cause instanceof KeyFileError) throw cause
    const reason = errno(cause) === 'ENOENT' ? 'There is no such file.' : errorMessage(cause)
    const message = `The key file ${path} could not be read: ${reason}`
    throw new KeyFileError('key-file-unreadable', message, { path }, { cause })
  }
}

async function encryptedPem(alg: MlDsaAlg, seed: Uint8Array, passphrase: string): Promise<string> {
  const pkcs8 = seedToPkcs8(alg, seed)
  try {
    return toPem(ENCRYPTED, await encryptPkcs8(pkcs8, passphrase))
  } finally {
    pkcs8.fill(0)
  }
}

async function parseKeyFile(path: string, pem: string, passphrase: string | undefined): Promise<PrivateKey> {
  const refused = (message: string) => new KeyFileError('key-file-passphrase', message, { path })
  if (pemLabel(pem) !== ENCRYPTED) {
    if (passphrase === undefined) return seedFromPem(pem)
    // Whoever gives a passphrase believes the key to be protected, and should learn that it is not.
    throw refused(`A passphrase was given for ${path}, but the key in it is not encrypted.`)
  }
  if (passphrase === undefined) throw refused(`The key in ${path} is encrypted: a passphrase is needed.`)
  const pkcs8 = await decryptPkcs8(fromPem(ENCRYPTED, pem), passphrase)
  if (pkcs8 === undefined) throw refused(`The passphrase does not open the key in ${path}.`)
  try {
    return seedFromPkcs8(pkcs8)
  } finally {
    pkcs8.fill(0)
  }
}

/**
 * The whole file appears under its name or nothing does: written and synced under a temporary name, then
 * linked. A link, unlike a rename, fails if the name is taken.
 */
async function writeNew(path: string, bytes: Uint8Array): Promise<void> {
  const temporary = `${path}.${toHex(randomBytes(8))}.tmp`
  const file = await open(temporary, 'wx', 0o600)
  try {
    try {
      await file.writeFile(bytes)
      await file.sync()
    } finally {
      await file.close()
    }
    await link(temporary, path)
  } finally {
    await unlink(temporary)
  }
  await syncDirectory(dirname(path))
}

async function syncDirectory(path: string): Promise<void> {
  if (process.platform === 'win32') return // directories cannot be opened there
  const directory = await open(path, 'r')
  try {
    await directory.sync()
  } finally {
    await directory.close()
  }
}

async function readOwnFile(path: string): Promise<string> {
  const file = await open(path, 'r')
  try {
    await checkMode(path, file)
    const bytes = new Uint8Array(PEM_CHARS_MAX + 1) // one more than is allowed: the PEM reader then refuses
    const { bytesRead } = await file.read(bytes, 0, bytes.length, 0)
    const text = fromUtf8(bytes.subarray(0, bytesRead))
    bytes.fill(0)
    return text
  } finally {
    await file.close()
  }
}

async function checkMode(path: string, file: FileHandle): Promise<void> {
  const mode = (await file.stat()).mode & 0o777
  // Windows reports modes that say nothing about who may read.
  if ((mode & 0o077) === 0 || process.platform === 'win32') return
  const octal = mode.toString(8).padStart(3, '0')
  const message = `The private key ${path} is open to other users (mode ${octal}): run chmod 600 on it.`
  throw new KeyFileError('key-file-mode', message, { path, mode: octal })
}

function errno(error: unknown): string | undefined {
  return error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : undefined
}
