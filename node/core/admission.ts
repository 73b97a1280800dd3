/**
 * Admission: what happens to an entry before it may stand in a block. The same door for entries that arrive
 * by JSON-RPC and for those that another node forwards.
 */

import { equalBytes } from '../../src/bytes.ts'
import type { SignatureSuite } from '../../src/crypto/suite.ts'
import { type QatError, RefusedError } from '../../src/errors.ts'
import { canonicalJson, parseJson } from '../../src/json.ts'
import { changeIn, checkEntry } from '../../src/ledger/chain.ts'
import { decodeEntry, type Entry, verifyAll } from '../../src/ledger/entry.ts'
import { PAYLOAD_TYPES } from '../../src/ledger/payload-types.ts'
import { ENTRY_BYTES_MAX } from '../../src/limits.ts'
import { type Bringer, ServiceError, type Spend } from '../service.ts'
import type { LedgerStore } from '../store/ledger-store.ts'
import { type TurnLimits, Turns } from '../turns.ts'
import type { Pool } from './pool.ts'

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
  readonly #turns = new Turns(overloaded, TURN_LIMITS)

  constructor(
    store: LedgerStore,
    pool: Pool,
    suite: SignatureSuite,
    mayPromote: (learner: string) => boolean,
  ) {
    this.#store = store
    this.#pool = pool
    this.#suite = suite
    this.#mayPromote = mayPromote
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

  /** The learner that an entry would make a validator, if it would. */
  promotes(entry: Entry): string | undefined {
    const what = changeIn(entry)?.what
    if (!what || !('put' in what) || what.put.kind !== 'validator') return undefined
    const { name } = what.put
    return this.#store.members.newest.nodeByName.get(name)?.kind === 'learner' ? name : undefined
  }

  #checkPromotion(entry: Entry): void {
    const name = this.promotes(entry)
    if (name === undefined || this.#mayPromote(name)) return
    throw new RefusedError(
      'not-caught-up',
      `${name} has not caught up yet. Try again when it holds the blocks that the others have.`,
      { name },
    )
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

/** The bytes of an applied leaf. `spend` is told what reading it has cost. */
export async function readLeaf(store: LedgerStore, index: number, spend?: Spend): Promise<Uint8Array> {
  const leaf = await store.leaf(index, spend)
  if (!leaf) throw new ServiceError('not-found', `There is no leaf ${index} in the tree yet.`)
  return leaf
}

/**
 * Retries of one submission differ in their signatures only; anything else is a conflict, whose facts name the entry
 * in the way, and its leaf index if that is known.
 */
export function sameEvents(
  entry: Entry,
  recorded: Entry,
  index?: number,
): Admitted & { outcome: 'duplicate' } {
  const same =
    entry.envelope.payloadType === recorded.envelope.payloadType &&
    equalBytes(canonicalPayload(entry), canonicalPayload(recorded))
  if (same) return { outcome: 'duplicate', id: recorded.id }
  throw new RefusedError(
    'event-conflict',
    `Entry ${recorded.id} has an event with this source and id, and other content. Give each event an id of its own.`,
    { id: recorded.id, ...(index === undefined ? {} : { index }) },
  )
}

function canonicalPayload(entry: Entry): Uint8Array {
  return canonicalJson(parseJson(entry.envelope.payload, ENTRY_BYTES_MAX))
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
