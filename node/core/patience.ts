/**
 * Whether the leader orders what it should, and signs as the log what is ordered. A node that waits too long for an
 * entry shows it to the other validators, so that they wait for it as well, and then complains; enough complaints
 * change the leader (consensus/complaints.ts).
 * What counts as long is judged for each submitter: under load everyone waits, but nobody is passed over.
 */
import type { Entry } from '../../src/ledger/entry.ts'
import type { Clock } from '../clock.ts'
import { type Pool, submitterOf } from './pool.ts'

/** How long none of a submitter's entries may be ordered while some wait, and how long a single one may wait. */
const STARVING_MS = 10_000
const WAITING_MS = 60_000
/** What each other entry of the submitter at this node may add to that: blocks take submitters in turn. */
const MS_PER_ENTRY = 3
/** Entries that are shown to the others at a time: one would be enough to change a leader. */
const SHOWN_MAX = 64

export interface PatiencePorts {
  readonly pool: Pick<Pool, 'values' | 'get'>
  readonly clock: Pick<Clock, 'elapsed'>
  /** Leaves that are ordered, and those of them that are final. */
  readonly size: () => number
  readonly finalSize: () => number
  /** Shows entries to the other validators. */
  readonly show: (entries: readonly Entry[]) => void
  /** Tells the other validators that this leader does not do its work. */
  readonly complain: () => void
}

export class Patience {
  readonly #ports: PatiencePorts
  /** When each waiting entry was first seen by `look`. */
  readonly #since = new Map<string, number>()
  /** When an entry of each submitter that has some waiting was last ordered. */
  readonly #orderedAt = new Map<string, number>()
  /** When the others were shown what waits, by id, under this leader. */
  readonly #shown = new Map<string, number>()
  #leader: string | undefined
  #leaderSince = 0
  /** How much was ordered when all of an earlier mark had become final, while that is not final itself. */
  #unfinal: { readonly size: number; readonly since: number } | undefined

  constructor(ports: PatiencePorts) {
    this.#ports = ports
  }

  /** Under a new leader everyone waits anew. */
  follow(leader: string | undefined): void {
    if (leader === this.#leader) return
    this.#leader = leader
    this.#leaderSince = this.#ports.clock.elapsed()
    this.#shown.clear()
  }

  /** These stand in applied blocks. */
  ordered(entries: readonly Entry[]): void {
    const now = this.#ports.clock.elapsed()
    for (const entry of entries) this.#orderedAt.set(submitterOf(entry), now)
  }

  /** Called now and then. */
  look(): void {
    const { pool, clock, show, complain } = this.#ports
    const now = clock.elapsed()
    for (const known of [this.#since, this.#shown])
      for (const id of known.keys()) if (!pool.get(id)) known.delete(id)
    const submitters = new Map<string, number>()
    for (const entry of pool.values()) {
      const submitter = submitterOf(entry)
      submitters.set(submitter, (submitters.get(submitter) ?? 0) + 1)
    }
    const late: Entry[] = []
    let tooLate = this.#isUnfinal(now)
    for (const entry of pool.values()) {
      const submitter = submitterOf(entry)
      const more = MS_PER_ENTRY * submitters.get(submitter)!
      const since = Math.max(this.#since.get(entry.id) ?? now, this.#leaderSince)
      if (!this.#since.has(entry.id)) this.#since.set(entry.id, now)
      const starvingMs = now - Math.max(since, this.#orderedAt.get(submitter) ?? 0)
      const share = Math.max(starvingMs / (STARVING_MS + more), (now - since) / (WAITING_MS + more))
      const shownAt = this.#shown.get(entry.id) ?? Number.NEGATIVE_INFINITY
      if (share >= 0.5 && now - shownAt >= STARVING_MS) late.push(entry)
      if (share >= 1) tooLate = true
    }
    for (const submitter of this.#orderedAt.keys())
      if (!submitters.has(submitter)) this.#orderedAt.delete(submitter)
    // Also where no leader is known: others may have one that does not care whether this node can follow it.
    const shown: Entry[] = []
    for (const entry of late) {
      if (!this.#shown.has(entry.id) && this.#shown.size >= SHOWN_MAX) continue
      this.#shown.set(entry.id, now)
      shown.push(entry)
    }
    if (shown.length > 0) show(shown)
    if (this.#leader !== undefined && tooLate) complain()
  }

  /**
   * Has something that is ordered not become final for too long, under this leader? It takes the leader's line, as the
   * log. That a little becomes final now and then is not enough.
   */
  #isUnfinal(now: number): boolean {
    const size = this.#ports.size()
    const finalSize = this.#ports.finalSize()
    if (finalSize >= (this.#unfinal?.size ?? 0))
      this.#unfinal = size > finalSize ? { size, since: now } : undefined
    return (
      this.#unfinal !== undefined && now - Math.max(this.#unfinal.since, this.#leaderSince) >= STARVING_MS
    )
  }
}
