/**
 * What a running node offers to its front doors (JSON-RPC, webhooks, dashboard): plain questions and answers,
 * no transport. `LedgerNode` implements it; the RPC layer's tests use a fake.
 */
import { QatError } from '../src/errors.ts'
import type { Json, JsonObject } from '../src/json.ts'
import type { Entry } from '../src/ledger/entry.ts'
import type { EvidenceKind } from '../src/ledger/evidence.ts'
import type { ForeignEnvelope } from '../src/ledger/foreign-envelope.ts'
import type { NodeMember } from '../src/ledger/member.ts'

/** received / committed by Raft and applied here / covered by a certificate. */
export const STAGES = ['pending', 'ordered', 'final'] as const
export type Stage = (typeof STAGES)[number]

export interface Submission {
  /** Leaf hash in hex. */
  readonly id: string
  readonly status: Stage
  /** Leaf index and block height, once ordered. */
  readonly index?: number
  readonly height?: number
  /** True if the same CloudEvent (source, id, content) had been recorded before: this names that entry. */
  readonly duplicate?: boolean
}

export interface EntryView extends Submission {
  readonly entry: JsonObject
  /** When the block that holds it was sealed, RFC 3339; absent while pending. */
  readonly recorded?: string
  /** Name of the submitter whose key signed it. */
  readonly submitter?: string
}

export interface EntryQuery {
  readonly source?: string
  readonly type?: string
  readonly subject?: string
  /** Recorded at or after / before, in ms since 1970. */
  readonly from?: number
  readonly to?: number
  readonly order: 'asc' | 'desc'
  /** At most this many; the caller has bounded it. A page that has cost much has fewer, and goes on all the same. */
  readonly limit: number
  /** Continue after this leaf index (before it, in descending order). */
  readonly after?: number
}

export interface QueryPage {
  readonly entries: readonly EntryView[]
  /** Leaf index to continue after; absent when there is no more. */
  readonly next?: number
}

export interface BlockView {
  readonly height: number
  readonly term: number
  readonly hash: string
  readonly previous: string
  readonly proposer: string
  readonly time: string
  readonly firstIndex: number
  readonly count: number
  readonly entriesRoot: string
  /** Tree size and root after the block. */
  readonly size: number
  readonly root: string
  /** Leaf hashes of the entries, in order. */
  readonly entries: readonly string[]
  readonly seal: JsonObject
}

export interface CheckpointView {
  readonly origin: string
  readonly size: number
  /** base64, as in the checkpoint's own text. */
  readonly root: string
  readonly height: number
  /** The certificate: a signed note that satisfies the policy. */
  readonly note: string
}

export interface BundleFiles {
  readonly id: string
  /** File contents: canonical envelope, C2SP tlog-proof, the ledger's records about the entry, C2SP tlog-policy. */
  readonly entry: string
  readonly proof: string
  readonly records: string
  readonly policy: string
}

/** What a node can be asked for now, as far as it can tell. */
export interface Readiness {
  /** It answers from what it has applied. */
  readonly reads: boolean
  /** It takes entries: it is a member, its disk works, and somebody leads. */
  readonly entries: boolean
  /** And what it takes becomes final: as many validators as must cosign take part. */
  readonly final: boolean
}

export interface NodeStatus {
  readonly name: string
  readonly ledger: string
  readonly genesis: string
  readonly version: string
  readonly role: string
  readonly leader?: string
  readonly term: number
  readonly height: number
  readonly size: number
  /** Size of the newest certificate, 0 if none. */
  readonly finalSize: number
  readonly pending: number
  readonly peers: readonly string[]
  /** How many changes of membership are in force here. */
  readonly sequence: number
  readonly ready: Readiness
  /** Why the node does not take part, or why nothing is ordered or becomes final, in a sentence, if so. */
  readonly note?: string
}

export interface ClusterStatus {
  readonly ledger: string
  /** How many changes of membership this node has applied. */
  readonly sequence: number
  readonly leader?: string
  readonly term: number
  readonly cosigners: number
  /** Of the answering node. */
  readonly ready: Readiness
  /** This node and what the others last announced. `seenMs` is the age of the announcement. */
  readonly nodes: readonly (Pick<
    NodeStatus,
    'name' | 'role' | 'height' | 'size' | 'finalSize' | 'pending'
  > & {
    readonly kind: NodeMember['kind']
    readonly online: boolean
    readonly seenMs?: number
  })[]
  /** Why this node does not take part, in a sentence, if so. */
  readonly note?: string
  /** The evidence that this node keeps, by the SHA-256 of each piece. */
  readonly evidence: readonly {
    readonly kind: EvidenceKind
    readonly accused: string
    readonly hash: string
  }[]
}

/** The members and quorums in force after the newest block that this node has applied. */
export interface MembershipView {
  readonly ledger: string
  /** How many changes have made it: the next one must say `sequence + 1`. */
  readonly sequence: number
  readonly cosigners: number
  readonly adminQuorum: number
  /** Member records, as src/ledger/member.ts reads them. */
  readonly members: readonly Json[]
}

export interface GenesisView {
  /** Hash of block 0 in hex: the ledger's identity, to be compared with one from elsewhere. */
  readonly id: string
  /** Block 0, base64. */
  readonly genesis: string
}

/** Told what reading for an answer costs, in bytes. */
export type Spend = (bytes: number) => void

/** By whom an entry is brought to this node: none can take the room or the turns of the others. */
export interface Bringer {
  /** The holder of a token, or an address; peers are named so inside of the node. */
  readonly name: string
  /** One of several connections from there. */
  readonly connection?: string
  /** Whether it is somebody known, for whom a share of the room is kept: anyone can have many addresses. */
  readonly known: boolean
}

/** What subscribers are told of. */
export type LedgerEvent =
  | { readonly topic: 'blocks'; readonly block: BlockView }
  | { readonly topic: 'checkpoints'; readonly checkpoint: CheckpointView }
  | { readonly topic: 'entries'; readonly entry: EntryView }

/** An answer that is no result: the request was understood, and this is why it has none. */
export class ServiceError extends QatError<
  'not-found' | 'not-final' | 'overloaded' | 'unavailable' | 'unauthorized'
> {}

/** Whoever a bearer token stands for, and what it may log. */
export interface Principal {
  readonly name: string
  readonly sources: readonly string[]
  readonly types: readonly string[]
}

/** One link of this node, and the fibre that keys it. */
export interface LinkView {
  /** Both members' names, as "alpha-bravo". */
  readonly link: string
  readonly peer: string
  readonly connected: boolean
  /** FRESH: the newest keys hold a QKD key; AGED: earlier ones did; NONE: none did, or there is no connection. */
  readonly state: 'FRESH' | 'AGED' | 'NONE'
  /** Since the keys in use were agreed on. */
  readonly keyAgeSeconds?: number
  /** Error rate of the last block. */
  readonly qber?: number
  /** Bits a second. */
  readonly secretKeyRate: number
  readonly keysStored: number
  readonly keysMax: number
  /** OK, WARN, ALARM or DOWN of our own KME; whatever another one says of itself. */
  readonly fibre: string
  readonly lengthKm?: number
  /** How many blocks ended how. */
  readonly blocks?: Readonly<Record<string, number>>
  readonly leakedBits?: number
  /** Of the error correction: disclosed bits over the least that it takes. */
  readonly efficiency?: number
  /** When the last block ended, RFC 3339. */
  readonly lastBlock?: string
  readonly simulated: boolean
}

/** What may be done to a simulated fibre; shares from 0 to 1, attenuation in dB. */
export type LinkChange =
  | { readonly eve: number }
  | { readonly attenuation: number }
  | { readonly cut: true }
  | 'restore'

export interface LinkService {
  links(): Promise<LinkView[]>
  /** Throws ServiceError not-found or unavailable. */
  disturb(link: string, change: LinkChange): void
}

export interface LedgerService {
  /** Admits a signed entry and waits until it is at `stage` or `timeoutMs` has passed; answers how far it is. */
  submit(entry: Entry, stage: Stage, timeoutMs: number, bringer?: Bringer): Promise<Submission>
  /**
   * The key ids of signatures that do not name their key, found by trying the members that may have made them. Throws
   * FormatError, RefusedError unknown-key, or ServiceError overloaded.
   */
  signers(envelope: ForeignEnvelope, bringer?: Bringer): Promise<string[]>
  /** The gateway signs events for a sender known by its token: one event, or several as one batch entry. */
  submitEvents(
    events: readonly JsonObject[],
    principal: Principal,
    stage: Stage,
    timeoutMs: number,
    bringer?: Bringer,
  ): Promise<Submission>
  /** Throws ServiceError not-found for an id this node has never seen. */
  submission(id: string, stage: Stage, timeoutMs: number): Promise<Submission>
  /**
   * Resolves when this node holds everything that was ordered before the call, wherever that was: a read that
   * follows is linearizable. Throws ServiceError unavailable.
   */
  barrier(timeoutMs: number): Promise<void>
  entry(by: { readonly id: string } | { readonly index: number }): Promise<EntryView>
  query(query: EntryQuery, spend: Spend): Promise<QueryPage>
  block(height: number, spend: Spend): Promise<BlockView>
  /** Throws ServiceError not-final before there is a certificate. */
  checkpoint(): Promise<CheckpointView>
  /** Hashes in hex. Sizes are bounded by the applied tree. */
  inclusion(index: number, size: number): Promise<readonly string[]>
  consistency(from: number, to: number): Promise<readonly string[]>
  /**
   * The files of a proof. `since` is how many changes of the members the verifier's policy has followed, by default
   * all: of the certificates that such a policy can come to, the oldest that is kept. Throws ServiceError not-final
   * while no certificate covers the entry.
   */
  bundle(id: string, since?: number): Promise<BundleFiles>
  policy(): string
  /**
   * The changes of membership after change `since` (0 for the founding policy), oldest first, as
   * src/light/updates.ts encodes them: as many as go into one answer, none if there is no newer one.
   */
  policyUpdates(since: number): Promise<Uint8Array>
  membership(): MembershipView
  genesis(): GenesisView
  /**
   * Final blocks from a height on with their certificate, as one encoded SyncAnswer (core/sync.ts) that proves
   * itself; without blocks if this node has none to prove from there on.
   */
  sync(from: number): Promise<Uint8Array>
  status(): NodeStatus
  cluster(): ClusterStatus
  /** Calls `listener` for each event from now on; returns the function that ends it. */
  subscribe(listener: (event: LedgerEvent) => void): () => void
}
