/**
 * Inbound connections whose other end has not proved yet who it is. Strangers may open any number of them and say
 * nothing, so they have deadlines and so many places (`places.ts`): those that have got less far give way.
 */
import type { Clock } from '../clock.ts'
import { type PlaceLimits, Places } from './places.ts'

export interface HalfOpenLimits extends PlaceLimits {
  /** For the first words, which the dialler of a real link sends at once. */
  readonly silentMs: number
  /** From the beginning until the PeerId is proved. */
  readonly unknownMs: number
}

export const HALF_OPEN_LIMITS: HalfOpenLimits = {
  perAddressMax: 256,
  max: 1_024,
  silentMs: 2_000,
  unknownMs: 5_000,
}

export interface Abortable {
  abort(error: Error): void
}

export class HalfOpen<C extends Abortable> {
  readonly #limits: HalfOpenLimits
  readonly #clock: Pick<Clock, 'after'>
  readonly #onClosed: () => void
  readonly #places: Places<C>
  /** What cancels the deadline of each. */
  readonly #deadlines = new Map<C, { spoke: boolean; cancel: () => void }>()

  /** `onClosed` is told of each connection that is closed because of a bound. */
  constructor(limits: HalfOpenLimits, clock: Pick<Clock, 'after'>, onClosed: () => void) {
    this.#limits = limits
    this.#clock = clock
    this.#onClosed = onClosed
    this.#places = new Places(limits, (connection) => this.#close(connection, 'too many'))
  }

  get size(): number {
    return this.#places.size
  }

  /** A connection has come; it is closed unless it has spoken, and is known, in time. */
  came(connection: C, remote: string): void {
    const cancel = this.#clock.after(this.#limits.silentMs, () => this.#close(connection, 'silent'))
    this.#deadlines.set(connection, { spoke: false, cancel })
    this.#places.take(connection, remote)
  }

  /** It has said what a node says first. */
  spoke(connection: C): void {
    const deadline = this.#deadlines.get(connection)
    if (!deadline || deadline.spoke) return
    deadline.cancel()
    const left = this.#limits.unknownMs - this.#limits.silentMs
    const cancel = this.#clock.after(left, () => this.#close(connection, 'unknown'))
    this.#deadlines.set(connection, { spoke: true, cancel })
    this.#places.claim(connection, 1)
  }

  /** It is known who it is, or it has closed: other bounds hold from here on. */
  done(connection: C): void {
    this.#deadlines.get(connection)?.cancel()
    this.#deadlines.delete(connection)
    this.#places.leave(connection)
  }

  stop(): void {
    for (const connection of [...this.#deadlines.keys()]) this.done(connection)
  }

  #close(connection: C, why: string): void {
    this.done(connection)
    this.#onClosed()
    connection.abort(new Error(`half-open connection closed: ${why}`))
  }
}
