/**
 * What a leader knows of one follower, and how eagerly it may send:
 *
 *   probe        the follower's log is unknown: one append at a time until it is found where the logs meet
 *   replicate    the logs agree up to `match`: appends leave one behind the other, `next` runs ahead
 *   catching-up  the follower needs blocks that are no longer in memory; it pulls them from any peer
 */
import type { ProgressState } from './types.ts'

export class Progress {
  state: ProgressState = 'probe'
  /** Highest block known to be durable at the follower and equal to ours. */
  match = 0
  /** Height of the next block to send. */
  next: number
  /** Heard from since the last quorum check. */
  active = false
  /** Newest round of heartbeats that the follower has answered in this term. */
  round = 0
  /** An append with blocks, sent while probing, is unanswered. */
  #probing = false
  /** Last heights of unanswered appends, oldest first. */
  #inflight: number[] = []
  readonly #inflightMax: number

  constructor(next: number, inflightMax: number) {
    this.next = next
    this.#inflightMax = inflightMax
  }

  /** May an append with blocks leave now? */
  get canSend(): boolean {
    if (this.state === 'probe') return !this.#probing
    return this.state === 'replicate' && this.#inflight.length < this.#inflightMax
  }

  get inflight(): number {
    return this.#inflight.length
  }

  /** An append with blocks up to `last` has left. */
  sent(last: number): void {
    if (this.state === 'replicate') {
      this.#inflight.push(last)
      this.next = last + 1
    } else {
      this.#probing = true
    }
  }

  /** The follower has everything up to `match`. Says whether that, or being able to send again, is news. */
  acknowledge(match: number): boolean {
    if (match < this.match) return false
    const news = match > this.match || this.state === 'probe'
    this.match = match
    if (this.state === 'probe') this.#become('replicate', match + 1)
    this.next = Math.max(this.next, match + 1)
    this.#inflight = this.#inflight.filter((last) => last > match)
    return news
  }

  /** The follower is known, by its commit height, to share our log up to `height`; where its log ends stays open. */
  atLeast(height: number): void {
    this.match = Math.max(this.match, height)
    this.next = Math.max(this.next, this.match + 1)
  }

  /**
   * The follower refused an append after `rejected`; `meet` is the highest block that both logs may share.
   * False if the refusal is older than what we know, or brings the search no further: else two servers whose blocks differ
   * in one place would go on for ever. A follower that refuses the very block it has acknowledged has lost its disk
   * since; or the refusal is an old one after all, and then it costs one more probe.
   */
  reject(rejected: number, meet: number): boolean {
    if (this.state === 'catching-up') return false
    if (rejected === this.match) this.match = Math.min(this.match, meet)
    else if (this.state === 'probe' ? rejected !== this.next - 1 : rejected < this.match) return false
    const next = Math.max(this.match, Math.min(rejected - 1, meet)) + 1
    if (this.state === 'probe' && next >= this.next) return false
    this.#become('probe', next)
    return true
  }

  fallBehind(): void {
    this.#become('catching-up', this.next)
  }

  /** The follower has pulled what our memory lacked. It is known to hold `match`, so there is nothing to probe. */
  resume(): void {
    this.#become('replicate', this.match + 1)
  }

  #become(state: ProgressState, next: number): void {
    this.state = state
    this.next = next
    this.#probing = false
    this.#inflight = []
  }
}
