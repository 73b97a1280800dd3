/**
 * What validators say to one another. Every message carries its sender's term (a pre-vote: the term it would
 * stand in). Who sent it is the link's business and is not repeated inside.
 *
 * A heartbeat is not an empty append: it carries no position in the log, so that it may overtake appends whose
 * blocks are still being verified, and a follower busy with a large block still knows that its leader lives.
 */
import type { Block, BlockRef, NodeId } from './types.ts'

/** Would you vote for me? Asked before the term is raised, so that a cut-off node cannot disturb (thesis 9.6). */
export interface PreVote {
  readonly kind: 'pre-vote'
  /** The sender's term plus one. */
  readonly term: number
  readonly tail: { readonly height: number; readonly term: number }
}

export interface PreVoteReply {
  readonly kind: 'pre-vote-reply'
  /** The term asked for if granted, else the term of the one who refuses. */
  readonly term: number
  readonly granted: boolean
}

export interface Vote {
  readonly kind: 'vote'
  readonly term: number
  readonly tail: { readonly height: number; readonly term: number }
  /** The leader itself asked the sender to stand (timeout-now), so a live leader is no reason to ignore it. */
  readonly transfer: boolean
}

export interface VoteReply {
  readonly kind: 'vote-reply'
  readonly term: number
  readonly granted: boolean
}

/** AppendEntries. `blocks` follow `prev` without a gap; none means: only compare and learn the commit. */
export interface Append {
  readonly kind: 'append'
  readonly term: number
  readonly prev: BlockRef
  readonly blocks: readonly Block[]
  readonly commit: number
}

/** The sender has on disk the leader's log up to and including `match`. */
export interface AppendReply {
  readonly kind: 'append-reply'
  readonly term: number
  readonly match: number
}

/** The sender does not have `prev`. `hint` is the last block of its own that could be the leader's too. */
export interface AppendReject {
  readonly kind: 'append-reject'
  readonly term: number
  /** `prev.height` of the refused append. */
  readonly rejected: number
  readonly hint: { readonly height: number; readonly term: number }
}

/** I still lead. Its reply tells the leader whether an append is needed to bring news or to heal a loss. */
export interface Heartbeat {
  readonly kind: 'heartbeat'
  readonly term: number
  /** Counts the leader's broadcasts of heartbeats in this term, from 1. */
  readonly round: number
}

/** Also the answer to a leader whose term is over: the higher `term` makes it step down. */
export interface HeartbeatReply {
  readonly kind: 'heartbeat-reply'
  readonly term: number
  /** The sender's own commit height: a leader has every committed block, so this acknowledges up to there. */
  readonly commit: number
  /** Of the heartbeat that this answers; 0 if it answers something else. Confirms reads (thesis 6.4). */
  readonly round: number
}

/** The leader has dropped from memory what the receiver needs next; committed blocks are to be pulled from any peer. */
export interface Behind {
  readonly kind: 'behind'
  readonly term: number
  readonly commit: number
}

/** Stand for election at once (leadership transfer, thesis 3.10). */
export interface TimeoutNow {
  readonly kind: 'timeout-now'
  readonly term: number
}

export type Message =
  | PreVote
  | PreVoteReply
  | Vote
  | VoteReply
  | Append
  | AppendReply
  | AppendReject
  | Heartbeat
  | HeartbeatReply
  | Behind
  | TimeoutNow

export type MessageKind = Message['kind']

export interface Envelope {
  readonly to: NodeId
  readonly message: Message
}
