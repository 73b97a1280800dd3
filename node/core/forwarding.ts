/**
 * Entries on their way to the leader. They are kept until they are seen in a block, sent again when a new
 * leader appears or nothing has happened for a while, and dropped only when the leader refuses them for good.
 */
import { fromUtf8, utf8 } from '../../src/bytes.ts'
import { QatError, RefusedError } from '../../src/errors.ts'
import { array, fields, parseJson, text } from '../../src/json.ts'
import { learnerPromotedBy } from '../../src/ledger/chain.ts'
import type { Entry } from '../../src/ledger/entry.ts'
import type { Membership } from '../../src/ledger/membership.ts'
import { encodeEntryBundle } from '../../src/merkle/tiles.ts'
import type { Clock } from '../clock.ts'
import { FRAME, type Network } from '../net/network.ts'
import { POOL_ENTRIES_MAX, type Pool } from './pool.ts'

/** Longer than ordering takes under load; a frame that was lost is repeated after this time. */
const RESEND_MS = 5_000
/** Entries that may be under way to the leader, as much as it orders in a second: what is more waits here. */
const WINDOW_ENTRIES = 1_024
/** Under load entries wait this long for company: a frame costs the same whether it holds one or ten. */
const GATHER_MS = 5
/** One frame of forwarded entries. */
const FRAME_ENTRIES_BYTES_MAX = 1_048_576

/** What the leader answers to an entry that it will not order; silence means that it will. */
export interface Refusal {
  readonly id: string
  readonly code: string
  readonly message: string
  /** The entry that already carries the same event. */
  readonly duplicateOf?: string
}

export class Forwarding {
  readonly #pool: Pool
  readonly #network: Pick<Network, 'send'>
  readonly #clock: Clock
  /** When entries were last sent to the present leader, by id; none that has left the pool counts. */
  readonly #sent = new Map<string, number>()
  /** Ids of those not sent to it yet, or to be sent again. */
  readonly #waiting = new Set<string>()
  #leader: string | undefined
  #flushing = false
  #flushed = Number.NEGATIVE_INFINITY

  constructor(pool: Pool, network: Pick<Network, 'send'>, clock: Clock) {
    this.#pool = pool
    this.#network = network
    this.#clock = clock
  }

  /** Entries from now on go to `leader`, and so do all that wait; undefined if nobody or this node leads. */
  follow(leader: string | undefined): void {
    this.#leader = leader
    this.#sent.clear()
    this.#waiting.clear()
    if (leader !== undefined) for (const { id } of this.#pool.values()) this.#waiting.add(id)
    this.#flushSoon()
  }

  /** A new entry is in the pool. */
  add(entry: Entry): void {
    if (this.#leader === undefined) return
    this.#waiting.add(entry.id)
    this.#flushSoon()
  }

  /** Entries have left the pool, so that others may go. */
  applied(): void {
    for (const id of this.#sent.keys()) if (!this.#pool.get(id)) this.#sent.delete(id)
    this.#flushSoon()
  }

  /** Called now and then: what was sent long ago, or never, and is still in the pool goes to the leader. */
  resend(): void {
    if (this.#leader === undefined) return
    const now = this.#clock.elapsed()
    // Not only what was added here: an entry may have come into the pool while this node had no part to play.
    for (const { id } of this.#pool.values()) {
      if (now - (this.#sent.get(id) ?? Number.NEGATIVE_INFINITY) < RESEND_MS) continue
      this.#sent.delete(id)
      this.#waiting.add(id)
    }
    this.applied()
  }

  /** At once after a pause; else what arrives within a few milliseconds travels in one frame. */
  #flushSoon(): void {
    if (this.#flushing || this.#waiting.size === 0) return
    this.#flushing = true
    const flush = () => {
      this.#flushing = false
      this.#flushed = this.#clock.elapsed()
      this.#flush()
    }
    if (this.#clock.elapsed() - this.#flushed > GATHER_MS) this.#clock.soon(flush)
    else this.#clock.after(GATHER_MS, flush)
  }

  #flush(): void {
    const leader = this.#leader
    if (leader === undefined) return
    while (this.#waiting.size > 0 && this.#sent.size < WINDOW_ENTRIES) {
      const batch: Entry[] = []
      let bytes = 0
      for (const id of this.#waiting) {
        const entry = this.#pool.get(id)
        if (this.#sent.size + batch.length >= WINDOW_ENTRIES) break
        if (entry && bytes + entry.bytes.length > FRAME_ENTRIES_BYTES_MAX) break
        this.#waiting.delete(id)
        if (!entry) continue
        batch.push(entry)
        bytes += entry.bytes.length
      }
      if (batch.length === 0) continue
      const now = this.#clock.elapsed()
      this.#network.send(leader, FRAME.forward, encodeEntryBundle(batch.map((entry) => entry.bytes)))
      for (const { id } of batch) this.#sent.set(id, now)
    }
  }
}

export function encodeRefusals(refusals: readonly Refusal[]): Uint8Array {
  return utf8(JSON.stringify(refusals))
}

export function decodeRefusals(bytes: Uint8Array): Refusal[] {
  return array(parseJson(fromUtf8(bytes), 4_194_304), 'The reply', 1, POOL_ENTRIES_MAX).map((item) => {
    const refusal = fields(item, 'A refusal', ['id', 'code', 'message'], ['duplicateOf'])
    return {
      id: text(refusal.id, '"id"', 64),
      code: text(refusal.code, '"code"', 64),
      message: text(refusal.message, '"message"', 2048),
      ...(refusal.duplicateOf === undefined
        ? {}
        : { duplicateOf: text(refusal.duplicateOf, '"duplicateOf"', 64) }),
    }
  })
}

/**
 * Is this for the leader alone to say? Whether a learner has caught up, nobody else knows. Of any other entry a node
 * sees for itself whether it can be ordered, so that no leader can have it dropped: not the new keys of a validator.
 */
export function isLeadersToSay(entry: Entry, { code }: Refusal, membership: Membership): boolean {
  return code === 'not-caught-up' && learnerPromotedBy(entry, membership) !== undefined
}

/** The error that a waiting submitter gets for the leader's refusal; `facts.id` names the entry in its way. */
export function refusalError({ code, message, duplicateOf }: Refusal): QatError {
  const facts = duplicateOf === undefined ? {} : { id: duplicateOf }
  // A duplicate is no refusal for a submitter: it is answered with the other entry.
  if (code === 'duplicate') return new QatError(code, message, facts)
  return new RefusedError(code as RefusedError['code'], message, facts)
}
