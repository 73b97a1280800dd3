/** Files that are whole and on the disk, or not there at all. */
import { randomBytes } from 'node:crypto'
import { chmod, type FileHandle, link, open, readFile, realpath, rename, rm, stat } from 'node:fs/promises'
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

/** What a rename over a file ends with that is mounted by itself, or whose folder may not be changed. */
const CANNOT_RENAME: readonly unknown[] = ['EBUSY', 'EXDEV', 'EACCES', 'EPERM', 'EROFS']

/**
 * The file holds the old bytes or the new ones, also after a crash, with the mode it had. A link to it stays one. Where
 * the name cannot be given to another file, as in a container into which that one file is mounted, it is written over;
 * only then a crash could leave a part.
 */
export async function replaceFile(path: string, bytes: Uint8Array): Promise<void> {
  const target = await realpath(path).catch(() => path)
  const mode = await stat(target).then(
    (found) => found.mode & 0o7777,
    () => undefined,
  )
  const draft = draftOf(target)
  try {
    await writeDurably(draft, bytes)
    if (mode !== undefined) await chmod(draft, mode)
    await rename(draft, target)
    await syncFolder(dirname(draft))
  } catch (error) {
    await rm(draft, { force: true }).catch(() => undefined)
    const code = error instanceof Error && 'code' in error ? error.code : undefined
    if (mode === undefined || !CANNOT_RENAME.includes(code)) throw error
    await writeOver(target, bytes)
  }
}

async function writeOver(path: string, bytes: Uint8Array): Promise<void> {
  const file = await open(path, 'r+')
  try {
    const before = await file.readFile()
    await put(file, bytes).catch(async (error: unknown) => {
      await put(file, before).catch(() => undefined) // a full disk: it had room for these
      throw error
    })
  } finally {
    await file.close()
  }
}

async function put(file: FileHandle, bytes: Uint8Array): Promise<void> {
  for (let at = 0; at < bytes.length; )
    at += (await file.write(bytes, at, bytes.length - at, at)).bytesWritten
  await file.truncate(bytes.length)
  await file.sync()
}

/** Whether a file system, or a part of one, is mounted at this very path: then its name cannot be given to another. */
export async function isMounted(path: string): Promise<boolean> {
  const own = await stat(path).catch(() => undefined)
  if (own === undefined) return false
  const real = await realpath(path)
  if (own.dev !== (await stat(dirname(real))).dev) return true
  // A folder bound from the same file system has nothing else that tells. Linux spells spaces and the like in octal.
  const mounts = await readFile('/proc/self/mountinfo', 'utf8').catch(() => '')
  const spelled = (place: string) =>
    place.replace(/\\([0-7]{3})/g, (_, octal) => String.fromCharCode(parseInt(octal, 8)))
  return mounts.split('\n').some((line) => spelled(line.split(' ')[4] ?? '') === real)
}
