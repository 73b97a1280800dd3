/**
 * Admission: what happens to an entry before it may stand in a block. The same door for entries that arrive
 * by JSON-RPC and for those that another node forwards.
 */

import { fromBase64 } from '../../src/bytes.ts'
import { keyId } from '../../src/crypto/keys.ts'
import { ML_DSA, type PublicKey, type SignatureSuite } from '../../src/crypto/suite.ts'
import { type QatError, RefusedError } from '../../src/errors.ts'
import { parseExactJson, sameJson } from '../../src/exact-json.ts'
import { type JsonObject, text } from '../../src/json.ts'
import { checkEntry, learnerPromotedBy } from '../../src/ledger/chain.ts'
import { pae } from '../../src/ledger/dsse.ts'
import { decodeEntry, type Entry, verifyAll } from '../../src/ledger/entry.ts'
import { readClaims } from '../../src/ledger/event.ts'
import { asGiven } from '../../src/ledger/filled-in.ts'
import type { ForeignEnvelope } from '../../src/ledger/foreign-envelope.ts'
import { maySpeak } from '../../src/ledger/pattern.ts'
import { PAYLOAD_TYPES } from '../../src/ledger/payload-types.ts'
import { ENTRY_BYTES_MAX } from '../../src/limits.ts'
import { type Bringer, ServiceError, type Spend } from '../service.ts'
import type { LedgerStore } from '../store/ledger-store.ts'
import { type TurnLimits, Turns } from '../turns.ts'
import type { Pool } from './pool.ts'

/** Producers mistake local time for UTC, by 14 hours at most. */
const EVENT_AHEAD_MS_MAX = 86_400_000

/** Keys that are tried for one signature that names none: anyone may send such, and each costs a verification. */
const KEYS_TRIED_MAX = 16

/** When the pool is full: about the time in which a loaded cluster orders a good part of it. */
export const RETRY_AFTER_MS = 500

/** Of entries whose signatures are verified. */
const TURN_LIMITS: TurnLimits = {
  // As many as the queue of verifications has under way, so that it holds little that came before others.
  atOnce: 16,
  // As many as a peer may have under way to its leader.
  perSource: { entries: 1_024, bytes: 8 * 1_024 * 1_024 },
  total: { entries: 4_096, bytes: 24 * 1_024 * 1_024 },
}

export type Admitted =
  /** New, now in the pool. */
  | { readonly outcome: 'admitted' }
  /** The same leaf is in the pool or the chain already. */
  | { readonly outcome: 'known' }
  /** Another entry already carries the same CloudEvent with the same content. */
  | { readonly outcome: 'duplicate'; readonly id: string }

export class Admission {
  readonly #store: LedgerStore
  readonly #pool: Pool
  readonly #suite: SignatureSuite
  readonly #mayPromote: (learner: string) => boolean
  readonly #now: () => number
  readonly #turns = new Turns(overloaded, TURN_LIMITS)

  constructor(
    store: LedgerStore,
    pool: Pool,
    suite: SignatureSuite,
    mayPromote: (learner: string) => boolean,
    now: () => number,
  ) {
    this.#store = store
    this.#pool = pool
    this.#suite = suite
    this.#mayPromote = mayPromote
    this.#now = now
  }

  /**
   * Checks an entry and puts it into the pool. Throws RefusedError, or ServiceError overloaded.
   * @param accepted another node, or this one before it was restarted, has taken the entry in already
   * @param bringer absent where this node itself brings it
   */
  async admit(entry: Entry, accepted = false, bringer?: Bringer): Promise<Admitted> {
    // A change that is recorded already would only be called stale.
    if (entry.envelope.payloadType === PAYLOAD_TYPES.change) {
      const { leaf } = await this.#store.recorded(entry)
      if (leaf !== undefined) return { outcome: 'known' }
    }
    const { state } = this.#store
    const checks = checkEntry(state, entry)
    this.#checkPromotion(entry)
    if (!accepted) this.#checkTimes(entry)
    const before = await this.#earlier(entry)
    if (before) return before
    const known = bringer?.known ? bringer.name : undefined
    // A signature by nobody says any submitter's name; so it is asked for before, and taken after it has been verified.
    const hasRoom = () =>
      this.#pool.hasRoom(entry, this.#store.state.membership.submitters.length, accepted, known)
    if (!hasRoom()) throw overloaded()
    const source = bringer ? { ...bringer, part: bringer.connection } : { name: 'self', known: true }
    const verified = this.#turns.run(source, entry.bytes.length, () => verifyAll(this.#suite, checks))
    if (!(await verified)) {
      throw new RefusedError('bad-signature', "The entry's signature does not verify.", { id: entry.id })
    }
    // Others were admitted and applied meanwhile. Blocks applied from here on look into the pool themselves.
    const meanwhile = await this.#earlier(entry)
    if (meanwhile) return meanwhile
    // So may have been a change of membership, which looked into the pool before this entry was there.
    if (state.membership !== this.#store.state.membership) checkEntry(this.#store.state, entry)
    if (!hasRoom()) throw overloaded()
    this.#pool.add(entry, known)
    return { outcome: 'admitted' }
  }

  /**
   * The key ids of an envelope's signatures, where some name no key: those of the members that may have made them are
   * tried. Throws FormatError, RefusedError, or ServiceError overloaded.
   */
  async signers(envelope: ForeignEnvelope, bringer?: Bringer): Promise<string[]> {
    const { signatures } = envelope
    const payload = fromBase64(envelope.payload)
    const payloadType = text(envelope.payloadType, '"payloadType"', 128)
    const message = pae(payloadType, payload)
    const candidates = this.#candidates(payloadType, payload)
    const source = bringer ? { ...bringer, part: bringer.connection } : { name: 'self', known: true }
    const find = async (sig: Uint8Array): Promise<string> => {
      const keys = candidates.filter(({ alg }) => ML_DSA[alg].signature === sig.length)
      if (keys.length > KEYS_TRIED_MAX) {
        const why = `${keys.length} members may have signed, and a signature does not name its key`
        throw new RefusedError('unknown-key', `${why}. Give its "keyid": the RFC 7638 thumbprint of the key.`)
      }
      for (const key of keys) {
        const check = () => this.#suite.verify(key, message, sig)
        if (await this.#turns.run(source, message.length + sig.length, check)) return keyId(key)
      }
      throw new RefusedError('unknown-key', 'No member that may submit this has made the signature.')
    }
    return Promise.all(signatures.map(({ keyid, sig }) => keyid ?? find(fromBase64(sig))))
  }

  /** Keys of those who may submit it. */
  #candidates(payloadType: string, payload: Uint8Array): PublicKey[] {
    const { admins, submitters } = this.#store.state.membership
    if (payloadType === PAYLOAD_TYPES.change) return admins.map(({ key }) => key)
    const claims = readClaims(payloadType, payload)
    return submitters
      .filter((submitter) => claims.every((claim) => maySpeak(submitter, claim)))
      .map(({ key }) => key)
  }

  #checkPromotion(entry: Entry): void {
    const name = learnerPromotedBy(entry, this.#store.state.membership)
    if (name === undefined || this.#mayPromote(name)) return
    throw new RefusedError(
      'not-caught-up',
      `${name} has not caught up yet. Try again when it holds the blocks that the others have.`,
      { name },
    )
  }

  /** A time from far ahead is a mistake, which nobody could take back. This node's own clock may be slow. */
  #checkTimes(entry: Entry): void {
    const latest = Math.max(this.#now(), this.#store.state.time) + EVENT_AHEAD_MS_MAX
    for (const { time } of entry.claims) {
      if (time === undefined || timestampMs(time) <= latest) continue
      throw new RefusedError(
        'bad-time',
        `The event's time, ${time}, is more than a day ahead. Correct it, or leave it out: it is then filled in.`,
        { time },
      )
    }
  }

  /** Whether another entry with one of the same CloudEvents is on its way into a block. */
  hasRival(entry: Entry): boolean {
    const rival = this.#inPool(entry)
    return rival !== undefined && rival.id !== entry.id
  }

  /** The same leaf, or an entry with one of the same CloudEvents, in the chain or the pool. */
  async #earlier(entry: Entry): Promise<Admitted | undefined> {
    let height: number
    let recorded: Awaited<ReturnType<LedgerStore['recorded']>>
    do {
      height = this.#store.tip.height
      recorded = await this.#store.recorded(entry)
    } while (this.#store.tip.height > height)
    if (this.#pool.get(entry.id)) return { outcome: 'known' }
    if (recorded.leaf !== undefined) return { outcome: 'known' }
    const rival = this.#inPool(entry)
    if (rival) return sameEvents(entry, rival)
    if (recorded.event === undefined) return undefined
    const leaf = await readLeaf(this.#store, recorded.event)
    return sameEvents(entry, decodeEntry(leaf), recorded.event)
  }

  #inPool(entry: Entry): Entry | undefined {
    for (const { source, id } of entry.claims) {
      const rival = id === undefined ? undefined : this.#pool.withEvent(source, id)
      if (rival) return rival
    }
    return undefined
  }
}

/** Milliseconds since 1970 of a time that has been checked; finer fractions are cut off. */
function timestampMs(text: string): number {
  // Engines agree on three digits and capital letters.
  return Date.parse(
    text
      .toUpperCase()
      .replace(/(\.\d{3})\d+/, '$1')
      .replace(/-00:00$/, 'Z'),
  )
}

/** The bytes of an applied leaf. `spend` is told what reading it has cost. */
export async function readLeaf(store: LedgerStore, index: number, spend?: Spend): Promise<Uint8Array> {
  const leaf = await store.leaf(index, spend)
  if (!leaf) throw new ServiceError('not-found', `There is no leaf ${index} in the tree yet.`)
  return leaf
}

/**
 * A retry says again what its producer gave: `recorded` has each event of `entry`, perhaps with another time, token or
 * node filled in. Anything else is a conflict, whose facts name the entry in the way, its leaf index if that is known,
 * and the event.
 */
export function sameEvents(
  entry: Entry,
  recorded: Entry,
  index?: number,
): Admitted & { outcome: 'duplicate' } {
  const facts = { id: recorded.id, ...(index === undefined ? {} : { index }) }
  const there = eventsOf(recorded)
  let missing = 0
  for (const [name, event] of eventsOf(entry)) {
    const other = there.get(name)
    if (other === undefined) missing++
    else if (!sameJson(asGiven(event), asGiven(other))) {
      const { source, id } = event
      throw new RefusedError(
        'event-conflict',
        `Entry ${recorded.id} has event ${JSON.stringify(id)} of ${JSON.stringify(source)} with other content. ` +
          'Give each event an id of its own.',
        { ...facts, event: { source, id } },
      )
    }
  }
  if (missing === 0) return { outcome: 'duplicate', id: recorded.id }
  throw new RefusedError(
    'event-conflict',
    `Entry ${recorded.id} has some of these events, and ${missing} of them not. Send only what is not recorded yet.`,
    facts,
  )
}

/** The events of an entry by source and id. */
function eventsOf({ envelope }: Entry): Map<string, JsonObject> {
  const payload = parseExactJson(envelope.payload, ENTRY_BYTES_MAX)
  const events = (Array.isArray(payload) ? payload : [payload]) as JsonObject[]
  return new Map(events.map((event) => [JSON.stringify([event.source, event.id]), event]))
}

export function overloaded(): QatError {
  return new ServiceError(
    'overloaded',
    'The node has as many entries waiting as it may hold. Try again shortly.',
    {
      retryAfterMs: RETRY_AFTER_MS,
    },
  )
}
