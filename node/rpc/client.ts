/** A small JSON-RPC client for the command line and for scripts: fetch for calls, a WebSocket for events. */
import { errorMessage, QatError } from '../../src/errors.ts'
import { type Json, type JsonObject, object, parseJson } from '../../src/json.ts'
import type { LedgerEvent } from '../service.ts'
import type { EntryFilter, Topic } from './context.ts'
import { RpcError } from './errors.ts'
import { WAIT_MS_MAX } from './limits.ts'

export { RpcError }

/** The call did not come to an answer. It may have been carried out all the same. */
export class ClientError extends QatError<'unreachable' | 'timeout' | 'bad-answer'> {}

export interface ClientOptions {
  /** Sent as `Authorization: Bearer`. */
  readonly token?: string
  /** For one call; above the longest that a call may ask the node to wait, unless told otherwise. */
  readonly timeoutMs?: number
}

export interface SubscribeOptions {
  readonly topics: readonly Topic[]
  readonly filter?: EntryFilter
  readonly onEvent: (event: LedgerEvent) => void
  /** Once, when the socket has closed, whoever closed it; `reason` may be empty. */
  readonly onEnd?: (reason: string) => void
  /** How often a silent node is asked whether it is still there; one that then says nothing for as long is given up. */
  readonly pingMs?: number
}

export interface Client {
  /** Throws RpcError for what the node refuses, ClientError for what never came to an answer. */
  call<T = Json>(method: string, params?: object): Promise<T>
  /** Resolves once the node has confirmed; throws as `call`. */
  subscribe(options: SubscribeOptions): Promise<{ close(): void }>
}

const PING_MS = 10_000

/** A page of the largest entries, with room. */
const ANSWER_BYTES_MAX = 67_108_864

/** `url` is the node's base URL, such as http://127.0.0.1:8645; with a path, as a reverse proxy may give it one. */
export function createClient(
  url: string,
  { token, timeoutMs = WAIT_MS_MAX + 10_000 }: ClientOptions = {},
): Client {
  const base = url.replace(/\/+$/, '')
  const headers: Record<string, string> = { 'content-type': 'application/json' }
  if (token !== undefined) headers.authorization = `Bearer ${token}`
  let calls = 0

  return {
    async call<T>(method: string, params: object = {}): Promise<T> {
      const id = ++calls
      const body = JSON.stringify({ jsonrpc: '2.0', id, method, params })
      const { status, retryAfter, bytes } = await post(base, headers, body, timeoutMs)
      try {
        return resultOf(readAnswer(bytes), id) as T
      } catch (error) {
        if (error instanceof ClientError && status >= 400) throw notOfANode(base, status, retryAfter)
        throw error
      }
    },
    subscribe: (options) => subscribe(base, options, timeoutMs),
  }
}

interface HttpAnswer {
  readonly status: number
  readonly retryAfter: string | null
  readonly bytes: Uint8Array
}

async function post(
  base: string,
  headers: Record<string, string>,
  body: string,
  ms: number,
): Promise<HttpAnswer> {
  try {
    const request = { method: 'POST', headers, body, signal: AbortSignal.timeout(ms) }
    const response = await fetch(`${base}/rpc`, request)
    const bytes = new Uint8Array(await response.arrayBuffer())
    return { status: response.status, retryAfter: response.headers.get('retry-after'), bytes }
  } catch (cause) {
    if (cause instanceof Error && cause.name === 'TimeoutError') throw timedOut(base, ms)
    throw unreachable(base, cause)
  }
}

function subscribe(base: string, options: SubscribeOptions, ms: number): Promise<{ close(): void }> {
  const { topics, filter, onEvent, onEnd, pingMs = PING_MS } = options
  const socket = new WebSocket(`${base.replace(/^http/, 'ws')}/ws`)
  return new Promise((resolve, reject) => {
    let state: 'opening' | 'open' | 'over' = 'opening'
    /** Whether the node has said anything since it was last asked. */
    let heard = true
    let calls = 0
    const send = (method: string, params: object) => {
      socket.send(JSON.stringify({ jsonrpc: '2.0', id: ++calls, method, params }))
    }
    const end = (reason: string, error: () => unknown = () => unreachable(base, reason)) => {
      if (state === 'over') return
      const before = state
      state = 'over'
      clearTimeout(timer)
      clearInterval(pings)
      socket.close()
      if (before === 'open') onEnd?.(reason)
      else reject(error())
    }
    const timer = setTimeout(() => end('', () => timedOut(base, ms)), ms)
    // A WebSocket of the web platform cannot ping, so a small call stands for it. Any message is an answer.
    const pings = setInterval(() => {
      if (state !== 'open') return
      if (!heard) return end(`it said nothing for ${pingMs / 1_000} s`)
      heard = false
      send('node.status', {})
    }, pingMs)

    socket.addEventListener('open', () => {
      send('subscribe', filter === undefined ? { topics } : { topics, filter })
    })
    socket.addEventListener('message', ({ data }) => {
      if (state === 'over') return
      heard = true
      let event: Json | undefined
      try {
        const message = readAnswer(String(data))
        if (message.method === 'subscription') event = object(message.params, 'The notification').event
        else if (state === 'opening') resultOf(message, 1)
      } catch (error) {
        end(errorMessage(error), () => error)
        return
      }
      if (event !== undefined) {
        onEvent(event as unknown as LedgerEvent)
      } else if (state === 'opening') {
        clearTimeout(timer)
        state = 'open'
        resolve({ close: () => end('') })
      }
    })
    socket.addEventListener('close', ({ reason }) => {
      if (state === 'opening' && reason === '') end('the connection closed')
      else end(reason)
    })
  })
}

/** Strictly parsed: what a node says is shown to people and kept in files. */
function readAnswer(input: Uint8Array | string): JsonObject {
  return understand(() => object(parseJson(input, ANSWER_BYTES_MAX), 'The answer'))
}

function resultOf(answer: JsonObject, id: number): Json {
  if (answer.error !== undefined) throw understand(() => errorOf(object(answer.error, 'The error')))
  if (answer.id !== id || answer.result === undefined) throw badAnswer('It does not belong to the call.')
  return answer.result
}

function errorOf({ code, message, data }: JsonObject): RpcError {
  const facts = object(data, 'The data of the error')
  if (typeof code !== 'number' || typeof message !== 'string' || typeof facts.code !== 'string') {
    throw badAnswer('Its error lacks code, message or word.')
  }
  return new RpcError(code, message, { ...facts, code: facts.code })
}

/** Whatever is not in our format comes from something that is not a node. */
function understand<T>(read: () => T): T {
  try {
    return read()
  } catch (cause) {
    throw cause instanceof ClientError ? cause : badAnswer(errorMessage(cause))
  }
}

function badAnswer(reason: string): ClientError {
  return new ClientError('bad-answer', `The answer is not one of a Quantum Audit Trail node. ${reason}`)
}

/** What a proxy, a load balancer or another service says in its own words. 5xx of those pass; the rest does not. */
function notOfANode(base: string, status: number, retryAfter: string | null): ClientError {
  const message = `${base} answers with HTTP status ${status}, which comes from no Quantum Audit Trail node`
  if (status < 500 && status !== 429) {
    return new ClientError('bad-answer', `${message}. Is the address right?`, { status })
  }
  const seconds = Number(retryAfter ?? Number.NaN)
  const later = Number.isFinite(seconds) ? { retryAfterMs: Math.max(0, 1_000 * seconds) } : {}
  return new ClientError('unreachable', `${message} but from what stands before it.`, { status, ...later })
}

function timedOut(base: string, ms: number): ClientError {
  return new ClientError('timeout', `${base} did not answer within ${ms} ms.`, { timeoutMs: ms })
}

/** Certificates, protocols and ports that are wrong stay so: it makes no sense to try again. */
const LASTING = /^(?:ERR_SSL_|ERR_TLS_|CERT_|UNABLE_TO_|DEPTH_ZERO_|SELF_SIGNED_)|^bad port$/

function unreachable(base: string, cause: unknown): ClientError {
  // fetch says only "fetch failed"; the reason is one or two levels down. Several addresses have failed each for itself.
  let inner: unknown = cause
  while (inner instanceof Error && inner.cause instanceof Error) inner = inner.cause
  if (inner instanceof AggregateError && inner.errors.length > 0) inner = inner.errors[0]
  const { code = errorMessage(inner) } = inner instanceof Error ? (inner as NodeJS.ErrnoException) : {}
  const message = `${base} cannot be reached: ${errorMessage(inner) || code}`
  return new ClientError('unreachable', message, LASTING.test(String(code)) ? { lasting: true } : {}, {
    cause,
  })
}
