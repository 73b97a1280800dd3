/**
 * The life of one link: its first keys, records in both directions, new keys while it runs, and what state it is in.
 * It knows bytes and time, and no libp2p (encrypter.ts).
 *
 * Who dialled renews the keys; so there are never two agreements at once. A renewal without a QKD key keeps the ones
 * mixed in before, by the chain of the key schedule, and makes the link AGED.
 */
import { QatError } from '../../../src/errors.ts'
import type { Clock } from '../../clock.ts'
import { type KeyStatus, QkdError } from '../../qkd/key-provider.ts'
import {
  type Agreement,
  type HandshakeOptions,
  initiate,
  type LinkPeer,
  refusalOf,
  respond,
} from './handshake.ts'
import { wipeSecrets } from './key-schedule.ts'
import { LENGTH_BYTES, RecordOpener, RecordSealer } from './records.ts'

/** FRESH: the newest keys of the link hold a QKD key. AGED: older ones did. NONE: never. */
export const LINK_STATES = ['FRESH', 'AGED', 'NONE'] as const
export type LinkState = (typeof LINK_STATES)[number]

export interface RekeyLimits {
  /** Of keys in use, for both directions together. */
  readonly ms: number
  readonly bytes: number
  readonly records: number
  /** How often the KME is asked how it stands, while the link is not FRESH; half as often else. */
  readonly checkMs: number
  /** How long a link may be AGED where QKD keys are required. */
  readonly agedMs: number
  /** For the KME in one agreement: libp2p gives an inbound connection ten seconds, and a dial five. */
  readonly kmeMs: number
}

export const REKEY_LIMITS: RekeyLimits = {
  ms: 120_000,
  bytes: 1_073_741_824,
  records: 1_048_576,
  checkMs: 1_000,
  agedMs: 86_400_000,
  kmeMs: 3_000,
}
/** Keys that were not renewed though they should have been: the peer that dialled does not do its part. */
const OVERDUE = 4
const REKEY_TIMEOUT_MS = 15_000
const FRESH_CHECKS = 2

export type LinkEvent = { readonly peer: string; readonly dialled: boolean } & (
  | { readonly kind: 'opened'; readonly state: LinkState; readonly ms: number }
  | { readonly kind: 'rekeyed'; readonly qkd: boolean }
  | { readonly kind: 'state'; readonly from: LinkState; readonly to: LinkState; readonly reason: string }
  | { readonly kind: 'closed' }
  | { readonly kind: 'refused'; readonly code: string }
)

export interface SessionOptions
  extends Pick<HandshakeOptions, 'self' | 'verify' | 'random' | 'policy' | 'keys'> {
  readonly role: 'initiator' | 'responder'
  /** As the membership has it at the time; undefined ends the link. */
  readonly peer: () => LinkPeer | undefined
  readonly clock: Clock
  readonly limits: RekeyLimits
  /** Whole frames. */
  readonly send: (bytes: Uint8Array) => void
  readonly deliver: (content: Uint8Array) => void
  /** The link cannot go on. Called once. */
  readonly fail: (error: unknown) => void
  readonly onEvent: (event: LinkEvent) => void
}

/** Bare frames that each side hears before records begin. */
const BARE_FRAMES = { initiator: 2, responder: 3 } as const

export class LinkSession {
  readonly #options: SessionOptions
  readonly peerName: string
  readonly #frames: Uint8Array[] = []
  #wake: (() => void) | undefined
  #bareLeft: number
  #sealer: RecordSealer | undefined
  #opener: RecordOpener | undefined
  #chain: Uint8Array = new Uint8Array(0)
  #state: LinkState = 'NONE'
  #keyedMs = 0
  #everQkd = false
  /** When the link turned AGED, if it is. */
  #agedSinceMs = 0
  #agreeing = false
  /** The first agreement is done. */
  #opened = false
  #ended = false
  #stopCheck = () => {}
  #checks = 0

  constructor(options: SessionOptions) {
    this.#options = options
    this.peerName = this.#peer().name
    this.#bareLeft = BARE_FRAMES[options.role]
  }

  get state(): LinkState {
    return this.#state
  }

  get dialled(): boolean {
    return this.#options.role === 'initiator'
  }

  /** Milliseconds since the keys in use were agreed on. */
  get keyAgeMs(): number {
    return this.#options.clock.elapsed() - this.#keyedMs
  }

  /** The first key agreement. Rejects with a QatError, and then there is no link. */
  async open(signal: AbortSignal): Promise<void> {
    const { clock, limits, onEvent } = this.#options
    const startMs = clock.elapsed()
    await this.#agree(signal)
    this.#stopCheck = clock.every(limits.checkMs, () => void this.#check())
    onEvent({
      kind: 'opened',
      peer: this.peerName,
      dialled: this.dialled,
      state: this.#state,
      ms: clock.elapsed() - startMs,
    })
  }

  /** A frame from the peer, without its length. Throws QkdError; the link must end then. */
  receive(frame: Uint8Array): void {
    if (this.#bareLeft > 0) {
      this.#bareLeft--
      this.#heard(frame)
      return
    }
    if (!this.#opener) throw new QkdError('handshake', 'A record came before there were keys for it.')
    const { type, content } = this.#opener.open(frame)
    if (type === 'data') this.#options.deliver(content)
    else {
      this.#heard(content)
      if (!this.#agreeing) {
        if (this.dialled) throw new QkdError('handshake', 'Only who dialled may ask for new keys.')
        this.#renew()
      }
    }
  }

  /** A whole frame with this content. */
  seal(content: Uint8Array): Uint8Array {
    const { bytes, records } = this.#options.limits
    const sealer = this.#sealer
    if (!sealer) throw new QkdError('handshake', 'There are no keys for this link yet.')
    // Not now: records of this turn are sealed and not yet sent, and the first message would overtake them.
    if (this.dialled && (sealer.bytes > bytes || sealer.records > records)) queueMicrotask(() => this.rekey())
    return sealer.seal('data', content)
  }

  /** Agrees on new keys now, unless that is being done. */
  rekey(): void {
    if (this.dialled && !this.#agreeing && !this.#ended) this.#renew()
  }

  close(): void {
    if (this.#ended) return
    this.#ended = true
    this.#stopCheck()
    this.#chain.fill(0)
    this.#wake?.()
    if (this.#sealer) {
      this.#options.onEvent({ kind: 'closed', peer: this.peerName, dialled: this.dialled })
    }
    this.#sealer = undefined
    this.#opener = undefined
  }

  #renew(): void {
    this.#agree(AbortSignal.timeout(REKEY_TIMEOUT_MS)).then(
      (agreement) => {
        const { peerName: peer, dialled } = this
        this.#options.onEvent({ kind: 'rekeyed', peer, dialled, qkd: agreement.qkd })
      },
      (error) => this.#fail(error),
    )
  }

  async #agree(signal: AbortSignal): Promise<Agreement> {
    const { role, self, verify, random, policy, keys } = this.#options
    this.#agreeing = true
    try {
      const agreement = await (role === 'initiator' ? initiate : respond)({
        channel: { send: (frame) => this.#say(frame), receive: (within) => this.#hear(within) },
        signal,
        self,
        peer: this.#peer(),
        verify,
        random,
        policy,
        keys,
        kmeMs: this.#options.limits.kmeMs,
        chain: this.#chain,
        agreed: ({ fromInitiator, fromResponder }) => {
          const receiving = role === 'initiator' ? fromResponder : fromInitiator
          if (this.#opener) this.#opener.next(receiving)
          else this.#opener = new RecordOpener(receiving)
        },
      })
      if (this.#ended) throw new QkdError('handshake', 'The link was closed while it was keyed.')
      const { fromInitiator, fromResponder, chain } = agreement.secrets
      const sending = role === 'initiator' ? fromInitiator : fromResponder
      if (this.#sealer) this.#sealer.next(sending)
      else this.#sealer = new RecordSealer(sending)
      this.#chain.fill(0)
      this.#chain = chain.slice()
      wipeSecrets(agreement.secrets)
      this.#keyed(agreement)
      return agreement
    } finally {
      this.#agreeing = false
      // Who dialled may ask for the next keys in the very breath in which it confirms these.
      if (!this.dialled && this.#sealer && this.#frames.length > 0) this.#renew()
    }
  }

  #keyed({ qkd, lack }: Agreement): void {
    const now = this.#options.clock.elapsed()
    this.#keyedMs = now
    this.#everQkd ||= qkd
    const from = this.#state
    this.#state = qkd ? 'FRESH' : this.#everQkd ? 'AGED' : 'NONE'
    if (this.#state !== from) this.#agedSinceMs = now
    if (this.#opened && from !== this.#state) {
      const reason = qkd ? 'keyed' : (lack ?? 'no-keys')
      const { peerName: peer, dialled } = this
      this.#options.onEvent({ kind: 'state', peer, dialled, from, to: this.#state, reason })
    }
    this.#opened = true
  }

  /** What time alone decides: renewal, and the end of what was not renewed. */
  async #check(): Promise<void> {
    const { limits, policy, clock } = this.#options
    if (!this.#options.peer()) return this.#fail(new QkdError('policy', 'The peer is no member any more.'))
    const aged = this.#state === 'AGED' && clock.elapsed() - this.#agedSinceMs > limits.agedMs
    if (policy === 'require' && aged) {
      return this.#fail(new QkdError('no-keys', 'The link has been without a new QKD key for too long.'))
    }
    const [bytes, records] = [this.#used('bytes'), this.#used('records')]
    if (
      this.keyAgeMs > OVERDUE * limits.ms ||
      bytes > OVERDUE * limits.bytes ||
      records > OVERDUE * limits.records
    ) {
      return this.#fail(
        new QkdError('policy', 'The keys of the link are worn out, and the peer renews them not.'),
      )
    }
    if (!this.dialled || this.#agreeing) return
    if (this.keyAgeMs >= limits.ms || bytes > limits.bytes || records > limits.records) this.rekey()
    else if (await this.#shouldTry()) this.rekey()
  }

  #used(what: 'bytes' | 'records'): number {
    return Math.max(this.#sealer?.[what] ?? 0, this.#opener?.[what] ?? 0)
  }

  /** Whether a renewal now would change the state: keys are there again, or are not to be had any more. */
  async #shouldTry(): Promise<boolean> {
    const { keys } = this.#options
    if (!keys || (this.#state === 'FRESH' && ++this.#checks % FRESH_CHECKS !== 0)) return false
    let status: KeyStatus
    try {
      status = await keys.status(this.peerName, AbortSignal.timeout(REKEY_TIMEOUT_MS))
    } catch (error) {
      if (error instanceof QatError) return false
      throw error
    }
    const gives =
      status.storedKeys > 0 && (status.linkState === undefined || GIVING.includes(status.linkState))
    return gives !== (this.#state === 'FRESH')
  }

  #say(frame: Uint8Array): void {
    if (this.#ended) throw new QkdError('handshake', 'The link is closed.')
    if (this.#sealer) this.#options.send(this.#sealer.seal('handshake', frame))
    else this.#options.send(bareFrame(frame))
  }

  #heard(frame: Uint8Array): void {
    if (this.#frames.length > 4) throw new QkdError('handshake', 'The peer does not wait for answers.')
    this.#frames.push(frame.slice())
    this.#wake?.()
  }

  #hear(signal: AbortSignal): Promise<Uint8Array> {
    return new Promise((resolve, reject) => {
      const settle = () => {
        const [frame] = this.#frames
        if (frame === undefined && !this.#ended && !signal.aborted) return
        this.#wake = undefined
        signal.removeEventListener('abort', settle)
        if (frame !== undefined) resolve(this.#frames.shift()!)
        else reject(new QkdError('handshake', 'The peer did not finish its part of the key agreement.'))
      }
      this.#wake = settle
      signal.addEventListener('abort', settle)
      settle()
    })
  }

  #peer(): LinkPeer {
    const peer = this.#options.peer()
    if (peer) return peer
    throw new QkdError('policy', 'The peer is no member of the ledger.')
  }

  #fail(error: unknown): void {
    if (this.#ended) return
    const code = refusalOf(error)
    this.#options.onEvent({ kind: 'refused', peer: this.peerName, dialled: this.dialled, code })
    this.close()
    this.#options.fail(error)
  }
}

/** States of our own KME's links in which it gives keys. */
const GIVING = ['OK', 'WARN']

/** A frame of the first agreement, behind its length. */
export function bareFrame(frame: Uint8Array): Uint8Array {
  const out = new Uint8Array(LENGTH_BYTES + frame.length)
  new DataView(out.buffer).setUint16(0, frame.length)
  out.set(frame, LENGTH_BYTES)
  return out
}
