/** The Kv on a real disk: LevelDB through classic-level. The only file that imports it. */
import { ClassicLevel } from 'classic-level'
import { QatError } from '../../src/errors.ts'
import type { Kv } from './kv.ts'

/** The folder cannot be used as a store; the message says why and what to do. */
export class StoreError extends QatError<
  'store-locked' | 'store-unusable' | 'store-version' | 'store-mismatch'
> {}

/** Opens or creates the store in `folder`. LevelDB's lock makes a second process on it fail with `store-locked`. */
export async function openLevel(folder: string): Promise<Kv> {
  const level = new ClassicLevel<Uint8Array, Uint8Array>(folder, {
    keyEncoding: 'view',
    valueEncoding: 'view',
    // Signatures do not compress, and base64 of them is not worth the time.
    compression: false,
    writeBufferSize: 32 * 1024 * 1024,
    cacheSize: 32 * 1024 * 1024,
    maxFileSize: 16 * 1024 * 1024,
  })
  try {
    await level.open()
  } catch (error) {
    throw openError(folder, error)
  }
  return {
    get: (key) => level.get(key),
    getMany: (keys) => level.getMany([...keys]),
    hasMany: (keys) => level.hasMany([...keys]),
    write: (batch, sync) =>
      level.batch(
        batch.map(({ key, value }) =>
          value === undefined ? { type: 'del' as const, key } : { type: 'put' as const, key, value },
        ),
        { sync },
      ),
    range: ({ from, to, reverse = false, limit = -1 }) =>
      level.iterator({ gte: from, lt: to, reverse, limit }),
    close: () => level.close(),
  }
}

function openError(folder: string, error: unknown): StoreError {
  const cause = error instanceof Error ? error.cause : undefined
  const code = cause instanceof Error && 'code' in cause ? cause.code : undefined
  if (code === 'LEVEL_LOCKED') {
    return new StoreError(
      'store-locked',
      `Another process is using ${folder}. Stop it, or give this one its own folder.`,
    )
  }
  const why = cause instanceof Error ? cause.message : String(error)
  return new StoreError(
    'store-unusable',
    `The store in ${folder} cannot be opened: ${why}`,
    {},
    { cause: error },
  )
}
