/**
 * The one table between our typed errors and JSON-RPC 2.0 error objects (specification section 5.1), used in
 * both directions. An error that the table does not know is internal: its text never leaves the node.
 */
import { FormatError, QatError, RefusedError } from '../../src/errors.ts'

/** Standard codes first, then ours, from the range that the specification leaves to servers. */
export const RPC_ERRORS = {
  'parse-error': { code: -32700, meaning: 'The text is not JSON as we read it: one value, each name once.' },
  'invalid-request': { code: -32600, meaning: 'JSON, but no JSON-RPC 2.0 request, or one over a limit.' },
  'method-not-found': { code: -32601, meaning: 'There is no such method here.' },
  'invalid-params': { code: -32602, meaning: 'The parameters do not fit the schema of the method.' },
  internal: { code: -32603, meaning: 'A fault of the node, logged under data.reference.' },
  refused: {
    code: -32001,
    meaning:
      'Well-formed, but the rules of this ledger say no: unknown key, bad signature, not permitted, a change ' +
      'of membership that makes no sense (bad-change) or whose turn is not now (stale-change).',
  },
  malformed: { code: -32002, meaning: 'The entry or event is not in the format that it claims to have.' },
  'not-found': { code: -32003, meaning: 'This node has nothing under that id, index, height or size.' },
  unauthorized: { code: -32004, meaning: 'The bearer token is missing or unknown.' },
  unavailable: { code: -32005, meaning: 'Not now: try again after data.retryAfterMs.' },
  'event-conflict': {
    code: -32006,
    meaning: 'An event with this source and id has been recorded with other content.',
  },
  'not-final': { code: -32007, meaning: 'No certificate covers it yet.' },
  'rate-limited': { code: -32008, meaning: 'Too many calls: try again after data.retryAfterMs.' },
} as const

export type RpcErrorName = keyof typeof RPC_ERRORS

/** `code` is the stable word of src/errors.ts, for programs; the facts of the error stand beside it. */
export type RpcErrorData = { readonly code: string } & Readonly<Record<string, unknown>>

export interface RpcErrorObject {
  readonly code: number
  readonly message: string
  readonly data: RpcErrorData
}

/**
 * A JSON-RPC error: thrown by the server for misuse of the protocol, and by the client for each error that a
 * server answers. `code` is `data.code`, as of every QatError; `rpcCode` is the number.
 */
export class RpcError extends QatError {
  readonly rpcCode: number
  readonly data: RpcErrorData

  constructor(rpcCode: number, message: string, data: RpcErrorData) {
    const { code, ...facts } = data
    super(code, message, facts)
    this.rpcCode = rpcCode
    this.data = data
  }
}

/** An RpcError by its name in the table; `data.code` is the name unless `facts` hold a narrower one. */
export function rpcError(name: RpcErrorName, message: string, facts: Record<string, unknown> = {}): RpcError {
  return new RpcError(RPC_ERRORS[name].code, message, { code: name, ...facts })
}

/** What a sender should wait before it tries again, if whoever refused it did not say. */
const RETRY_AFTER_MS = 1_000

// Refusals that the leader sent through another node arrive as bare codes, so those of changes stand here, too.
const BY_CODE: Readonly<Record<string, RpcErrorName>> = {
  'event-conflict': 'event-conflict',
  'not-found': 'not-found',
  'out-of-range': 'not-found',
  unauthorized: 'unauthorized',
  'bad-change': 'refused',
  'stale-change': 'refused',
  'not-caught-up': 'unavailable',
  overloaded: 'unavailable',
  unavailable: 'unavailable',
  'not-final': 'not-final',
}

/**
 * The error as the caller may see it, or undefined if it is internal. Facts come along: they are small,
 * JSON-safe and never secret (src/errors.ts).
 */
export function publicError(error: unknown): RpcError | undefined {
  if (error instanceof RpcError) return error
  if (!(error instanceof QatError)) return undefined
  const name = Object.hasOwn(BY_CODE, error.code) ? BY_CODE[error.code] : nameOfClass(error)
  if (name === undefined) return undefined
  const retry = name === 'unavailable' ? { retryAfterMs: RETRY_AFTER_MS } : {}
  return rpcError(name, error.message, { ...retry, ...error.facts, code: error.code })
}

function nameOfClass(error: QatError): RpcErrorName | undefined {
  if (error instanceof FormatError) return 'malformed'
  if (error instanceof RefusedError) return 'refused'
  return undefined
}

/** What stands in for an internal error. The details are in the log, under the same reference. */
export function internalError(reference: string): RpcError {
  return rpcError(
    'internal',
    `The node failed. Its operator finds the cause in the log under ${reference}.`,
    {
      reference,
    },
  )
}

export function errorObject(error: RpcError): RpcErrorObject {
  return { code: error.rpcCode, message: error.message, data: error.data }
}

/** A whole JSON-RPC error answer. `id` is null where the request's own could not be read. */
export function errorAnswer(error: RpcError, id: string | number | null = null): string {
  return JSON.stringify({ jsonrpc: '2.0', error: errorObject(error), id })
}
