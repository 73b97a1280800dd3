/**
 * Who has led or stood in vain lately, as this server saw it, and for how long it heeds no candidacy of theirs. So a
 * validator that is elected and orders nothing, or that only raises terms, is passed over longer each time, and the
 * others come to lead. It is nobody's promise: it is kept in memory, and it fades.
 */
import type { NodeId } from './types.ts'

/** Doublings: a candidate in vain may be one of two that split the votes, so it waits for less. */
const CANDIDATE_DOUBLINGS_MAX = 3
const LEADER_DOUBLINGS_MAX = 8
/** A leadership that ends sooner, in election timeouts, was in vain: one may open its term and leave, over and over. */
export const LONG_TIMEOUTS = 30

interface Standing {
  /** Terms in a row that came to nothing, as candidate and as leader. */
  candidacies: number
  leaderships: number
  shunnedUntil: number
  /** It is heeded all the same when there has been no leader for so many ticks. */
  leaderlessMin: number
}

export class Standings {
  readonly #electionTicks: number
  readonly #of = new Map<NodeId, Standing>()
  /** Whose term this is, as far as this server has to do with it. */
  #present: { readonly id: NodeId; readonly leadsSince: number | undefined } | undefined

  constructor(electionTicks: number) {
    this.#electionTicks = electionTicks
  }

  /** This server has entered a term because of this candidacy. */
  heeded(id: NodeId): void {
    this.#present = { id, leadsSince: undefined }
  }

  /** It has seen that `id` was elected. */
  elected(id: NodeId, now: number): void {
    this.#present = { id, leadsSince: now }
  }

  /** Another term begins. `well`: in the one that ends something was committed, and nobody complained. */
  ended(well: boolean, now: number): void {
    const present = this.#present
    this.#present = undefined
    if (present === undefined) return
    const { leadsSince } = present
    const long = leadsSince !== undefined && now - leadsSince >= LONG_TIMEOUTS * this.#electionTicks
    if (well && long) {
      this.#of.delete(present.id)
      return
    }
    const standing = this.#of.get(present.id) ?? {
      candidacies: 0,
      leaderships: 0,
      shunnedUntil: 0,
      leaderlessMin: 0,
    }
    this.#of.set(present.id, standing)
    // A first candidacy in vain costs nothing: votes are split now and then.
    let doublings: number
    if (leadsSince !== undefined) doublings = Math.min(++standing.leaderships, LEADER_DOUBLINGS_MAX)
    else doublings = Math.min(standing.candidacies++, CANDIDATE_DOUBLINGS_MAX)
    if (doublings === 0) return
    standing.shunnedUntil = now + this.#electionTicks * 2 ** doublings
    standing.leaderlessMin = this.#electionTicks * (2 + doublings)
  }

  /** `leaderless`: for how long no leader has been live here. In the end anyone is better than none. */
  isShunned(id: NodeId, now: number, leaderless: number): boolean {
    const standing = this.#of.get(id)
    return standing !== undefined && now < standing.shunnedUntil && leaderless < standing.leaderlessMin
  }
}
