/**
 * The words of this layer. The Raft log *is* the block chain: log index = block height, and a block names
 * its predecessor's hash. Genesis (height 0, term 0) is always present and always committed.
 */
import type { Envelope, Statement } from './messages.ts'

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
  /** They elect, are elected, and make up the quorums. */
  readonly voters: readonly NodeId[]
  /** How many voters elect, certify and decide: more than half. Of any two quorums 2 × quorum − voters are the same. */
  readonly quorum: number
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
  /** Who proposed it, and the signature of that, which stands in `body`. Not on the wire either. */
  readonly proposal?: Proposal
}

export interface Proposal {
  readonly by: NodeId
  /** The seal, as it stands in the body; opaque to Raft. */
  readonly seal: Uint8Array
}

/** A signature by a voter; what it covers, the place where it stands says. */
export interface Signed {
  readonly from: NodeId
  readonly signature: Uint8Array
}

/**
 * Why a block is certified. `acknowledgements`: its seal, which counts as its proposer's, and those of other voters,
 * a quorum together. `ledger`: a certificate of the ledger that covers it, opaque to Raft. `genesis`: it is block 0.
 */
export type Proof =
  | {
      readonly kind: 'acknowledgements'
      readonly seal: Uint8Array
      readonly acknowledgements: readonly Signed[]
    }
  | { readonly kind: 'ledger'; readonly bytes: Uint8Array }
  | { readonly kind: 'genesis' }

/** A block that no other can take the place of within its term, and the proof of that. */
export interface Certified {
  readonly block: BlockRef
  readonly proof: Proof
}

/** What a vote is for: a candidate, and the block that it is bound to build on. */
export interface Ballot {
  readonly candidate: NodeId
  readonly base: BlockRef
}

/** What must be on disk before any message of this term leaves (Raft figure 2, "persistent state"). */
export interface HardState {
  readonly term: number
  readonly vote: Ballot | undefined
  /** Proven blocks have replaced one of this term, so nothing more is acknowledged in it. */
  readonly abstains: boolean
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
  /** Bytes of block bodies in one append, and of all blocks that are not committed. */
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
  /** The highest certified block of the log; below `log.commit` only in a store that never had a proof of it. */
  readonly certified: Certified
  readonly limits: RaftLimits
}

/**
 * Work that Raft hands to its driver. The order owed: send `early` at any time; make `hardState`,
 * `truncateFrom`, `blocks` and `certified` durable in one atomic step; then send `messages`, begin to sign `sign`,
 * start applying `committed`; then `advance(ready)`. Fields that ask for nothing are undefined or empty.
 */
export interface Ready {
  /** The leader's own messages: they rest on a term and vote long on disk, so they need not wait. */
  readonly early: readonly Envelope[]
  readonly hardState: HardState | undefined
  /** Blocks at this height and above are on disk (or on their way) and must go, before `blocks` are written. */
  readonly truncateFrom: number | undefined
  readonly blocks: readonly Block[]
  /** The lock: the highest certified block, with its proof. */
  readonly certified: Certified | undefined
  /** Must not leave before everything above is durable. */
  readonly messages: readonly Envelope[]
  /** To be signed, and no sooner either; the signatures come back by `signed`. */
  readonly sign: readonly Statement[]
  /** Newly committed and already durable; acknowledge with `applied(height)` when the ledger has them. */
  readonly committed: readonly Block[]
  readonly softState: SoftState | undefined
  /** The leader no longer holds the blocks we need: pull committed blocks up to this height and `install`. */
  readonly behind: number | undefined
  /** Reads that are confirmed or have failed. They rest on nothing above. */
  readonly reads: readonly ReadAnswer[]
}

/** A server that has applied `height` may answer the read `id`. Undefined: deposed before a quorum confirmed. */
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
  /** The highest certified block, on which this server is locked. */
  readonly certified: BlockRef
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
