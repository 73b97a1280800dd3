/**
 * What a key management entity does with keys: hands them out to applications (SAEs) of its own, in pairs with those of
 * other KMEs, by the rules of ETSI GS QKD 014 V1.1.1. It knows no HTTP (api-014.ts) and no fibre (the links feed it).
 *
 * Whoever asks first is the master; the other side, and further ones, are slaves and ask by the key's name. A notice to
 * the slaves' KME says for whom a key is. It may come later than the slave, who waits for it a moment.
 */
import { QatError } from '../../src/errors.ts'
import { KEY_BYTES } from '../../src/qkd/key-ids.ts'
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
}

export interface ServiceLink {
  readonly pool: KeyPool
  /** False while the link must not hand out keys. */
  readonly usable: () => boolean
}

export interface KeyServiceOptions {
  readonly kmeId: string
  /** KME of each SAE that is known, own ones included. */
  readonly kmeOfSae: ReadonlyMap<string, string>
  /** By the id of the KME at the other end. */
  readonly links: ReadonlyMap<string, ServiceLink>
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
  additionalSlavesMax: 0,
}

export const KEY_BITS = 8 * KEY_BYTES
/** How long a slave that is faster than the notice waits for it. */
const NOTICE_WAIT_MS = 250
/** What nobody asks for is dropped at both ends: a key that waits is a key that can be stolen. */
const UNCLAIMED_MS = 60_000
/** Of one peer; beyond them the oldest is dropped. */
const NOTICES_MAX = 8_192

interface Noticed extends Notice {
  readonly from: string
  readonly untilMs: number
}

export class KeyService {
  readonly #options: KeyServiceOptions
  readonly #noticed = new Map<string, Noticed>()
  readonly #waiting = new Set<() => void>()
  readonly #stopExpiry: () => void

  constructor(options: KeyServiceOptions) {
    this.#options = options
    this.#stopExpiry = options.clock.every(UNCLAIMED_MS / 4, () => void this.expire())
  }

  get limits(): KeyLimits {
    return this.#options.limits
  }

  /** The KME of an SAE, and the link to it. Throws KeyServiceError `bad-request` for one that nobody knows. */
  linkTo(sae: string): { readonly kmeId: string; readonly link: ServiceLink } {
    const { kmeId: own, kmeOfSae, links } = this.#options
    const kmeId = kmeOfSae.get(sae)
    if (kmeId === undefined) throw new KeyServiceError('bad-request', 'the SAE is not known to this KME')
    const link = kmeId === own ? undefined : links.get(kmeId)
    if (!link) throw new KeyServiceError('bad-request', 'this KME has no link to the KME of the SAE')
    return { kmeId, link }
  }

  isLocal(sae: string): boolean {
    return this.#options.kmeOfSae.get(sae) === this.#options.kmeId
  }

  /** Keys that `master` shares with `slave`. Throws KeyServiceError. */
  async issue(master: string, slave: string, count: number, bits: number): Promise<PoolKey[]> {
    this.#mustBeLocal(master)
    const { kmeId, link } = this.linkTo(slave)
    if (!link.usable())
      throw new KeyServiceError('unavailable', 'key data access error', { reason: 'link_down' })
    const each = Math.ceil(bits / KEY_BITS)
    const parts = await link.pool.take(count * each).catch((error: unknown) => {
      throw error instanceof PoolError && error.code === 'insufficient-keys'
        ? new KeyServiceError('insufficient-keys', 'key data access error', {
            available: Math.floor(Number(error.facts.available) / each),
          })
        : new KeyServiceError('unavailable', 'key data access error', {}, { cause: error })
    })
    const notices: Notice[] = []
    const keys: PoolKey[] = []
    for (let i = 0; i < count; i++) {
      const chosen = parts.slice(i * each, (i + 1) * each)
      const key = joined(chosen, bits)
      keys.push(key)
      notices.push({ id: key.id, parts: chosen.map(({ id }) => id), bits, master, slaves: [slave] })
    }
    this.#options.peers.notify(kmeId, notices)
    return keys
  }

  /**
   * The keys of these names that `master` was given, for `slave`: all of them or none. Each is delivered once.
   * Throws KeyServiceError.
   */
  async claim(slave: string, master: string, ids: readonly string[]): Promise<PoolKey[]> {
    this.#mustBeLocal(slave)
    const { link } = this.linkTo(master)
    const deadline = this.#options.clock.elapsed() + NOTICE_WAIT_MS
    while (!ids.every((id) => this.#noticed.has(id))) {
      if (!(await this.#noticeBefore(deadline))) break
    }
    const wanted = ids.map((id) => this.#noticed.get(id))
    // Whether a name exists is told to those alone who may have the key.
    if (wanted.some((notice) => notice && (notice.master !== master || !notice.slaves.includes(slave)))) {
      throw new KeyServiceError('unauthorized', 'This SAE is no slave of the key.')
    }
    const found = wanted.filter((notice) => notice !== undefined)
    const parts = found.flatMap((notice) => notice.parts)
    if (found.length < ids.length || new Set(ids).size < ids.length || !link.pool.holds(parts))
      throw notFound()
    for (const id of ids) this.#noticed.delete(id)
    const taken = await link.pool.takeNamed(parts).catch((cause: unknown) => {
      throw new KeyServiceError('unavailable', 'key data access error', {}, { cause })
    })
    if (!taken) throw notFound()
    const byId = new Map(taken.map((key) => [key.id, key]))
    return found.map((notice) =>
      joined(
        notice.parts.map((id) => byId.get(id)!),
        notice.bits,
        notice.id,
      ),
    )
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
      const keys = await this.#options.links.get(notice.from)?.pool.takeNamed(notice.parts)
      for (const { bytes } of keys ?? []) bytes.fill(0)
    }
  }

  close(): void {
    this.#stopExpiry()
    for (const wake of this.#waiting) wake()
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
