/**
 * Entries on their way into a block, in the pool and on disk: kept, so that a crash does not lose what was called
 * pending; let go when they are in a block; dropped, and their submitters told, when they never will be.
 */
import { errorCode, type QatError, RefusedError } from '../../src/errors.ts'
import { checkEntry } from '../../src/ledger/chain.ts'
import { decodeEntry, type Entry } from '../../src/ledger/entry.ts'
import type { Logger } from '../logger.ts'
import type { LedgerStore } from '../store/ledger-store.ts'
import { type Admission, readLeaf, sameEvents } from './admission.ts'
import { refusalError } from './forwarding.ts'
import type { Pool } from './pool.ts'

export interface PendingEntriesPorts {
  readonly pool: Pool
  readonly store: LedgerStore
  readonly logger: Logger
  /** An entry that was admitted here will never be ordered. */
  readonly onRefused: (id: string, error: QatError) => void
  readonly onFatal: (error: unknown) => void
}

export class PendingEntries {
  readonly #ports: PendingEntriesPorts

  constructor(ports: PendingEntriesPorts) {
    this.#ports = ports
  }

  /** Puts an entry of the pool on disk, so that it may be called pending: a crash of this node will not lose it. */
  async keep(id: string): Promise<void> {
    const { store, pool } = this.#ports
    const entry = pool.get(id)
    if (!entry || pool.isKept(id)) return
    await store.addPending([entry])
    // It may have been ordered while the disk was busy.
    if (!pool.markKept(id)) await store.removePending([entry.hash])
  }

  /** These stand in applied blocks now. */
  async recorded(entries: readonly Entry[]): Promise<void> {
    const { store, pool } = this.#ports
    const kept: Uint8Array[] = []
    for (const entry of entries) {
      if (pool.remove(entry.id)) kept.push(entry.hash)
      kept.push(...this.#dropRivals(entry))
    }
    if (kept.length > 0) await store.removePending(kept)
  }

  /** An entry of the pool will never be ordered. */
  drop(entry: Entry, error: QatError): void {
    const { pool, store, onRefused, onFatal } = this.#ports
    if (pool.remove(entry.id)) store.removePending([entry.hash]).catch(onFatal)
    onRefused(entry.id, error)
  }

  /** After a change: what the new members may not log any more leaves the pool. */
  sift(): void {
    const { store, pool } = this.#ports
    for (const entry of [...pool.values()]) {
      try {
        checkEntry(store.state, entry)
      } catch (error) {
        if (!(error instanceof RefusedError)) throw error
        this.drop(entry, error)
      }
    }
  }

  /** A write that seemed to have failed may have applied entries which the pool, older than the replica, holds. */
  async sweep(): Promise<void> {
    const { pool, store } = this.#ports
    for (const entry of [...pool.values()]) {
      const { leaf, event } = await store.recorded(entry)
      if (leaf !== undefined) pool.remove(entry.id)
      else if (event !== undefined) {
        const recorded = decodeEntry(await readLeaf(store, event))
        this.drop(entry, rivalError(entry, recorded))
      }
    }
  }

  /** Entries that were acknowledged as pending before a crash go back into the pool. */
  async reload(admission: Admission): Promise<void> {
    const { store, pool, logger, onRefused } = this.#ports
    for (const bytes of await store.pending()) {
      const entry = decodeEntry(bytes)
      try {
        const admitted = await admission.admit(entry, true)
        if (admitted.outcome === 'duplicate') onRefused(entry.id, duplicateOf(entry, admitted.id))
        if (!pool.markKept(entry.id)) await store.removePending([entry.hash])
      } catch (error) {
        logger.warn(
          { id: entry.id, code: errorCode(error) },
          'an entry acknowledged as pending is refused now',
        )
        // As it would have been when the change that forbids it was applied, had the node not died meanwhile.
        if (!(error instanceof RefusedError)) continue
        await store.removePending([entry.hash])
        onRefused(entry.id, error)
      }
    }
  }

  /**
   * A CloudEvent is recorded once: what waits under the same source and id will never be ordered. Returns the
   * hashes of those that are to be removed from the disk as well.
   */
  #dropRivals(recorded: Entry): Uint8Array[] {
    const { pool, onRefused } = this.#ports
    const kept: Uint8Array[] = []
    for (const { source, id } of recorded.claims) {
      const rival = id === undefined ? undefined : pool.withEvent(source, id)
      if (!rival) continue
      if (pool.remove(rival.id)) kept.push(rival.hash)
      onRefused(rival.id, rivalError(rival, recorded))
    }
    return kept
  }
}

/** What a submitter is told whose entry carries an event that another entry has recorded. */
function rivalError(entry: Entry, recorded: Entry): QatError {
  try {
    return duplicateOf(entry, sameEvents(entry, recorded).id)
  } catch (error) {
    if (error instanceof RefusedError) return error
    throw error
  }
}

function duplicateOf({ id }: Entry, recorded: string): QatError {
  return refusalError({
    id,
    code: 'duplicate',
    message: 'The event is recorded already.',
    duplicateOf: recorded,
  })
}
