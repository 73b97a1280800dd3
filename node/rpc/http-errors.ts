/** What HTTP itself refuses, before or instead of a call: a status, and a JSON-RPC error for the body. */
import { errorMessage } from '../../src/errors.ts'
import { internalError, publicError, type RpcError, rpcError } from './errors.ts'

const REFUSALS = {
  'bad-origin': { status: 403, message: 'Pages of other sites may not connect.' },
  'bad-host': { status: 421, message: 'This node is not called by the name in the Host header.' },
  'method-not-allowed': { status: 405, message: 'Send calls by POST.' },
  'too-large': { status: 413, message: 'The body exceeds the limit of this node.' },
  'wrong-content-type': { status: 415, message: 'Send "Content-Type: application/json".' },
  'upgrade-required': { status: 426, message: 'This address speaks WebSocket.' },
} as const

/** Errors of other origin that have a status of their own. */
const STATUS: Readonly<Record<string, number>> = { 'rate-limited': 429, overloaded: 503, unavailable: 503 }

type Refusal = keyof typeof REFUSALS

export function httpRefusal(
  code: Refusal,
  facts: Record<string, unknown> = {},
  message: string = REFUSALS[code].message,
): RpcError {
  return rpcError('invalid-request', message, { ...facts, code })
}

/** `thrown` by a route's hook, by the framework or by its body parser. */
export function httpError(
  thrown: unknown,
  bodyBytesMax: number,
  onInternalError: (method: string, error: unknown) => string,
): { readonly status: number; readonly error: RpcError } {
  const error = publicError(thrown)
  if (error !== undefined) return { status: statusOf(error.code), error }
  const status = frameworkStatus(thrown)
  if (status === 413) return { status, error: httpRefusal('too-large', { bytesMax: bodyBytesMax }) }
  if (status === 415) return { status, error: httpRefusal('wrong-content-type') }
  if (status !== undefined && status >= 400 && status < 500) {
    return { status, error: rpcError('invalid-request', errorMessage(thrown), { code: 'bad-request' }) }
  }
  return { status: 500, error: internalError(onInternalError('none', thrown)) }
}

function statusOf(code: string): number {
  return Object.hasOwn(REFUSALS, code) ? REFUSALS[code as Refusal].status : (STATUS[code] ?? 400)
}

function frameworkStatus(thrown: unknown): number | undefined {
  const { statusCode } = thrown instanceof Error ? (thrown as Error & { statusCode?: unknown }) : {}
  return typeof statusCode === 'number' ? statusCode : undefined
}
