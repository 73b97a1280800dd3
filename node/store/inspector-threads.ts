/** Blocks inspected by as many threads as there are cores. A thread runs `inspector-thread.ts`. */
import { extname } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { Genesis } from '../../src/ledger/genesis.ts'
import { ThreadPool } from '../thread-pool.ts'
import { BLOCK_APPETITE, type Inspection, type Inspector, type Place } from './block-inspector.ts'

export type InspectorQuestion =
  | { readonly place: Place; readonly bytes: Uint8Array }
  | { readonly change: Uint8Array }

/** Its name ends like this file's: in the repository it is TypeScript, in a package JavaScript. */
const THREAD = new URL(`./inspector-thread${extname(fileURLToPath(import.meta.url))}`, import.meta.url)

export interface InspectorThreads extends Inspector {
  close(): Promise<void>
}

/** `inspect` rejects with ThreadError if a thread fails. `threads`: one for each core unless given. */
export function inspectorThreads(genesis: Genesis, threads?: number): InspectorThreads {
  const pool = new ThreadPool<InspectorQuestion, Inspection>(THREAD, genesis.block.bytes, threads)
  return {
    appetite: pool.size * BLOCK_APPETITE,
    inspect: (place, bytes) => pool.ask({ place, bytes }),
    change: (payload) => pool.tell({ change: payload }),
    close: () => pool.close(),
  }
}
