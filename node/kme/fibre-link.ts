/**
 * One simulated fibre and the KME at its other end. Alice, the KME with the smaller id, hosts the fibre and begins the
 * blocks, each as long after the one before as its pulses would take; what was done to the fibre when that time is up
 * is what the whole block has met. Both ends keep the same keys, authenticate, and see the same reports.
 */
import { randomBytes } from 'node:crypto'
import { fromUtf8, toHex, utf8 } from '../../src/bytes.ts'
import { errorMessage, FormatError } from '../../src/errors.ts'
import { type Health, LinkHealth } from '../../src/qkd/link-health.ts'
import { pulseModel } from '../../src/qkd/model.ts'
import {
  type Channel,
  PROFILES,
  type Profile,
  type ProfileName,
  QUIET_CHANNEL,
} from '../../src/qkd/profile.ts'
import type { BlockReport, BlockResult } from '../../src/qkd/protocol.ts'
import type { Clock } from '../clock.ts'
import type { Logger } from '../logger.ts'
import type { Kv } from '../store/kv.ts'
import type { BlockRunner, MadeBlock, RunningBlock } from './block-runner.ts'
import { BlockFailed } from './block-runner.ts'
import { type Control, decodeControl, encodeControl } from './control.ts'
import type { InterlinkFrame, InterlinkKind } from './interlink-frames.ts'
import { KeyServiceError } from './key-service.ts'
import { ENROLMENT_BYTES, PadStore } from './pads.ts'
import { KeyPool } from './pool.ts'

export interface FibreLinkOptions {
  readonly kmeId: string
  readonly peer: string
  readonly profile: ProfileName
  readonly pulsesPerSecond?: number | undefined
  readonly kv: Kv
  readonly sealKey: Uint8Array
  readonly keysMax: number
  readonly runner: BlockRunner
  readonly clock: Clock
  readonly logger: Logger
  readonly send: (kind: InterlinkKind, body: Uint8Array) => boolean
  /** Ends the connection, which is then made anew. */
  readonly drop: (why: string) => void
  /** Names of keys that somebody is about to fetch. */
  readonly expected: () => ReadonlySet<string>
  /** A message about keys that are there already. */
  readonly onControl: (message: Control) => void
  readonly onBlock: (
    result: BlockResult,
    report: BlockReport | undefined,
    health: Health,
    before: Health,
  ) => void
}

/** What a fibre shows; `simulated` is always true. */
export interface FibreStatus {
  readonly kme: string
  readonly profile: ProfileName
  readonly lengthKm: number
  readonly connected: boolean
  readonly health: Health
  /** Of the last block, in Z. */
  readonly qber?: number
  /** Secret bits a second, over the last good block. */
  readonly secretKeyRate: number
  readonly keysStored: number
  readonly keysMax: number
  /** Milliseconds since 1970. */
  readonly lastBlockAt?: number
  readonly blocks: Readonly<Partial<Record<BlockResult, number>>>
  readonly leakedBits: number
  readonly efficiency?: number
  readonly simulated: true
}

/** More than a block may need of them: detections until both have chosen X often enough. */
const BASES_MARGIN = 1.1
/** Beyond what a block takes on a fibre that nobody touches; then it has too little light. */
const PULSES_MARGIN = 2
/** A link that rests makes keys again when so much of its pool is used up. */
const WAKE_SHARE = 0.25
/** For the conversation of one block, on a busy machine. */
const BLOCK_TIMEOUT_MS = 60_000

export class FibreLink {
  readonly #options: FibreLinkOptions
  readonly #profile: Profile
  readonly #health: LinkHealth
  readonly #isAlice: boolean
  #pool: KeyPool | undefined
  #pads: PadStore | undefined
  /** Both ends have said what they hold. */
  #joined = false
  #connected = false
  #channel: Channel = QUIET_CHANNEL
  #block = 0
  #current:
    | { readonly number: number; bases: Uint8Array; room: number; run?: RunningBlock; cancel: () => void }
    | undefined
  #cancelNext = () => {}
  /** The pool has been full, and not yet used up so far that blocks are worth what they cost. */
  #resting = false
  #finished = Promise.resolve()
  #startedMs: number | undefined
  #seen: Partial<Record<BlockResult, number>> = {}
  #last: { report: BlockReport | undefined; atMs: number } | undefined
  #rate = 0
  #leaked = 0

  private constructor(options: FibreLinkOptions) {
    this.#options = options
    const profile = PROFILES[options.profile]
    this.#profile = { ...profile, pulsesPerSecond: options.pulsesPerSecond ?? profile.pulsesPerSecond }
    this.#health = new LinkHealth(this.#profile.blockBits)
    this.#isAlice = options.kmeId < options.peer
  }

  static async open(options: FibreLinkOptions): Promise<FibreLink> {
    const link = new FibreLink(options)
    const { kv, kmeId, peer } = options
    const name = await kv.get(nameKey(peer))
    if (name) await link.#openPool(fromUtf8(name))
    else if (link.#isAlice) {
      // A new store: whatever the other end may hold of an older one is worth nothing any more.
      await link.#openPool(`${kmeId}|${peer}|${toHex(new Uint8Array(randomBytes(8)))}`)
    }
    const counter = await kv.get(counterKey(peer))
    link.#block = counter ? Number(fromUtf8(counter)) : 0
    return link
  }

  /** Throws KeyServiceError `unavailable` where the two KMEs have never met yet. */
  pool(): KeyPool {
    if (this.#pool) return this.#pool
    throw new KeyServiceError('unavailable', 'key data access error', { reason: 'link_down' })
  }

  /** Whether keys may be handed out: the other end hears of it, and nobody is suspected of listening. */
  get usable(): boolean {
    const { health } = this.#health
    return this.#joined && this.#pool !== undefined && (health === 'OK' || health === 'WARN')
  }

  get health(): Health {
    return this.#connected ? this.#health.health : 'DOWN'
  }

  /** How long the pulses of a block take on a fibre that nobody touches, in milliseconds. */
  get blockMs(): number {
    return (1_000 * pulsesForBlock(this.#profile)) / this.#profile.pulsesPerSecond
  }

  status(): FibreStatus {
    const { peer: kme, profile } = this.#options
    const report = this.#last?.report
    return {
      kme,
      profile,
      lengthKm: this.#profile.lengthKm,
      connected: this.#connected,
      health: this.health,
      ...(report && { qber: report.qber }),
      secretKeyRate: this.#rate,
      keysStored: this.#pool?.size ?? 0,
      keysMax: this.#options.keysMax,
      ...(this.#last && { lastBlockAt: this.#last.atMs }),
      blocks: { ...this.#seen },
      leakedBits: this.#leaked,
      ...(report?.efficiency !== undefined && { efficiency: report.efficiency }),
      simulated: true,
    }
  }

  /** Does something to the fibre. False if its host cannot be told. */
  disturb(change: Partial<Channel>): boolean {
    this.#channel = { ...this.#channel, ...change }
    return this.#isAlice || this.#tell({ kind: 'channel', ...this.#channel })
  }

  restore(): boolean {
    return this.disturb(QUIET_CHANNEL)
  }

  up(secret: (bytes: number) => Uint8Array): void {
    this.#connected = true
    this.#pads?.wipe()
    this.#pads = new PadStore(secret(ENROLMENT_BYTES))
    if (this.#isAlice) this.#hello()
  }

  down(): void {
    this.#connected = false
    this.#joined = false
    this.#cancelNext()
    this.#current?.cancel()
    this.#current?.run?.abort()
    this.#current = undefined
  }

  /** A frame of the other end. */
  async frame({ kind, body }: InterlinkFrame): Promise<void> {
    if (kind === 'classical') return this.#current?.run?.heard(body)
    if (kind === 'quantum') return this.#quantum(body)
    const message = decodeControl(body)
    switch (message.kind) {
      case 'hello':
        return this.#join(message.link, message.held)
      case 'begin':
        // The other end is done with the block before; this one may still be writing its keys.
        await this.#finished
        return this.#ready(message.block, message.room)
      case 'ready':
        if (this.#current?.number === message.block)
          this.#current.room = Math.min(this.#current.room, message.room)
        return
      case 'abort':
        if (this.#current?.number === message.block) this.#current.run?.abort()
        return
      case 'channel':
        this.#channel = {
          eavesdropped: message.eavesdropped,
          extraLossDb: message.extraLossDb,
          cut: message.cut,
        }
        return
      default:
        return this.#options.onControl(message)
    }
  }

  /** False if the other end cannot be told. */
  tell(message: Control): boolean {
    return this.#joined && this.#tell(message)
  }

  close(): void {
    this.down()
    this.#pads?.wipe()
    this.#pool?.close()
  }

  #tell(message: Control): boolean {
    return this.#options.send('keys', encodeControl(message))
  }

  #hello(): void {
    const pool = this.pool()
    this.#tell({ kind: 'hello', link: pool.link, held: pool.ids() })
  }

  /** Keys that only one end has are dropped: nobody could ever use them. */
  async #join(link: string, held: readonly string[]): Promise<void> {
    if (!this.#isAlice) {
      if (this.#pool?.link !== link) await this.#openPool(link)
      this.#hello()
    } else if (this.pool().link !== link) {
      throw new FormatError('bad-field', 'The other end calls the link by another name.')
    }
    const there = new Set(held)
    const expected = this.#options.expected()
    const alone = this.pool()
      .ids()
      .filter((id) => !there.has(id) && !expected.has(id))
    const dropped = await this.pool().drop(alone)
    if (dropped > 0) {
      this.#options.logger.info({ kme: this.#options.peer, dropped }, 'dropped keys that one end alone had')
    }
    this.#joined = true
    if (this.#isAlice) this.#schedule()
  }

  async #openPool(link: string): Promise<void> {
    const { kv, kmeId, peer, sealKey, keysMax } = this.#options
    const pool = this.#pool
    if (pool) await pool.drop(pool.ids())
    await kv.write([{ key: nameKey(peer), value: utf8(link) }], true)
    this.#pool = await KeyPool.open({
      kv,
      link,
      side: kmeId < peer ? 'alice' : 'bob',
      sealKey: sealKey.slice(),
      keysMax,
    })
  }

  #schedule(): void {
    const { clock } = this.#options
    const passed = clock.elapsed() - (this.#startedMs ?? Number.NEGATIVE_INFINITY)
    this.#cancelNext = clock.after(Math.max(0, this.blockMs - passed), () => void this.#begin())
  }

  async #begin(): Promise<void> {
    if (!this.#joined || this.#current) return
    this.#startedMs = this.#options.clock.elapsed()
    this.#resting &&= !this.#mustWake()
    if (this.#resting) {
      this.#schedule()
      return
    }
    const number = ++this.#block
    const { room } = this.pool()
    // Before its number is used: it must not be used again.
    await this.#options.kv.write([{ key: counterKey(this.#options.peer), value: utf8(`${number}`) }], true)
    if (!this.#joined) return
    this.#enter(number, room)
    this.#tell({ kind: 'begin', block: number, room })
  }

  /** A block would show what the last one did, unless somebody touches the fibre; and there is no room for its keys. */
  #mustWake(): boolean {
    const { eavesdropped, extraLossDb, cut } = this.#channel
    const touched = cut || eavesdropped > 0 || extraLossDb > 0
    return touched || this.#health.health !== 'OK' || this.pool().room >= WAKE_SHARE * this.#options.keysMax
  }

  /** Bob's part: bases for more detections than there will be. */
  #ready(number: number, room: number): void {
    if (this.#isAlice || this.#current || !this.#joined) {
      this.#options.drop('a block begins out of turn')
      return
    }
    const own = this.pool().room
    const bases = drawBases(this.#profile)
    const current = this.#enter(number, Math.min(room, own))
    current.bases = bases
    this.#tell({ kind: 'ready', block: number, room: own })
    this.#options.send('quantum', bases)
  }

  #enter(number: number, room: number) {
    const { clock, drop } = this.#options
    const cancel = clock.after(BLOCK_TIMEOUT_MS, () => drop('a block did not come to its end'))
    this.#current = { number, room, bases: new Uint8Array(0), cancel }
    return this.#current
  }

  #quantum(body: Uint8Array): void {
    const current = this.#current
    if (!current || current.run) {
      this.#options.drop('a quantum frame came out of turn')
      return
    }
    const keys = this.#pads?.take()
    // The next connection brings new ones.
    if (!keys) {
      this.#options.drop('nothing is left to authenticate blocks with')
      return
    }
    const { runner, send, profile } = this.#options
    const say = (bytes: Uint8Array) => void send('classical', bytes)
    const common = { profile, ...keys, estimateOnly: current.room === 0 }
    if (this.#isAlice) {
      const pulsesMax = Math.ceil(PULSES_MARGIN * pulsesForBlock(this.#profile))
      const job = { ...common, role: 'alice', channel: this.#channel, pulsesMax, bases: body } as const
      current.run = runner.run(job, say, (bits) => void send('quantum', bits))
    } else {
      if (body.length > current.bases.length) {
        this.#options.drop('a quantum frame is of no known form')
        return
      }
      current.run = runner.run({ ...common, role: 'bob', bases: current.bases, bits: body }, say)
    }
    this.#finished = this.#finish(current.number, current.run)
  }

  async #finish(number: number, run: RunningBlock): Promise<void> {
    let made: MadeBlock | undefined
    let failure: unknown
    try {
      made = await run.made
    } catch (error) {
      failure = error
    }
    const current = this.#current
    if (current?.number !== number) return
    current.cancel()
    try {
      if (made?.pads) this.#pads?.add(made.pads)
      if (made && made.keys.length > 0) await this.pool().add(number, made.keys.slice(0, current.room))
    } catch (error) {
      this.#options.logger.error({ error: errorMessage(error) }, 'keys of a block could not be kept')
    }
    if (this.#current === current) this.#current = undefined
    this.#resting = made !== undefined && current.room <= made.keys.length
    this.#report(made, failure)
    if (made) {
      if (this.#isAlice && this.#joined) this.#schedule()
      return
    }
    this.#tell({ kind: 'abort', block: number })
    // Pads may be out of step from here on: another connection begins with new ones.
    this.#options.drop(errorMessage(failure))
  }

  #report(made: MadeBlock | undefined, failure: unknown): void {
    const { clock, onBlock } = this.#options
    const changed = failure instanceof BlockFailed && failure.code === 'auth-failed'
    if (!made && !changed) return
    const report = made?.report
    const result: BlockResult = report?.result ?? 'auth_fail'
    const before = this.#health.health
    const health = this.#health.see(report)
    this.#seen = { ...this.#seen, [result]: (this.#seen[result] ?? 0) + 1 }
    this.#last = { report, atMs: clock.now() }
    this.#leaked += report?.leakedBits ?? 0
    if (result === 'ok') this.#rate = (1_000 * report!.secretBits) / this.blockMs
    else if (result !== 'pool_full') this.#rate = 0
    onBlock(result, report, health, before)
  }
}

function nameKey(peer: string): Uint8Array {
  return utf8(`n${peer}`)
}

function counterKey(peer: string): Uint8Array {
  return utf8(`b${peer}`)
}

/** On average, on a fibre that nobody touches. */
function pulsesForBlock(profile: Profile): number {
  const { blockBits, keyBasis, intensities, intensityProbabilities } = profile
  const gain = intensities.reduce(
    (sum, intensity, k) =>
      sum + intensityProbabilities[k]! * pulseModel(profile, QUIET_CHANNEL, intensity).gain,
    0,
  )
  return blockBits / (keyBasis ** 2 * gain)
}

/** 0 is X, 1 is Z. A byte each: at most half a megabyte. */
function drawBases({ blockBits, keyBasis }: Profile): Uint8Array {
  const bases = new Uint8Array(randomBytes(Math.ceil((BASES_MARGIN * blockBits) / keyBasis ** 2)))
  const x = Math.round(keyBasis * 256)
  for (let i = 0; i < bases.length; i++) bases[i] = bases[i]! < x ? 0 : 1
  return bases
}
