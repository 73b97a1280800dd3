/** A network that drops, delays, reorders and duplicates, with links cut one way or both, all by the seed. */
import type { NodeId } from '../../../consensus/types.ts'
import type { Random } from './random.ts'

export interface Weather {
  drop: number
  duplicate: number
  /** Probability that a message takes a long way round and is overtaken. */
  detour: number
  delayMax: number
  detourMax: number
}

export class Network {
  weather: Weather = { drop: 0, duplicate: 0, detour: 0, delayMax: 3, detourMax: 3 }
  readonly counts = { sent: 0, dropped: 0, duplicated: 0, delayed: 0, cut: 0 }
  readonly #cut = new Set<string>()
  readonly #random: Random

  constructor(random: Random) {
    this.#random = random
  }

  /** The delays after which copies of a message arrive: none if it is lost. */
  route(from: NodeId, to: NodeId): number[] {
    this.counts.sent++
    if (this.#cut.has(`${from}>${to}`)) {
      this.counts.cut++
      return []
    }
    const { drop, duplicate } = this.weather
    if (this.#random.chance(drop)) {
      this.counts.dropped++
      return []
    }
    if (!this.#random.chance(duplicate)) return [this.#delay()]
    this.counts.duplicated++
    return [this.#delay(), this.#delay()]
  }

  isOpen(from: NodeId, to: NodeId): boolean {
    return !this.#cut.has(`${from}>${to}`)
  }

  cut(from: NodeId, to: NodeId): void {
    this.#cut.add(`${from}>${to}`)
  }

  heal(): void {
    this.#cut.clear()
  }

  #delay(): number {
    const { detour, delayMax, detourMax } = this.weather
    if (!this.#random.chance(detour)) return this.#random.int(1, delayMax)
    this.counts.delayed++
    return this.#random.int(delayMax, detourMax)
  }
}
