/**
 * The words of this layer. The Raft log *is* the block chain: log index = block height, and a block names
 * its predecessor's hash. Genesis (height 0, term 0) is always present and always committed.
 */
import type { Envelope } from './messages.ts'

/** A validator's name, as the membership record spells it. */
export type NodeId = string

/** What identifies a block. Two blocks with the same `hash` are the same block, and so are all before them. */
export interface BlockRef {
  readonly height: number
  /** The term in which the block was proposed; it keeps it for ever, whoever commits it. */
  readonly term: number
  /** 32 bytes in lower-case hex; opaque to Raft. */
  readonly hash: string
}

/** Who is in the cluster. No server is in both lists. */
export interface Configuration {
  /** They elect, are elected, and make up the majorities. */
  readonly voters: readonly NodeId[]
  /** They receive and answer everything, but count for nothing and never stand (thesis 4.2.1). */
  readonly learners: readonly NodeId[]
}

export interface Block extends BlockRef {
  /** `hash` of the block at `height - 1`. */
  readonly prev: string
  /** Opaque to Raft; the ledger checks it before an append is stepped. */
  readonly body: Uint8Array
  /**
   * The cluster from this block on, if the block changes it. It follows from `body`, and the ledger reads it
   * there when it checks the block: it is not on the wire, and a decoded block has none yet.
   */
  readonly configuration?: Configuration
}

/** What must be on disk before any message of this term leaves (Raft figure 2, "persistent state"). */
export interface HardState {
  readonly term: number
  readonly votedFor: NodeId | undefined
}

export type Role = 'follower' | 'pre-candidate' | 'candidate' | 'leader'

/** Nobody's safety depends on it: for routing proposals and for dashboards. */
export interface SoftState {
  readonly role: Role
  readonly leader: NodeId | undefined
}

export interface RaftLimits {
  /** Blocks that a leader may have proposed and not yet applied; bounds memory and what a crash can undo. */
  readonly windowBlocks: number
  /** Bytes of block bodies in one append. A single larger block still travels, alone. */
  readonly appendBytesMax: number
  readonly appendBlocksMax: number
  /** Appends with blocks that may be unanswered per follower. */
  readonly inflightAppendsMax: number
  /** Applied blocks kept in memory for followers that lag; whoever needs older ones is told `behind`. */
  readonly memoryBlocks: number
  readonly memoryBytes: number
}

export interface RaftConfig {
  readonly id: NodeId
  /**
   * In force at `log.commit`. Blocks above bring their own; what those at or below it brought is in it already.
   * A node that is in neither list listens, answers and votes, and never stands.
   */
  readonly configuration: Configuration
  /**
   * This server may have forgotten what it promised: its disk was lost, or is an old copy. It follows, but gives
   * no vote, never stands, and acknowledges nothing that is not committed anyway, so that nobody counts on it.
   */
  readonly listening?: boolean
  /** Shortest time without a leader, in ticks, before a node stands; the longest is just under twice that. */
  readonly electionTicks: number
  /** Ticks between heartbeats; well below `electionTicks`. */
  readonly heartbeatTicks: number
  /** Uniform in [0, 1), handed in so that a seed replays every election. */
  readonly random: () => number
  readonly hardState: HardState
  /**
   * What the disk holds: a run of blocks that begins at or below `commit`, ends at the last persisted block,
   * and the height up to which blocks are known to be committed and have been applied.
   */
  readonly log: { readonly blocks: readonly Block[]; readonly commit: number }
  readonly limits: RaftLimits
}

/**
 * Work that Raft hands to its driver. The order owed: send `early` at any time; make `hardState`,
 * `truncateFrom` and `blocks` durable in one atomic step; then send `messages`, start applying `committed`;
 * then `advance(ready)`. Fields that ask for nothing are undefined or empty.
 */
export interface Ready {
  /** The leader's own messages: they rest on a term and vote long on disk, so they need not wait. */
  readonly early: readonly Envelope[]
  readonly hardState: HardState | undefined
  /** Blocks at this height and above are on disk (or on their way) and must go, before `blocks` are written. */
  readonly truncateFrom: number | undefined
  readonly blocks: readonly Block[]
  /** Must not leave before everything above is durable. */
  readonly messages: readonly Envelope[]
  /** Newly committed and already durable; acknowledge with `applied(height)` when the ledger has them. */
  readonly committed: readonly Block[]
  readonly softState: SoftState | undefined
  /** The leader no longer holds the blocks we need: pull committed blocks up to this height and `install`. */
  readonly behind: number | undefined
  /** Reads that are confirmed or have failed. They rest on nothing above. */
  readonly reads: readonly ReadAnswer[]
}

/** Whoever has applied `height` may answer the read `id`. Undefined: deposed before a majority confirmed. */
export interface ReadAnswer {
  readonly id: number
  readonly height: number | undefined
}

export type ReadStart =
  | { readonly ok: true }
  | { readonly ok: false; readonly reason: 'not-leader' | 'not-committed-in-term' }

/** Refusals are answers, not errors: leadership and tail move while a block is being signed. */
export type ProposeResult =
  | { readonly ok: true }
  | {
      readonly ok: false
      readonly reason:
        | 'not-leader'
        | 'transferring'
        | 'stale-term'
        | 'not-on-tail'
        | 'pipeline-full'
        /** A configuration is offered, and an earlier one is not committed yet. */
        | 'change-pending'
        /** A configuration is offered, and no block of this leader's term is committed yet. */
        | 'not-committed-in-term'
    }

export type TransferResult =
  | { readonly ok: true; readonly to: NodeId }
  | { readonly ok: false; readonly reason: 'not-leader' | 'no-target' }

export type ProgressState = 'probe' | 'replicate' | 'catching-up'

export interface Status {
  readonly id: NodeId
  readonly role: Role
  readonly leader: NodeId | undefined
  readonly term: number
  readonly commit: number
  readonly applied: number
  /** Height up to which blocks are durable here. */
  readonly stable: number
  readonly tail: BlockRef
  /** The latest in the log, committed or not. */
  readonly configuration: Configuration
  /** Empty unless this node leads. */
  readonly progress: Readonly<
    Record<
      NodeId,
      {
        readonly state: ProgressState
        readonly match: number
        readonly next: number
        readonly active: boolean
      }
    >
  >
}
