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

/**
 * After so many election timeouts without a leader anyone is better than none. By then, others than those who stood in
 * vain over and over have had their turns.
 */
const RELIEF_TIMEOUTS = 16

interface Standing {
  /** Terms in a row that came to nothing, as candidate and as leader. */
  candidacies: number
  leaderships: number
  shunnedUntil: number
}

export class Standings {
  readonly #electionTicks: number
  readonly #of = new Map<NodeId, Standing>()
  /** Whose term this is, as far as this server has to do with it, and since when. */
  #present: { readonly id: NodeId; readonly since: number; readonly leads: boolean } | undefined

  constructor(electionTicks: number) {
    this.#electionTicks = electionTicks
  }

  /** This server has entered a term because of this candidacy, which may be its own. */
  heeded(id: NodeId, now: number): void {
    this.#present = { id, since: now, leads: false }
  }

  /** It has seen that `id` was elected. */
  elected(id: NodeId, now: number): void {
    this.#present = { id, since: now, leads: true }
  }

  /** Another term begins. `well`: in the one that ends something was committed, and nobody complained. */
  ended(well: boolean, now: number): void {
    const present = this.#present
    this.#present = undefined
    if (present === undefined) return
    const { id, since, leads } = present
    if (leads && well && now - since >= LONG_TIMEOUTS * this.#electionTicks) {
      this.#of.delete(id)
      return
    }
    const standing = this.#of.get(id) ?? { candidacies: 0, leaderships: 0, shunnedUntil: 0 }
    this.#of.set(id, standing)
    // A first candidacy in vain costs nothing: votes are split now and then.
    let doublings: number
    if (leads) doublings = Math.min(++standing.leaderships, LEADER_DOUBLINGS_MAX)
    else doublings = Math.min(standing.candidacies++, CANDIDATE_DOUBLINGS_MAX)
    if (doublings > 0) standing.shunnedUntil = now + this.#electionTicks * 2 ** doublings
  }

  /** `leaderless`: for how long no leader has been live here. */
  isShunned(id: NodeId, now: number, leaderless: number): boolean {
    if (leaderless >= RELIEF_TIMEOUTS * this.#electionTicks) return false
    return now < (this.#of.get(id)?.shunnedUntil ?? 0)
  }

  /**
   * Has somebody else's candidacy been heeded a moment ago? It gets time to succeed: a liar that stands just when others
   * do could end every election otherwise.
   */
  isBusyWithAnother(id: NodeId, now: number): boolean {
    const present = this.#present
    if (present === undefined || present.leads || present.id === id) return false
    return now - present.since < this.#electionTicks / 2
  }
}
