/** The LedgerService of a running node: submissions and their progress, questions, subscriptions. */
import type { Signer } from '../../src/crypto/suite.ts'
import { errorCode, QatError } from '../../src/errors.ts'
import type { JsonObject } from '../../src/json.ts'
import type { Entry } from '../../src/ledger/entry.ts'
import type {
  BlockView,
  BundleFiles,
  CheckpointView,
  ClusterStatus,
  EntryQuery,
  EntryView,
  LedgerEvent,
  LedgerService,
  NodeStatus,
  Principal,
  QueryPage,
  Stage,
  Submission,
} from '../service.ts'
import type { AppliedBlock } from '../store/ledger-store.ts'
import { VERSION } from '../version.ts'
import type { Admitted } from './admission.ts'
import { signForPrincipal } from './gateway.ts'
import { blockView, LedgerReader, notFound } from './reader.ts'
import { Replica, type ReplicaPorts } from './replica.ts'
import { isAtLeast, type Progress, Waiters } from './waiters.ts'

/** A node that announced itself within this time counts as online. */
const ONLINE_MS = 6_000

export interface LedgerNodePorts extends Omit<ReplicaPorts, 'onOrdered' | 'onFinal' | 'onRefused'> {
  /** Signs for senders who have a token and no key. */
  readonly gateway: Signer
}

export class LedgerNode implements LedgerService {
  readonly replica: Replica
  readonly #ports: LedgerNodePorts
  readonly #reader: LedgerReader
  readonly #waiters: Waiters
  readonly #listeners = new Set<(event: LedgerEvent) => void>()

  private constructor(ports: LedgerNodePorts, replica: Replica, waiters: Waiters) {
    this.#ports = ports
    this.replica = replica
    this.#waiters = waiters
    this.#reader = new LedgerReader(ports.store, replica.certifier, replica.policy)
  }

  static async open(ports: LedgerNodePorts): Promise<LedgerNode> {
    let node: LedgerNode | undefined
    const waiters = new Waiters(ports.clock)
    const replica = await Replica.open({
      ...ports,
      onOrdered: (blocks) => node?.onOrdered(blocks),
      onFinal: (size) => node?.onFinal(size),
      onRefused: (id, error) => waiters.refused(id, error),
    })
    node = new LedgerNode(ports, replica, waiters)
    return node
  }

  start(): Promise<void> {
    return this.replica.start()
  }

  async stop(): Promise<void> {
    this.#waiters.releaseAll()
    await this.replica.stop()
  }

  /** Whether this node can serve now: it knows a leader, so entries can be ordered. */
  get ready(): boolean {
    return this.replica.leader !== undefined
  }

  // ---- submissions

  async submit(entry: Entry, stage: Stage, timeoutMs: number): Promise<Submission> {
    const { submissions } = this.#ports.metrics
    try {
      const submission = await this.#submit(entry, stage, timeoutMs)
      submissions.inc({ outcome: 'ok' })
      return submission
    } catch (error) {
      submissions.inc({ outcome: errorCode(error) })
      throw error
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
      if (this.replica.pool.get(id)) {
        await this.replica.keep(id)
        // It may have left the pool for a block while the disk was busy.
        return this.replica.pool.get(id) ? { id, status: 'pending' } : this.#submission(id, unknown)
      }
      if (unknown) return unknown
      throw notFound(id)
    }
    const { height } = await this.#reader.place(index)
    return { id, status: index < this.replica.certifier.size ? 'final' : 'ordered', index, height }
  }

  // ---- questions

  async entry(by: { readonly id: string } | { readonly index: number }): Promise<EntryView> {
    if ('index' in by) return this.#reader.entryAt(by.index)
    const index = await this.#reader.indexOf(by.id)
    if (index !== undefined) return this.#reader.entryAt(index)
    const pending = this.replica.pool.get(by.id)
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

  status(): NodeStatus {
    const { name, store, network } = this.#ports
    const { replica } = this
    const { raft } = replica.driver
    return {
      name,
      ledger: store.genesis.parameters.ledger,
      genesis: store.genesis.block.id,
      version: VERSION,
      role: raft.role,
      ...(replica.leader === undefined ? {} : { leader: replica.leader }),
      term: raft.term,
      height: store.tip.height,
      size: store.tip.size,
      finalSize: replica.certifier.size,
      pending: replica.pool.size,
      peers: network.peers(),
    }
  }

  cluster(): ClusterStatus {
    const { store, network } = this.#ports
    const own = this.status()
    const connected = network.peers()
    const said = new Map(this.replica.gossip.announcements().map((item) => [item.said.name, item]))
    const nodes = store.genesis.membership.validators.map(({ name }) => {
      if (name === own.name) return { ...pick(own), online: true }
      const heard = said.get(name)
      if (!heard)
        return { name, role: 'unknown', height: 0, size: 0, finalSize: 0, pending: 0, online: false }
      const online = connected.includes(name) && heard.ageMs < ONLINE_MS
      return { ...pick(heard.said), online, seenMs: Math.round(heard.ageMs) }
    })
    return {
      ledger: own.ledger,
      ...(own.leader === undefined ? {} : { leader: own.leader }),
      term: own.term,
      cosigners: store.genesis.parameters.cosigners,
      nodes,
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
    if (this.#listeners.size > 0) void this.#tellOrdered(blocks)
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
      void this.#reader.checkpoint().then((checkpoint) => this.#tell({ topic: 'checkpoints', checkpoint }))
    }
  }

  #tell(event: LedgerEvent): void {
    for (const listener of this.#listeners) listener(event)
  }
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
}: Omit<ClusterStatus['nodes'][number], 'online'>) {
  return { name, role, height, size, finalSize, pending }
}
