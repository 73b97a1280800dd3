/** The LedgerService of a running node: submissions and their progress, questions, subscriptions. */
import { toBase64 } from '../../src/bytes.ts'
import type { Signer } from '../../src/crypto/suite.ts'
import type { JsonObject } from '../../src/json.ts'
import type { Entry } from '../../src/ledger/entry.ts'
import type { ForeignEnvelope } from '../../src/ledger/foreign-envelope.ts'
import { memberToJson, type NodeMember } from '../../src/ledger/member.ts'
import type { Membership } from '../../src/ledger/membership.ts'
import { boundedLog } from '../bounded-log.ts'
import type { PeerRecord } from '../net/network.ts'
import type {
  BlockView,
  Bringer,
  BundleFiles,
  CheckpointView,
  ClusterStatus,
  EntryQuery,
  EntryView,
  GenesisView,
  LedgerEvent,
  LedgerService,
  MembershipView,
  NodeStatus,
  Principal,
  QueryPage,
  Readiness,
  Spend,
  Stage,
  Submission,
} from '../service.ts'
import type { AppliedBlock } from '../store/ledger-store.ts'
import { VERSION } from '../version.ts'
import { type Accusation, EvidenceCollector, type EvidencePorts } from './evidence.ts'
import { EvidenceRecorder } from './evidence-recorder.ts'
import { signForPrincipal } from './gateway.ts'
import { Lifecycle } from './lifecycle.ts'
import { NothingBeyond } from './nothing-beyond.ts'
import { Pool } from './pool.ts'
import { LedgerReader, notFound } from './reader.ts'
import { readinessOf } from './readiness.ts'
import { isReadRequest } from './reads.ts'
import { type KeyRing, nameSpentKeys, Recovery } from './recovery.ts'
import { Replica, type ReplicaPorts } from './replica.ts'
import { standingOf } from './standing.ts'
import { Submissions } from './submissions.ts'
import { Subscribers } from './subscribers.ts'
import { answerFrom, encodeSyncAnswer } from './sync.ts'
import { Waiters } from './waiters.ts'

/** A node that announced itself within this time counts as online. */
const ONLINE_MS = 6_000

/** Of blocks in one answer to a client: a block that is larger comes alone. */
const SYNC_BYTES = 1_048_576

type Internal =
  | 'nodeSigner'
  | 'pool'
  | 'evidence'
  | 'onOrdered'
  | 'onFinal'
  | 'onRefused'
  | 'onMembership'
  | 'onLeftOut'
  | 'onForgotten'

export interface LedgerNodePorts extends Omit<ReplicaPorts, Internal> {
  /** Signs for senders who have a token and no key. */
  readonly gateway: Signer
  /** Evidence that earlier runs have kept, and what keeps what this one finds. */
  readonly knownEvidence: EvidencePorts['known']
  readonly onEvidence: EvidencePorts['onEvidence']
  /** The other keys of this node, for when those it runs with must not sign any more. */
  readonly keyRing: KeyRing
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
  /** While the node may have forgotten what it signed. */
  #recovery: Recovery | undefined
  /** It has been told to stop, since the membership does not have it under its keys. */
  #left = false
  readonly #nothingBeyond = new NothingBeyond()
  readonly #recorder: EvidenceRecorder
  #evidence!: EvidenceCollector
  readonly #submissions: Submissions
  readonly #subscribers: Subscribers

  private constructor(ports: LedgerNodePorts) {
    this.#ports = ports
    this.#waiters = new Waiters(ports.clock)
    const { name, store, gateway, clock, logger, metrics, onFatal } = ports
    const bounded = boundedLog(logger, clock.elapsed)
    this.#lifecycle = new Lifecycle({ store, clock, logger, open: () => this.#openReplica(), onFatal })
    const reader = () => this.#reader
    this.#submissions = new Submissions({
      pool: this.#pool,
      waiters: this.#waiters,
      lifecycle: this.#lifecycle,
      reader,
      clock,
      metrics,
    })
    this.#subscribers = new Subscribers(store, bounded, reader)
    const ledger = store.genesis.parameters.ledger
    this.#recorder = new EvidenceRecorder({ name, ledger, gateway, clock, logger: bounded, service: this })
  }

  static async open(ports: LedgerNodePorts): Promise<LedgerNode> {
    const node = new LedgerNode(ports)
    const { store, suites, logger, clock, knownEvidence } = ports
    node.#evidence = await EvidenceCollector.open({
      store,
      suite: suites.ordinary,
      logger: boundedLog(logger, clock.elapsed),
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
    const { store, logger, keyRing } = this.#ports
    const lifecycle = this.#lifecycle
    const replica = await Replica.open({
      ...this.#ports,
      nodeSigner: (key) => this.#ports.keyRing.nodeSigner(key),
      pool: this.#pool,
      evidence: this.#evidence,
      onOrdered: (blocks) => this.#onOrdered(blocks),
      onFinal: (size) => this.#onFinal(size),
      onRefused: (id, error) => this.#submissions.refused(id, error),
      onMembership: (membership) => this.#onMembership(membership),
      onLeftOut: (peer) => void this.#onLeftOut(peer),
      onForgotten: () => lifecycle.replace(() => this.#markForgetful()),
      onFatal: (error) => lifecycle.failed(error),
    })
    const { recovering } = replica
    this.#recovery = recovering && new Recovery(recovering, keyRing, logger)
    await this.#recovery?.prepare(this.#record)
    this.#reader = new LedgerReader(store, replica.certifier)
    this.#tellPeers(replica.membership)
    return replica
  }

  async #markForgetful(): Promise<void> {
    const { store, keyRing } = this.#ports
    await store.setRecovering({ keys: [], why: 'old' })
    await nameSpentKeys(store, keyRing)
  }

  /** What the newest membership says of this node. */
  get #record(): NodeMember | undefined {
    const { store, name } = this.#ports
    return store.members.newest.nodeByName.get(name)
  }

  get replica(): Replica {
    return this.#lifecycle.replica
  }

  async start(): Promise<void> {
    const { network } = this.#ports
    await network.start({
      frame: (from, kind, bytes) => this.replica.frame(from, kind, bytes),
      request: (from, bytes) => this.replica.request(from, bytes),
      isBrief: isReadRequest,
      gossip: (from, topic, bytes) => this.replica.hear(from, topic, bytes),
      connected: () => this.#ports.metrics.peers.set(network.peers().length),
      disconnected: (peer) => this.replica.disconnected(peer),
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

  get ready(): Readiness {
    return this.cluster().ready
  }

  // ---- what changes a node's part

  #onMembership(membership: Membership): void {
    this.#tellPeers(membership)
    if (!this.#left) void this.#recovery?.prepare(this.#record)
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
    const nodes = this.#standingIn(membership) === 'outside' ? [...hints, ...known] : known
    network.setPeers({ nodes: distinct(nodes), former: newest.former })
  }

  /** Outside, and there is nothing newer to be learnt: was it ever inside, under these keys? */
  async #onLeftOut(peer: string): Promise<void> {
    const { store, name, logger, keyRing, onOut } = this.#ports
    const { replica } = this
    const { newest } = store.members
    if (this.#standingIn(newest) !== 'outside') return
    const record = newest.nodeByName.get(name)
    if (replica.recovering && record) {
      // Keys that were lost, or have signed what was forgotten, are no reason to stop: it waits for newer ones.
      if (!(await keyRing.holds(record))) return
    } else if (!store.members.some((membership) => this.#standingIn(membership) !== 'outside')) return
    // A liar may keep back the change that takes this node in again; new keys at hand are right whatever else there is.
    if (record === undefined && !this.#nothingBeyond.isCertain(peer, newest)) return
    if (this.#left) return
    this.#left = true
    this.replica.halt()
    const replaced = record !== undefined
    const facts = { sequence: newest.sequence, size: store.tip.size }
    if (replaced) logger.warn(facts, 'the membership names other keys for this node')
    else logger.warn(facts, 'this node is no member any more: it stops')
    onOut(replaced ? 'keys-replaced' : 'removed')
  }

  // ---- submissions

  submit(entry: Entry, stage: Stage, timeoutMs: number, bringer?: Bringer): Promise<Submission> {
    return this.#submissions.submit(entry, stage, timeoutMs, bringer)
  }

  signers(envelope: ForeignEnvelope, bringer?: Bringer): Promise<string[]> {
    return this.replica.signers(envelope, bringer)
  }

  async submitEvents(
    events: readonly JsonObject[],
    principal: Principal,
    stage: Stage,
    timeoutMs: number,
    bringer: Bringer = { name: `token ${principal.name}`, known: true },
  ): Promise<Submission> {
    const { store, clock, gateway } = this.#ports
    const entry = await signForPrincipal(
      events,
      principal,
      store.state.parameters.ledger,
      clock.now(),
      gateway,
    )
    return this.submit(entry, stage, timeoutMs, bringer)
  }

  submission(id: string, stage: Stage, timeoutMs: number): Promise<Submission> {
    return this.#submissions.reach(id, stage, timeoutMs)
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
    if (!pending) throw notFound(by.id, this.#submissions.refusal(by.id))
    return {
      id: by.id,
      status: 'pending',
      entry: JSON.parse(new TextDecoder().decode(pending.bytes)) as JsonObject,
    }
  }

  query(query: EntryQuery, spend: Spend): Promise<QueryPage> {
    return this.#reader.query(query, spend)
  }

  block(height: number, spend: Spend): Promise<BlockView> {
    return this.#reader.block(height, spend)
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

  bundle(id: string, since?: number): Promise<BundleFiles> {
    return this.#reader.bundle(id, since)
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
    const { store } = this.#ports
    return encodeSyncAnswer(await answerFrom(store, this.replica.certifier.note, from, SYNC_BYTES))
  }

  status(): NodeStatus {
    return { ...this.#status(), ready: this.ready }
  }

  #status(): Omit<NodeStatus, 'ready'> {
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
    const { standing, recovering, driver } = this.replica
    if (this.#lifecycle.suspended) return 'suspended'
    if (recovering) return 'recovering'
    if (standing === 'outside') return 'outside'
    return this.#standingIn(this.replica.membership) === 'learner' ? 'learner' : driver.raft.role
  }

  /** Why this node does not take part, or why the ledger stands still, for its operator. */
  get #note(): string | undefined {
    const { standing, standstill } = this.replica
    if (this.#lifecycle.suspended) return this.#lifecycle.suspended.message
    if (this.#recovery) return this.#recovery.note
    if (standing === 'outside') {
      return 'The membership does not have this node under its keys; it follows what is final and waits.'
    }
    return standstill.note
  }

  cluster(): ClusterStatus {
    const { network } = this.#ports
    const own = this.#status()
    const connected = network.peers()
    const said = new Map(this.replica.gossip.announcements().map((item) => [item.said.name, item]))
    const { membership } = this.replica
    const nodes = [...membership.nodeByName.values()].map(({ name, kind }) => {
      if (name === own.name) return { ...pick(own), kind, online: true }
      const heard = said.get(name)
      const fresh = heard !== undefined && heard.ageMs < ONLINE_MS
      // A node that may have forgotten what it signed says nothing of itself.
      const silent = connected.includes(name) && !fresh && { role: 'silent' }
      if (!heard) {
        const nothing = { height: 0, size: 0, finalSize: 0, pending: 0, online: false }
        return { name, kind, role: 'unknown', ...nothing, ...silent }
      }
      const online = connected.includes(name) && fresh
      return { ...pick(heard.said), kind, online, seenMs: Math.round(heard.ageMs), ...silent }
    })
    const leader = own.leader === undefined ? {} : { leader: own.leader }
    const { cosigners } = membership
    const takesEntries = this.#lifecycle.suspended === undefined && this.replica.standing !== 'outside'
    return {
      ledger: own.ledger,
      ...leader,
      term: own.term,
      cosigners,
      ready: readinessOf({ ...leader, cosigners, nodes }, takesEntries, this.replica.standstill.stands),
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
    return this.#subscribers.subscribe(listener)
  }

  #onOrdered(blocks: readonly AppliedBlock[]): void {
    for (const { block, entries } of blocks) {
      const { firstIndex, height } = block.seal
      for (const [i, { id }] of entries.entries())
        this.#waiters.ordered(id, { index: firstIndex + i, height })
    }
    this.#subscribers.onOrdered(blocks)
  }

  #onFinal(size: number): void {
    this.#waiters.final(size)
    this.#subscribers.onFinal()
  }
}

/** Each record once, the last of equal ones: most members are the same before and after a change. */
function distinct(nodes: readonly PeerRecord[]): PeerRecord[] {
  const byIdentity = new Map(
    nodes.map((node) => [JSON.stringify([node.name, node.peerId, node.addresses]), node]),
  )
  return [...byIdentity.values()]
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
