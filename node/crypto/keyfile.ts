/**
 * Private keys on disk: PKCS#8 PEM of the seed, mode 0600, plain or under a passphrase. A key is never
 * overwritten, and a file that other users can read is never used. What comes through a pipe lies on no disk.
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

/** A passphrase, or how to come by one, asked for only if the key is encrypted. */
export type Passphrase = string | (() => Promise<string | undefined>)

/**
 * Reads a key file, or a pipe; the caller zeroes the seed after use. Throws KeyFileError: `key-file-mode` if others
 * may read or write it, `key-file-passphrase` if one is missing, wrong or not needed, and `key-file-unreadable` for
 * all else.
 */
export async function readKeyFile(path: string, passphrase?: Passphrase): Promise<PrivateKey> {
  try {
    return await parseKeyFile(path, await readOwnFile(path), passphrase)
  } catch (cause) {
    if (cause instanceof KeyFileError) throw cause
    const reason = errno(cause) === 'ENOENT' ? 'There is no such file.' : errorMessage(cause)
    const message = `The key file ${path} could not be read: ${reason}`
    throw new KeyFileError('key-file-unreadable', message, { path }, { cause })
  }
}

/** Whether the file says that it is encrypted; false also where it cannot be read. */
export async function isEncryptedKeyFile(path: string): Promise<boolean> {
  return readOwnFile(path).then(
    (pem) => pemLabel(pem) === ENCRYPTED,
    () => false,
  )
}

async function encryptedPem(alg: MlDsaAlg, seed: Uint8Array, passphrase: string): Promise<string> {
  const pkcs8 = seedToPkcs8(alg, seed)
  try {
    return toPem(ENCRYPTED, await encryptPkcs8(pkcs8, passphrase))
  } finally {
    pkcs8.fill(0)
  }
}

async function parseKeyFile(path: string, pem: string, given: Passphrase | undefined): Promise<PrivateKey> {
  const refused = (message: string) => new KeyFileError('key-file-passphrase', message, { path })
  if (pemLabel(pem) !== ENCRYPTED) {
    if (typeof given !== 'string') return seedFromPem(pem)
    // Whoever gives a passphrase believes the key to be protected, and should learn that it is not.
    throw refused(`QAT_PASSPHRASE or QAT_PASSPHRASE_FILE is set, but the key in ${path} is not encrypted.`)
  }
  const passphrase = typeof given === 'function' ? await given() : given
  if (passphrase === undefined) {
    const how = 'Give its passphrase by QAT_PASSPHRASE or QAT_PASSPHRASE_FILE, or at a terminal.'
    throw refused(`The key in ${path} is encrypted. ${how}`)
  }
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
  const bytes = new Uint8Array(PEM_CHARS_MAX + 1) // one more than is allowed: the PEM reader then refuses
  try {
    await checkMode(path, file)
    let length = 0
    // From where the file is: a pipe has no places, and gives what there is so far.
    for (let got = 1; got > 0 && length < bytes.length; length += got) {
      got = (await file.read(bytes, length, bytes.length - length, null)).bytesRead
    }
    return fromUtf8(bytes.subarray(0, length))
  } finally {
    bytes.fill(0)
    await file.close()
  }
}

async function checkMode(path: string, file: FileHandle): Promise<void> {
  const found = await file.stat()
  // Windows reports modes that say nothing about who may read. A pipe is emptied by who reads it first.
  if (process.platform === 'win32' || !found.isFile()) return
  if (isPrivate(found, process.getgroups?.() ?? [])) return
  const octal = (found.mode & 0o777).toString(8).padStart(3, '0')
  const message =
    `The private key ${path} is open to other users (mode ${octal}): run chmod 600 on it. A mounted secret that is ` +
    'owned by root may have mode 440, for a group that this process is in.'
  throw new KeyFileError('key-file-mode', message, { path, mode: octal })
}

/**
 * Whether nobody but its owner may touch the file. Kubernetes mounts secrets as root's, readable by a group that the
 * container's processes are in: root lends its file to them, so they may read it as if it were theirs.
 */
export function isPrivate(
  file: { readonly mode: number; readonly uid: number; readonly gid: number },
  groups: readonly number[],
): boolean {
  const open = file.mode & 0o077
  return open === 0 || (open === 0o040 && file.uid === 0 && groups.includes(file.gid))
}

function errno(error: unknown): string | undefined {
  return error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : undefined
}
