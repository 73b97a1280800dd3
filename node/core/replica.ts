/**
 * One validator's share of the replicated ledger: takes entries in, orders them with its peers through Raft,
 * applies what is committed, cosigns, and makes up for what it missed. Knows no socket, clock or disk of its
 * own: network, store, clock and signatures are handed in.
 */
import { DEFAULT_LIMITS } from '../../consensus/config.ts'
import { Driver, type Write } from '../../consensus/driver.ts'
import { Raft } from '../../consensus/raft.ts'
import type { BlockRef, Block as RaftBlock, SoftState } from '../../consensus/types.ts'
import { decodeMessage, encodeMessage } from '../../consensus/wire.ts'
import { toHex, utf8 } from '../../src/bytes.ts'
import { keyId } from '../../src/crypto/keys.ts'
import type { SignatureSuite, Signer } from '../../src/crypto/suite.ts'
import {
  errorCode,
  errorMessage,
  FormatError,
  invariant,
  type QatError,
  RefusedError,
} from '../../src/errors.ts'
import { decodeEntry, type Entry } from '../../src/ledger/entry.ts'
import { policyOf } from '../../src/ledger/membership.ts'
import { decodeEntryBundle } from '../../src/merkle/tiles.ts'
import type { Policy } from '../../src/notes/policy.ts'
import type { Clock } from '../clock.ts'
import type { Logger } from '../logger.ts'
import type { Metrics } from '../metrics.ts'
import { FRAME, type FrameKind, type Network, type NetworkHandlers } from '../net/network.ts'
import { type AppliedBlock, type LedgerStore, toRaftBlock } from '../store/ledger-store.ts'
import { Admission, type Admitted } from './admission.ts'
import { Certifier } from './certifier.ts'
import { decodeRefusals, encodeRefusals, Forwarding, type Refusal, refusalError } from './forwarding.ts'
import { Gossip } from './gossip.ts'
import { POOL_ENTRIES_MAX, Pool } from './pool.ts'
import { Proposer } from './proposer.ts'
import { Puller } from './puller.ts'
import { answerSync, decodeSyncRequest, encodeSyncAnswer } from './sync.ts'
import { Unapplied } from './unapplied.ts'

/** One Raft tick. An election starts after 1.5 to 3 s without a leader: long enough for a busy machine. */
export const TICK_MS = 50
const ELECTION_TICKS = 30
const HEARTBEAT_TICKS = 4
/** Blocks that a leader may have under way; more would only make them smaller. */
const WINDOW_BLOCKS = 2
const ANNOUNCE_MS = 2_000

export interface ReplicaPorts {
  readonly name: string
  readonly store: LedgerStore
  readonly network: Network
  readonly clock: Clock
  /** Uniform in [0, 1): election timeouts. */
  readonly random: () => number
  /** For what ordering waits for, and for the rest. */
  readonly suites: { readonly urgent: SignatureSuite; readonly ordinary: SignatureSuite }
  readonly nodeKey: Signer
  readonly cosigner: Signer
  readonly logger: Logger
  readonly metrics: Metrics
  readonly onOrdered: (blocks: readonly AppliedBlock[]) => void
  readonly onFinal: (size: number) => void
  /** An entry that was admitted here will never be ordered. */
  readonly onRefused: (id: string, error: QatError) => void
  /** The node must stop: a broken invariant or an unusable disk. */
  readonly onFatal: (error: unknown) => void
}

export class Replica {
  readonly pool = new Pool()
  readonly policy: Policy
  readonly certifier: Certifier
  readonly driver: Driver
  readonly gossip: Gossip
  readonly #ports: ReplicaPorts
  readonly #unapplied: Unapplied
  readonly #admission: Admission
  readonly #forwarding: Forwarding
  readonly #proposer: Proposer
  readonly #puller: Puller
  /** Ids of pool entries that are on disk as acknowledged pending. */
  readonly #spooled = new Set<string>()
  #logEnd: number
  #timers: (() => void)[] = []
  #leader: string | undefined

  private constructor(
    ports: ReplicaPorts,
    unapplied: (pool: Pool) => Unapplied,
    certifier: Certifier,
    parts: Opened,
  ) {
    const { name, store, network, clock, nodeKey, logger, suites, onFatal } = ports
    this.#ports = ports
    this.#unapplied = unapplied(this.pool)
    this.certifier = certifier
    this.policy = parts.policy
    this.#logEnd = parts.logEnd
    this.driver = new Driver(parts.raft, {
      persist: (write) => this.#persist(write),
      send: (to, message) => void network.send(to, FRAME.raft, encodeMessage(message)),
      check: (blocks, parent) => this.#check(blocks, parent),
      apply: (blocks) => this.#apply(blocks),
      onSoftState: (state) => this.#onSoftState(state),
      onBehind: (height) => this.#puller.pullTo(height),
      onBadMessage: (from, error) => network.misbehaved(from, error.code),
      onFatal,
    })
    this.#admission = new Admission(store, this.pool, suites.ordinary)
    this.#forwarding = new Forwarding(this.pool, network, clock)
    this.#proposer = new Proposer({
      name,
      keyid: keyId(nodeKey.publicKey),
      signer: nodeKey,
      driver: this.driver,
      pool: this.pool,
      unapplied: this.#unapplied,
      store,
      clock,
      onOvertaken: (entry) => void this.#onOvertaken(entry),
      onFatal,
    })
    this.#puller = new Puller({
      network,
      driver: this.driver,
      store,
      unapplied: this.#unapplied,
      certifier,
      clock,
      logger,
      onFatal,
    })
    this.gossip = new Gossip({
      name,
      store,
      network,
      clock,
      suite: suites.ordinary,
      nodeKey,
      driver: this.driver,
      certifier,
      puller: this.#puller,
      pool: this.pool,
      logger,
      metrics: ports.metrics,
    })
  }

  /** Reads what the disk holds and stands ready; nothing moves before `start`. */
  static async open(ports: ReplicaPorts): Promise<Replica> {
    const { name, store, clock, suites, cosigner, logger, metrics, network, onFatal } = ports
    const { parameters, membership } = store.genesis
    const policy = policyOf(parameters.ledger, membership, parameters.cosigners)
    let replica: Replica | undefined
    const certifier = await Certifier.open({
      origin: parameters.ledger,
      name,
      policy,
      signer: cosigner,
      suite: suites.urgent,
      store,
      logger,
      now: clock.now,
      publish: (note) => void network.publish('cosignatures', utf8(note)).catch(() => {}),
      onCertificate: (size) => replica?.onCertificate(size),
      onCosigned: () => metrics.cosignatures.inc(),
      onFatal,
    })
    const log = await store.logFrom(Math.max(0, store.tip.height - DEFAULT_LIMITS.memoryBlocks))
    const raft = new Raft({
      id: name,
      voters: membership.validators.map((validator) => validator.name),
      electionTicks: ELECTION_TICKS,
      heartbeatTicks: HEARTBEAT_TICKS,
      random: ports.random,
      hardState: await store.hardState(),
      log: { blocks: log.map(toRaftBlock), commit: store.tip.height },
      limits: { ...DEFAULT_LIMITS, windowBlocks: WINDOW_BLOCKS },
    })
    const makeUnapplied = (pool: Pool) => new Unapplied(store, pool, suites.urgent)
    const logEnd = log.at(-1)!.seal.height
    replica = new Replica(ports, makeUnapplied, certifier, { policy, raft, logEnd })
    for (const block of log) {
      if (block.seal.height <= store.tip.height) continue
      await replica.#unapplied.check(
        toHex(block.seal.previous),
        [toRaftBlock(block)],
        Number.POSITIVE_INFINITY,
      )
    }
    await replica.#reloadPending()
    return replica
  }

  async start(): Promise<void> {
    const { network, clock } = this.#ports
    await network.start(this.#handlers())
    this.#timers = [
      clock.every(TICK_MS, () => this.driver.tick()),
      clock.every(ANNOUNCE_MS, () => this.#announce()),
      clock.every(ANNOUNCE_MS / 2, () => this.#forwarding.resend()),
      // A round that lost a message is repeated, so that an idle cluster still ends with everything final.
      clock.every(ANNOUNCE_MS / 2, () => this.#certifyIfLeading()),
    ]
    this.#announce()
  }

  #announce(): void {
    this.#ports.metrics.peers.set(this.#ports.network.peers().length)
    void this.gossip.announce()
  }

  /** Hands leadership over if it can, and stops when what is being written is on disk. */
  async stop(): Promise<void> {
    const { clock } = this.#ports
    if (this.driver.transfer().ok) {
      for (let waited = 0; waited < 1_000 && this.driver.raft.role === 'leader'; waited += 20) {
        await new Promise<void>((resolve) => clock.after(20, resolve))
      }
    }
    for (const cancel of this.#timers) cancel()
    this.#puller.stop()
    await this.#ports.network.stop()
    await this.driver.stop()
    await this.certifier.idle()
  }

  /** The leader as far as this node knows. */
  get leader(): string | undefined {
    return this.#leader
  }

  /** Admits an entry and sends it on its way; `spool` puts it on disk first, for an answer that says `pending`. */
  async submit(entry: Entry, spool: boolean): Promise<Admitted> {
    const admitted = await this.#admission.admit(entry)
    if (spool && this.pool.get(entry.id) && !this.#spooled.has(entry.id)) {
      await this.#ports.store.addPending([entry])
      // It may have been ordered while the disk was busy.
      if (this.pool.get(entry.id)) this.#spooled.add(entry.id)
      else await this.#ports.store.removePending([entry.hash])
    }
    if (admitted.outcome === 'admitted') this.#onward(entry)
    return admitted
  }

  #onward(entry: Entry): void {
    this.#ports.metrics.pending.set(this.pool.size)
    if (this.driver.raft.role === 'leader') this.#proposer.kick()
    else this.#forwarding.add(entry)
  }

  // ---- Raft's ports

  async #persist({ hardState, truncateFrom, blocks }: Write): Promise<void> {
    const { store, metrics } = this.#ports
    const end = metrics.persistSeconds.startTimer()
    const truncate = truncateFrom === undefined ? undefined : { from: truncateFrom, logEnd: this.#logEnd }
    await store.persist(hardState, truncate, blocks)
    this.#logEnd = blocks.at(-1)?.height ?? (truncateFrom === undefined ? this.#logEnd : truncateFrom - 1)
    end()
  }

  async #check(blocks: readonly RaftBlock[], parent: BlockRef): Promise<boolean> {
    if (!this.#unapplied.stateAfter(parent.hash)) return false
    await this.#unapplied.check(parent.hash, blocks, this.#ports.clock.now())
    return true
  }

  async #apply(blocks: readonly RaftBlock[]): Promise<void> {
    const { store, metrics, onOrdered } = this.#ports
    const applied = blocks.map(({ hash, height }) => {
      const block = this.#unapplied.get(hash)
      invariant(block, 'A committed block was never checked.', { height })
      return block
    })
    const end = metrics.applySeconds.startTimer()
    await store.apply(applied)
    end()
    this.#unapplied.prune()
    const spooled: Uint8Array[] = []
    for (const { entries } of applied) {
      for (const { id, hash } of entries) {
        this.pool.remove(id)
        if (this.#spooled.delete(id)) spooled.push(hash)
      }
      metrics.entriesApplied.inc(entries.length)
    }
    if (spooled.length > 0) await store.removePending(spooled)
    metrics.blocksApplied.inc(applied.length)
    metrics.height.set(store.tip.height)
    metrics.treeSize.set(store.tip.size)
    metrics.pending.set(this.pool.size)
    onOrdered(applied)
    this.certifier.applied()
    if (this.driver.raft.role === 'leader') {
      this.#certifyIfLeading()
      // Raft sees room in its window only after this call has returned to it.
      this.#ports.clock.soon(() => this.#proposer.kick())
      for (const { block } of applied) this.gossip.tellOfBlock(block)
    }
  }

  #onSoftState({ role, leader }: SoftState): void {
    const { name, logger, metrics } = this.#ports
    this.#leader = leader
    metrics.isLeader.set(role === 'leader' ? 1 : 0)
    metrics.term.set(this.driver.raft.term)
    logger.info({ role, leader, term: this.driver.raft.term }, 'role changed')
    this.#forwarding.follow(leader === name ? undefined : leader)
    // The opening block is due as soon as this call has returned to Raft.
    if (role === 'leader') this.#ports.clock.soon(() => this.#proposer.kick())
  }

  onCertificate(size: number): void {
    this.#ports.metrics.finalSize.set(size)
    this.#ports.metrics.certificates.inc()
    this.#ports.onFinal(size)
    this.#certifyIfLeading()
  }

  #certifyIfLeading(): void {
    if (this.driver.raft.role === 'leader') this.certifier.propose()
  }

  // ---- what comes over the network

  #handlers(): NetworkHandlers {
    return {
      frame: (from, kind, bytes) => this.#onFrame(from, kind, bytes),
      request: async (_, bytes) => {
        const answer = await answerSync(this.#ports.store, this.certifier.note, decodeSyncRequest(bytes))
        return encodeSyncAnswer(answer)
      },
      gossip: (from, topic, bytes) => this.gossip.receive(from, topic, bytes),
      connected: () => this.#ports.metrics.peers.set(this.#ports.network.peers().length),
    }
  }

  #onFrame(from: string, kind: FrameKind, bytes: Uint8Array): void {
    try {
      if (kind === FRAME.raft) this.driver.deliver(from, decodeMessage(bytes))
      else if (kind === FRAME.forward)
        void this.#onForwarded(from, decodeEntryBundle(bytes, POOL_ENTRIES_MAX))
      else for (const refusal of decodeRefusals(bytes)) this.#onRefusal(from, refusal)
    } catch (error) {
      this.#ports.network.misbehaved(from, errorCode(error))
    }
  }

  /** Entries of another node, for this one as the leader. Silence means that they will be ordered. */
  async #onForwarded(from: string, leaves: readonly Uint8Array[]): Promise<void> {
    // Not leading any more: the sender will learn who does, and send them there.
    if (this.driver.raft.role !== 'leader') return
    const refusals: Refusal[] = []
    await Promise.all(
      leaves.map(async (leaf) => {
        let id = ''
        try {
          const entry = decodeEntry(leaf)
          id = entry.id
          const admitted = await this.#admission.admit(entry)
          if (admitted.outcome === 'admitted') this.#proposer.kick()
          if (admitted.outcome === 'duplicate') {
            refusals.push({
              id,
              code: 'duplicate',
              message: 'The event is recorded already.',
              duplicateOf: admitted.id,
            })
          }
        } catch (error) {
          if (error instanceof FormatError) return this.#ports.network.misbehaved(from, error.code)
          // Overload is not for good: the sender keeps the entry and tries again.
          if (!(error instanceof RefusedError)) return
          const rival = error.facts.id
          refusals.push({
            id,
            code: error.code,
            message: errorMessage(error),
            ...(error.code === 'event-conflict' && typeof rival === 'string' ? { duplicateOf: rival } : {}),
          })
        }
      }),
    )
    if (refusals.length > 0) this.#ports.network.send(from, FRAME.forwardReply, encodeRefusals(refusals))
  }

  #onRefusal(from: string, refusal: Refusal): void {
    const entry = this.pool.get(refusal.id)
    if (from !== this.#leader || !entry) return
    this.#drop(entry)
    this.#ports.onRefused(refusal.id, refusalError(refusal))
  }

  /** An entry of the pool that is recorded, or its event: whoever waits here gets what admission says now. */
  async #onOvertaken(entry: Entry): Promise<void> {
    const { id } = entry
    this.#drop(entry)
    try {
      const admitted = await this.#admission.admit(entry)
      if (admitted.outcome !== 'duplicate') return
      const message = 'The event is recorded already.'
      this.#ports.onRefused(id, refusalError({ id, code: 'duplicate', message, duplicateOf: admitted.id }))
    } catch (error) {
      if (error instanceof RefusedError) this.#ports.onRefused(id, error)
      else this.#ports.onFatal(error)
    }
  }

  #drop(entry: Entry): void {
    this.pool.remove(entry.id)
    if (this.#spooled.delete(entry.id)) void this.#ports.store.removePending([entry.hash])
  }

  /** Entries that were acknowledged as pending before a crash go back into the pool. */
  async #reloadPending(): Promise<void> {
    const { store, logger } = this.#ports
    for (const bytes of await store.pending()) {
      const entry = decodeEntry(bytes)
      try {
        const { outcome } = await this.#admission.admit(entry)
        if (outcome === 'admitted') this.#spooled.add(entry.id)
        else await store.removePending([entry.hash])
      } catch (error) {
        logger.error(
          { id: entry.id, code: errorCode(error) },
          'an entry acknowledged as pending is refused now',
        )
      }
    }
  }
}

interface Opened {
  readonly policy: Policy
  readonly raft: Raft
  readonly logEnd: number
}
