/** Two sessions of one link, joined in memory; a test may change what passes between them. */
import { randomBytes } from 'node:crypto'
import { systemClock } from '../../node/clock.ts'
import { opensslSuite } from '../../node/crypto/openssl.ts'
import type { LinkPolicy } from '../../node/net/qkd-noise/messages.ts'
import {
  type LinkEvent,
  LinkSession,
  REKEY_LIMITS,
  type SessionOptions,
} from '../../node/net/qkd-noise/session.ts'
import { concat } from '../../src/bytes.ts'
import type { Signer } from '../../src/crypto/suite.ts'
import { PairedKeys } from '../support/paired-keys.ts'

export const SIGNERS = {
  alpha: opensslSuite.signer('ML-DSA-65', new Uint8Array(32).fill(1)),
  bravo: opensslSuite.signer('ML-DSA-65', new Uint8Array(32).fill(2)),
}
const IDS = { alpha: '12D3alpha', bravo: '12D3bravo' }
type Name = 'alpha' | 'bravo'

export interface PairSetup {
  readonly policy?: Partial<Record<Name, LinkPolicy>>
  readonly keys?: Partial<Record<Name, PairedKeys | undefined>>
  readonly signers?: Partial<Record<Name, Signer>>
  /** SAE ids that the two claim. */
  readonly claim?: Partial<Record<Name, string>>
  /** Changes frames, or swallows them. */
  readonly change?: (from: Name, frame: Uint8Array, number: number) => Uint8Array[]
  readonly limits?: Partial<SessionOptions['limits']>
  readonly clock?: SessionOptions['clock']
}

export class LinkPair {
  readonly paired = new PairedKeys()
  readonly sessions: Record<Name, LinkSession>
  readonly received: Record<Name, Uint8Array[]> = { alpha: [], bravo: [] }
  readonly failures: Record<Name, unknown[]> = { alpha: [], bravo: [] }
  readonly events: LinkEvent[] = []
  /** Everything that went over the wire. */
  readonly wire: Uint8Array[] = []
  setup: PairSetup
  readonly #sent = { alpha: 0, bravo: 0 }

  constructor(setup: PairSetup = {}) {
    this.setup = setup
    this.sessions = { alpha: this.#session('alpha'), bravo: this.#session('bravo') }
  }

  /** Alpha dials. Both outcomes: undefined, or what was thrown. */
  async open(ms = 5_000): Promise<[unknown, unknown]> {
    const ends = (['alpha', 'bravo'] as const).map((name) =>
      this.sessions[name].open(AbortSignal.timeout(ms)).then(
        () => undefined,
        (error: unknown) => error,
      ),
    )
    const [alpha, bravo] = await Promise.all(ends)
    return [alpha, bravo]
  }

  send(from: Name, content: Uint8Array): void {
    this.carry(from, this.sessions[from].seal(content))
  }

  text(name: Name): string {
    return Buffer.from(concat(...this.received[name])).toString()
  }

  #session(name: Name): LinkSession {
    const other = name === 'alpha' ? 'bravo' : 'alpha'
    const { policy, keys, signers, claim, limits, clock } = this.setup
    return new LinkSession({
      role: name === 'alpha' ? 'initiator' : 'responder',
      self: { peerId: IDS[name], name: claim?.[name] ?? name, signer: signers?.[name] ?? SIGNERS[name] },
      peer: () => ({ peerId: IDS[other], name: other, nodeKey: SIGNERS[other].publicKey }),
      verify: opensslSuite.verify,
      random: (bytes) => new Uint8Array(randomBytes(bytes)),
      policy: policy?.[name] ?? 'require',
      keys: (keys && name in keys ? keys[name] : this.paired)?.provider,
      clock: clock ?? systemClock,
      limits: { ...REKEY_LIMITS, ...limits },
      send: (bytes) => this.carry(name, bytes),
      deliver: (content) => this.received[name].push(content.slice()),
      fail: (error) => this.failures[name].push(error),
      onEvent: (event) => this.events.push(event),
    })
  }

  /** Later, as a socket would. */
  carry(from: Name, bytes: Uint8Array): void {
    const other = from === 'alpha' ? 'bravo' : 'alpha'
    this.wire.push(bytes.slice())
    const frames = this.setup.change?.(from, bytes.slice(2), this.#sent[from]++) ?? [bytes.slice(2)]
    for (const frame of frames) {
      setImmediate(() => {
        if (this.failures[other].length > 0) return
        try {
          this.sessions[other].receive(frame)
        } catch (error) {
          this.failures[other].push(error)
          this.sessions[other].close()
        }
      })
    }
  }

  close(): void {
    this.sessions.alpha.close()
    this.sessions.bravo.close()
  }
}

/** Until everything that is under way has arrived. */
export async function settle(turns = 5): Promise<void> {
  for (let i = 0; i < turns; i++) await new Promise((resolve) => setImmediate(resolve))
}
