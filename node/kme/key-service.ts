/**
 * What a key management entity does with keys: hands them out to applications (SAEs) of its own, in pairs with those of
 * other KMEs, by the rules of ETSI GS QKD 014 V1.1.1. It knows no HTTP (api-014.ts) and no fibre (the links feed it).
 *
 * Whoever asks first is the master; the other side, and further ones, are slaves and ask by the key's name. A notice to
 * the slaves' KME says for whom a key is. It may come later than the slave, who waits for it a moment.
 */

import { toHex } from '../../src/bytes.ts'
import { QatError } from '../../src/errors.ts'
import { KEY_BYTES, keyId } from '../../src/qkd/key-ids.ts'
import type { Clock } from '../clock.ts'
import { type KeyPool, PoolError, type PoolKey } from './pool.ts'

/** `unauthorized` is 401, the others 400 and 503; messages are those of the standard where it has one. */
export class KeyServiceError extends QatError<
  'bad-request' | 'not-found' | 'unauthorized' | 'insufficient-keys' | 'unavailable'
> {}

/** Which keys a slave may have. `parts` are the pool keys that make it up, in order. */
export interface Notice {
  readonly id: string
  readonly parts: readonly string[]
  readonly bits: number
  readonly master: string
  readonly slaves: readonly string[]
}

/** The other KMEs, as links reach them. */
export interface PeerKmes {
  /** Not answered; a notice that is lost makes the slave's request fail, and its master asks for another key. */
  notify(kmeId: string, notices: readonly Notice[]): void
  /**
   * Brings a key to a KME under one-time pads, over those in between, each of which sees it. Rejects with
   * KeyServiceError `insufficient-keys` or `unavailable`.
   */
  carry(route: readonly string[], key: CarriedKey): Promise<void>
}

/** A key of which only some KMEs know, since it is not from the pool of a link. */
export interface CarriedKey extends PoolKey {
  readonly master: string
  readonly slaves: readonly string[]
  /** Of how many that make the key by xor, each on a way of its own; 1 if this is the key. */
  readonly shares: number
  /** From 0. */
  readonly share: number
}

export interface IssuedKey extends PoolKey {
  /** Fibres that it has crossed. */
  readonly hops: number
}

export interface IssueOptions {
  /** Further slaves of the same keys. */
  readonly additional?: readonly string[]
  readonly count: number
  readonly bits: number
  /** Over no other KME. */
  readonly direct?: boolean
}

export interface ServiceLink {
  readonly pool: () => KeyPool
  /** False while the link must not hand out keys. */
  readonly usable: () => boolean
}

export interface KeyServiceOptions {
  readonly kmeId: string
  /** KME of each SAE that is known, own ones included. */
  readonly kmeOfSae: ReadonlyMap<string, string>
  /** By the id of the KME at the other end. */
  readonly links: ReadonlyMap<string, ServiceLink>
  /**
   * KMEs without a link to this one: those on the way to them, and they themselves at the end. Of several ways each
   * carries a share of every key, so that nobody knows a key who does not stand on all of them.
   */
  readonly routes?: ReadonlyMap<string, readonly (readonly string[])[]>
  /** Fresh random bytes. */
  readonly random: (bytes: number) => Uint8Array
  readonly peers: PeerKmes
  readonly clock: Clock
  readonly limits: KeyLimits
}

export interface KeyLimits {
  readonly keysMax: number
  readonly keysPerRequestMax: number
  readonly keyBitsMin: number
  readonly keyBitsMax: number
  readonly additionalSlavesMax: number
}

export const KEY_LIMITS: KeyLimits = {
  keysMax: 4_096,
  keysPerRequestMax: 128,
  keyBitsMin: 64,
  keyBitsMax: 4_096,
  additionalSlavesMax: 16,
}

export const KEY_BITS = 8 * KEY_BYTES
/** How long a slave that is faster than the notice waits for it. */
const NOTICE_WAIT_MS = 250
/** What nobody asks for is dropped at both ends: a key that waits is a key that can be stolen. */
const UNCLAIMED_MS = 60_000
/** Of one peer; beyond them the oldest is dropped. */
const NOTICES_MAX = 8_192
const PARTIAL_MAX = 256

interface Way {
  readonly kmeId: string
  /** The first of the ways. */
  readonly route: readonly string[]
  readonly ways: readonly (readonly string[])[]
}

interface HeldKey {
  readonly bytes: Uint8Array
  readonly master: string
  /** Who have not had it yet. */
  readonly slaves: Set<string>
  readonly untilMs: number
}

interface Noticed extends Notice {
  readonly from: string
  readonly untilMs: number
}

export class KeyService {
  readonly #options: KeyServiceOptions
  readonly #noticed = new Map<string, Noticed>()
  /** Keys that were brought here, or have further slaves here; in memory alone. */
  readonly #held = new Map<string, HeldKey>()
  /** Keys of which some shares have come. */
  readonly #partial = new Map<string, { bytes: Uint8Array; readonly shares: Set<number> }>()
  readonly #waiting = new Set<() => void>()
  readonly #stopExpiry: () => void

  constructor(options: KeyServiceOptions) {
    this.#options = options
    this.#stopExpiry = options.clock.every(UNCLAIMED_MS / 4, () => void this.expire())
  }

  get limits(): KeyLimits {
    return this.#options.limits
  }

  /** How many keys an application of this KME could have with `sae` now. Throws KeyServiceError `bad-request`. */
  standing(sae: string): { readonly kmeId: string; readonly stored: number; readonly max: number } {
    const { limits } = this.#options
    const { kmeId, route } = this.#wayTo(sae)
    const [first] = route
    const link = first === undefined ? undefined : this.#options.links.get(first)
    if (!link) return { kmeId, stored: limits.keysMax, max: limits.keysMax }
    return { kmeId, stored: link.usable() ? link.pool().own : 0, max: limits.keysMax }
  }

  isLocal(sae: string): boolean {
    return this.#options.kmeOfSae.get(sae) === this.#options.kmeId
  }

  /** Throws KeyServiceError `bad-request` for an SAE that this KME does not know, or cannot reach. */
  mustKnow(sae: string): void {
    this.#wayTo(sae)
  }

  /** Keys that `master` shares with `slave`, and with whoever else is to have them. Throws KeyServiceError. */
  async issue(master: string, slave: string, options: IssueOptions): Promise<IssuedKey[]> {
    this.#mustBeLocal(master)
    const { additional = [], count, bits, direct = false } = options
    const first = this.#wayTo(slave)
    if (direct && first.route.length > 1) {
      throw new KeyServiceError('bad-request', 'not all extension_mandatory request options could be met')
    }
    const slaves = Map.groupBy(new Set([slave, ...additional]), (sae) => this.#wayTo(sae).kmeId)
    const there = slaves.get(first.kmeId)!
    slaves.delete(first.kmeId)
    const keys =
      first.route.length === 1
        ? await this.#fromPool(first.kmeId, master, there, count, bits)
        : await this.#drawn(first, master, there, count, bits)
    for (const [, others] of slaves) {
      for (const key of keys) await this.#bring(this.#wayTo(others[0]!), { ...key, master, slaves: others })
    }
    return keys.map((key) => ({ ...key, hops: first.route.length }))
  }

  /**
   * The keys of these names that `master` was given, for `slave`: all of them or none. Each is delivered once.
   * Throws KeyServiceError.
   */
  async claim(slave: string, master: string, ids: readonly string[]): Promise<IssuedKey[]> {
    this.#mustBeLocal(slave)
    const { kmeId, route } = this.#wayTo(master)
    const pool = this.#options.links.get(kmeId)?.pool()
    const deadline = this.#options.clock.elapsed() + NOTICE_WAIT_MS
    while (!ids.every((id) => this.#noticed.has(id) || this.#held.has(id))) {
      if (!(await this.#noticeBefore(deadline))) break
    }
    const wanted = ids.map((id) => this.#held.get(id) ?? this.#noticed.get(id))
    // Whether a name exists is told to those alone who may have the key.
    if (wanted.some((known) => known && (known.master !== master || ![...known.slaves].includes(slave)))) {
      throw new KeyServiceError('unauthorized', 'This SAE is no slave of the key.')
    }
    const notices = ids.flatMap((id) => (this.#held.has(id) ? [] : (this.#noticed.get(id) ?? [])))
    const parts = notices.flatMap((notice) => notice.parts)
    const complete = wanted.every((known) => known !== undefined) && new Set(ids).size === ids.length
    if (!complete || (parts.length > 0 && !pool?.holds(parts))) throw notFound()
    for (const { id } of notices) this.#noticed.delete(id)
    const taken = parts.length === 0 ? [] : await pool!.takeNamed(parts).catch(unavailable)
    if (!taken) throw notFound()
    const byId = new Map(taken.map((key) => [key.id, key]))
    for (const { id, parts: of, bits, slaves, untilMs } of notices) {
      const { bytes } = joined(
        of.map((part) => byId.get(part)!),
        bits,
        id,
      )
      this.#held.set(id, { bytes, master, slaves: new Set(slaves), untilMs })
    }
    return ids.map((id) => ({ id, bytes: this.#handOut(id, slave), hops: route.length }))
  }

  /** A key that another KME has brought for applications of this one. */
  hold(given: CarriedKey): void {
    const { id, master, slaves } = given
    const bytes = this.#joinShares(given)
    if (!bytes) return
    const local = slaves.filter((sae) => this.isLocal(sae))
    if (local.length === 0 || this.#held.size >= NOTICES_MAX) return
    const untilMs = this.#options.clock.elapsed() + UNCLAIMED_MS
    this.#held.set(id, { bytes, master, slaves: new Set(local), untilMs })
    for (const wake of this.#waiting) wake()
  }

  /** The key, once all of its shares are here. */
  #joinShares({ id, bytes, share, shares }: CarriedKey): Uint8Array | undefined {
    if (shares === 1) return bytes.slice()
    const known = this.#partial.get(id) ?? { bytes: new Uint8Array(bytes.length), shares: new Set<number>() }
    if (known.bytes.length !== bytes.length || known.shares.has(share)) return undefined
    known.shares.add(share)
    known.bytes = xor(known.bytes, bytes)
    this.#partial.delete(id)
    if (known.shares.size === shares) return known.bytes
    this.#partial.set(id, known)
    // One that never becomes whole is forgotten with the oldest.
    if (this.#partial.size > PARTIAL_MAX) this.#partial.delete(this.#partial.keys().next().value!)
    return undefined
  }

  /** What the KME at the other end of a link has handed out, for SAEs of this one. */
  noticed(from: string, notices: readonly Notice[]): void {
    const untilMs = this.#options.clock.elapsed() + UNCLAIMED_MS
    for (const notice of notices) {
      if (this.#options.kmeOfSae.get(notice.master) !== from) continue
      this.#noticed.set(notice.id, { ...notice, from, untilMs })
      if (this.#noticed.size > NOTICES_MAX) this.#noticed.delete(this.#noticed.keys().next().value!)
    }
    for (const wake of this.#waiting) wake()
  }

  /** Drops what has been handed out to a master and was not asked for by its slave in time. */
  async expire(): Promise<void> {
    const now = this.#options.clock.elapsed()
    for (const notice of [...this.#noticed.values()].filter(({ untilMs }) => untilMs <= now)) {
      this.#noticed.delete(notice.id)
      const keys = await this.#options.links.get(notice.from)?.pool().takeNamed(notice.parts)
      for (const { bytes } of keys ?? []) bytes.fill(0)
    }
    for (const [id, { bytes, untilMs }] of this.#held) {
      if (untilMs > now) continue
      bytes.fill(0)
      this.#held.delete(id)
    }
  }

  /** Names of keys that somebody here has been told of and has not fetched yet. */
  get expected(): ReadonlySet<string> {
    return new Set([...this.#noticed.values()].flatMap(({ parts }) => parts))
  }

  close(): void {
    this.#stopExpiry()
    for (const wake of this.#waiting) wake()
    for (const { bytes } of this.#held.values()) bytes.fill(0)
    this.#held.clear()
  }

  /** The KMEs from here to that of an SAE, without this one; none if it is this one's own. */
  #wayTo(sae: string): Way {
    const { kmeId: own, kmeOfSae, links, routes } = this.#options
    const kmeId = kmeOfSae.get(sae)
    if (kmeId === undefined) throw new KeyServiceError('bad-request', 'the SAE is not known to this KME')
    const ways = kmeId === own ? [[]] : links.has(kmeId) ? [[kmeId]] : routes?.get(kmeId)
    const route = ways?.[0]
    if (!ways || !route)
      throw new KeyServiceError('bad-request', 'this KME has no link to the KME of the SAE')
    return { kmeId, route, ways }
  }

  async #fromPool(
    kmeId: string,
    master: string,
    slaves: readonly string[],
    count: number,
    bits: number,
  ): Promise<PoolKey[]> {
    const link = this.#options.links.get(kmeId)!
    if (!link.usable()) {
      throw new KeyServiceError('unavailable', 'key data access error', { reason: 'link_down' })
    }
    const each = Math.ceil(bits / KEY_BITS)
    const parts = await takeKeys(link.pool(), count * each).catch((error: unknown) => {
      if (!(error instanceof KeyServiceError) || error.code !== 'insufficient-keys') throw error
      const available = Math.floor(Number(error.facts.available) / each)
      throw new KeyServiceError(error.code, error.message, { available })
    })
    const keys: PoolKey[] = []
    const notices = Array.from({ length: count }, (_, i): Notice => {
      const chosen = parts.slice(i * each, (i + 1) * each)
      const ids = chosen.map(({ id }) => id)
      const key = joined(chosen, bits)
      keys.push(key)
      return { id: key.id, parts: ids, bits, master, slaves }
    })
    this.#options.peers.notify(kmeId, notices)
    return keys
  }

  /** Keys for those whom no link reaches: drawn here, and brought to them. */
  async #drawn(
    way: Way,
    master: string,
    slaves: readonly string[],
    count: number,
    bits: number,
  ): Promise<PoolKey[]> {
    const keys: PoolKey[] = []
    for (let i = 0; i < count; i++) {
      const name = toHex(this.#options.random(16))
      const key = { id: keyId(`${this.#options.kmeId} ${name}`, 0, i), bytes: this.#options.random(bits / 8) }
      await this.#bring(way, { ...key, master, slaves })
      keys.push(key)
    }
    return keys
  }

  /** In as many shares as there are ways. */
  async #bring({ ways }: Way, key: Omit<CarriedKey, 'share' | 'shares'>): Promise<void> {
    const shares = ways.length
    let last: Uint8Array = key.bytes.slice()
    for (const [share, route] of ways.entries()) {
      const bytes = share === shares - 1 ? last : this.#options.random(last.length)
      if (share < shares - 1) last = xor(last, bytes)
      const part = { ...key, bytes, share, shares }
      if (route.length === 0) this.hold(part)
      else await this.#options.peers.carry(route, part)
      bytes.fill(0)
    }
  }

  /** A copy for one slave; the last one gets the key itself. */
  #handOut(id: string, slave: string): Uint8Array {
    const { bytes, slaves } = this.#held.get(id)!
    slaves.delete(slave)
    if (slaves.size > 0) return bytes.slice()
    this.#held.delete(id)
    return bytes
  }

  #mustBeLocal(sae: string): void {
    if (!this.isLocal(sae))
      throw new KeyServiceError('unauthorized', 'This SAE belongs to no application of this KME.')
  }

  /** False if none has come until then. */
  async #noticeBefore(deadline: number): Promise<boolean> {
    const { clock } = this.#options
    const left = deadline - clock.elapsed()
    if (left <= 0) return false
    return new Promise((resolve) => {
      const done = (came: boolean) => {
        cancel()
        this.#waiting.delete(wake)
        resolve(came)
      }
      const wake = () => done(true)
      const cancel = clock.after(left, () => done(false))
      this.#waiting.add(wake)
    })
  }
}

function xor(a: Uint8Array, b: Uint8Array): Uint8Array {
  return a.map((byte, i) => byte ^ b[i]!)
}

/** As KeyPool.take, with the errors of a KeyService. */
export function takeKeys(pool: KeyPool, count: number): Promise<PoolKey[]> {
  return pool.take(count).catch((error: unknown) => {
    if (!(error instanceof PoolError) || error.code !== 'insufficient-keys') return unavailable(error)
    const { available } = error.facts
    throw new KeyServiceError('insufficient-keys', 'key data access error', { available })
  })
}

function unavailable(cause: unknown): never {
  throw new KeyServiceError('unavailable', 'key data access error', {}, { cause })
}

function notFound(): KeyServiceError {
  return new KeyServiceError('not-found', 'one or more keys specified are not found on KME')
}

/** One key of so many bits out of keys of KEY_BITS, which are zeroed; it is called as the first of them. */
function joined(parts: readonly PoolKey[], bits: number, id = parts[0]!.id): PoolKey {
  const bytes = new Uint8Array(bits / 8)
  let at = 0
  for (const part of parts) {
    bytes.set(part.bytes.subarray(0, bytes.length - at), at)
    at += part.bytes.length
    part.bytes.fill(0)
  }
  return { id, bytes }
}
