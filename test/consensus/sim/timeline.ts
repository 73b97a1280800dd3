/** Simulated time: events in order of their moment, and of their making within one moment. */
export class Timeline {
  #now = 0
  readonly #moments = new Map<number, (() => void)[]>()

  get now(): number {
    return this.#now
  }

  after(units: number, event: () => void): void {
    const moment = this.#now + Math.max(1, units)
    const events = this.#moments.get(moment)
    if (events === undefined) this.#moments.set(moment, [event])
    else events.push(event)
  }

  /** Goes to the next moment and gives its events. */
  advance(): readonly (() => void)[] {
    this.#now++
    const events = this.#moments.get(this.#now) ?? []
    this.#moments.delete(this.#now)
    return events
  }
}
