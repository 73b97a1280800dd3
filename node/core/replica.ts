/**
 * One node's share of the replicated ledger: takes entries in, orders them with its peers through Raft, applies
 * what is committed, cosigns, and makes up for what it missed. Knows no socket, clock or disk of its own:
 * network, store, clock and signatures are handed in.
 *
 * It lives as long as the node's standing: a change of that, and a disk that was full, end it, and `LedgerNode`
 * opens another from the same store.
 */

import { DEFAULT_LIMITS } from '../../consensus/config.ts'
import { Driver, type Write } from '../../consensus/driver.ts'
import { Raft } from '../../consensus/raft.ts'
import type { BlockRef, Certified, HardState, Block as RaftBlock, SoftState } from '../../consensus/types.ts'
import { decodeMessage, encodeMessage } from '../../consensus/wire.ts'
import { toHex, utf8 } from '../../src/bytes.ts'
import { keyId } from '../../src/crypto/keys.ts'
import type { PublicKey, Signer } from '../../src/crypto/suite.ts'
import { errorCode, FormatError, invariant, type QatError } from '../../src/errors.ts'
import type { Entry } from '../../src/ledger/entry.ts'
import type { ForeignEnvelope } from '../../src/ledger/foreign-envelope.ts'
import type { Membership } from '../../src/ledger/membership.ts'
import { leafHash } from '../../src/merkle/hash.ts'
import { decodeEntryBundle, encodeEntryBundle } from '../../src/merkle/tiles.ts'
import { type BoundedLog, boundedLog } from '../bounded-log.ts'
import type { Clock } from '../clock.ts'
import type { VerifyLanes } from '../crypto/verify-queue.ts'
import type { Logger } from '../logger.ts'
import type { Metrics } from '../metrics.ts'
import { FRAME, type FrameKind, type Network, type Topic, type Verdict } from '../net/network.ts'
import type { Bringer } from '../service.ts'
import { type AppliedBlock, type LedgerStore, type Recovering, toRaftBlock } from '../store/ledger-store.ts'
import { Admission, type Admitted } from './admission.ts'
import { hasCaughtUp } from './caught-up.ts'
import { Certifier } from './certifier.ts'
import type { EvidenceCollector } from './evidence.ts'
import { admitForwarded } from './forwarded.ts'
import {
  decodeRefusals,
  encodeRefusals,
  Forwarding,
  isLeadersToSay,
  type Refusal,
  refusalError,
} from './forwarding.ts'
import { Gossip } from './gossip.ts'
import { encodeHeld, heldOf, isSignaturesRequest, OwnSignatures } from './own-signatures.ts'
import { Patience } from './patience.ts'
import { PendingEntries } from './pending-entries.ts'
import { POOL_ENTRIES_MAX, type Pool } from './pool.ts'
import { Proposer } from './proposer.ts'
import { Puller } from './puller.ts'
import { answerRead, isReadRequest, Reads } from './reads.ts'
import { boundBy } from './recovery.ts'
import { type Standing, standingOf } from './standing.ts'
import { Standstill } from './standstill.ts'
import { certifiedByLedger, Statements } from './statements.ts'
import { answerSync, decodeSyncRequest, encodeSyncAnswer } from './sync.ts'
import { configurationOf, Unapplied } from './unapplied.ts'
import { ValidatorClocks } from './validator-clocks.ts'

/**
 * One Raft tick. An election starts after 1 to 2 s without a leader, five heartbeats at least: long enough for a
 * busy machine, whose processes have to wait for a processor. If the link to the leader breaks, it starts within 1 s.
 */
export const TICK_MS = 50
const ELECTION_TICKS = 20
const HEARTBEAT_TICKS = 4
/** Blocks that a leader may have under way; more would only make them smaller. */
const WINDOW_BLOCKS = 2
const ANNOUNCE_MS = 2_000
/** How often a node that has just started asks the others what it has signed. */
const JOIN_MS = 250
/** Changes of role that are logged within a minute as they come: more than an honest cluster has. */
const ROLES_LOGGED = 10
export interface ReplicaPorts {
  readonly name: string
  readonly store: LedgerStore
  readonly network: Network
  readonly clock: Clock
  /** Uniform in [0, 1): election timeouts. */
  readonly random: () => number
  readonly suites: VerifyLanes
  readonly nodeKey: Signer
  readonly cosigner: Signer
  /** Signs by another node key of this node's, if it has it: one that a change of membership names. */
  readonly nodeSigner: (key: PublicKey) => Promise<Signer | undefined>
  /** Entries admitted and not applied; it outlives the replica. */
  readonly pool: Pool
  readonly logger: Logger
  readonly metrics: Metrics
  /** It outlives the replica, too. */
  readonly evidence: EvidenceCollector
  readonly onOrdered: (blocks: readonly AppliedBlock[]) => void
  readonly onFinal: (size: number) => void
  /** An entry that was admitted here will never be ordered. */
  readonly onRefused: (id: string, error: QatError) => void
  /**
   * A change of membership was applied, or has come into force: the membership above the newest certificate, by
   * which this node is what it is.
   */
  readonly onMembership: (membership: Membership) => void
  /** A node outside of the membership holds all that is final, as this peer says, and is still outside. */
  readonly onLeftOut: (peer: string) => void
  /** The store does not know what this node has signed: it is to be marked, and the replica opened anew. */
  readonly onForgotten: () => void
  /** The node must stop: a broken invariant or an unusable disk. */
  readonly onFatal: (error: unknown) => void
}

export class Replica {
  readonly standing: Standing
  /** Set if the node may have signed what its store has forgotten: then it follows, and signs nothing. */
  readonly recovering: Recovering | undefined
  readonly certifier: Certifier
  readonly driver: Driver
  readonly gossip: Gossip
  readonly reads: Reads
  readonly standstill: Standstill
  readonly #ports: ReplicaPorts
  readonly #log: BoundedLog
  readonly #roles: BoundedLog
  readonly clocks: ValidatorClocks
  readonly #pending: PendingEntries
  readonly #unapplied: Unapplied
  readonly #admission: Admission
  readonly #forwarding: Forwarding
  readonly #patience: Patience
  readonly #ownSignatures: OwnSignatures
  /** Hashes of the blocks that were on the disk and not applied when this was opened. */
  readonly #unappliedThen: ReadonlySet<string>
  readonly #proposer: Proposer
  readonly #puller: Puller
  #sequence: number
  #stopped = false
  #logEnd: number
  #timers: (() => void)[] = []
  #leader: string | undefined

  private constructor(ports: ReplicaPorts, unapplied: Unapplied, certifier: Certifier, parts: Opened) {
    const { name, store, pool, network, clock, nodeKey, suites, onRefused, onFatal } = ports
    const { logger } = parts
    this.#ports = { ...ports, logger }
    this.#roles = boundedLog(ports.logger, clock.elapsed, ROLES_LOGGED)
    this.#log = logger
    this.#pending = new PendingEntries({ pool, store, logger, onRefused, onFatal })
    this.#unapplied = unapplied
    this.certifier = certifier
    this.standing = parts.standing
    this.#sequence = this.membership.sequence
    this.#logEnd = parts.logEnd
    unapplied.follow(() => parts.raft.tail.hash)
    const statements = new Statements({
      name,
      store,
      unapplied,
      certifier,
      suite: suites.urgent,
      nodeKey,
      nodeSigner: ports.nodeSigner,
      term: () => parts.raft.term,
      tail: () => parts.raft.tail.hash,
      evidence: ports.evidence,
    })
    this.driver = new Driver(parts.raft, {
      sign: (statement) => statements.sign(statement),
      verify: (by, statement, signature) => statements.verify(by, statement, signature),
      sealer: (block, seal) => statements.sealer(block, seal),
      configurationAfter: (block) => statements.configurationAfter(block),
      configurationsFor: (block) => statements.configurationsFor(block),
      isGenesis: (block) => statements.isGenesis(block),
      isCovered: (block, bytes) => statements.isCovered(block, bytes),
      persist: (write) => this.#persist(write),
      send: (to, message) => void network.send(to, FRAME.raft, encodeMessage(message)),
      check: (blocks, parent) => this.#check(blocks, parent),
      apply: (blocks) => this.#apply(blocks),
      onSoftState: (state) => this.#onSoftState(state),
      onBehind: (height) => this.#puller.pullTo(height),
      onBadMessage: (from, error) => {
        // Of two clocks that differ, it may be this one that is wrong.
        if (error.code !== 'bad-time') network.misbehaved(from, error.code)
      },
      onFatal,
    })
    this.#admission = new Admission(
      store,
      pool,
      suites.ordinary,
      (learner) => this.#mayPromote(learner),
      () => clock.now(),
    )
    this.#forwarding = new Forwarding(pool, network, clock)
    this.#patience = new Patience({
      pool,
      clock,
      size: () => store.tip.size,
      finalSize: () => this.certifier.size,
      show: (entries) => this.#show(entries),
      complain: () => {
        logger.warn(
          { leader: this.#leader },
          'the leader orders too little, or does not sign it as the log: this node complains of it',
        )
        this.driver.complain()
      },
    })
    this.#proposer = new Proposer({
      name,
      keyid: keyId(nodeKey.publicKey),
      signer: nodeKey,
      driver: this.driver,
      pool,
      unapplied: this.#unapplied,
      store,
      clock,
      sealTime: () => this.clocks.sealTime(),
      isSettled: () => store.members.boundaryAbove(this.certifier.size) === undefined,
      refuse: (entry, error) => this.#pending.drop(entry, error),
      onFatal: (error) => {
        // What it was about to propose may not fit any more to what the next replica has applied.
        if (!this.#stopped) onFatal(error)
      },
    })
    this.#puller = new Puller({
      network,
      driver: this.driver,
      store,
      unapplied: this.#unapplied,
      certifier,
      evidence: ports.evidence,
      clock,
      logger,
      outside: this.standing === 'outside',
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
      evidence: ports.evidence,
      puller: this.#puller,
      pool,
      logger,
      metrics: ports.metrics,
      onAnnouncement: () => {
        // A new leader may have waited for that.
        if (this.driver.raft.needsOpening) this.#proposer.kick()
      },
    })
    const configuration = () => this.driver.raft.configuration
    this.clocks = new ValidatorClocks({
      name,
      clock,
      skewMs: store.genesis.parameters.limits.clockSkewMs,
      voters: () => configuration().voters,
      announcements: () => this.gossip.announcements(),
    })
    this.reads = new Reads({
      name,
      driver: this.driver,
      network,
      clock,
      leader: () => this.#leader,
      height: () => store.tip.height,
    })
    this.standstill = new Standstill({
      name,
      certifier,
      network,
      clock,
      logger,
      leader: () => this.#leader,
      configuration,
      clocks: this.clocks,
    })
    this.recovering = parts.recovering
    this.#unappliedThen = parts.unapplied
    this.#ownSignatures = new OwnSignatures({
      ledger: store.genesis.parameters.ledger,
      key: nodeKey.publicKey,
      suite: suites.urgent,
      hardState: parts.hardState,
      holds: (block) => this.#held(block),
      cosignedBeyond: (note) => certifier.cosignedBeyond(note),
      quorum: () => {
        const { voters, quorum } = configuration()
        return { others: voters.filter((voter) => voter !== name), count: quorum }
      },
      request: (to, bytes, timeoutMs) => network.request(to, bytes, timeoutMs),
    })
  }

  /** Whether the store held the block when this was opened: since then a later leader may have replaced it. */
  async #held({ height, hash }: BlockRef): Promise<boolean> {
    if (this.#unappliedThen.has(hash)) return true
    return (await this.#ports.store.facts(height))?.hash === hash
  }

  /** Before it signs anything, it must be sure that its store has forgotten nothing. */
  async #join(): Promise<void> {
    if (this.#stopped || this.recovering || !this.driver.raft.listening) return
    const found = await this.#ownSignatures.ask().catch((error: unknown) => {
      // The disk cannot be read.
      if (!this.#stopped) this.#ports.onFatal(error)
      return 'open' as const
    })
    if (this.#stopped || found === 'open') return
    if (found === 'forgotten') {
      this.onForgotten(this.#ports.store.tip.size)
      return
    }
    this.driver.join()
    this.certifier.join()
  }

  /** In force above the newest certificate: who may connect, and what this node is, follow from it. */
  get membership(): Membership {
    return this.#ports.store.members.at(this.certifier.size + 1)
  }

  /** Reads what the disk holds and stands ready; nothing moves before `start`. */
  static async open(ports: ReplicaPorts): Promise<Replica> {
    const { name, store, clock, suites, cosigner, metrics, network, pool, evidence, onFatal } = ports
    const logger = boundedLog(ports.logger, clock.elapsed)
    const own = { node: ports.nodeKey.publicKey, cosigner: cosigner.publicKey }
    const recovering = await boundBy(store, name, own)
    let replica: Replica | undefined
    const certifier = await Certifier.open({
      origin: store.genesis.parameters.ledger,
      name,
      signer: recovering ? undefined : cosigner,
      suite: suites.urgent,
      store,
      evidence,
      logger,
      now: clock.now,
      elapsed: clock.elapsed,
      clocks: {
        sealTime: () => replica?.clocks.sealTime(),
        latest: () => replica?.clocks.latest(),
      },
      onBadTime: (validator) => network.misbehaved(validator, 'bad-time'),
      send: (note) => {
        const bytes = utf8(note)
        for (const peer of network.peers()) network.send(peer, FRAME.cosignature, bytes)
      },
      onCertificate: (size, note) => replica?.onCertificate(size, note),
      onCosigned: () => metrics.cosignatures.inc(),
      onForgotten: (size) => replica?.onForgotten(size),
      onFatal,
    })
    const log = await store.logFrom(Math.max(0, store.tip.height - DEFAULT_LIMITS.memoryBlocks))
    const unapplied = new Unapplied(store, pool, suites, evidence, clock)
    const blocks: RaftBlock[] = []
    for (const block of log) {
      const { height, previous } = block.seal
      const raftBlock = toRaftBlock(block)
      if (height <= store.tip.height) blocks.push(raftBlock)
      else blocks.push(...(await unapplied.check(toHex(previous), [raftBlock], Number.POSITIVE_INFINITY)))
    }
    const hardState = await store.hardState()
    const raft = new Raft({
      id: name,
      configuration: configurationOf(store.members.newest),
      electionTicks: ELECTION_TICKS,
      heartbeatTicks: HEARTBEAT_TICKS,
      random: ports.random,
      hardState,
      log: { blocks, commit: store.tip.height },
      certified: await highestCertified(store, certifier),
      limits: { ...DEFAULT_LIMITS, windowBlocks: WINDOW_BLOCKS },
    })
    const standing = standingOf(store.members.at(certifier.size + 1), name, own)
    const logEnd = log.at(-1)!.seal.height
    const unappliedThen = new Set(
      blocks.filter((block) => block.height > store.tip.height).map(({ hash }) => hash),
    )
    const parts = { raft, logEnd, standing, logger, recovering, hardState, unapplied: unappliedThen }
    replica = new Replica(ports, unapplied, certifier, parts)
    await replica.#pending.sweep()
    await replica.#pending.reload(replica.#admission)
    return replica
  }

  start(): void {
    const { clock } = this.#ports
    if (this.standing === 'outside') {
      this.#timers = [clock.every(ANNOUNCE_MS / 2, () => void this.#followFromOutside())]
      return
    }
    this.#timers = [
      clock.every(TICK_MS, () => this.driver.tick()),
      clock.every(ANNOUNCE_MS, () => this.#announce()),
      clock.every(ANNOUNCE_MS, () => this.standstill.look()),
      clock.every(ANNOUNCE_MS / 2, () => {
        this.#forwarding.resend()
        this.#patience.look()
      }),
      // A round that lost a message is repeated, so that an idle cluster still ends with everything final.
      clock.every(ANNOUNCE_MS / 2, () => {
        if (this.driver.raft.role === 'leader' || this.certifier.boundaryDue) this.certifier.propose()
        else this.certifier.repeat()
      }),
      clock.every(ANNOUNCE_MS / 2, () => {
        if (this.driver.raft.needsOpening) this.#proposer.kick()
      }),
    ]
    if (!this.recovering) this.#timers.push(clock.every(JOIN_MS, () => void this.#join()))
    void this.#join()
    this.#announce()
  }

  async #followFromOutside(): Promise<void> {
    const peer = await this.#puller.follow()
    if (peer !== undefined && !this.#stopped) this.#ports.onLeftOut(peer)
  }

  #announce(): void {
    this.#ports.metrics.peers.set(this.#ports.network.peers().length)
    this.#log.flush()
    this.#roles.flush()
    // What it says of itself is signed as well.
    if (!this.recovering) void this.gossip.announce()
  }

  /** Hands leadership over if it can, and stops when what is being written is on disk. */
  async stop(): Promise<void> {
    const { clock } = this.#ports
    if (!this.#stopped && this.driver.transfer().ok) {
      for (let waited = 0; waited < 1_000 && this.driver.raft.role === 'leader'; waited += 20) {
        await new Promise<void>((resolve) => clock.after(20, resolve))
      }
    }
    this.halt()
    await this.ended()
    await this.#ports.evidence.idle()
  }

  /** From now on nothing is signed, sent or begun; only what the disk holds is answered. */
  halt(): void {
    this.#stopped = true
    for (const cancel of this.#timers) cancel()
    this.#puller.stop()
    this.certifier.stop()
    this.gossip.stop()
    this.#forwarding.follow(undefined)
  }

  /** After `halt`: resolves when nothing is being written any more. */
  async ended(): Promise<void> {
    await this.driver.stop()
    await this.certifier.idle()
  }

  /** The leader as far as this node knows. */
  get leader(): string | undefined {
    return this.#leader
  }

  /** Admits an entry and sends it on its way; `spool` puts it on disk first, for an answer that says `pending`. */
  signers(envelope: ForeignEnvelope, bringer?: Bringer): Promise<string[]> {
    return this.#admission.signers(envelope, bringer)
  }

  async submit(entry: Entry, spool: boolean, bringer?: Bringer): Promise<Admitted> {
    const admitted = await this.#admission.admit(entry, false, bringer)
    if (spool) await this.#pending.keep(entry.id)
    if (admitted.outcome === 'admitted') this.#onward(entry)
    return admitted
  }

  /** Puts an entry of the pool on disk, so that it may be called pending: a crash of this node will not lose it. */
  keep(id: string): Promise<void> {
    return this.#pending.keep(id)
  }

  #onward(entry: Entry): void {
    this.#ports.metrics.pending.set(this.#ports.pool.size)
    if (this.driver.raft.role === 'leader') this.#proposer.kick()
    else this.#forwarding.add(entry)
  }

  // ---- Raft's ports

  async #persist(write: Write): Promise<void> {
    const { store, metrics } = this.#ports
    const { truncateFrom, blocks } = write
    const end = metrics.persistSeconds.startTimer()
    await store.persist(write, this.#logEnd)
    this.#logEnd = blocks.at(-1)?.height ?? (truncateFrom === undefined ? this.#logEnd : truncateFrom - 1)
    end()
  }

  async #check(blocks: readonly RaftBlock[], parent: BlockRef): Promise<readonly RaftBlock[] | undefined> {
    if (!this.#unapplied.stateAfter(parent.hash)) return undefined
    return this.#unapplied.check(parent.hash, blocks, this.#ports.clock.now())
  }

  async #apply(blocks: readonly RaftBlock[]): Promise<void> {
    const { store, metrics, onOrdered } = this.#ports
    const applied = blocks.map(({ hash, height }) => {
      const block = this.#unapplied.get(hash)
      invariant(block, 'A committed block was never checked.', { height })
      return block
    })
    const end = metrics.applySeconds.startTimer()
    const { newest } = store.members
    await store.apply(applied)
    end()
    this.#unapplied.prune()
    const entries = applied.flatMap((block) => block.entries)
    await this.#pending.recorded(entries)
    this.#patience.ordered(entries)
    metrics.entriesApplied.inc(entries.length)
    if (store.members.newest !== newest) {
      this.#pending.sift()
      this.#ports.onMembership(this.membership)
    }
    metrics.blocksApplied.inc(applied.length)
    metrics.height.set(store.tip.height)
    metrics.treeSize.set(store.tip.size)
    metrics.pending.set(this.#ports.pool.size)
    this.reads.applied()
    this.#forwarding.applied()
    this.#puller.applied()
    onOrdered(applied)
    this.certifier.applied()
    if (this.driver.raft.role !== 'leader') this.certifier.follow()
    else {
      this.certifier.propose()
      // Raft sees room in its window only after this call has returned to it.
      this.#ports.clock.soon(() => this.#proposer.kick())
      this.gossip.tellOfBlock(applied.at(-1)!.block)
    }
  }

  #onSoftState({ role, leader }: SoftState): void {
    const { name, metrics } = this.#ports
    this.#leader = leader
    metrics.isLeader.set(role === 'leader' ? 1 : 0)
    metrics.term.set(this.driver.raft.term)
    this.#roles.info({ role, leader, term: this.driver.raft.term }, 'role changed')
    this.#forwarding.follow(leader === name ? undefined : leader)
    this.#patience.follow(leader === name ? undefined : leader)
    // The opening block is due as soon as this call has returned to Raft.
    if (role === 'leader') this.#ports.clock.soon(() => this.#proposer.kick())
    // A new leader must know the others' clocks.
    else if (leader !== undefined && !this.#stopped) this.#announce()
  }

  onCertificate(size: number, note: string): void {
    const { metrics, onFinal, onMembership } = this.#ports
    metrics.finalSize.set(size)
    metrics.certificates.inc()
    onFinal(size)
    if (this.driver.raft.role === 'leader') {
      this.certifier.propose()
      this.gossip.tellOfCertificate(note)
    }
    const { membership } = this
    if (membership.sequence === this.#sequence || this.#stopped) return
    this.#sequence = membership.sequence
    // The next change may have waited for this.
    if (this.driver.raft.role === 'leader') this.#proposer.kick()
    onMembership(membership)
  }

  onForgotten(size: number): void {
    const { store, logger, onForgotten } = this.#ports
    if (this.#stopped) return
    this.halt()
    logger.error(
      { size, ours: store.tip.size },
      'the others hold a signature of this node that its store has forgotten: an old copy of the store was put back. The node signs nothing more under its keys, and needs new ones',
    )
    onForgotten()
  }

  // ---- what comes over the network

  frame(from: string, kind: FrameKind, bytes: Uint8Array): void {
    if (this.#stopped || this.standing === 'outside') return
    try {
      if (kind === FRAME.raft) this.driver.deliver(from, decodeMessage(bytes))
      else if (kind === FRAME.forward)
        void this.#onForwarded(from, decodeEntryBundle(bytes, POOL_ENTRIES_MAX))
      else if (kind === FRAME.late) void this.#onLate(from, decodeEntryBundle(bytes, POOL_ENTRIES_MAX))
      else if (kind === FRAME.cosignature) void this.#onCosignature(from, bytes)
      else for (const refusal of decodeRefusals(bytes)) this.#onRefusal(from, refusal)
    } catch (error) {
      this.#ports.network.misbehaved(from, errorCode(error))
    }
  }

  disconnected(peer: string): void {
    this.driver.lostLink(peer)
  }

  /** Answers a node; one that is no member any more learns what is final, and nothing else. */
  async request(from: string, bytes: Uint8Array): Promise<Uint8Array> {
    const record = this.membership.nodeByName.get(from)
    if (record && isReadRequest(bytes)) return answerRead(this.driver)
    if (record && isSignaturesRequest(bytes)) {
      const { store, evidence } = this.#ports
      const { ledger } = store.genesis.parameters
      return encodeHeld(
        heldOf(record, ledger, evidence.newestBy(record), this.driver.raft, this.certifier.note),
      )
    }
    const answer = await answerSync(this.#ports.store, this.certifier.note, decodeSyncRequest(bytes))
    return encodeSyncAnswer(answer)
  }

  async hear(from: string, topic: Topic, bytes: Uint8Array): Promise<Verdict> {
    return this.#stopped ? 'ignore' : this.gossip.receive(from, topic, bytes)
  }

  async #onCosignature(from: string, bytes: Uint8Array): Promise<void> {
    if ((await this.gossip.receive(from, 'cosignatures', bytes)) === 'reject')
      this.#ports.network.misbehaved(from, 'bad-cosignature')
  }

  /** Entries of another node, for this one as the leader. Silence means that they will be ordered. */
  async #onForwarded(from: string, leaves: readonly Uint8Array[]): Promise<void> {
    // Not leading any more: the sender will learn who does, and send them there.
    if (this.driver.raft.role !== 'leader') return
    const refusals = await this.#admit(from, leaves)
    if (refusals.length > 0) this.#ports.network.send(from, FRAME.forwardReply, encodeRefusals(refusals))
  }

  /** Entries that wait too long at another node: from now on they wait here, too. */
  async #onLate(from: string, leaves: readonly Uint8Array[]): Promise<void> {
    await this.#admit(from, leaves)
    for (const leaf of leaves) {
      const entry = this.#ports.pool.get(toHex(leafHash(leaf)))
      if (entry && this.driver.raft.role !== 'leader') this.#forwarding.add(entry)
    }
  }

  async #admit(from: string, leaves: readonly Uint8Array[]): Promise<readonly Refusal[]> {
    const { network, onFatal } = this.#ports
    try {
      const refusals = await admitForwarded(this.#admission, from, leaves, () => this.#proposer.kick())
      // Who forwards an entry has verified it.
      if (refusals.some(({ code }) => code === 'bad-signature')) network.misbehaved(from, 'bad-signature')
      return refusals
    } catch (error) {
      if (error instanceof FormatError) network.misbehaved(from, error.code)
      else onFatal(error)
      return []
    }
  }

  /** To the other validators: the leader lets these wait. */
  #show(entries: readonly Entry[]): void {
    const { network, name } = this.#ports
    const bytes = encodeEntryBundle(entries.map((entry) => entry.bytes))
    for (const peer of this.driver.raft.configuration.voters) {
      if (peer !== name) network.send(peer, FRAME.late, bytes)
    }
  }

  /**
   * The leader says why it will not order an entry. What this node can see for itself it sees when it has applied as
   * much, and nobody's word is taken for it. Whether a learner has caught up, the leader alone knows.
   */
  #onRefusal(from: string, refusal: Refusal): void {
    const entry = this.#ports.pool.get(refusal.id)
    const { newest } = this.#ports.store.members
    if (from !== this.#leader || !entry || !isLeadersToSay(entry, refusal, newest)) return
    this.#pending.drop(entry, refusalError(refusal))
  }

  /** The leader makes nobody a voter who would hold the others up. Elsewhere that is not known, nor decided. */
  #mayPromote(learner: string): boolean {
    if (this.driver.raft.role !== 'leader') return true
    const { tail, progress } = this.driver.status()
    return hasCaughtUp(progress[learner], tail.height)
  }
}

/**
 * The lock on the disk, or the newest certificate of the ledger if that reaches further: a store that was put back from
 * a backup, or pulled together from others, has no lock yet. By height: what the ledger certifies is decided, so every
 * certified block of a later term contains it.
 */
async function highestCertified(store: LedgerStore, { note, size }: Certifier): Promise<Certified> {
  const lock = await store.certified()
  const covered = await certifiedByLedger(store, note, size)
  if (!covered || covered.block.height <= lock.block.height) return lock
  // A node says what it is locked on, so that must outlast a loss of power; the certificate alone might not.
  await store.put({ certified: covered })
  return covered
}

interface Opened {
  readonly logger: BoundedLog
  readonly raft: Raft
  readonly hardState: HardState
  readonly unapplied: ReadonlySet<string>
  readonly logEnd: number
  readonly standing: Standing
  readonly recovering: Recovering | undefined
}
