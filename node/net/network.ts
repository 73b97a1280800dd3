/**
 * What the node needs of a network, in members' names. libp2p implements it in `libp2p-network.ts`; a
 * simulation can implement it in memory.
 */
import type { PublicKey } from '../../src/crypto/suite.ts'

/** Frames on the persistent direct stream between two validators. Numbers go on the wire: never reuse one. */
export const FRAME = { raft: 1, forward: 2, forwardReply: 3, cosignature: 4, late: 5 } as const
export type FrameKind = (typeof FRAME)[keyof typeof FRAME]

/** What travels by gossip. */
export const TOPICS = ['blocks', 'cosignatures', 'status'] as const
export type Topic = (typeof TOPICS)[number]

/** gossipsub's three answers: pass on; drop silently; drop and hold it against the sender. */
export type Verdict = 'accept' | 'ignore' | 'reject'

export interface NetworkHandlers {
  /** A frame from a connected member. Must not throw. */
  frame(from: string, kind: FrameKind, bytes: Uint8Array): void
  /** A question from a member, or from a former one; what is returned is the answer. A throw closes the stream without one. */
  request(from: string, bytes: Uint8Array): Promise<Uint8Array>
  /** Of a question whose answer is a few bytes and may be long in coming. All others of a peer are answered in turn. */
  isBrief(bytes: Uint8Array): boolean
  gossip(from: string, topic: Topic, bytes: Uint8Array): Promise<Verdict>
  connected(peer: string): void
  /** The last connection to a member has closed. */
  disconnected(peer: string): void
}

/** Where a member's node is found, and the libp2p identity it proves. */
export interface PeerRecord {
  readonly name: string
  readonly peerId: string
  /** libp2p multiaddrs. */
  readonly addresses: readonly string[]
  /** By which it signs; not known of a peer whose record is not known here yet. */
  readonly nodeKey?: PublicKey
}

/** Who may connect. */
export interface Peers {
  /**
   * The present members' nodes, this one may be among them. A node whose identity is about to change stands here
   * twice, and may show either.
   */
  readonly nodes: readonly PeerRecord[]
  /** Names by the peer ids of former nodes: they may ask for what is final, and nothing else. */
  readonly former: ReadonlyMap<string, string>
}

export interface Network {
  /** Says who may connect from now on; others' connections are closed. Called before `start`, too. */
  setPeers(peers: Peers): void
  /** Starts listening and dialling; until then nothing is delivered. */
  start(handlers: NetworkHandlers): Promise<void>
  /** Names of connected members. */
  peers(): string[]
  /** Queues a frame; false if the peer is not connected or its queue is full, and then the frame is gone. */
  send(to: string, kind: FrameKind, bytes: Uint8Array): boolean
  /** Asks a member and waits for its answer, at most `timeoutMs`. */
  request(to: string, bytes: Uint8Array, timeoutMs: number): Promise<Uint8Array>
  publish(topic: Topic, bytes: Uint8Array): Promise<void>
  /** A member sent what no correct node sends: counted, and its connection is closed. */
  misbehaved(peer: string, code: string): void
  stop(): Promise<void>
}
