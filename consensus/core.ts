/**
 * The state that the role functions (election.ts, leader.ts, follower.ts, decide.ts) share. Internal to this layer:
 * the outside sees `Raft`.
 */
import { invariant } from '../src/errors.ts'
import { checkConfig } from './config.ts'
import { Log } from './log.ts'
import type { Envelope, Lead, Message, Rank, Statement } from './messages.ts'
import { Progress } from './progress.ts'
import { complaintsNeeded, quorumHeight } from './quorum.ts'
import { Standings } from './standings.ts'
import type {
  Ballot,
  BlockRef,
  Certified,
  Configuration,
  NodeId,
  RaftConfig,
  RaftLimits,
  ReadAnswer,
  Role,
} from './types.ts'

/** For how many election timeouts a complaint counts; it is repeated as long as there is reason. */
const COMPLAINT_TIMEOUTS = 3

/** A voter's answer to our candidacy: a signature (empty for a pre-vote), or undefined if it refused. */
export type Answer = Uint8Array | undefined

/** A voter's acknowledgement of a block of the term at a height that is known. */
export interface Acknowledged {
  readonly hash: string
  readonly signature: Uint8Array
}

export class Core {
  readonly id: NodeId
  /**
   * From the start until `join`: the disk may have lost what this server promised, or be an old copy. So it follows, but
   * signs nothing, never stands, and is locked on nothing, so that nobody counts on it.
   */
  listening = true
  readonly limits: RaftLimits
  readonly electionTicks: number
  readonly heartbeatTicks: number
  readonly log: Log

  term: number
  vote: Ballot | undefined
  abstains: boolean
  role: Role = 'follower'
  leader: NodeId | undefined
  /** The certificate of this term, once it is known. `leader` is its leader, unless we know of no leader. */
  lead: Lead | undefined
  /** The lock: the highest certified block in the log, and the proof. */
  certified: Certified
  /** Not handed to the driver yet. */
  certifiedIsNews = false
  /** `certified` is on the disk, with its block. */
  lockIsDurable = true

  /** Voters' acknowledgements of the blocks of this term, by height; those of blocks to come among them. */
  acknowledgements = new Map<number, Map<NodeId, Acknowledged>>()
  /** What each server has said that it is locked on, in this term. */
  locks = new Map<NodeId, BlockRef>()
  /** Ours of this term, the highest. */
  acknowledged: { readonly height: number; readonly hash: string; readonly signature: Uint8Array } | undefined

  /** Answers to our candidacy, empty unless (pre-)candidate. */
  answers = new Map<NodeId, Answer>()
  /** The term that a pre-candidate would stand in. */
  standTerm = 0
  /** Our vote for ourselves as candidate, once it is signed. */
  candidacy: Uint8Array | undefined
  /** The highest term that each has said to be in; and what of that we believe. */
  readonly termsHeard = new Map<NodeId, number>()
  termHeard = 0
  /** To whom the leader of this term has handed over. */
  successor: NodeId | undefined
  /** When each complained of the leader of this term last, this server among them, in ticks. */
  complainedAt = new Map<NodeId, number>()
  /** Ticks since something was committed, a term was entered or a leader became known, while something waits for it. */
  stalledTicks = 0
  readonly standings: Standings

  /** One for every other voter and learner, empty unless leader. */
  progress = new Map<NodeId, Progress>()
  /** A block of our own term is in the log: the term is open for proposals. Meaningful while leader. */
  opened = false
  /** To whom leadership is being handed, for how many ticks already, and whether it has been told to stand. */
  transfer: { to: NodeId; ticks: number; told: boolean } | undefined
  /** A voter has said that it has left this term. */
  stranded = false
  /** Ticks since this server became leader. */
  ledTicks = 0
  /** Rounds of heartbeats begun in this term; the last of them that was begun for reads. While leader. */
  round = 0
  readRound = 0
  /** Reads that wait until a quorum has acknowledged `round`, which never falls from one to the next. */
  reads: { readonly id: number; readonly height: number; readonly round: number }[] = []
  /** To be handed to the driver. */
  readAnswers: ReadAnswer[] = []
  /** Ticks since the start; never falls. */
  ticks = 0
  /** Ticks since a leader was last live; candidacies and votes do not reset it. */
  leaderlessTicks = 0
  /** Ticks since we heard from a leader or voted; for a leader, since it last counted its quorum. */
  electionElapsed = 0
  heartbeatElapsed = 0
  /**
   * Drawn anew with each change of role or term: from [electionTicks, 2 × electionTicks), which a leader that lives is
   * never silent for; half of that while standing, since only the answers are waited for.
   */
  electionTimeout: number
  /** Height to be pulled from peers, told to the driver once. */
  behind: number | undefined
  /** When something was last done for a peer that is done once in the time of a heartbeat, in ticks. */
  readonly #doneAt = new Map<string, number>()

  /** Messages that wait until what they rest on is durable. */
  outbox: Envelope[] = []
  /** A leader's messages, which need not wait. */
  early: Envelope[] = []
  /** To be signed when what they rest on is durable. */
  sign: Statement[] = []
  readonly #random: () => number

  constructor(config: RaftConfig) {
    checkConfig(config)
    this.id = config.id
    this.limits = config.limits
    this.electionTicks = config.electionTicks
    this.heartbeatTicks = config.heartbeatTicks
    this.term = config.hardState.term
    this.vote = config.hardState.vote
    this.abstains = config.hardState.abstains
    this.log = new Log(config.log.blocks, config.log.commit, config.configuration, config.limits)
    this.certified = config.certified
    this.standings = new Standings(config.electionTicks)
    this.#random = config.random
    this.electionTimeout = this.#drawTimeout()
  }

  get voters(): readonly NodeId[] {
    return this.log.configuration.voters
  }

  get quorum(): number {
    return this.log.configuration.quorum
  }

  get isVoter(): boolean {
    return this.voters.includes(this.id)
  }

  /** Does this server's word count in the configuration, and may it give it? */
  speaksIn({ voters }: Configuration): boolean {
    return !this.listening && voters.includes(this.id)
  }

  /** May this server stand for election? Its own vote counts only if it is a voter, and it must have a proof of its base. */
  get mayStand(): boolean {
    const { height } = this.certified.block
    return !this.listening && this.log.mayStand(this.id, height) && height >= this.log.commit
  }

  /** The rank that a candidate must reach to get this server's vote: that of the lock, and of what is committed. */
  get rank(): Rank {
    const { block } = this.certified
    const committed = this.log.at(this.log.commit)!
    return compareRanks(block, committed) >= 0 ? block : committed
  }

  /** Has `id` complained of the leader lately? */
  complains(id: NodeId): boolean {
    const at = this.complainedAt.get(id)
    return at !== undefined && this.ticks - at < COMPLAINT_TIMEOUTS * this.electionTicks
  }

  /**
   * So many complain of the leader that one of them is honest. Once one does, those count as well who have left the term,
   * as they say: they cannot complain in it, and its leader lacks their votes.
   */
  get isSuspect(): boolean {
    const { configuration } = this.log
    const complaining = configuration.voters.filter((voter) => this.complains(voter))
    if (complaining.length === 0) return false
    const gone = configuration.voters.filter(
      (voter) => !complaining.includes(voter) && (this.termsHeard.get(voter) ?? 0) > this.term,
    )
    return complaining.length + gone.length >= complaintsNeeded(configuration)
  }

  /** A leader of this term is known and was heard within the shortest election timeout (thesis 6.4.1). */
  get leaderIsLive(): boolean {
    return this.leader !== undefined && this.electionElapsed < this.electionTicks
  }

  /** A leader that has committed a block of its own term knows all that is committed (Raft section 8). */
  get hasCommittedInTerm(): boolean {
    return this.log.at(this.log.commit)?.term === this.term
  }

  /** The height that a quorum has reached: `own` for this server if it is a voter, and what a leader's progress says of the others. */
  reachedByQuorum(own: number, other: (progress: Progress) => number): number {
    const heights = this.voters.map((voter) => (voter === this.id ? own : other(this.progress.get(voter)!)))
    return quorumHeight(heights, this.quorum)
  }

  #drawTimeout(): number {
    const stands = this.role === 'pre-candidate' || this.role === 'candidate'
    const shortest = stands ? Math.ceil(this.electionTicks / 2) : this.electionTicks
    return shortest + Math.floor(this.#random() * shortest)
  }

  /** A leader's messages leave at once: they rest on a vote that was durable before it was elected. */
  send(to: NodeId, message: Message): void {
    if (this.role === 'leader') this.early.push({ to, message })
    else this.sendDurable(to, message)
  }

  /** When all that this server has come to know is on its disk. */
  sendDurable(to: NodeId, message: Message): void {
    this.outbox.push({ to, message })
  }

  broadcast(servers: Iterable<NodeId>, message: Message): void {
    for (const to of servers) if (to !== this.id) this.send(to, message)
  }

  /** To every other server of the latest configuration, when all is on the disk. */
  tellAll(message: Message): void {
    const { voters, learners } = this.log.configuration
    for (const to of [...voters, ...learners]) if (to !== this.id) this.sendDurable(to, message)
  }

  /** Has this not been done for the peer within the time of a heartbeat? If so, it counts as done now. */
  isDue(
    what: 'ask' | 'answer' | 'hear-vote' | 'hear-lead' | 'hear-reject' | 'examine',
    peer: NodeId,
  ): boolean {
    const key = `${what} ${peer}`
    if (this.ticks - (this.#doneAt.get(key) ?? Number.NEGATIVE_INFINITY) < this.heartbeatTicks) return false
    this.#doneAt.set(key, this.ticks)
    return true
  }

  /** From now on candidates are heard, although the shortest time without a leader may not be over. */
  endLease(): void {
    this.electionElapsed = Math.max(this.electionElapsed, this.electionTicks)
  }

  /**
   * What is to be signed: of acknowledgements the highest alone, which covers the others; none if proven blocks have
   * taken its place since.
   */
  takeSign(): Statement[] {
    const held = (each: Statement) => each.kind === 'acknowledgement' && this.log.has(each)
    const highest = this.abstains ? undefined : this.sign.findLast(held)
    const taken = this.sign.filter((statement) => statement.kind === 'vote' || statement === highest)
    this.sign = []
    return taken
  }

  /** Leaves the roles of candidate and leader, in this term or a later one. */
  becomeFollower(term: number, leader: NodeId | undefined): void {
    this.#enter('follower', term, leader)
  }

  /** Asks for votes of a later term without entering it: term and vote stay as they are (thesis 9.6). */
  becomePreCandidate(): void {
    invariant(this.role !== 'leader', 'A leader does not stand for election.')
    this.#enter('pre-candidate', this.term, undefined)
  }

  becomeCandidate(term: number): void {
    invariant(
      this.role !== 'leader' && term > this.term,
      'A candidate stands in a later term, and leads none.',
    )
    this.#enter('candidate', term, undefined)
    this.vote = { candidate: this.id, base: this.certified.block }
  }

  /** The candidate drops what no certificate covers: its votes bind it to its base. */
  becomeLeader(lead: Lead): void {
    invariant(
      this.role === 'candidate' && this.vote?.candidate === this.id && lead.term === this.term,
      'Only a candidate becomes leader.',
    )
    this.#enter('leader', this.term, this.id)
    this.lead = lead
    this.log.truncate(lead.base.block.height + 1)
    this.track(this.log.tail.height + 1)
  }

  /** Locks this server on a certified block of its log. */
  lockOn(certified: Certified): void {
    this.certified = certified
    this.certifiedIsNews = true
    this.lockIsDurable = false
  }

  /** A leader keeps track of every member of its configuration, and of nobody else; newcomers are first sent block `next`. */
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
      this.standings.ended(this.hasCommittedInTerm && !this.isSuspect, this.ticks)
      this.term = term
      this.vote = undefined
      this.abstains = false
      this.lead = undefined
      this.successor = undefined
      this.acknowledgements = new Map()
      this.locks = new Map()
      this.acknowledged = undefined
      this.complainedAt = new Map()
      // What was queued speaks for a term that is over. Dropped, every message of a Ready is of its hard state.
      this.outbox = []
      this.early = []
      this.sign = []
    }
    this.role = role
    this.leader = leader
    this.answers = new Map()
    this.candidacy = undefined
    this.progress = new Map()
    this.opened = false
    this.transfer = undefined
    this.stranded = false
    this.ledTicks = 0
    this.round = this.readRound = 0
    for (const { id } of this.reads) this.readAnswers.push({ id, height: undefined })
    this.reads = []
    this.electionElapsed = 0
    this.heartbeatElapsed = 0
    this.stalledTicks = 0
    this.electionTimeout = this.#drawTimeout()
  }
}

/** Above zero if `a` is certified higher than `b`. */
export function compareRanks(a: Rank, b: Rank): number {
  return a.term - b.term || a.height - b.height
}
