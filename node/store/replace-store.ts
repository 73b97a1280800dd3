/** Puts a store that was built beside another in its place, so that there is always a whole one or none. */
import { randomBytes } from 'node:crypto'
import { mkdir, realpath, rename, rm } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import type { Genesis } from '../../src/ledger/genesis.ts'
import { isMounted, syncFolder } from '../durable-file.ts'
import { LedgerStore } from './ledger-store.ts'
import { openLevel } from './level.ts'
import { hasStore, storeFiles } from './level-files.ts'

/**
 * Has `build` fill a new store beside the one in `folder`; if that succeeds, the store in `folder`, if any, is kept
 * under another name, and the new one takes its place. If it fails, nothing has changed. Where `folder` is mounted by
 * itself, so that it cannot be renamed, "beside" is inside of it. `kept` is the path of the old store.
 */
export async function replaceStore<T>(
  folder: string,
  genesis: Genesis,
  build: (store: LedgerStore) => Promise<T>,
): Promise<{ result: T; kept: string | undefined }> {
  const place = await realpath(folder).catch(() => folder) // a link stays one
  const inside = await isMounted(place)
  const suffix = randomBytes(4).toString('hex')
  const beside = (what: string) => (inside ? join(place, `${what}-${suffix}`) : `${place}.${what}-${suffix}`)
  const draft = beside('new')
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
  const kept = (await hasStore(place)) ? beside('old') : undefined
  if (inside) await moveInside(place, draft, kept)
  else {
    // An empty folder of that name is in the way of a rename on some systems.
    if (kept === undefined) await rm(place, { recursive: true, force: true })
    else await rename(place, kept)
    await rename(draft, place)
  }
  await syncFolder(inside ? place : dirname(place))
  return { result, kept }
}

/**
 * File by file. CURRENT, without which a folder is no store, goes first of the old ones and comes last of the new: a
 * crash in between leaves what no node starts from, and both stores in their folders.
 */
async function moveInside(place: string, draft: string, kept: string | undefined): Promise<void> {
  if (kept !== undefined) {
    await mkdir(kept)
    await moveFiles(place, kept, await storeFiles(place))
    await syncFolder(kept)
  }
  await moveFiles(draft, place, (await storeFiles(draft)).toReversed())
  await rm(draft, { recursive: true })
}

async function moveFiles(from: string, to: string, names: readonly string[]): Promise<void> {
  for (const name of names) await rename(join(from, name), join(to, name))
}
