/**
 * Inbound connections whose other end has not proved yet who it is. Strangers may open any number of them and say
 * nothing, so there are bounds; and because members may have the same address as strangers, and more than one dials at
 * a time, a bound never turns a newcomer away: it closes one that has got less far, the oldest first.
 */
import type { Clock } from '../clock.ts'

export interface HalfOpenLimits {
  /** Of one remote address, and in all. */
  readonly perAddressMax: number
  readonly max: number
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

interface Waiting {
  readonly address: string
  spoke: boolean
  cancel: () => void
}

export class HalfOpen<C extends Abortable> {
  readonly #limits: HalfOpenLimits
  readonly #clock: Pick<Clock, 'after'>
  readonly #onClosed: () => void
  /** In the order in which they came. */
  readonly #waiting = new Map<C, Waiting>()
  readonly #perAddress = new Map<string, number>()

  /** `onClosed` is told of each connection that is closed because of a bound. */
  constructor(limits: HalfOpenLimits, clock: Pick<Clock, 'after'>, onClosed: () => void) {
    this.#limits = limits
    this.#clock = clock
    this.#onClosed = onClosed
  }

  get size(): number {
    return this.#waiting.size
  }

  /** A connection has come; it is closed unless it has spoken, and is known, in time. */
  came(connection: C, remote: string): void {
    const address = addressKey(remote)
    const cancel = this.#clock.after(this.#limits.silentMs, () => this.#close(connection, 'silent'))
    this.#waiting.set(connection, { address, spoke: false, cancel })
    this.#count(address, 1)
    if (this.#perAddress.get(address)! > this.#limits.perAddressMax) this.#closeOneOf(address, connection)
    else if (this.#waiting.size > this.#limits.max) this.#closeOneOf(this.#mostFrequent(), connection)
  }

  /** It has said what a node says first. */
  spoke(connection: C): void {
    const waiting = this.#waiting.get(connection)
    if (!waiting || waiting.spoke) return
    waiting.cancel()
    waiting.spoke = true
    const left = this.#limits.unknownMs - this.#limits.silentMs
    waiting.cancel = this.#clock.after(left, () => this.#close(connection, 'unknown'))
  }

  /** It is known who it is, or it has closed: other bounds hold from here on. */
  done(connection: C): void {
    const waiting = this.#waiting.get(connection)
    if (!waiting) return
    waiting.cancel()
    this.#waiting.delete(connection)
    this.#count(waiting.address, -1)
  }

  stop(): void {
    for (const connection of [...this.#waiting.keys()]) this.done(connection)
  }

  #close(connection: C, why: string): void {
    this.done(connection)
    this.#onClosed()
    connection.abort(new Error(`half-open connection closed: ${why}`))
  }

  /** The oldest that has not spoken, else the oldest; never the one that has just come, which may be a member's. */
  #closeOneOf(address: string, newest: C): void {
    let chosen: C | undefined
    for (const [connection, waiting] of this.#waiting) {
      if (waiting.address !== address || connection === newest) continue
      chosen ??= connection
      if (waiting.spoke) continue
      chosen = connection
      break
    }
    this.#close(chosen ?? newest, 'too many')
  }

  #mostFrequent(): string {
    let most = ''
    for (const [address, count] of this.#perAddress)
      if (count > (this.#perAddress.get(most) ?? 0)) most = address
    return most
  }

  #count(address: string, by: 1 | -1): void {
    const count = (this.#perAddress.get(address) ?? 0) + by
    if (count === 0) this.#perAddress.delete(address)
    else this.#perAddress.set(address, count)
  }
}

/** Who has an IPv6 address has 2^64 of them. */
function addressKey(address: string): string {
  const mapped = /^::ffff:(\d+\.\d+\.\d+\.\d+)$/i.exec(address)
  if (mapped) return mapped[1]!
  if (!address.includes(':')) return address
  const [head = '', tail] = address.split('::')
  const front = head === '' ? [] : head.split(':')
  const back = tail === undefined || tail === '' ? [] : tail.split(':')
  const zeros = tail === undefined ? [] : Array<string>(Math.max(0, 8 - front.length - back.length)).fill('0')
  return [...front, ...zeros, ...back].slice(0, 4).join(':')
}
