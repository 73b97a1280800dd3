/** The store of a node that never ran: whoever makes a node's folder makes it, too. */
import { LedgerStore } from './ledger-store.ts'
import { openLevel } from './level.ts'

/** A node that later finds no store knows by that that its disk was lost, and what it had promised with it. */
export async function createStore(folder: string, genesis: Uint8Array): Promise<void> {
  const kv = await openLevel(folder)
  try {
    await LedgerStore.open(kv, genesis, { fresh: true })
  } finally {
    await kv.close()
  }
}
