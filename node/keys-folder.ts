/**
 * A node's keys across a change of them: new ones are made in `next/` beside the old; once the membership names those,
 * they are moved into place. Each step may be interrupted and done again.
 */
import { mkdir, rename, rm, rmdir } from 'node:fs/promises'
import { join } from 'node:path'
import { equalBytes } from '../src/bytes.ts'
import { keyId } from '../src/crypto/keys.ts'
import type { PublicKey, Signer } from '../src/crypto/suite.ts'
import { KeyFileError, readKeyFile } from './crypto/keyfile.ts'
import { opensslSuite } from './crypto/openssl.ts'
import { FILES } from './folder.ts'
import { COSIGNER_ALG, makeKey, NODE_ALG, type NodeIdentity, publicKeyOf, readIdentity } from './identity.ts'

/** Folder, within a node's own, of the keys that it will have. */
export const NEXT = 'next'

/** Folder, within a node's own, of keys that it may not use any more: see core/recovery.ts. */
export const SPENT = 'spent'

/** Paths of the files that hold the keys of a record. */
export interface KeyFiles {
  readonly nodeKey: string
  readonly cosignerKey: string
}

type Keys = Pick<NodeIdentity, 'nodeKey' | 'cosignerKey'>

/**
 * Which files of the node folder `dir` hold the keys that `record` names: those in place, those in `next/`, or
 * one of each if moving them was interrupted. Undefined if one of the keys is in neither. Throws KeyFileError
 * for a file that is there and cannot be read.
 */
export async function keyFilesOf(
  dir: string,
  record: Keys,
  passphrase?: string,
): Promise<KeyFiles | undefined> {
  const nodeKey = await find(dir, FILES.nodeKey, record.nodeKey, passphrase)
  const cosignerKey = await find(dir, FILES.cosignerKey, record.cosignerKey, passphrase)
  return nodeKey === undefined || cosignerKey === undefined ? undefined : { nodeKey, cosignerKey }
}

/**
 * Moves key files that `keyFilesOf` found in `next/` into place. The keys they replace are gone after that, or with
 * `keep` in `spent/`, so it is done only when the change that names the new ones is certified: until then the old
 * ones may be needed.
 */
export async function adoptKeyFiles(
  dir: string,
  files: KeyFiles,
  { keep = false, passphrase }: { keep?: boolean; passphrase?: string | undefined } = {},
): Promise<void> {
  const parts = ['nodeKey', 'cosignerKey'] as const
  const moving = parts.filter((part) => files[part] !== join(dir, FILES[part]))
  for (const part of moving) {
    const place = join(dir, FILES[part])
    const old = keep ? await publicKeyIn(place, passphrase) : undefined
    if (old) await putAside(dir, place, old)
    await rename(files[part], place)
  }
  if (moving.length === 0) return
  await rm(join(dir, NEXT, FILES.member), { force: true })
  await rmdir(join(dir, NEXT)).catch(() => undefined) // something else may lie there
}

/**
 * Makes new keys in `next/`; those that an earlier, interrupted attempt left there are kept and used, unless their ids
 * are among `spent`.
 */
export async function makeNextIdentity(
  dir: string,
  passphrase?: string,
  spent: readonly string[] = [],
): Promise<NodeIdentity> {
  const next = join(dir, NEXT)
  await mkdir(next, { recursive: true, mode: 0o700 })
  const parts = { [FILES.nodeKey]: NODE_ALG, [FILES.cosignerKey]: COSIGNER_ALG } as const
  for (const [file, alg] of Object.entries(parts)) {
    const path = join(next, file)
    const found = await publicKeyIn(path, passphrase)
    const useless = found !== undefined && spent.includes(keyId(found))
    if (useless) await putAside(dir, path, found)
    if (found === undefined || useless) await makeKey(path, alg, passphrase)
  }
  return readIdentity(next, passphrase)
}

/** Signs by the node key that is in place or in `next/`, whichever it is; undefined if it is neither. */
export async function nodeSignerOf(
  dir: string,
  key: PublicKey,
  passphrase?: string,
): Promise<Signer | undefined> {
  const path = await find(dir, FILES.nodeKey, key, passphrase)
  if (path === undefined) return undefined
  const { alg, seed } = await readKeyFile(path, passphrase)
  const signer = opensslSuite.signer(alg, seed)
  seed.fill(0)
  return signer
}

/** The node and cosigner keys that lie in `folder`, none of which needs to be there. Throws KeyFileError. */
export async function keysIn(folder: string, passphrase?: string): Promise<PublicKey[]> {
  const found = [FILES.nodeKey, FILES.cosignerKey].map((file) => publicKeyIn(join(folder, file), passphrase))
  return (await Promise.all(found)).filter((key) => key !== undefined)
}

async function putAside(dir: string, path: string, key: PublicKey): Promise<void> {
  await mkdir(join(dir, SPENT), { recursive: true, mode: 0o700 })
  await rename(path, join(dir, SPENT, `${keyId(key)}.key`))
}

async function find(
  dir: string,
  file: string,
  key: PublicKey,
  passphrase: string | undefined,
): Promise<string | undefined> {
  for (const path of [join(dir, file), join(dir, NEXT, file)]) {
    const found = await publicKeyIn(path, passphrase)
    if (found && found.alg === key.alg && equalBytes(found.bytes, key.bytes)) return path
  }
  return undefined
}

async function publicKeyIn(path: string, passphrase: string | undefined): Promise<PublicKey | undefined> {
  try {
    const { alg, seed } = await readKeyFile(path, passphrase)
    const key = publicKeyOf(alg, seed)
    seed.fill(0)
    return key
  } catch (error) {
    if (isMissing(error)) return undefined
    throw error
  }
}

function isMissing(error: unknown): boolean {
  if (!(error instanceof KeyFileError)) return false
  const { cause } = error
  return cause instanceof Error && 'code' in cause && cause.code === 'ENOENT'
}
