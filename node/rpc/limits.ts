/** Every bound of the JSON-RPC front door, in one table. Units are in the names. */
import { BLOCK_BYTES_MAX } from '../../src/limits.ts'
import type { LoadLimits } from './load.ts'

/** What an operator may change when the server is made. */
export const RPC_LIMITS = {
  /** A request body or WebSocket message: more than a full batch entry needs, as much as a block may hold. */
  bodyBytesMax: BLOCK_BYTES_MAX,
  /** Calls in one batch. */
  batchCallsMax: 100,
  /** Once a batch has answered this much, its remaining calls are refused: answers are held until all are there. */
  batchAnswerCharsMax: 4_194_304,
  /** Calls from one address or one token within a window. Meant to stop accidents, not to meter honest use. */
  rateCallsMax: 100_000,
  rateWindowMs: 10_000,
  /** TCP connections, and WebSockets among them; a proxy has all of its clients behind one address. */
  connections: { perAddressMax: 1_024, max: 4_096 },
  sockets: { perAddressMax: 128, max: 256 },
  /** What callers make the node do and hold (load.ts). */
  load: {
    turns: {
      // One is read from the disk while another is spelled.
      atOnce: 2,
      perSource: { entries: 512, bytes: Number.POSITIVE_INFINITY },
      total: { entries: 4_096, bytes: Number.POSITIVE_INFINITY },
    },
    // A quarter of one core, about; an ordinary read or proof is some 20 kB.
    costPerSecond: 33_554_432,
    costBurst: 16_777_216,
    heldBytesMax: 100_663_296,
    heldForStrangersBytesMax: 50_331_648,
    heldForOneBytesMax: 25_165_824,
    staleMs: 1_000,
  } satisfies LoadLimits,
  /** Of an answer that waits for its reader, something must be taken within this time, or its connection is closed. */
  progressMs: 5_000,
  /** And all of it within this time and what it takes at this rate. */
  answerMs: 15_000,
  answerBytesPerSecondMin: 32_768,
  /** The head of a request must be there within this time, and all of it within the other. */
  headMs: 10_000,
  requestMs: 30_000,
  /** How often those are looked at. */
  requestCheckMs: 1_000,
  subscriptionsPerSocketMax: 16,
  /** Calls of one connection that run at the same time; above it a WebSocket is not read, and HTTP is refused. */
  callsPerSocketMax: 64,
  /** Bytes waiting for a slow reader before its socket is closed. One answer may overshoot. */
  socketUnsentBytesMax: 8_388_608,
  /** How often a WebSocket is pinged; one that has not answered by the next time is gone. */
  socketPingMs: 30_000,
  /** How long a close waits for calls that are still running, and for a peer's goodbye, before it cuts off. */
  closeGraceMs: 2_000,
}

export type RpcLimits = Readonly<typeof RPC_LIMITS>

/** The longest that a call may wait for a stage, and what it waits when it does not say. */
export const WAIT_MS_MAX = 60_000
export const WAIT_MS_DEFAULT = 30_000
export const QUERY_LIMIT_MAX = 200
export const QUERY_LIMIT_DEFAULT = 50
/** Bearer tokens of one node. All are compared at each look-up. */
export const TOKENS_MAX = 256
/** A request's id comes back in its answer, so it is kept short. */
export const CALL_ID_CHARS_MAX = 256
