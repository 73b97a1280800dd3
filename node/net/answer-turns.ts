/**
 * Turns of each peer, however many connections it has: a few at a time, more wait, and what would be beyond that is
 * turned away. So one peer's questions cost a bounded amount of memory, and take no other peer's turns.
 */
export interface TurnLimits {
  readonly atOnce: number
  readonly waitingMax: number
}

interface Turns {
  taken: number
  readonly waiting: (() => void)[]
}

export class AnswerTurns {
  readonly #limits: TurnLimits
  readonly #peers = new Map<string, Turns>()

  constructor(limits: TurnLimits) {
    this.#limits = limits
  }

  /** Peers that have turns now. */
  get size(): number {
    return this.#peers.size
  }

  /** Runs `work` when it is this peer's turn. Rejects at once if too much waits already. */
  async run<T>(peer: string, work: () => Promise<T>): Promise<T> {
    await this.#take(peer)
    try {
      return await work()
    } finally {
      this.#release(peer)
    }
  }

  #take(peer: string): Promise<void> | undefined {
    const turns = this.#peers.get(peer) ?? { taken: 0, waiting: [] }
    this.#peers.set(peer, turns)
    if (turns.taken < this.#limits.atOnce) {
      turns.taken++
      return undefined
    }
    if (turns.waiting.length >= this.#limits.waitingMax) throw new Error('too many questions at a time')
    return new Promise((resolve) => turns.waiting.push(resolve))
  }

  /** Hands the turn on to who has waited longest. */
  #release(peer: string): void {
    const turns = this.#peers.get(peer)!
    const next = turns.waiting.shift()
    if (next) next()
    else if (--turns.taken === 0) this.#peers.delete(peer)
  }
}
