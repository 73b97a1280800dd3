/** Files that are whole and on the disk, or not there at all. */
import { randomBytes } from 'node:crypto'
import { link, open, readFile, rename, rm } from 'node:fs/promises'
import { basename, dirname, join, resolve } from 'node:path'

/** A name beside `path` that nothing has yet. */
export function draftOf(path: string): string {
  const absolute = resolve(path)
  return join(dirname(absolute), `.${basename(absolute)}.${randomBytes(6).toString('hex')}`)
}

/** Writes a new file, which is on the disk when the promise resolves. Its name is on the disk after `syncFolder`. */
export async function writeDurably(path: string, bytes: Uint8Array, mode?: number): Promise<void> {
  const file = await open(path, 'wx', mode)
  try {
    await file.writeFile(bytes)
    await file.sync()
  } finally {
    await file.close()
  }
}

/** Makes new and changed names in a folder durable. */
export async function syncFolder(path: string): Promise<void> {
  if (process.platform === 'win32') return // folders cannot be opened there
  const folder = await open(path, 'r')
  try {
    await folder.sync()
  } finally {
    await folder.close()
  }
}

/** Writes a file that gets its name only when it is whole; false if there is one of that name, which stays. */
export async function createFile(path: string, bytes: Uint8Array, mode: number): Promise<boolean> {
  const draft = draftOf(path)
  try {
    await writeDurably(draft, bytes, mode)
    await link(draft, path)
    await syncFolder(dirname(path))
    return true
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'EEXIST') return false
    throw error
  } finally {
    await rm(draft, { force: true })
  }
}

/** A secret of so many random bytes that lies in a file of mode 0600, made when it is first asked for. */
export async function readOrMakeSecret(path: string, length: number): Promise<Uint8Array> {
  await createFile(path, randomBytes(length), 0o600)
  return new Uint8Array(await readFile(path))
}

/** The file holds the old bytes or the new ones, whatever happens. */
export async function replaceFile(path: string, bytes: Uint8Array): Promise<void> {
  const draft = draftOf(path)
  try {
    await writeDurably(draft, bytes)
    await rename(draft, path)
    await syncFolder(dirname(draft))
  } catch (error) {
    await rm(draft, { force: true })
    throw error
  }
}
