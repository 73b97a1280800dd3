/**
 * What validators say to one another. A message carries its sender's term, unless it says otherwise. Who sent it is
 * the link's business and is not repeated inside.
 *
 * A heartbeat is not an empty append: it carries no position in the log, so that it may overtake appends whose
 * blocks are still being verified, and a follower busy with a large block still knows that its leader lives.
 */
import type { Block, BlockRef, Certified, NodeId, Signed } from './types.ts'

/** What a validator signs, so that anyone can be shown it. */
export type Statement =
  /** "In this term I am for this candidate, whose highest certified block is `base`." */
  | { readonly kind: 'vote'; readonly term: number; readonly candidate: NodeId; readonly base: BlockRef }
  /** "The block is on my disk, and in its term I acknowledge no other at its height." */
  | {
      readonly kind: 'acknowledgement'
      readonly term: number
      readonly height: number
      readonly hash: string
    }

/** How high a log is certified: the later term, then the greater height. */
export interface Rank {
  readonly term: number
  readonly height: number
}

/** Would you vote for me? Asked before the term is raised, so that a cut-off node cannot disturb (thesis 9.6). */
export interface PreVote {
  readonly kind: 'pre-vote'
  /** The term that the sender would stand in. */
  readonly term: number
  readonly base: Rank
}

export interface PreVoteReply {
  readonly kind: 'pre-vote-reply'
  /** The term asked for if granted, else the term of the one who refuses. */
  readonly term: number
  readonly granted: boolean
}

/** A candidacy. */
export interface Vote {
  readonly kind: 'vote'
  readonly term: number
  readonly base: Certified
  /** The sender's own vote. */
  readonly signature: Uint8Array
}

export interface VoteReply {
  readonly kind: 'vote-reply'
  readonly term: number
  /** Of the vote; undefined: refused. */
  readonly signature: Uint8Array | undefined
}

/** The certificate of a term: a quorum has voted for its leader. Anyone may show it. */
export interface Lead {
  readonly kind: 'lead'
  readonly term: number
  readonly leader: NodeId
  readonly base: Certified
  readonly votes: readonly Signed[]
}

/** AppendEntries. `blocks` follow `prev` without a gap; none means: only compare. */
export interface Append {
  readonly kind: 'append'
  readonly term: number
  readonly prev: BlockRef
  readonly blocks: readonly Block[]
}

/** The sender has on disk the leader's log up to and including `match`. Promises nothing. */
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
  readonly hint: Rank
}

/** An acknowledgement, told to everyone: of a block of the term, and with it of all before. */
export interface Acknowledge {
  readonly kind: 'acknowledge'
  readonly term: number
  readonly height: number
  readonly hash: string
  readonly signature: Uint8Array
}

/** The sender is locked on this certified block of the term: block and certificate are on its disk. */
export interface Locked {
  readonly kind: 'locked'
  readonly term: number
  readonly height: number
  readonly hash: string
}

/** The sender misses something: what the receiver knows of the term, has acknowledged and is locked on. */
export interface Ask {
  readonly kind: 'ask'
  readonly term: number
  /** The sender knows who leads its term. */
  readonly knowsLeader: boolean
}

/** I still lead. Its reply tells the leader whether an append is needed to heal a loss. */
export interface Heartbeat {
  readonly kind: 'heartbeat'
  readonly term: number
  /** Counts the leader's broadcasts of heartbeats in this term, from 1. */
  readonly round: number
}

export interface HeartbeatReply {
  readonly kind: 'heartbeat-reply'
  readonly term: number
  /** The sender's own commit height: the leader has these blocks, too. */
  readonly commit: number
  /** Of the heartbeat that this answers; 0 if its sender may not vouch for it. Confirms reads (thesis 6.4). */
  readonly round: number
}

/** The leader has dropped from memory what the receiver needs next; committed blocks are to be pulled from any peer. */
export interface Behind {
  readonly kind: 'behind'
  readonly term: number
  readonly commit: number
}

/** The leader wants `to` to succeed it (leadership transfer, thesis 3.10). Told to all, so that they heed it. */
export interface TimeoutNow {
  readonly kind: 'timeout-now'
  readonly term: number
  readonly to: NodeId
}

/** The leader of the term does not order what it should. Enough of these end its lease. */
export interface Complaint {
  readonly kind: 'complaint'
  readonly term: number
}

export type Message =
  | PreVote
  | PreVoteReply
  | Vote
  | VoteReply
  | Lead
  | Append
  | AppendReply
  | AppendReject
  | Acknowledge
  | Locked
  | Ask
  | Heartbeat
  | HeartbeatReply
  | Behind
  | TimeoutNow
  | Complaint

export type MessageKind = Message['kind']

/** What counts only in the term that it names, once the leader of that term is proven. */
export type MessageOfTerm = Exclude<Message, PreVote | PreVoteReply | Vote | VoteReply | Lead | Ask>

export interface Envelope {
  readonly to: NodeId
  readonly message: Message
}
