/**
 * Admitted entries that are in no applied block yet: those of each submitter in the order of their admission. Only
 * entries whose signatures have been verified stand here, so each counts against who really signed it.
 *
 * The room is common, but for a share of each submitter, and of each token and peer that brings entries: a share stays
 * when others have filled the rest.
 */
import type { Entry } from '../../src/ledger/entry.ts'

/** Enough for seconds of full load; beyond it submitters are asked to come back later. */
const SUBMITTED_ENTRIES_MAX = 4_096
const SUBMITTED_BYTES_MAX = 24 * 1024 * 1024
/** Beyond the common room, for all submitters together, in equal shares. */
const RESERVED_ENTRIES = 1_024
const RESERVED_BYTES = 6 * 1024 * 1024
/** The share of a token or a peer. There are at most a few hundred of these. */
const BRINGER_ENTRIES = 32
const BRINGER_BYTES = 256 * 1024
/** With what peers forward, each within its window: refusing it would only make them send it again. */
export const POOL_ENTRIES_MAX = 16_384
const POOL_BYTES_MAX = 64 * 1024 * 1024

interface Held {
  readonly entries: Map<string, Entry>
  bytes: number
}

export class Pool {
  readonly #entries = new Map<string, Entry>()
  /** By the key id that signed them. */
  readonly #bySubmitter = new Map<string, Held>()
  readonly #byBringer = new Map<string, { entries: number; bytes: number }>()
  readonly #bringers = new Map<string, string>()
  #turn = 0
  readonly #events = new Map<string, string>()
  /** Ids of entries that are on disk, too, because they were acknowledged as pending. */
  readonly #kept = new Set<string>()
  #bytes = 0

  get size(): number {
    return this.#entries.size
  }

  /** Whether the room for what clients of this node bring is full, or that for what peers bring as well. */
  #isFull(forwarded: boolean): boolean {
    const [entries, bytes] = forwarded
      ? [POOL_ENTRIES_MAX, POOL_BYTES_MAX]
      : [SUBMITTED_ENTRIES_MAX, SUBMITTED_BYTES_MAX]
    return this.#entries.size >= entries || this.#bytes >= bytes
  }

  /**
   * Whether there is room for an entry: the common one, or a share of its submitter or of `bringer`.
   * @param submitters how many there are
   * @param forwarded another node, or this one before it was restarted, has taken the entry in already
   */
  hasRoom(entry: Entry, submitters: number, forwarded: boolean, bringer?: string): boolean {
    if (!this.#isFull(forwarded)) return true
    const own = this.#bySubmitter.get(submitterOf(entry))
    const among = Math.max(1, submitters)
    if (!own || (own.entries.size < RESERVED_ENTRIES / among && own.bytes < RESERVED_BYTES / among))
      return true
    if (bringer === undefined) return false
    const brought = this.#byBringer.get(bringer)
    return !brought || (brought.entries < BRINGER_ENTRIES && brought.bytes < BRINGER_BYTES)
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
  add(entry: Entry, bringer?: string): boolean {
    if (this.#entries.has(entry.id)) return false
    this.#entries.set(entry.id, entry)
    this.#bytes += entry.bytes.length
    const submitter = submitterOf(entry)
    const held = this.#bySubmitter.get(submitter) ?? { entries: new Map<string, Entry>(), bytes: 0 }
    held.entries.set(entry.id, entry)
    held.bytes += entry.bytes.length
    this.#bySubmitter.set(submitter, held)
    if (bringer !== undefined) {
      this.#bringers.set(entry.id, bringer)
      this.#countBrought(bringer, 1, entry.bytes.length)
    }
    for (const name of eventNames(entry)) this.#events.set(name, entry.id)
    return true
  }

  /** True if the entry is on disk, from where it is to be removed as well. */
  remove(id: string): boolean {
    const entry = this.#entries.get(id)
    if (!entry) return false
    this.#entries.delete(id)
    this.#bytes -= entry.bytes.length
    const submitter = submitterOf(entry)
    const held = this.#bySubmitter.get(submitter)!
    held.entries.delete(id)
    held.bytes -= entry.bytes.length
    if (held.entries.size === 0) this.#bySubmitter.delete(submitter)
    const bringer = this.#bringers.get(id)
    if (bringer !== undefined) {
      this.#bringers.delete(id)
      this.#countBrought(bringer, -1, -entry.bytes.length)
    }
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

  #countBrought(bringer: string, entries: number, bytes: number): void {
    const brought = this.#byBringer.get(bringer) ?? { entries: 0, bytes: 0 }
    brought.entries += entries
    brought.bytes += bytes
    if (brought.entries === 0) this.#byBringer.delete(bringer)
    else this.#byBringer.set(bringer, brought)
  }

  /**
   * The oldest entries that `skip` does not name, up to a count and a sum of bytes. Submitters take turns, so that nobody
   * waits for all that somebody else has brought.
   */
  oldest(entriesMax: number, bytesMax: number, skip: (entry: Entry) => boolean): Entry[] {
    const chosen: Entry[] = []
    let bytes = 0
    const all = [...this.#bySubmitter.values()]
    const first = all.length === 0 ? 0 : this.#turn++ % all.length
    let waiting = [...all.slice(first), ...all.slice(0, first)].map(({ entries }) => entries.values())
    while (waiting.length > 0) {
      const more: typeof waiting = []
      for (const entries of waiting) {
        const entry = nextOf(entries, skip)
        if (!entry) continue
        bytes += entry.bytes.length + 2
        if (chosen.length === entriesMax || bytes > bytesMax) return chosen
        chosen.push(entry)
        more.push(entries)
      }
      waiting = more
    }
    return chosen
  }

  values(): IterableIterator<Entry> {
    return this.#entries.values()
  }
}

function nextOf(entries: Iterator<Entry, undefined>, skip: (entry: Entry) => boolean): Entry | undefined {
  for (let next = entries.next(); !next.done; next = entries.next()) if (!skip(next.value)) return next.value
  return undefined
}

/** The key id of its first signature, which is the submitter's. */
export function submitterOf({ envelope }: Entry): string {
  return envelope.signatures[0]?.keyid ?? ''
}

/** The CloudEvents that an entry carries, each by one name for its source and id. */
export function eventNames({ claims }: Entry): string[] {
  return claims.flatMap(({ source, id }) => (id === undefined ? [] : [eventName(source, id)]))
}

function eventName(source: string, id: string): string {
  return JSON.stringify([source, id])
}
