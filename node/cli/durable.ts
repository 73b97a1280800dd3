/** Files that are on the disk, whole, before a command says so. */
import { randomBytes } from 'node:crypto'
import { open, rename, rm } from 'node:fs/promises'
import { basename, dirname, join, resolve } from 'node:path'
import { syncFolder } from '../store/sync-folder.ts'
import { CliError } from './exit.ts'
import { reasonOf } from './files.ts'

/** A name beside `path` that nothing has yet. */
export function draftOf(path: string): string {
  const absolute = resolve(path)
  return join(dirname(absolute), `.${basename(absolute)}.${randomBytes(6).toString('hex')}`)
}

/** Writes a new file. Throws if there is one. */
export async function writeDurably(path: string, bytes: Uint8Array): Promise<void> {
  const file = await open(path, 'wx')
  try {
    await file.writeFile(bytes)
    await file.sync()
  } finally {
    await file.close()
  }
}

/** The file holds the old bytes or the new ones, whatever happens. Throws CliError. */
export async function replaceFile(path: string, bytes: Uint8Array): Promise<void> {
  const draft = draftOf(path)
  try {
    await writeDurably(draft, bytes)
    await rename(draft, path)
    await syncFolder(dirname(draft))
  } catch (cause) {
    await rm(draft, { force: true })
    throw new CliError('file', `${path} could not be written: ${reasonOf(cause)}.`, { path }, { cause })
  }
}
