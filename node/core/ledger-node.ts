/** The LedgerService of a running node: submissions and their progress, questions, subscriptions. */
import { toBase64 } from '../../src/bytes.ts'
import type { Signer } from '../../src/crypto/suite.ts'
import { errorCode, errorMessage, QatError } from '../../src/errors.ts'
import type { JsonObject } from '../../src/json.ts'
import type { Entry } from '../../src/ledger/entry.ts'
import { memberToJson } from '../../src/ledger/member.ts'
import type { Membership } from '../../src/ledger/membership.ts'
import type { PeerRecord } from '../net/network.ts'
import {
  type BlockView,
  type BundleFiles,
  type CheckpointView,
  type ClusterStatus,
  type EntryQuery,
  type EntryView,
  type GenesisView,
  type LedgerEvent,
  type LedgerService,
  type MembershipView,
  type NodeStatus,
  type Principal,
  type QueryPage,
  ServiceError,
  type Stage,
  type Submission,
} from '../service.ts'
import type { AppliedBlock } from '../store/ledger-store.ts'
import { StoreError } from '../store/store-error.ts'
import { VERSION } from '../version.ts'
import type { Admitted } from './admission.ts'
import { type Accusation, EvidenceCollector, type EvidencePorts } from './evidence.ts'
import { EvidenceRecorder } from './evidence-recorder.ts'
import { signForPrincipal } from './gateway.ts'
import { DISK_CHECK_MS, Lifecycle } from './lifecycle.ts'
import { Pool } from './pool.ts'
import { blockView, LedgerReader, notFound } from './reader.ts'
import { endRecovery } from './recovery.ts'
import { Replica, type ReplicaPorts } from './replica.ts'
import { standingOf } from './standing.ts'
import { answerFrom, encodeSyncAnswer } from './sync.ts'
import { isAtLeast, type Progress, Waiters } from './waiters.ts'

/** A node that announced itself within this time counts as online. */
const ONLINE_MS = 6_000

type Internal =
  | 'pool'
  | 'evidence'
  | 'onOrdered'
  | 'onFinal'
  | 'onRefused'
  | 'onMembership'
  | 'onLeftOut'
  | 'onForgotten'
  | 'onRecovered'

export interface LedgerNodePorts extends Omit<ReplicaPorts, Internal> {
  /** Signs for senders who have a token and no key. */
  readonly gateway: Signer
  /** Evidence that earlier runs have kept, and what keeps what this one finds. */
  readonly knownEvidence: EvidencePorts['known']
  readonly onEvidence: EvidencePorts['onEvidence']
  /** Where to find the others as long as this node's own chain cannot say. */
  readonly hints?: readonly PeerRecord[]
  /** The membership has this node no more, or under other keys: it must stop, and nothing is wrong. */
  readonly onOut: (why: 'removed' | 'keys-replaced') => void
}

export class LedgerNode implements LedgerService {
  readonly #ports: LedgerNodePorts
  readonly #pool = new Pool()
  readonly #waiters: Waiters
  readonly #lifecycle: Lifecycle<Replica>
  #reader!: LedgerReader
  readonly #recorder: EvidenceRecorder
  #evidence!: EvidenceCollector
  readonly #listeners = new Set<(event: LedgerEvent) => void>()

  private constructor(ports: LedgerNodePorts) {
    this.#ports = ports
    this.#waiters = new Waiters(ports.clock)
    const { name, store, gateway, clock, logger, onFatal } = ports
    this.#lifecycle = new Lifecycle({ store, clock, logger, open: () => this.#openReplica(), onFatal })
    const ledger = store.genesis.parameters.ledger
    this.#recorder = new EvidenceRecorder({ name, ledger, gateway, clock, logger, service: this })
  }

  static async open(ports: LedgerNodePorts): Promise<LedgerNode> {
    const node = new LedgerNode(ports)
    const { store, suites, logger, clock, knownEvidence } = ports
    node.#evidence = await EvidenceCollector.open({
      store,
      suite: suites.ordinary,
      logger,
      elapsed: clock.elapsed,
      known: knownEvidence,
      onEvidence: (accusation) => node.#onEvidence(accusation),
    })
    await node.#lifecycle.open()
    return node
  }

  async #onEvidence(accusation: Accusation): Promise<void> {
    this.#recorder.record(accusation)
    await this.#ports.onEvidence(accusation)
  }

  async #openReplica(): Promise<Replica> {
    const { store, logger } = this.#ports
    const lifecycle = this.#lifecycle
    const replica = await Replica.open({
      ...this.#ports,
      pool: this.#pool,
      evidence: this.#evidence,
      onOrdered: (blocks) => this.onOrdered(blocks),
      onFinal: (size) => this.onFinal(size),
      onRefused: (id, error) => this.#waiters.refused(id, error),
      onMembership: (membership) => this.#onMembership(membership),
      onLeftOut: () => this.#onLeftOut(),
      onForgotten: () => lifecycle.replace(() => store.setRecovering({ without: [] })),
      onRecovered: (hardState) => lifecycle.replace(() => endRecovery(store, hardState, logger)),
      onFatal: (error) => lifecycle.failed(error),
    })
    this.#reader = new LedgerReader(store, replica.certifier)
    this.#tellPeers(replica.membership)
    return replica
  }

  get replica(): Replica {
    return this.#lifecycle.replica
  }

  async start(): Promise<void> {
    const { network } = this.#ports
    await network.start({
      frame: (from, kind, bytes) => this.replica.frame(from, kind, bytes),
      request: (from, bytes) => this.replica.request(from, bytes),
      gossip: (from, topic, bytes) => this.replica.hear(from, topic, bytes),
      connected: () => this.#ports.metrics.peers.set(network.peers().length),
    })
    this.#lifecycle.start()
    for (const accusation of this.#evidence.accusations) this.#recorder.record(accusation)
  }

  async stop(): Promise<void> {
    this.#recorder.stop()
    this.#waiters.releaseAll()
    await this.#lifecycle.stop()
    await this.#ports.network.stop()
  }

  /** Whether this node can serve now: it knows a leader, so entries can be ordered. */
  get ready(): boolean {
    return this.#lifecycle.suspended === undefined && this.replica.leader !== undefined
  }

  // ---- what changes a node's part

  #onMembership(membership: Membership): void {
    this.#tellPeers(membership)
    const outside = this.#standingIn(membership) === 'outside'
    if (outside !== (this.replica.standing === 'outside')) this.#lifecycle.replace()
  }

  #standingIn(membership: Membership) {
    const { name, nodeKey, cosigner } = this.#ports
    return standingOf(membership, name, { node: nodeKey.publicKey, cosigner: cosigner.publicKey })
  }

  /**
   * Members are those in force, and those of a change that is ordered and not certified here yet: its certificate may
   * be held by none but the very node that the change brings, or gives another identity.
   */
  #tellPeers(membership: Membership): void {
    const { store, network, hints = [] } = this.#ports
    const { newest } = store.members
    const known = [...membership.nodeByName.values(), ...newest.nodeByName.values()]
    const nodes = this.#standingIn(membership) === 'outside' ? [...known, ...hints] : known
    network.setPeers({ nodes: distinct(nodes), former: newest.former })
  }

  /** Outside, and there is nothing newer to be learnt: was it ever inside, under these keys? */
  #onLeftOut(): void {
    const { store, name, logger, onOut } = this.#ports
    const { newest } = store.members
    if (this.#standingIn(newest) !== 'outside') return
    if (!store.members.some((membership) => this.#standingIn(membership) !== 'outside')) return
    this.replica.halt()
    const replaced = newest.nodeByName.has(name)
    const facts = { sequence: newest.sequence, size: store.tip.size }
    if (replaced) logger.warn(facts, 'the membership names other keys for this node')
    else logger.warn(facts, 'this node is no member any more: it stops')
    onOut(replaced ? 'keys-replaced' : 'removed')
  }

  // ---- submissions

  async submit(entry: Entry, stage: Stage, timeoutMs: number): Promise<Submission> {
    const { submissions } = this.#ports.metrics
    try {
      const { suspended } = this.#lifecycle
      if (suspended) throw unavailable(suspended)
      const submission = await this.#submit(entry, stage, timeoutMs)
      submissions.inc({ outcome: 'ok' })
      return submission
    } catch (error) {
      submissions.inc({ outcome: errorCode(error) })
      if (!(error instanceof StoreError)) throw error
      this.#lifecycle.failed(error)
      throw unavailable(error)
    }
  }

  async #submit(entry: Entry, stage: Stage, timeoutMs: number): Promise<Submission> {
    const { metrics, clock } = this.#ports
    const start = clock.elapsed()
    if (stage === 'pending') {
      const admitted = await this.replica.submit(entry, true)
      return this.#resubmission(entry, admitted, stage, timeoutMs) ?? { id: entry.id, status: 'pending' }
    }
    // Registered before the entry leaves, so that nothing can happen unseen in between.
    const wait = this.#waiters.wait(entry.id, stage, timeoutMs)
    try {
      const admitted = await this.replica.submit(entry, false)
      const earlier = this.#resubmission(entry, admitted, stage, timeoutMs)
      if (earlier) return await earlier
      const progress = await wait.answer
      if (!progress) return await this.#submission(entry.id)
      const seconds = (clock.elapsed() - start) / 1000
      if (progress.stage === 'final') metrics.finalSeconds.observe(seconds)
      else metrics.orderSeconds.observe(seconds)
      return submissionOf(entry.id, progress)
    } catch (error) {
      return await this.#afterRefusal(error, stage, timeoutMs)
    } finally {
      wait.giveUp()
    }
  }

  /** The answer to an entry that is here already, or whose event is recorded in another entry. */
  #resubmission(
    entry: Entry,
    admitted: Admitted,
    stage: Stage,
    timeoutMs: number,
  ): Promise<Submission> | undefined {
    if (admitted.outcome === 'known') return this.submission(entry.id, stage, timeoutMs)
    if (admitted.outcome === 'duplicate') return this.#duplicate(admitted.id, stage, timeoutMs)
    return undefined
  }

  async #duplicate(id: string, stage: Stage, timeoutMs: number): Promise<Submission> {
    // The leader may know an entry that has not reached this node yet: then it is waited for like any other.
    const submission = await this.#reach(id, stage, timeoutMs, { id, status: 'pending' })
    return { ...submission, duplicate: true }
  }

  /** The leader knew that the event is recorded under another id: the answer is that entry. */
  async #afterRefusal(error: unknown, stage: Stage, timeoutMs: number): Promise<Submission> {
    const duplicateOf = error instanceof QatError && error.code === 'duplicate' ? error.facts.id : undefined
    if (typeof duplicateOf !== 'string') throw error
    return this.#duplicate(duplicateOf, stage, timeoutMs)
  }

  async submitEvents(
    events: readonly JsonObject[],
    principal: Principal,
    stage: Stage,
    timeoutMs: number,
  ): Promise<Submission> {
    const { store, clock, gateway } = this.#ports
    const entry = await signForPrincipal(
      events,
      principal,
      store.state.parameters.ledger,
      clock.now(),
      gateway,
    )
    return this.submit(entry, stage, timeoutMs)
  }

  async submission(id: string, stage: Stage, timeoutMs: number): Promise<Submission> {
    return this.#reach(id, stage, timeoutMs, undefined)
  }

  /** Waits for a stage; `unknown` stands for an entry that this node does not know, which else is an error. */
  async #reach(
    id: string,
    stage: Stage,
    timeoutMs: number,
    unknown: Submission | undefined,
  ): Promise<Submission> {
    const wait = this.#waiters.wait(id, stage, timeoutMs)
    try {
      const now = await this.#submission(id, unknown)
      if (isAtLeast(now.status, stage)) return now
      if (now.index !== undefined) this.#waiters.ordered(id, { index: now.index, height: now.height! })
      const progress = await wait.answer
      return progress ? submissionOf(id, progress) : await this.#submission(id, unknown)
    } finally {
      wait.giveUp()
    }
  }

  /** How far an entry is right now. */
  async #submission(id: string, unknown?: Submission): Promise<Submission> {
    const index = await this.#reader.indexOf(id)
    if (index === undefined) {
      if (this.#pool.get(id)) {
        await this.replica.keep(id)
        // It may have left the pool for a block while the disk was busy.
        return this.#pool.get(id) ? { id, status: 'pending' } : this.#submission(id, unknown)
      }
      if (unknown) return unknown
      throw notFound(id)
    }
    const { height } = await this.#reader.place(index)
    return { id, status: index < this.replica.certifier.size ? 'final' : 'ordered', index, height }
  }

  // ---- questions

  barrier(timeoutMs: number): Promise<void> {
    return this.replica.reads.barrier(timeoutMs)
  }

  async entry(by: { readonly id: string } | { readonly index: number }): Promise<EntryView> {
    if ('index' in by) return this.#reader.entryAt(by.index)
    const index = await this.#reader.indexOf(by.id)
    if (index !== undefined) return this.#reader.entryAt(index)
    const pending = this.#pool.get(by.id)
    if (!pending) throw notFound(by.id)
    return {
      id: by.id,
      status: 'pending',
      entry: JSON.parse(new TextDecoder().decode(pending.bytes)) as JsonObject,
    }
  }

  query(query: EntryQuery): Promise<QueryPage> {
    return this.#reader.query(query)
  }

  block(height: number): Promise<BlockView> {
    return this.#reader.block(height)
  }

  checkpoint(): Promise<CheckpointView> {
    return this.#reader.checkpoint()
  }

  inclusion(index: number, size: number): Promise<readonly string[]> {
    return this.#reader.inclusion(index, size)
  }

  consistency(from: number, to: number): Promise<readonly string[]> {
    return this.#reader.consistency(from, to)
  }

  bundle(id: string): Promise<BundleFiles> {
    return this.#reader.bundle(id)
  }

  policy(): string {
    return this.#reader.policy()
  }

  policyUpdates(since: number): Promise<Uint8Array> {
    return this.#reader.policyUpdates(since)
  }

  membership(): MembershipView {
    const { parameters, membership } = this.#ports.store.state
    const { sequence, cosigners, adminQuorum, members } = membership
    return { ledger: parameters.ledger, sequence, cosigners, adminQuorum, members: members.map(memberToJson) }
  }

  genesis(): GenesisView {
    const { block } = this.#ports.store.genesis
    return { id: block.id, genesis: toBase64(block.bytes) }
  }

  async sync(from: number): Promise<Uint8Array> {
    return encodeSyncAnswer(await answerFrom(this.#ports.store, this.replica.certifier.note, from))
  }

  status(): NodeStatus {
    const { name, store, network } = this.#ports
    const { replica } = this
    const { raft } = replica.driver
    const note = this.#note
    return {
      name,
      ledger: store.genesis.parameters.ledger,
      genesis: store.genesis.block.id,
      version: VERSION,
      role: this.#role,
      ...(replica.leader === undefined ? {} : { leader: replica.leader }),
      term: raft.term,
      height: store.tip.height,
      size: store.tip.size,
      finalSize: replica.certifier.size,
      pending: this.#pool.size,
      peers: network.peers(),
      sequence: replica.membership.sequence,
      ...(note === undefined ? {} : { note }),
    }
  }

  get #role(): string {
    const { standing, recovery, driver } = this.replica
    if (this.#lifecycle.suspended) return 'suspended'
    if (standing === 'outside') return 'outside'
    if (recovery) return 'recovering'
    return this.#standingIn(this.replica.membership) === 'learner' ? 'learner' : driver.raft.role
  }

  /** Why this node does not take part, or why the ledger stands still, for its operator. */
  get #note(): string | undefined {
    const { standing, recovery } = this.replica
    if (this.#lifecycle.suspended) return this.#lifecycle.suspended.message
    if (standing === 'outside') {
      return 'The membership does not have this node under its keys; it follows what is final and waits.'
    }
    return recovery ? recovery.note : this.replica.standstill.note
  }

  cluster(): ClusterStatus {
    const { network } = this.#ports
    const own = this.status()
    const connected = network.peers()
    const said = new Map(this.replica.gossip.announcements().map((item) => [item.said.name, item]))
    const { membership } = this.replica
    const nodes = [...membership.nodeByName.values()].map(({ name, kind }) => {
      if (name === own.name) return { ...pick(own), kind, online: true }
      const heard = said.get(name)
      if (!heard)
        return { name, kind, role: 'unknown', height: 0, size: 0, finalSize: 0, pending: 0, online: false }
      const online = connected.includes(name) && heard.ageMs < ONLINE_MS
      return { ...pick(heard.said), kind, online, seenMs: Math.round(heard.ageMs) }
    })
    return {
      ledger: own.ledger,
      ...(own.leader === undefined ? {} : { leader: own.leader }),
      term: own.term,
      cosigners: membership.cosigners,
      sequence: membership.sequence,
      nodes,
      ...(own.note === undefined ? {} : { note: own.note }),
      evidence: this.#evidence.accusations.map(({ evidence: { kind }, accused, hash }) => {
        return { kind, accused, hash }
      }),
    }
  }

  // ---- subscriptions

  subscribe(listener: (event: LedgerEvent) => void): () => void {
    this.#listeners.add(listener)
    return () => void this.#listeners.delete(listener)
  }

  onOrdered(blocks: readonly AppliedBlock[]): void {
    for (const { block, entries } of blocks) {
      const { firstIndex, height } = block.seal
      for (const [i, { id }] of entries.entries())
        this.#waiters.ordered(id, { index: firstIndex + i, height })
    }
    if (this.#listeners.size > 0) this.#tellOrdered(blocks).catch((error) => this.#notTold(error))
  }

  async #tellOrdered(blocks: readonly AppliedBlock[]): Promise<void> {
    for (const { block, entries } of blocks) {
      const facts = await this.#ports.store.facts(block.seal.height)
      if (!facts) return
      this.#tell({ topic: 'blocks', block: blockView(block.bytes, facts) })
      for (const i of entries.keys()) {
        this.#tell({ topic: 'entries', entry: await this.#reader.entryAt(facts.firstIndex + i) })
      }
    }
  }

  onFinal(size: number): void {
    this.#waiters.final(size)
    if (this.#listeners.size > 0) {
      this.#reader
        .checkpoint()
        .then((checkpoint) => this.#tell({ topic: 'checkpoints', checkpoint }))
        .catch((error) => this.#notTold(error))
    }
  }

  /** The disk could not be read, or was closed meanwhile. Whoever needs every event asks for what it missed. */
  #notTold(error: unknown): void {
    this.#ports.logger.warn({ error: errorMessage(error) }, 'subscribers were not told of an event')
  }

  #tell(event: LedgerEvent): void {
    for (const listener of this.#listeners) listener(event)
  }
}

/** Each record once: most members are the same before and after a change. */
function distinct(nodes: readonly PeerRecord[]): PeerRecord[] {
  const byIdentity = new Map(
    nodes.map((node) => [JSON.stringify([node.name, node.peerId, node.addresses]), node]),
  )
  return [...byIdentity.values()]
}

function unavailable(cause: StoreError): ServiceError {
  const message = `This node takes no entries for the time being. ${cause.message}`
  return new ServiceError('unavailable', message, { retryAfterMs: 2 * DISK_CHECK_MS, reason: cause.code })
}

function submissionOf(id: string, { stage, place }: Progress): Submission {
  return { id, status: stage, ...place }
}

function pick({
  name,
  role,
  height,
  size,
  finalSize,
  pending,
}: Omit<ClusterStatus['nodes'][number], 'online' | 'kind'>) {
  return { name, role, height, size, finalSize, pending }
}
