/** Every bound of the JSON-RPC front door, in one table. Units are in the names. */
import { BLOCK_BYTES_MAX } from '../../src/limits.ts'

/** What an operator may change when the server is made. */
export const RPC_LIMITS = {
  /** A request body or WebSocket message: more than a full batch entry needs, as much as a block may hold. */
  bodyBytesMax: BLOCK_BYTES_MAX,
  /** Calls in one batch. */
  batchCallsMax: 100,
  /**
   * Calls of one batch that run at the same time, but for submissions: one client's batch must not crowd out the
   * others, and what the answers to it hold must be bounded.
   */
  batchConcurrency: 8,
  /** Once a batch has answered this much, its remaining calls are refused: answers are held until all are there. */
  batchAnswerCharsMax: 33_554_432,
  /** Calls from one address or one token within a window. Meant to stop accidents, not to meter honest use. */
  rateCallsMax: 100_000,
  rateWindowMs: 10_000,
  /** TCP connections; the oldest defence against a client that opens and never closes. */
  connectionsMax: 4_096,
  /** WebSockets, of those connections. */
  socketsMax: 256,
  subscriptionsPerSocketMax: 16,
  /** Calls of one socket that run at the same time; above it, the socket is not read. */
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
