/** Admitted entries that are in no applied block yet, in the order of their admission. */
import type { Entry } from '../../src/ledger/entry.ts'

/** Enough for seconds of full load; beyond it submitters are asked to come back later. */
const SUBMITTED_ENTRIES_MAX = 4_096
const SUBMITTED_BYTES_MAX = 24 * 1024 * 1024
/** With what peers forward, each within its window: refusing it would only make them send it again. */
export const POOL_ENTRIES_MAX = 16_384
const POOL_BYTES_MAX = 64 * 1024 * 1024

export class Pool {
  readonly #entries = new Map<string, Entry>()
  readonly #events = new Map<string, string>()
  /** Ids of entries that are on disk, too, because they were acknowledged as pending. */
  readonly #kept = new Set<string>()
  #bytes = 0
  /** Of those whose signatures are still being verified: they will be here in a moment. */
  #expected = { entries: 0, bytes: 0 }

  get size(): number {
    return this.#entries.size
  }

  /** Whether clients of this node have to wait. */
  get full(): boolean {
    return this.#holds(SUBMITTED_ENTRIES_MAX, SUBMITTED_BYTES_MAX)
  }

  /** Whether not even a peer may bring more. */
  get overfull(): boolean {
    return this.#holds(POOL_ENTRIES_MAX, POOL_BYTES_MAX)
  }

  #holds(entries: number, bytes: number): boolean {
    return (
      this.#entries.size + this.#expected.entries >= entries || this.#bytes + this.#expected.bytes >= bytes
    )
  }

  /** Keeps room for an entry until `checked` has come to its end. */
  async expect<T>({ bytes }: Entry, checked: Promise<T>): Promise<T> {
    this.#expected.entries++
    this.#expected.bytes += bytes.length
    try {
      return await checked
    } finally {
      this.#expected.entries--
      this.#expected.bytes -= bytes.length
    }
  }

  get(id: string): Entry | undefined {
    return this.#entries.get(id)
  }

  /** The admitted entry that carries the CloudEvent with this source and id. */
  withEvent(source: string, id: string): Entry | undefined {
    const found = this.#events.get(eventName(source, id))
    return found === undefined ? undefined : this.#entries.get(found)
  }

  /** Takes an entry whose signature and permissions have been checked; false if it is here already. */
  add(entry: Entry): boolean {
    if (this.#entries.has(entry.id)) return false
    this.#entries.set(entry.id, entry)
    this.#bytes += entry.bytes.length
    for (const name of eventNames(entry)) this.#events.set(name, entry.id)
    return true
  }

  /** True if the entry is on disk, from where it is to be removed as well. */
  remove(id: string): boolean {
    const entry = this.#entries.get(id)
    if (!entry) return false
    this.#entries.delete(id)
    this.#bytes -= entry.bytes.length
    for (const name of eventNames(entry)) this.#events.delete(name)
    return this.#kept.delete(id)
  }

  isKept(id: string): boolean {
    return this.#kept.has(id)
  }

  /** An entry is on disk now; false if it has left the pool meanwhile. */
  markKept(id: string): boolean {
    const here = this.#entries.has(id)
    if (here) this.#kept.add(id)
    return here
  }

  /** The oldest entries that `skip` does not name, up to a count and a sum of bytes. */
  oldest(entriesMax: number, bytesMax: number, skip: (entry: Entry) => boolean): Entry[] {
    const chosen: Entry[] = []
    let bytes = 0
    for (const entry of this.#entries.values()) {
      if (skip(entry)) continue
      bytes += entry.bytes.length + 2
      if (chosen.length === entriesMax || bytes > bytesMax) break
      chosen.push(entry)
    }
    return chosen
  }

  values(): IterableIterator<Entry> {
    return this.#entries.values()
  }
}

/** The CloudEvents that an entry carries, each by one name for its source and id. */
export function eventNames({ claims }: Entry): string[] {
  return claims.flatMap(({ source, id }) => (id === undefined ? [] : [eventName(source, id)]))
}

function eventName(source: string, id: string): string {
  return JSON.stringify([source, id])
}
