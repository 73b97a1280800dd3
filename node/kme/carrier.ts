/**
 * Brings keys over trusted nodes to KMEs without a fibre to this one: hop by hop under one-time pads. Each KME in
 * between sees the key, which is why operators choose the route. The master gets its key when the last one has it.
 */
import type { Clock } from '../clock.ts'
import type { Carriage, Control } from './control.ts'
import { type CarriedKey, KeyServiceError, takeKeys } from './key-service.ts'
import { padsFor, unwrap, wrap } from './one-time-pad.ts'
import type { KeyPool } from './pool.ts'

export interface CarrierLink {
  readonly usable: boolean
  pool(): KeyPool
  tell(message: Control): boolean
}

export interface CarrierOptions {
  readonly links: ReadonlyMap<string, CarrierLink>
  readonly clock: Clock
  /** A key for applications of this KME. */
  readonly deliver: (key: CarriedKey) => void
  /** Told of every key that crossed a fibre from here. */
  readonly onCarried?: (kmeId: string) => void
}

/** The answer to a key that arrived; any other word says why it did not. */
const CARRIED = 'ok'
/** For all hops of one key. */
const CARRY_MS = 2_000
const PENDING_MAX = 1_024

export class Carrier {
  readonly #options: CarrierOptions
  /** By the name of the key: who waits for it to arrive. */
  readonly #waiting = new Map<string, (outcome: string) => void>()

  constructor(options: CarrierOptions) {
    this.#options = options
  }

  /** @param route KMEs from the next one to the last. Rejects with KeyServiceError. */
  async carry([next, ...rest]: readonly string[], key: CarriedKey): Promise<void> {
    const link = next === undefined ? undefined : this.#options.links.get(next)
    if (!link?.usable || this.#waiting.size >= PENDING_MAX) throw broken('link_down')
    const pads = await takeKeys(link.pool(), padsFor(key.bytes.length))
    const carriage = wrap(key, rest, pads)
    const arrived = this.#arrival(nameOf(key))
    if (!link.tell({ kind: 'carry', ...carriage })) this.#settle(nameOf(key), 'link_down')
    const outcome = await arrived
    if (outcome !== CARRIED) throw broken(outcome)
    this.#options.onCarried?.(next!)
  }

  /** A key from the KME `from`: for here, or to be brought on. */
  async hear(from: string, carriage: Carriage): Promise<void> {
    const outcome = await this.#take(from, carriage).catch((thrown: unknown) => {
      if (thrown instanceof KeyServiceError) return String(thrown.facts.reason ?? thrown.code)
      throw thrown
    })
    this.#options.links.get(from)?.tell({ kind: 'carried', id: carriage.id, share: carriage.share, outcome })
  }

  /** The answer to one that was brought. */
  arrived(answer: { readonly id: string; readonly share: number; readonly outcome: string }): void {
    this.#settle(nameOf(answer), answer.outcome)
  }

  async #take(from: string, carriage: Carriage): Promise<string> {
    const pads = await this.#options.links.get(from)?.pool().takeNamed(carriage.pads)
    if (!pads) return 'unknown_pad'
    const key = unwrap(carriage, pads)
    if (!key) return 'changed'
    try {
      if (carriage.route.length === 0) this.#options.deliver(key)
      else await this.carry(carriage.route, key)
      return CARRIED
    } finally {
      key.bytes.fill(0)
    }
  }

  #arrival(id: string): Promise<string> {
    return new Promise((resolve) => {
      const cancel = this.#options.clock.after(CARRY_MS, () => this.#settle(id, 'timeout'))
      this.#waiting.set(id, (outcome) => {
        cancel()
        resolve(outcome)
      })
    })
  }

  #settle(id: string, outcome: string): void {
    const settle = this.#waiting.get(id)
    this.#waiting.delete(id)
    settle?.(outcome)
  }
}

function nameOf({ id, share }: { readonly id: string; readonly share: number }): string {
  return `${id} ${share}`
}

function broken(reason: string): KeyServiceError {
  return new KeyServiceError('unavailable', 'key data access error', { reason })
}
