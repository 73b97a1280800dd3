/**
 * The leader's work: turning what waits in the pool into blocks. While one block is being written the next one
 * fills (group commit), so that blocks are small when little happens and large under load.
 */
import type { Driver } from '../../consensus/driver.ts'
import { keyId } from '../../src/crypto/keys.ts'
import type { Signer } from '../../src/crypto/suite.ts'
import { invariant, RefusedError } from '../../src/errors.ts'
import { sealBlock } from '../../src/ledger/block.ts'
import { type ChainState, checkEntry, nextPlace } from '../../src/ledger/chain.ts'
import type { Entry } from '../../src/ledger/entry.ts'
import { PAYLOAD_TYPES } from '../../src/ledger/payload-types.ts'
import { ENTRY_BYTES_MAX } from '../../src/limits.ts'
import type { Clock } from '../clock.ts'
import type { LedgerStore } from '../store/ledger-store.ts'
import type { Pool } from './pool.ts'
import type { Unapplied } from './unapplied.ts'

/**
 * A block costs every node signatures, syncs and messages whatever it holds, so under load it waits for company:
 * this long after the one before for each entry that one held. With few entries there is no wait to notice.
 */
const WAIT_MS_PER_ENTRY = 2
const WAIT_MS_MAX = 100

export interface ProposerPorts {
  readonly name: string
  readonly keyid: string
  readonly signer: Signer
  readonly driver: Driver
  readonly pool: Pool
  readonly unapplied: Unapplied
  readonly store: LedgerStore
  readonly clock: Clock
  /** What time a seal is to say; undefined if that cannot be known yet, and then nothing is proposed. */
  readonly sealTime: () => number | undefined
  /**
   * Whether the last change of membership is certified. Until then the nodes that it adds or removes, or gives other
   * keys, may be needed as they were before it.
   */
  readonly isSettled: () => boolean
  /** An entry of the pool can never be ordered. */
  readonly refuse: (entry: Entry, error: RefusedError) => void
  readonly onFatal: (error: unknown) => void
}

export class Proposer {
  readonly #ports: ProposerPorts
  #working = false
  #again = false
  /** When the last block was proposed, and how long the next one waits after it. */
  #last = { at: Number.NEGATIVE_INFINITY, waitMs: 0 }
  #alarm = false

  constructor(ports: ProposerPorts) {
    this.#ports = ports
  }

  /** Something may be there to propose: a new entry, a new leadership, room in the window. */
  kick(): void {
    this.#again = true
    if (!this.#working) void this.#work()
  }

  async #work(): Promise<void> {
    this.#working = true
    try {
      while (this.#again) {
        this.#again = false
        while (await this.#proposeOne()) {
          // As long as there is room and something to put into it.
        }
      }
    } catch (error) {
      this.#ports.onFatal(error)
    }
    this.#working = false
  }

  /** Builds, signs and offers one block; false if there is nothing to do now. */
  async #proposeOne(): Promise<boolean> {
    const { driver, unapplied, store, name, keyid, signer, clock, sealTime, isSettled } = this.#ports
    const { raft } = driver
    // A new leader opens its term with an empty block, so that what came before it can commit.
    const opening = raft.needsOpening
    if (!raft.canPropose() || (!opening && this.#tooSoon())) return false
    const time = sealTime()
    if (time === undefined) return false
    const { tail, term } = raft
    const before = unapplied.stateAfter(tail.hash)
    // After a change nothing follows until it is certified. What waits in the pool is judged by the new members; and a
    // node that lacks the change when others fail can prove it to itself by the certificate.
    if (!opening && (before?.membership !== store.members.newest || !isSettled())) return false
    // A leader whose record a change took away or gave other keys to can seal no block that would be taken.
    if (before && !this.#maySeal(before)) {
      driver.transfer()
      return false
    }
    const entries = opening || !before ? [] : await this.#choose(tail.hash, before)
    if (!opening && entries.length === 0) return false
    if (raft.tail.hash !== tail.hash || raft.term !== term) return true
    const state = unapplied.stateAfter(tail.hash)
    invariant(state, 'The tail of the log is unknown to the ledger.', { height: tail.height })
    const block = await sealBlock(nextPlace(state, term, name, time), entries, [{ keyid, signer }])
    if (raft.tail.hash !== tail.hash || raft.term !== term) return true
    invariant(store.tip.height <= tail.height, 'The chain has outgrown the log.')
    const raftBlock = unapplied.add(block, entries)
    this.#last = { at: clock.elapsed(), waitMs: Math.min(WAIT_MS_MAX, WAIT_MS_PER_ENTRY * entries.length) }
    return driver.propose(raftBlock).ok
  }

  #maySeal({ membership }: ChainState): boolean {
    const record = membership.validatorByName.get(this.#ports.name)
    return record !== undefined && keyId(record.nodeKey) === this.#ports.keyid
  }

  /** Whether the next block still waits for company; if so, the work goes on when the wait is over. */
  #tooSoon(): boolean {
    const { clock, pool, store } = this.#ports
    const restMs = this.#last.at + this.#last.waitMs - clock.elapsed()
    if (restMs <= 0 || pool.size >= store.state.parameters.limits.blockEntries) return false
    if (!this.#alarm) {
      this.#alarm = true
      clock.after(restMs, () => {
        this.#alarm = false
        this.kick()
      })
    }
    return true
  }

  /** The oldest entries that stand in no block of the branch that ends with `tail`; one change at most. */
  async #choose(tail: string, state: ChainState): Promise<Entry[]> {
    const { pool, unapplied, store } = this.#ports
    const { blockEntries, blockBytes } = state.parameters.limits
    const inFlight = (entry: Entry) => unapplied.overlaps(tail, entry)
    const chosen = pool.oldest(blockEntries, blockBytes - ENTRY_BYTES_MAX, inFlight)
    // An entry can come back into the pool, from a peer that has not seen its block, after it was applied.
    const recorded = await store.hasLeaves(chosen.map(({ hash }) => hash))
    const kept = chosen.filter((entry, i) => recorded[i] && pool.remove(entry.id))
    if (kept.length > 0) await store.removePending(kept.map(({ hash }) => hash))
    let changes = 0
    return chosen.filter((entry, i) => {
      if (recorded[i]) return false
      if (entry.envelope.payloadType !== PAYLOAD_TYPES.change) return true
      return changes === 0 && this.#mayChange(entry, state) && ++changes === 1
    })
  }

  /** Whether a change of membership may be proposed now. One whose turn is over is refused for good. */
  #mayChange(entry: Entry, state: ChainState): boolean {
    const { driver, refuse } = this.#ports
    try {
      checkEntry(state, entry)
    } catch (error) {
      if (!(error instanceof RefusedError)) throw error
      refuse(entry, error)
      return false
    }
    return driver.raft.canChange
  }
}
