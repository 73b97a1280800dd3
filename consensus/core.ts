/**
 * The state that the role functions (election.ts, leader.ts, follower.ts) share. Internal to this layer:
 * the outside sees `Raft`.
 */
import { invariant } from '../src/errors.ts'
import { checkConfig } from './config.ts'
import { Log } from './log.ts'
import type { Envelope, Message } from './messages.ts'
import { Progress } from './progress.ts'
import type { NodeId, RaftConfig, RaftLimits, ReadAnswer, Role } from './types.ts'

export class Core {
  readonly id: NodeId
  readonly listening: boolean
  readonly limits: RaftLimits
  readonly electionTicks: number
  readonly heartbeatTicks: number
  readonly log: Log

  term: number
  votedFor: NodeId | undefined
  role: Role = 'follower'
  leader: NodeId | undefined

  /** Answers to our candidacy, empty unless (pre-)candidate. */
  votes = new Map<NodeId, boolean>()
  /** One for every other voter and learner, empty unless leader. */
  progress = new Map<NodeId, Progress>()
  /** A block of our own term is in the log: the term is open for proposals. Meaningful while leader. */
  opened = false
  /** To whom leadership is being handed, for how many ticks already, and whether it has been told to stand. */
  transfer: { to: NodeId; ticks: number; told: boolean } | undefined
  /** Rounds of heartbeats begun in this term; the last of them that was begun for reads. While leader. */
  round = 0
  readRound = 0
  /** Reads that wait until a majority has answered `round`, which never falls from one to the next. */
  reads: { readonly id: number; readonly height: number; readonly round: number }[] = []
  /** To be handed to the driver. */
  readAnswers: ReadAnswer[] = []
  /** Ticks since we heard from a leader or voted; for a leader, since it last counted its quorum. */
  electionElapsed = 0
  heartbeatElapsed = 0
  /**
   * Drawn anew with each change of role or term: from [electionTicks, 2 × electionTicks), which a leader that lives is
   * never silent for; half of that for whoever stands, since only the answers are waited for.
   */
  electionTimeout: number
  /** Height to be pulled from peers, told to the driver once. */
  behind: number | undefined

  /** Messages that wait until what they rest on is durable. */
  outbox: Envelope[] = []
  /** A leader's messages, which need not wait. */
  early: Envelope[] = []
  readonly #random: () => number

  constructor(config: RaftConfig) {
    checkConfig(config)
    this.id = config.id
    this.listening = config.listening ?? false
    this.limits = config.limits
    this.electionTicks = config.electionTicks
    this.heartbeatTicks = config.heartbeatTicks
    this.term = config.hardState.term
    this.votedFor = config.hardState.votedFor
    this.log = new Log(config.log.blocks, config.log.commit, config.configuration, config.limits)
    this.#random = config.random
    this.electionTimeout = this.#drawTimeout()
  }

  get voters(): readonly NodeId[] {
    return this.log.configuration.voters
  }

  get isVoter(): boolean {
    return this.voters.includes(this.id)
  }

  /** May this server stand for election? Its own vote counts only if it is a voter. */
  get mayStand(): boolean {
    return !this.listening && this.log.mayStand(this.id)
  }

  /** A leader of this term is known and was heard within the shortest election timeout (thesis 6.4.1). */
  get leaderIsLive(): boolean {
    return this.leader !== undefined && this.electionElapsed < this.electionTicks
  }

  /** A leader that has committed a block of its own term knows all that is committed (Raft section 8). */
  get hasCommittedInTerm(): boolean {
    return this.log.at(this.log.commit)?.term === this.term
  }

  /** One number a voter: `own` for this server if it is one, and what a leader's progress says of the others. */
  perVoter(own: number, other: (progress: Progress) => number): number[] {
    return this.voters.map((voter) => (voter === this.id ? own : other(this.progress.get(voter)!)))
  }

  #drawTimeout(): number {
    const stands = this.role === 'pre-candidate' || this.role === 'candidate'
    const shortest = stands ? Math.ceil(this.electionTicks / 2) : this.electionTicks
    return shortest + Math.floor(this.#random() * shortest)
  }

  send(to: NodeId, message: Message): void {
    const queue = this.role === 'leader' ? this.early : this.outbox
    queue.push({ to, message })
  }

  broadcast(servers: Iterable<NodeId>, message: Message): void {
    for (const to of servers) if (to !== this.id) this.send(to, message)
  }

  /** Leaves the roles of candidate and leader, in this term or a later one. */
  becomeFollower(term: number, leader: NodeId | undefined): void {
    this.#enter('follower', term, leader)
  }

  /** Asks for a vote of the next term without entering it: term and vote stay as they are (thesis 9.6). */
  becomePreCandidate(): void {
    invariant(this.role !== 'leader', 'A leader does not stand for election.')
    this.#enter('pre-candidate', this.term, undefined)
  }

  becomeCandidate(): void {
    invariant(this.role !== 'leader', 'A leader does not stand for election.')
    this.#enter('candidate', this.term + 1, undefined)
    this.votedFor = this.id
  }

  becomeLeader(): void {
    invariant(this.role === 'candidate' && this.votedFor === this.id, 'Only a candidate becomes leader.')
    this.#enter('leader', this.term, this.id)
    this.opened = this.log.tail.term === this.term
    this.track(this.log.tail.height + 1)
  }

  /** A leader follows whoever is in its configuration, and nobody else; newcomers are first sent block `next`. */
  track(next: number): void {
    const { voters, learners } = this.log.configuration
    const before = this.progress
    this.progress = new Map()
    for (const id of [...voters, ...learners]) {
      if (id === this.id) continue
      this.progress.set(id, before.get(id) ?? new Progress(next, this.limits.inflightAppendsMax))
    }
  }

  #enter(role: Role, term: number, leader: NodeId | undefined): void {
    invariant(term >= this.term, 'A term never falls.', { from: this.term, to: term })
    if (term > this.term) {
      this.term = term
      this.votedFor = undefined
      // What was queued speaks for a term that is over. Dropped, every message of a Ready is of its hard state.
      this.outbox = []
      this.early = []
    }
    this.role = role
    this.leader = leader
    this.votes = new Map()
    this.progress = new Map()
    this.opened = false
    this.transfer = undefined
    this.round = this.readRound = 0
    for (const { id } of this.reads) this.readAnswers.push({ id, height: undefined })
    this.reads = []
    this.electionElapsed = 0
    this.heartbeatElapsed = 0
    this.electionTimeout = this.#drawTimeout()
  }
}
