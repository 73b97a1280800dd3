/**
 * Simulated time in whole milliseconds: events in order of their moment, and of their making within one moment.
 * An event is one step of one machine; between two events every promise runs to where it waits again.
 */

export interface TimedEvent {
  readonly run: () => void
  cancelled: boolean
}

export class Timeline {
  #now = 0
  #at = 0
  readonly #moments = new Map<number, TimedEvent[]>()

  /** Milliseconds since the simulation began. */
  get now(): number {
    return this.#now
  }

  /** `run` in `ms` milliseconds; 0 means after everything that is due at this moment already. */
  after(ms: number, run: () => void): TimedEvent {
    const event = { run, cancelled: false }
    const moment = this.#now + Math.max(0, Math.ceil(ms))
    const events = this.#moments.get(moment)
    if (events === undefined) this.#moments.set(moment, [event])
    else events.push(event)
    return event
  }

  /** The next event that is due before `end`, time having moved on to it; undefined once `end` is reached. */
  next(end: number): TimedEvent | undefined {
    while (this.#now < end) {
      const events = this.#moments.get(this.#now)
      for (let event = events?.[this.#at]; event !== undefined; event = events?.[this.#at]) {
        this.#at++
        if (!event.cancelled) return event
      }
      this.#moments.delete(this.#now)
      this.#now++
      this.#at = 0
    }
    return undefined
  }
}
