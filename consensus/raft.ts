/**
 * Raft as a pure state machine: `tick`, `step`, `propose` and `install` go in, `ready` says what to persist,
 * send and apply, `advance` acknowledges. No clock, socket, disk or randomness of its own; the same calls
 * give the same results. Not re-entrant; every call is synchronous. See README.md for the order owed.
 */
import { invariant, RefusedError } from '../src/errors.ts'
import { TERM_LEAP_MAX } from './config.ts'
import { Core } from './core.ts'
import {
  countOwnVote,
  lostLink,
  onPreVote,
  onPreVoteReply,
  onVote,
  onVoteReply,
  preCampaign,
  tickElection,
} from './election.ts'
import { hearLeader, install, onAppend, onBehind, onHeartbeat, onTimeoutNow } from './follower.ts'
import {
  advanceCommit,
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
import type { Append, Message } from './messages.ts'
import { startRead } from './reads.ts'
import type {
  Block,
  BlockRef,
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

  /** Throws an InvariantError if `config` contradicts itself. */
  constructor(config: RaftConfig) {
    this.#core = new Core(config)
    this.#hardState = config.hardState
    this.#softState = { role: 'follower', leader: undefined }
  }

  get id(): NodeId {
    return this.#core.id
  }
  get term(): number {
    return this.#core.term
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
  /** The cluster as this server sees it: the latest configuration in its log, committed or not. */
  get configuration(): Configuration {
    return this.#core.log.configuration
  }

  /** One unit of time has passed; how long it is, is the driver's choice. */
  tick(): void {
    if (this.#core.role === 'leader') tickLeader(this.#core)
    else tickElection(this.#core)
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
   * Takes a message from `from`, whose identity the link has proven and whose blocks the ledger has checked.
   * Throws a RefusedError ('not-a-member', 'bad-chain') for what no honest member sends, with nothing changed,
   * and an InvariantError if the log would have to break a promise: then this node must stop.
   */
  step(from: NodeId, message: Message): void {
    const core = this.#core
    // Not judged by our configuration, which may be old: a newcomer's vote may be needed, and a leader that we
    // do not know yet may be the one to tell us of itself (thesis 4.1).
    if (from === core.id) throw new RefusedError('not-a-member', 'The sender bears our own name.', { from })
    if (message.kind === 'append' && !chains(message.prev, message.blocks, message.term)) {
      throw new RefusedError('bad-chain', 'The blocks of an append do not chain.', { from })
    }
    const asksForVote = message.kind === 'pre-vote' || message.kind === 'vote'
    if (message.term > core.term) {
      const transfer = message.kind === 'vote' && message.transfer
      if (asksForVote && !transfer && core.leaderIsLive) return
      const ofFuture = message.kind === 'pre-vote' || (message.kind === 'pre-vote-reply' && message.granted)
      if (!ofFuture && message.term - core.term > TERM_LEAP_MAX) {
        core.becomeFollower(core.term + TERM_LEAP_MAX, undefined)
        return
      }
      if (!ofFuture) core.becomeFollower(message.term, undefined)
    }
    if (message.term < core.term) this.#answerStale(from, message)
    else this.#dispatch(from, message)
  }

  /** Tells the sender of an old term what the term is, where it would otherwise go on asking. */
  #answerStale(from: NodeId, message: Message): void {
    const { term, log } = this.#core
    if (message.kind === 'append' || message.kind === 'heartbeat' || message.kind === 'behind') {
      this.#core.send(from, { kind: 'heartbeat-reply', term, commit: log.commit, round: 0 })
    } else if (message.kind === 'pre-vote') {
      this.#core.send(from, { kind: 'pre-vote-reply', term, granted: false })
    } else if (message.kind === 'vote') {
      this.#core.send(from, { kind: 'vote-reply', term, granted: false })
    }
  }

  #dispatch(from: NodeId, message: Message): void {
    const core = this.#core
    if (message.kind === 'append' || message.kind === 'heartbeat' || message.kind === 'behind')
      hearLeader(core, from)
    switch (message.kind) {
      case 'pre-vote':
        onPreVote(core, from, message)
        break
      case 'pre-vote-reply':
        onPreVoteReply(core, from, message)
        break
      case 'vote':
        onVote(core, from, message)
        break
      case 'vote-reply':
        onVoteReply(core, from, message)
        break
      case 'append':
        onAppend(core, from, message)
        break
      case 'append-reply':
        onAppendReply(core, from, message)
        break
      case 'append-reject':
        onAppendReject(core, from, message)
        break
      case 'heartbeat':
        onHeartbeat(core, from, message)
        break
      case 'heartbeat-reply':
        onHeartbeatReply(core, from, message)
        break
      case 'behind':
        onBehind(core, message)
        break
      case 'timeout-now':
        onTimeoutNow(core, from)
        break
    }
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
   * Takes blocks that a certificate proves committed, pulled from any peer. They begin at or below
   * `commit + 1`; blocks already held are skipped; an uncommitted suffix that differs gives way.
   * Throws an InvariantError if they leave a gap, do not link, or contradict a committed block.
   */
  install(blocks: readonly Block[]): void {
    const first = blocks[0]
    invariant(
      first === undefined || chains(first, blocks.slice(1), Number.POSITIVE_INFINITY),
      'Proven blocks do not form a chain.',
    )
    install(this.#core, blocks)
    // What is proven committed may be our own removal.
    if (this.#core.role === 'leader') advanceCommit(this.#core)
  }

  /**
   * Asks for a linearizable read; `id` is the caller's, and comes back in `reads` of a Ready, with the height to
   * wait for before reading. A leader that is deposed before a majority has confirmed it answers without one.
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
   * if it would be refused or answered whatever its blocks are, and can be stepped unchecked.
   */
  unchecked(message: Append): Append | undefined {
    const { log, term } = this.#core
    if (message.term < term || !chains(message.prev, message.blocks, message.term)) return undefined
    if (!log.has(message.prev)) return undefined
    const known = message.blocks.findIndex((block) => !log.has(block))
    if (known === -1) return undefined
    const prev = known === 0 ? message.prev : refOf(message.blocks[known - 1]!)
    return { ...message, prev, blocks: message.blocks.slice(known) }
  }

  hasReady(): boolean {
    const { log, early, outbox, behind, readAnswers } = this.#core
    if (this.#outstanding !== undefined) return false
    return (
      early.length > 0 ||
      outbox.length > 0 ||
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
      messages: core.outbox,
      committed: core.log.takeCommitted(),
      softState: this.#changedSoftState(),
      behind: core.behind,
      reads: core.readAnswers,
    }
    core.early = []
    core.outbox = []
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
    if (ready.hardState?.term === this.#core.term) countOwnVote(this.#core)
    if (this.#core.role === 'leader') advanceCommit(this.#core)
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
      configuration: log.configuration,
      progress: Object.fromEntries(followers),
    }
  }

  #changedHardState(): HardState | undefined {
    const { term, votedFor } = this.#core
    const same = term === this.#hardState.term && votedFor === this.#hardState.votedFor
    return same ? undefined : { term, votedFor }
  }

  #changedSoftState(): SoftState | undefined {
    const { role, leader } = this.#core
    const same = role === this.#softState.role && leader === this.#softState.leader
    return same ? undefined : { role, leader }
  }
}
