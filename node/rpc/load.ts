/**
 * What callers may make the node do and hold. Reading takes turns, callers in turn and a few at a time, at a pace that
 * leaves most of the node's time to ordering: each read is counted by what it costs in bytes read and answered, and
 * nothing else is read until that much may be spent. What a message makes the node hold, from its body to an answer
 * that its sender has not taken yet, is counted until it is gone. Beyond the bounds calls end with `overloaded`.
 */
import type { Clock } from '../clock.ts'
import { type Bringer, ServiceError, type Spend } from '../service.ts'
import { type TurnLimits, Turns } from '../turns.ts'

export interface LoadLimits {
  /** Reads: under way at the same time, and waiting for their turn. */
  readonly turns: TurnLimits
  /** Of all reads together, and what may be spent at once after a pause. */
  readonly costPerSecond: number
  readonly costBurst: number
  /** Held for all callers, for all whom the node does not know, and for one caller. */
  readonly heldBytesMax: number
  readonly heldForStrangersBytesMax: number
  readonly heldForOneBytesMax: number
  /** What is older is given up for newer messages once its caller has no more room. */
  readonly staleMs: number
}

/** One read, however little it finds; and one message. Both in bytes. */
export const READ_COST_MIN = 4_096
export const MESSAGE_BYTES_MIN = 2_048

/** Kept for messages themselves where answers have taken all room: a node that has too much to do can still say so. */
const RESERVE_BYTES = 4_194_304

const RETRY_AFTER_MS = 1_000

/** What one message makes the node do and hold. */
export interface Burden {
  /** Runs `work` when its turn has come; it says what it spends, in bytes. Throws ServiceError overloaded. */
  read<T>(work: (spend: Spend) => Promise<T>): Promise<T>
  /**
   * Counts so many more bytes as held. Throws ServiceError overloaded if there is no room before them, unless they are
   * `few`: what an operator asks of a node that has too much to do is answered in a few bytes.
   */
  hold(bytes: number, few?: 'few'): void
  /** Whether it is the caller that is waited for, to send or to take something: if it is slow it may be given up. */
  awaits(caller: boolean): void
  /** All that was held is gone, and nothing more needs to be done. */
  release(): void
}

interface Held {
  readonly caller: Bringer
  readonly cut: () => void
  /** Since when its caller has been waited for. */
  sinceMs: number | undefined
  bytes: number
  gone: boolean
}

/** So many are looked at when room is needed: a flood must not make looking for room the work. */
const LOOKED_AT_MAX = 64

export class Load {
  readonly #limits: LoadLimits
  readonly #clock: Pick<Clock, 'elapsed' | 'after' | 'soon'>
  readonly #turns: Turns
  /** By caller, in the order in which they came. */
  readonly #callers = new Map<string, { bytes: number; readonly held: Set<Held> }>()
  #bytes = 0
  #strangersBytes = 0
  /** What may be spent now; below zero while something was spent before its time. */
  #purse: number
  #filledMs: number

  constructor(limits: LoadLimits, clock: Pick<Clock, 'elapsed' | 'after' | 'soon'>) {
    this.#limits = limits
    this.#clock = clock
    this.#turns = new Turns(overloaded, limits.turns)
    this.#purse = limits.costBurst
    this.#filledMs = clock.elapsed()
  }

  /** Bytes that callers make the node hold now. */
  get heldBytes(): number {
    return this.#bytes
  }

  /**
   * Takes on a message. Throws ServiceError overloaded.
   * @param cut ends its connection, when the room is needed and the caller does not take what waits for it
   */
  take(caller: Bringer, cut: () => void, bytes = MESSAGE_BYTES_MIN): Burden {
    const held: Held = { caller, cut, sinceMs: this.#clock.elapsed(), bytes: 0, gone: false }
    this.#makeRoom(caller, RESERVE_BYTES)
    this.#add(held, bytes)
    return {
      read: (work) => this.#read(held, work),
      hold: (more, few) => {
        if (!few) this.#makeRoom(caller, 0, held)
        this.#add(held, more)
      },
      awaits: (caller) => {
        held.sinceMs = caller ? this.#clock.elapsed() : undefined
      },
      release: () => this.#release(held),
    }
  }

  /** Counts what is told to subscribers, which nobody can hold back; false if that was too much for now. */
  tell(bytes: number): boolean {
    this.#spend(READ_COST_MIN / 16 + bytes)
    return this.#purse > -2 * this.#limits.costPerSecond
  }

  #read<T>(held: Held, work: (spend: Spend) => Promise<T>): Promise<T> {
    const { name, known, connection } = held.caller
    let cost = 0
    return new Promise((resolve, reject) => {
      const turn = async () => {
        // What has come in meanwhile goes first.
        await new Promise<void>((go) => this.#clock.soon(go))
        if (held.gone) return reject(overloaded())
        await work((bytes) => {
          cost += bytes
        }).then(resolve, reject)
        await this.#pay(Math.max(cost, READ_COST_MIN))
      }
      this.#turns.run({ name, known, part: connection }, 0, turn).catch(reject)
    })
  }

  /** Resolves when the next may read. */
  async #pay(cost: number): Promise<void> {
    this.#spend(cost)
    const waitMs = (-this.#purse / this.#limits.costPerSecond) * 1_000
    if (waitMs >= 1) await new Promise<void>((resolve) => this.#clock.after(Math.ceil(waitMs), resolve))
  }

  #spend(cost: number): void {
    const { costPerSecond, costBurst } = this.#limits
    const now = this.#clock.elapsed()
    const earned = ((now - this.#filledMs) / 1_000) * costPerSecond
    this.#purse = Math.min(costBurst, this.#purse + earned) - cost
    this.#filledMs = now
  }

  /** Gives up what is stale, so that there is room for more of this caller. Throws ServiceError overloaded. */
  #makeRoom(caller: Bringer, reserve: number, own?: Held): void {
    if (this.#hasRoom(caller, reserve)) return
    const stale = this.#clock.elapsed() - this.#limits.staleMs
    let looked = 0
    for (const held of this.#callers.get(caller.name)?.held ?? []) {
      if (this.#hasRoom(caller, reserve) || ++looked > LOOKED_AT_MAX) break
      if (held === own || held.sinceMs === undefined || held.sinceMs > stale) continue
      this.#release(held)
      held.cut()
    }
    if (!this.#hasRoom(caller, reserve)) throw overloaded()
  }

  /** @param reserve bytes beyond the bounds that may be held, too */
  #hasRoom({ name, known }: Bringer, reserve: number): boolean {
    const { heldBytesMax, heldForStrangersBytesMax, heldForOneBytesMax } = this.#limits
    return (
      this.#bytes < heldBytesMax + reserve &&
      (known || this.#strangersBytes < heldForStrangersBytesMax + reserve) &&
      (this.#callers.get(name)?.bytes ?? 0) < heldForOneBytesMax + reserve
    )
  }

  #add(held: Held, bytes: number): void {
    if (held.gone) return
    const { name, known } = held.caller
    const of = this.#callers.get(name) ?? { bytes: 0, held: new Set() }
    this.#callers.set(name, of)
    of.held.add(held)
    of.bytes += bytes
    held.bytes += bytes
    this.#bytes += bytes
    if (!known) this.#strangersBytes += bytes
  }

  #release(held: Held): void {
    const { name, known } = held.caller
    const of = this.#callers.get(name)
    held.gone = true
    if (!of?.held.delete(held)) return
    of.bytes -= held.bytes
    this.#bytes -= held.bytes
    if (!known) this.#strangersBytes -= held.bytes
    if (of.held.size === 0) this.#callers.delete(name)
  }
}

export function overloaded(): ServiceError {
  return new ServiceError(
    'overloaded',
    'The node has as much to answer as it may hold: take its answers, ask for less at a time, and try again shortly.',
    { retryAfterMs: RETRY_AFTER_MS },
  )
}
