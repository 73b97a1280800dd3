/** The Kv on a real disk: LevelDB through classic-level. The only file that imports it. */
import { statfs } from 'node:fs/promises'
import { ClassicLevel } from 'classic-level'
import { errorMessage } from '../../src/errors.ts'
import type { Kv, KvWrite } from './kv.ts'
import { forgetStopped, hasStore, noteStopped, refuseDamagedFiles } from './level-files.ts'
import { damaged, StoreError } from './store-error.ts'

export interface LevelOptions {
  /** What happens if there is no store: by default an empty one is made, else `store-missing`. */
  readonly create?: boolean
  /** For whoever looks for damage, and has noted it (level-files.ts). */
  readonly evenIfDamaged?: boolean
}

/**
 * Opens the store in `folder`. LevelDB's lock makes a second process on it fail with `store-locked`;
 * `store-damaged` if its files are not what they were, or LevelDB itself finds them wanting.
 */
export async function openLevel(folder: string, options: LevelOptions = {}): Promise<Kv> {
  const { create = true, evenIfDamaged = false } = options
  const found = await hasStore(folder)
  if (!found && !create) throw new StoreError('store-missing', `There is no store in ${folder}.`)
  if (found && !evenIfDamaged) await refuseDamagedFiles(folder)
  const level = new ClassicLevel<Uint8Array, Uint8Array>(folder, {
    keyEncoding: 'view',
    valueEncoding: 'view',
    // Signatures do not compress, and base64 of them is not worth the time.
    compression: false,
    writeBufferSize: 32 * 1024 * 1024,
    cacheSize: 32 * 1024 * 1024,
    maxFileSize: 16 * 1024 * 1024,
  })
  const open = () => level.open().catch((error: unknown) => Promise.reject(openError(folder, error)))
  if (found) await forgetStopped(folder)
  await open()
  /** Set by a failed write. */
  let failed: StoreError | undefined
  /** Reads wait while the store is being reopened. */
  let ready: Promise<void> = Promise.resolve()
  const read = <T>(operation: () => Promise<T>): Promise<T> =>
    ready.then(operation).catch((error: unknown) => Promise.reject(ioError(error)))

  return {
    get: (key) => read(() => level.get(key)),
    getMany: (keys) => read(() => level.getMany([...keys])),
    findFirst: (keys) =>
      read(async () => {
        for (const [i, key] of keys.entries()) {
          const value = level.getSync(key)
          if (value !== undefined) return [i, value]
        }
        return undefined
      }),
    hasMany: (keys) => read(() => level.hasMany([...keys])),
    async write(batch, sync) {
      await ready
      // A failed write may have left half a record in LevelDB's log. LevelDB would go on writing behind it, and
      // could lose all of that when it reads the log again: so nothing follows until it has been reopened.
      if (failed) throw failed
      try {
        await writeBatch(level, batch, sync)
      } catch (error) {
        failed = ioError(error)
        throw failed
      }
    },
    async *range({ from, to, reverse = false, limit = -1 }) {
      await ready
      try {
        yield* level.iterator({ gte: from, lt: to, reverse, limit })
      } catch (error) {
        throw ioError(error)
      }
    },
    async free() {
      const { bavail, bsize } = await statfs(folder)
      return bavail * bsize
    },
    reopen() {
      ready = ready
        .catch(() => {})
        .then(async () => {
          await level.close()
          await open()
          failed = undefined
        })
      return ready
    },
    async close() {
      await level.close()
      // A disk that is full or gone keeps no list; then the next start looks closer.
      if (!failed && !evenIfDamaged) await noteStopped(folder).catch(() => {})
    },
  }
}

/**
 * A chained batch takes a third of the time for each key, but its copy of the bytes is freed only when the garbage
 * collector comes by, who does not know how large it is: so those that hold bodies of blocks go the other way.
 */
const CHAINED_BYTES_MAX = 262_144

async function writeBatch(
  level: ClassicLevel<Uint8Array, Uint8Array>,
  batch: readonly KvWrite[],
  sync: boolean,
): Promise<void> {
  let bytes = 0
  for (const { key, value } of batch) bytes += key.length + (value?.length ?? 0)
  if (bytes > CHAINED_BYTES_MAX) {
    const operations = batch.map(({ key, value }) =>
      value === undefined ? { type: 'del' as const, key } : { type: 'put' as const, key, value },
    )
    return level.batch(operations, { sync })
  }
  const chained = level.batch()
  for (const { key, value } of batch) {
    if (value === undefined) chained.del(key)
    else chained.put(key, value)
  }
  return chained.write({ sync })
}

/** Lets LevelDB rebuild its own bookkeeping from whatever tables and logs it can still read. */
export async function repairLevel(folder: string): Promise<void> {
  await ClassicLevel.repair(folder).catch((error: unknown) => Promise.reject(openError(folder, error)))
}

function openError(folder: string, error: unknown): StoreError {
  // classic-level says only that opening failed; the reason is one level down.
  const cause = error instanceof Error && error.cause instanceof Error ? error.cause : error
  switch (codeOf(cause)) {
    case 'LEVEL_LOCKED':
      return new StoreError(
        'store-locked',
        `Another process is using ${folder}. Stop it, or give this one its own folder.`,
      )
    case 'LEVEL_CORRUPTION':
      return damaged(`LevelDB cannot open ${folder}: ${errorMessage(cause)}.`, {}, error)
  }
  if (isDiskFull(cause)) return diskFull(cause)
  // LevelDB calls a missing table an I/O error; so is a folder that may not be read.
  if (/no such file/i.test(errorMessage(cause))) {
    return damaged(`A file of ${folder} is missing: ${errorMessage(cause)}.`, {}, error)
  }
  const why = errorMessage(cause)
  return new StoreError(
    'store-unusable',
    `The store in ${folder} cannot be opened: ${why}`,
    {},
    { cause: error },
  )
}

function ioError(error: unknown): StoreError {
  if (error instanceof StoreError) return error
  if (isDiskFull(error)) return diskFull(error)
  const why = errorMessage(error)
  if (codeOf(error) === 'LEVEL_CORRUPTION') return damaged(`LevelDB found damage: ${why}.`, {}, error)
  // So LevelDB calls it when a table ends before the place that its index names.
  if (/\.ldb: invalid argument/i.test(why)) return damaged(`A table is cut off: ${why}.`, {}, error)
  return new StoreError('store-failed', `The disk failed: ${why}.`, {}, { cause: error })
}

function isDiskFull(error: unknown): boolean {
  // LevelDB hands on the text of the operating system's error and not its number.
  return /no space left|disk quota exceeded/i.test(errorMessage(error))
}

function diskFull(cause: unknown): StoreError {
  const message = 'The disk is full. Make room; what was acknowledged is kept, and this was not.'
  return new StoreError('disk-full', message, {}, { cause })
}

function codeOf(error: unknown): unknown {
  return error instanceof Error && 'code' in error ? error.code : undefined
}
