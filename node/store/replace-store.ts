/** Puts a store that was built beside another in its place, so that there is always a whole one or none. */
import { randomBytes } from 'node:crypto'
import { rename, rm } from 'node:fs/promises'
import { dirname } from 'node:path'
import type { Genesis } from '../../src/ledger/genesis.ts'
import { syncFolder } from '../durable-file.ts'
import { LedgerStore } from './ledger-store.ts'
import { openLevel } from './level.ts'
import { hasStore } from './level-files.ts'

/**
 * Has `build` fill a new store beside `folder`; if that succeeds, the store in `folder`, if any, is kept under
 * another name, and the new one takes its place. If it fails, nothing has changed.
 */
export async function replaceStore<T>(
  folder: string,
  genesis: Genesis,
  build: (store: LedgerStore) => Promise<T>,
): Promise<{ result: T; kept: string | undefined }> {
  const suffix = randomBytes(4).toString('hex')
  const draft = `${folder}.new-${suffix}`
  let result: T
  try {
    const kv = await openLevel(draft)
    try {
      result = await build(await LedgerStore.open(kv, genesis, { fresh: true }))
    } finally {
      await kv.close()
    }
  } catch (error) {
    await rm(draft, { recursive: true, force: true })
    throw error
  }
  const kept = (await hasStore(folder)) ? `${folder}.old-${suffix}` : undefined
  // An empty folder of that name is in the way of a rename on some systems.
  if (kept === undefined) await rm(folder, { recursive: true, force: true })
  else await rename(folder, kept)
  await rename(draft, folder)
  await syncFolder(dirname(folder))
  return { result, kept }
}
