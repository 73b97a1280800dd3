/**
 * How much one application may ask of a KME: calls, keys, and names that nobody knows. The names of keys come from the
 * other side, which may lie: asking by name is counted for each pair of applications, so that a master that names
 * keys which do not exist locks nobody's keys but its own.
 */
import type { Clock } from '../clock.ts'

export interface RateLimits {
  /** Calls a second that refill the bucket, and how many it holds. */
  readonly encKeys: { readonly perS: number; readonly burst: number }
  readonly decKeys: { readonly perS: number; readonly burst: number }
  /** Keys in a minute. */
  readonly keysPerMinute: number
  /** Unknown names of one master in a minute; after that none of its is looked up for a minute. */
  readonly unknownPerMinute: number
}

export const RATE_LIMITS: RateLimits = {
  encKeys: { perS: 10, burst: 20 },
  decKeys: { perS: 20, burst: 40 },
  keysPerMinute: 1_024,
  unknownPerMinute: 5,
}

const MINUTE_MS = 60_000

interface Account {
  readonly encKeys: Bucket
  readonly keys: Window
}

/** Of a slave with one master. */
interface Named {
  readonly decKeys: Bucket
  readonly unknown: Window
  penaltyUntilMs: number
}

/** Callers are to be SAEs that the KME knows, so that there are few. */
export class RateLimiter {
  readonly #limits: RateLimits
  readonly #clock: Pick<Clock, 'elapsed'>
  readonly #accounts = new Map<string, Account>()
  readonly #named = new Map<string, Named>()

  constructor(limits: RateLimits, clock: Pick<Clock, 'elapsed'>) {
    this.#limits = limits
    this.#clock = clock
  }

  /** Milliseconds to wait; 0 if the call may be made, and then it is counted. */
  encKeys(sae: string, keys: number): number {
    const account = this.#account(sae)
    const now = this.#clock.elapsed()
    const wait = account.keys.waitFor(keys, this.#limits.keysPerMinute, now)
    if (wait > 0) return wait
    const bucket = account.encKeys.take(this.#limits.encKeys, now)
    if (bucket === 0) account.keys.add(keys, now)
    return bucket
  }

  decKeys(sae: string, master: string): number {
    const account = this.#namedBy(sae, master)
    const now = this.#clock.elapsed()
    if (account.penaltyUntilMs > now) return account.penaltyUntilMs - now
    return account.decKeys.take(this.#limits.decKeys, now)
  }

  /** Somebody who asks for keys that are not there may be guessing. */
  unknownKey(sae: string, master: string): void {
    const account = this.#namedBy(sae, master)
    const now = this.#clock.elapsed()
    account.unknown.add(1, now)
    if (account.unknown.count(now) > this.#limits.unknownPerMinute) account.penaltyUntilMs = now + MINUTE_MS
  }

  #account(sae: string): Account {
    let account = this.#accounts.get(sae)
    if (!account) {
      account = { encKeys: new Bucket(this.#limits.encKeys.burst), keys: new Window() }
      this.#accounts.set(sae, account)
    }
    return account
  }

  #namedBy(sae: string, master: string): Named {
    const pair = JSON.stringify([sae, master])
    let account = this.#named.get(pair)
    if (!account) {
      account = {
        decKeys: new Bucket(this.#limits.decKeys.burst),
        unknown: new Window(),
        penaltyUntilMs: 0,
      }
      this.#named.set(pair, account)
    }
    return account
  }
}

class Bucket {
  #tokens: number
  #atMs: number | undefined

  constructor(burst: number) {
    this.#tokens = burst
  }

  take({ perS, burst }: { readonly perS: number; readonly burst: number }, now: number): number {
    this.#tokens = Math.min(burst, this.#tokens + ((now - (this.#atMs ?? now)) * perS) / 1_000)
    this.#atMs = now
    if (this.#tokens < 1) return Math.ceil(((1 - this.#tokens) * 1_000) / perS)
    this.#tokens--
    return 0
  }
}

/** What was counted within the last minute. */
class Window {
  #seen: { readonly atMs: number; readonly count: number }[] = []

  add(count: number, now: number): void {
    this.#seen.push({ atMs: now, count })
  }

  count(now: number): number {
    this.#seen = this.#seen.filter(({ atMs }) => atMs > now - MINUTE_MS)
    return this.#seen.reduce((sum, { count }) => sum + count, 0)
  }

  waitFor(count: number, max: number, now: number): number {
    if (this.count(now) + count <= max) return 0
    const [oldest] = this.#seen
    return oldest ? oldest.atMs + MINUTE_MS - now : MINUTE_MS
  }
}
