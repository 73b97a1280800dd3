/** The store of a node that never ran: whoever makes a node's folder makes it, too. */
import { LedgerStore } from './ledger-store.ts'
import { openLevel } from './level.ts'
import type { Owner } from './records.ts'

/** A node that later finds no store knows by that that its disk was lost, and what it had promised with it. */
export async function createStore(folder: string, genesis: Uint8Array, owner: Owner): Promise<void> {
  const kv = await openLevel(folder)
  try {
    const store = await LedgerStore.open(kv, genesis, { fresh: true })
    await store.setOwner(owner)
  } finally {
    await kv.close()
  }
}
