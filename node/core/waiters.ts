/** Submitters that wait for an entry to reach a stage. */
import type { QatError } from '../../src/errors.ts'
import type { Clock } from '../clock.ts'
import { STAGES, type Stage } from '../service.ts'

/** Where an ordered entry stands. */
export interface Place {
  readonly index: number
  readonly height: number
}

/** How far an entry has come, as far as this node has seen it happen. */
export interface Progress {
  readonly stage: Stage
  readonly place?: Place
}

interface Waiter {
  readonly stage: Stage
  readonly resolve: (progress: Progress | undefined) => void
  readonly reject: (error: QatError) => void
}

export interface Wait {
  readonly answer: Promise<Progress | undefined>
  readonly giveUp: () => void
}

export class Waiters {
  readonly #clock: Clock
  readonly #waiting = new Map<string, Set<Waiter>>()
  /** Ordered, not final: the ids that somebody waits for, by leaf index. */
  readonly #ordered = new Map<string, Place>()

  constructor(clock: Clock) {
    this.#clock = clock
  }

  /**
   * Starts to wait. The answer comes when `id` reaches `stage`; undefined when `timeoutMs` has passed or the
   * caller gives up; a rejection if the entry is refused for good.
   */
  wait(id: string, stage: Stage, timeoutMs: number): Wait {
    const waiting = this.#waiting.get(id) ?? new Set()
    this.#waiting.set(id, waiting)
    const { promise, resolve, reject } = Promise.withResolvers<Progress | undefined>()
    // A refusal may come before the submitter has begun to wait; unheard, it would end the process.
    promise.catch(() => {})
    const done = () => {
      cancel()
      waiting.delete(waiter)
      if (waiting.size > 0) return
      this.#waiting.delete(id)
      this.#ordered.delete(id)
    }
    const waiter: Waiter = {
      stage,
      resolve: (progress) => {
        done()
        resolve(progress)
      },
      reject: (error) => {
        done()
        reject(error)
      },
    }
    const cancel = this.#clock.after(timeoutMs, () => waiter.resolve(undefined))
    waiting.add(waiter)
    return { answer: promise, giveUp: () => waiter.resolve(undefined) }
  }

  /** An entry now stands in an applied block. */
  ordered(id: string, place: Place): void {
    if (!this.#waiting.has(id)) return
    this.#ordered.set(id, place)
    this.#release(id, { stage: 'ordered', place })
  }

  /** Everything below this tree size is final. */
  final(size: number): void {
    for (const [id, place] of this.#ordered) {
      if (place.index < size) this.#release(id, { stage: 'final', place })
    }
  }

  refused(id: string, error: QatError): void {
    for (const waiter of [...(this.#waiting.get(id) ?? [])]) waiter.reject(error)
  }

  /** The node is stopping: everyone is told how far their entry is. */
  releaseAll(): void {
    for (const waiting of [...this.#waiting.values()])
      for (const waiter of [...waiting]) waiter.resolve(undefined)
  }

  #release(id: string, progress: Progress): void {
    for (const waiter of [...(this.#waiting.get(id) ?? [])]) {
      if (isAtLeast(progress.stage, waiter.stage)) waiter.resolve(progress)
    }
  }
}

export function isAtLeast(stage: Stage, wanted: Stage): boolean {
  return STAGES.indexOf(stage) >= STAGES.indexOf(wanted)
}
