/**
 * Raft as a pure state machine: `tick`, `step`, `propose` and `install` go in, `ready` says what to persist,
 * send and apply, `advance` acknowledges. No clock, socket, disk or randomness of its own; the same calls
 * give the same results. Not re-entrant; every call is synchronous. See README.md for the order owed.
 */
import { invariant, RefusedError } from '../src/errors.ts'
import { ask, onAsk, showTerm, triage } from './asking.ts'
import { complain, onComplaint, tickStall } from './complaints.ts'
import { Core } from './core.ts'
import { lockIsDurable, onAcknowledge, onLocked } from './decide.ts'
import {
  lostLink,
  onLead,
  onPreVote,
  onPreVoteReply,
  onVote,
  onVoteReply,
  onVoteSigned,
  preCampaign,
  tickElection,
} from './election.ts'
import {
  hearLeader,
  install,
  join,
  onAcknowledgementSigned,
  onAppend,
  onBehind,
  onHeartbeat,
  onTimeoutNow,
} from './follower.ts'
import {
  afterCommit,
  changeRefusal,
  onAppendReject,
  onAppendReply,
  onHeartbeatReply,
  propose,
  proposeRefusal,
  startTransfer,
  tickLeader,
} from './leader.ts'
import { chains, refOf } from './log.ts'
import type {
  Acknowledge,
  Append,
  Behind,
  Heartbeat,
  Lead,
  Message,
  MessageOfTerm,
  Statement,
  TimeoutNow,
} from './messages.ts'
import { startRead } from './reads.ts'
import type {
  Ballot,
  Block,
  BlockRef,
  Certified,
  Configuration,
  HardState,
  NodeId,
  ProposeResult,
  RaftConfig,
  ReadStart,
  Ready,
  SoftState,
  Status,
  TransferResult,
} from './types.ts'

export class Raft {
  readonly #core: Core
  /** As last handed to the driver. */
  #hardState: HardState
  #softState: SoftState
  #outstanding: Ready | undefined

  /** Throws an InvariantError if `config` contradicts itself. `core` is for those who read its state. */
  constructor(config: RaftConfig, core = new Core(config)) {
    this.#core = core
    this.#hardState = config.hardState
    this.#softState = { role: 'follower', leader: undefined }
  }

  get id(): NodeId {
    return this.#core.id
  }
  get term(): number {
    return this.#core.term
  }
  get listening(): boolean {
    return this.#core.listening
  }
  /** The certificate of this term, if its leader is known. */
  get lead(): Lead | undefined {
    return this.#core.lead
  }
  get role(): SoftState['role'] {
    return this.#core.role
  }
  get leader(): NodeId | undefined {
    return this.#core.leader
  }
  /** The last block of the log, uncommitted ones included: what the next proposal builds on. */
  get tail(): BlockRef {
    return refOf(this.#core.log.tail)
  }
  get commit(): number {
    return this.#core.log.commit
  }
  /** The highest certified block of the log, on which this server is locked, and the proof. */
  get certified(): Certified {
    return this.#core.certified
  }
  /** The cluster as this server sees it: the latest configuration in its log, committed or not. */
  get configuration(): Configuration {
    return this.#core.log.configuration
  }

  /** One unit of time has passed; how long it is, is the driver's choice. */
  tick(): void {
    const core = this.#core
    core.ticks++
    core.leaderlessTicks = core.leaderIsLive ? 0 : core.leaderlessTicks + 1
    tickStall(core)
    if (core.role === 'leader') tickLeader(core)
    else tickElection(core)
  }

  /** Stands for election (asking first, by pre-vote) without waiting for the timeout. No effect on a leader. */
  campaign(): void {
    if (this.#core.role !== 'leader' && this.#core.mayStand) preCampaign(this.#core)
  }

  /**
   * The link to `id` broke, as it does when a process dies. A hint: it moves no term, and a leader that lives is heard
   * again, by this server or by those whose pre-votes it would need.
   */
  lostLink(id: NodeId): void {
    lostLink(this.#core, id)
  }

  /**
   * Takes a message from `from`, whose identity the link has proven; signatures and proofs in it are verified, and the
   * blocks of an append checked by the ledger. Throws a RefusedError ('not-a-member', 'not-permitted', 'bad-chain') for
   * what no honest member sends, with nothing changed.
   */
  step(from: NodeId, message: Message): void {
    // Not judged by our configuration, which may be old: a newcomer's vote may be needed, and a leader that we
    // do not know yet may be the one to tell us of itself (thesis 4.1).
    if (from === this.id) throw new RefusedError('not-a-member', 'The sender bears our own name.', { from })
    if (message.kind === 'append' && !chains(message.prev, message.blocks, message.term)) {
      throw new RefusedError('bad-chain', 'The blocks of an append do not chain.', { from })
    }
    const before = this.#core.log.commit
    this.#dispatch(from, message)
    if (this.#core.log.commit > before) afterCommit(this.#core)
  }

  #dispatch(from: NodeId, message: Message): void {
    const core = this.#core
    if (message.kind === 'pre-vote') onPreVote(core, from, message)
    else if (message.kind === 'pre-vote-reply') onPreVoteReply(core, from, message)
    else if (message.kind === 'vote') onVote(core, from, message)
    else if (message.kind === 'vote-reply') onVoteReply(core, from, message)
    else if (message.kind === 'lead') onLead(core, message)
    else if (message.kind === 'ask') onAsk(core, from, message)
    // Nobody's word raises a term: it takes the certificate, for which we ask; and we show it to those who are late.
    else if (message.term < core.term) showTerm(core, from)
    else if (message.term > core.term || core.lead === undefined) ask(core, from)
    else this.#ofTerm(from, message, core.lead)
  }

  /** A message of our term, whose leader is proven. */
  #ofTerm(from: NodeId, message: MessageOfTerm, lead: Lead): void {
    const core = this.#core
    if (message.kind === 'acknowledge') this.#onAcknowledge(from, message)
    else if (message.kind === 'locked') onLocked(core, from, message)
    else if (message.kind === 'complaint') onComplaint(core, from)
    else if (message.kind === 'append-reply') onAppendReply(core, from, message)
    else if (message.kind === 'append-reject') onAppendReject(core, from, message)
    else if (message.kind === 'heartbeat-reply') onHeartbeatReply(core, from, message)
    else this.#ofLeader(from, message, lead)
  }

  #onAcknowledge(from: NodeId, message: Acknowledge): void {
    const core = this.#core
    onAcknowledge(core, from, message)
    if (core.log.has(message)) onAppendReply(core, from, { match: message.height })
  }

  #ofLeader(from: NodeId, message: Append | Heartbeat | Behind | TimeoutNow, lead: Lead): void {
    const core = this.#core
    if (from !== lead.leader) {
      const why = 'The sender does not lead the term that it speaks for.'
      throw new RefusedError('not-permitted', why, { from, kind: message.kind, term: message.term })
    }
    if (core.leader === undefined && !core.isSuspect) core.becomeFollower(core.term, from)
    hearLeader(core)
    if (message.kind === 'append') onAppend(core, from, message, lead)
    else if (message.kind === 'heartbeat') onHeartbeat(core, from, message)
    else if (message.kind === 'behind') onBehind(core, message)
    else onTimeoutNow(core, message)
  }

  /** A statement that a Ready asked for is signed. What has become of it meanwhile, is judged now. */
  signed(statement: Statement, signature: Uint8Array): void {
    const core = this.#core
    if (statement.kind === 'vote') onVoteSigned(core, statement, signature)
    else onAcknowledgementSigned(core, statement, signature)
  }

  /**
   * What to do with a message before it is stepped. `verify`: its signatures and proofs first; `step`: it needs no
   * verification, or is answered in any case; `drop`: it would change nothing.
   */
  triage(from: NodeId, message: Message): 'verify' | 'step' | 'drop' {
    return triage(this.#core, from, message)
  }

  /** A server that has listened is known to remember what it promised: from now on it takes part. */
  join(): void {
    join(this.#core)
  }

  /** An admitted entry waits too long under this leader: tells everyone. */
  complain(): void {
    complain(this.#core)
  }

  /** A proof speaks of a certified block at `height` that cannot be judged here yet. */
  heardOf(height: number): void {
    const { log } = this.#core
    if (height > log.commit) this.#core.behind = height
  }

  /** Whom this server votes for in its term. */
  get ballot(): Ballot | undefined {
    return this.#core.vote
  }

  /**
   * Leads, and has no block of its term yet: the driver proposes an empty one first, so that what earlier
   * terms left behind can commit.
   */
  get needsOpening(): boolean {
    return this.#core.role === 'leader' && !this.#core.opened
  }

  /** Would a block that is built on `tail` for `term` be taken now? */
  canPropose(): boolean {
    return proposeRefusal(this.#core) === undefined
  }

  /** Would a block that changes the configuration be taken now? */
  get canChange(): boolean {
    return changeRefusal(this.#core) === undefined
  }

  /** Offers a block, signed and complete. A refusal leaves everything as it was. */
  propose(block: Block): ProposeResult {
    return propose(this.#core, block)
  }

  /**
   * Takes blocks that a certificate of the ledger proves committed, pulled from any peer; `proof` says so of the last.
   * They begin at or below `commit + 1`; blocks already held are skipped; an uncommitted suffix that differs gives way.
   * Throws an InvariantError if they leave a gap, do not link, or contradict a committed block.
   */
  install(blocks: readonly Block[], proof: Uint8Array): void {
    const first = blocks[0]
    invariant(
      first === undefined || chains(first, blocks.slice(1), Number.POSITIVE_INFINITY),
      'Proven blocks do not form a chain.',
    )
    const last = blocks.at(-1)
    if (last) install(this.#core, blocks, { block: refOf(last), proof: { kind: 'ledger', bytes: proof } })
    // What is proven committed may be our own removal.
    afterCommit(this.#core)
  }

  /**
   * Asks for a linearizable read; `id` is the caller's, and comes back in `reads` of a Ready, with the height to
   * wait for before reading. A leader that is deposed before a quorum has confirmed it answers without one.
   */
  read(id: number): ReadStart {
    return startRead(this.#core, id)
  }

  /** Hands leadership to `to`, or to the most up-to-date of the other voters. Gives up after an election timeout. */
  transfer(to?: NodeId): TransferResult {
    return startTransfer(this.#core, to)
  }

  /**
   * An append without the blocks that this log already holds, so that only new ones need checking; undefined
   * if it would be refused or answered with any blocks, and can be stepped unchecked: a sender that is not
   * proven to lead makes nobody verify blocks.
   */
  unchecked(from: NodeId, message: Append): Append | undefined {
    const { log, term, lead } = this.#core
    if (message.term !== term || lead?.leader !== from) return undefined
    if (!chains(message.prev, message.blocks, message.term)) return undefined
    if (!log.has(message.prev)) return undefined
    const known = message.blocks.findIndex((block) => !log.has(block))
    if (known === -1) return undefined
    const prev = known === 0 ? message.prev : refOf(message.blocks[known - 1]!)
    return { ...message, prev, blocks: message.blocks.slice(known) }
  }

  hasReady(): boolean {
    const { log, early, outbox, sign, behind, readAnswers, certifiedIsNews } = this.#core
    if (this.#outstanding !== undefined) return false
    return (
      early.length > 0 ||
      outbox.length > 0 ||
      sign.length > 0 ||
      certifiedIsNews ||
      behind !== undefined ||
      readAnswers.length > 0 ||
      log.hasWrite() ||
      log.hasCommitted() ||
      this.#changedHardState() !== undefined ||
      this.#changedSoftState() !== undefined
    )
  }

  /** Takes the work at hand. One Ready at a time: `advance` it before the next. */
  ready(): Ready {
    invariant(this.#outstanding === undefined, 'The previous Ready was not advanced.')
    const core = this.#core
    const ready: Ready = {
      early: core.early,
      hardState: this.#changedHardState(),
      ...core.log.takeWrite(),
      certified: core.certifiedIsNews ? core.certified : undefined,
      messages: core.outbox,
      sign: core.takeSign(),
      committed: core.log.takeCommitted(),
      softState: this.#changedSoftState(),
      behind: core.behind,
      reads: core.readAnswers,
    }
    core.early = []
    core.outbox = []
    core.certifiedIsNews = false
    core.behind = undefined
    core.readAnswers = []
    this.#hardState = ready.hardState ?? this.#hardState
    this.#softState = ready.softState ?? this.#softState
    this.#outstanding = ready
    return ready
  }

  /** Everything of `ready` is durable and sent. Steps taken since then belong to the next Ready. */
  advance(ready: Ready): void {
    invariant(this.#outstanding === ready, 'Only the Ready taken last can be advanced.')
    this.#outstanding = undefined
    this.#core.log.written()
    if (ready.certified === undefined) return
    lockIsDurable(this.#core, ready.certified)
    afterCommit(this.#core)
  }

  /** The ledger holds all blocks of the last `committed`, the highest being `height`. */
  applied(height: number): void {
    this.#core.log.appliedTo(height)
  }

  status(): Status {
    const { id, role, leader, term, log, progress } = this.#core
    const followers = [...progress].map(([name, { state, match, next, active }]) => [
      name,
      { state, match, next, active },
    ])
    return {
      id,
      role,
      leader,
      term,
      commit: log.commit,
      applied: log.applied,
      stable: log.stable,
      tail: this.tail,
      certified: this.#core.certified.block,
      configuration: log.configuration,
      progress: Object.fromEntries(followers),
    }
  }

  #changedHardState(): HardState | undefined {
    const { term, vote, abstains } = this.#core
    const last = this.#hardState
    const same = term === last.term && vote === last.vote && abstains === last.abstains
    return same ? undefined : { term, vote, abstains }
  }

  #changedSoftState(): SoftState | undefined {
    const { role, leader } = this.#core
    const same = role === this.#softState.role && leader === this.#softState.leader
    return same ? undefined : { role, leader }
  }
}
