/**
 * One run of a node's process, from its start to its death, and the clock it reads. Whatever the world does to
 * the process goes through `run`: a dead process does nothing more, a stopped one (SIGSTOP) does it later.
 */
import type { Clock } from '../../node/clock.ts'
import type { Timeline } from './timeline.ts'

/** 2026-01-31T12:00:00Z, when every simulation begins. */
export const EPOCH = 1_769_860_800_000

/** The clock of a machine, which outlives processes: it drifts, and its wall time can jump. */
export class MachineClock {
  readonly #timeline: Timeline
  #rate = 1
  #since = 0
  #elapsed = 0
  #offset = 0

  constructor(timeline: Timeline) {
    this.#timeline = timeline
  }

  get rate(): number {
    return this.#rate
  }

  elapsed(): number {
    return this.#elapsed + (this.#timeline.now - this.#since) * this.#rate
  }

  now(): number {
    return EPOCH + Math.floor(this.elapsed()) + this.#offset
  }

  /** From now on a real second is `rate` of its own seconds. */
  drift(rate: number): void {
    this.#elapsed = this.elapsed()
    this.#since = this.#timeline.now
    this.#rate = rate
  }

  /** Wall time is off by `ms` from now on, forwards or backwards. */
  jump(ms: number): void {
    this.#offset = ms
  }

  /** An administrator sets the clock right. */
  correct(): void {
    this.drift(1)
    this.#offset = this.#timeline.now - Math.floor(this.#elapsed)
  }
}

export class Life implements Clock {
  readonly node: string
  /** Grows with every restart of the node. */
  readonly incarnation: number
  alive = true
  readonly #timeline: Timeline
  readonly #machine: MachineClock
  readonly #after: () => void
  #stopped = false
  readonly #backlog: (() => void)[] = []

  /** `after` is called when the process has taken a step. */
  constructor(
    node: string,
    incarnation: number,
    timeline: Timeline,
    machine: MachineClock,
    after: () => void,
  ) {
    this.node = node
    this.incarnation = incarnation
    this.#timeline = timeline
    this.#machine = machine
    this.#after = after
  }

  run(step: () => void): void {
    if (!this.alive) return
    if (this.#stopped) {
      this.#backlog.push(step)
      return
    }
    step()
    this.#after()
  }

  /** `step` after `ms` of the world's time. */
  later(ms: number, step: () => void): void {
    this.#timeline.after(ms, () => this.run(step))
  }

  stop(): void {
    this.#stopped = true
  }

  /** Everything that came meanwhile is waiting, and comes at once. */
  resume(): void {
    this.#stopped = false
    for (const step of this.#backlog.splice(0)) this.later(0, step)
  }

  // ---- the process's clock; the functions are bound, as those of the system's clock are

  readonly now = (): number => this.#machine.now()

  readonly elapsed = (): number => this.#machine.elapsed()

  readonly after = (ms: number, fn: () => void): (() => void) => {
    const event = this.#timeline.after(Math.max(1, ms / this.#machine.rate), () => this.run(fn))
    return () => {
      event.cancelled = true
    }
  }

  readonly every = (ms: number, fn: () => void): (() => void) => {
    let cancel = () => {}
    const next = () => {
      cancel = this.after(ms, () => {
        next()
        fn()
      })
    }
    next()
    return () => cancel()
  }

  readonly soon = (fn: () => void): void => this.later(0, fn)
}
