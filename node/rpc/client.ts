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
}

export interface Client {
  /** Throws RpcError for what the node refuses, ClientError for what never came to an answer. */
  call<T = Json>(method: string, params?: object): Promise<T>
  /** Resolves once the node has confirmed; throws as `call`. */
  subscribe(options: SubscribeOptions): Promise<{ close(): void }>
}

/** A page of the largest entries, with room. */
const ANSWER_BYTES_MAX = 67_108_864

/** `url` is the node's base URL, such as http://127.0.0.1:8645. */
export function createClient(
  url: string,
  { token, timeoutMs = WAIT_MS_MAX + 10_000 }: ClientOptions = {},
): Client {
  const rpcUrl = new URL('/rpc', url)
  const headers: Record<string, string> = { 'content-type': 'application/json' }
  if (token !== undefined) headers.authorization = `Bearer ${token}`
  let calls = 0

  return {
    async call<T>(method: string, params: object = {}): Promise<T> {
      const id = ++calls
      const body = JSON.stringify({ jsonrpc: '2.0', id, method, params })
      const bytes = await post(rpcUrl, headers, body, timeoutMs)
      return resultOf(readAnswer(bytes), id) as T
    },
    subscribe: (options) => subscribe(new URL('/ws', url), options, timeoutMs),
  }
}

async function post(
  url: URL,
  headers: Record<string, string>,
  body: string,
  ms: number,
): Promise<Uint8Array> {
  try {
    const response = await fetch(url, { method: 'POST', headers, body, signal: AbortSignal.timeout(ms) })
    return new Uint8Array(await response.arrayBuffer())
  } catch (cause) {
    if (cause instanceof Error && cause.name === 'TimeoutError') throw timedOut(url, ms)
    throw unreachable(url, cause)
  }
}

function subscribe(url: URL, options: SubscribeOptions, ms: number): Promise<{ close(): void }> {
  const { topics, filter, onEvent, onEnd } = options
  const id = 1
  url.protocol = url.protocol === 'https:' ? 'wss:' : 'ws:'
  const socket = new WebSocket(url)
  return new Promise((resolve, reject) => {
    let open = false
    const fail = (error: unknown) => {
      clearTimeout(timer)
      socket.close()
      reject(error)
    }
    const timer = setTimeout(() => fail(timedOut(url, ms)), ms)

    socket.addEventListener('open', () => {
      const params = filter === undefined ? { topics } : { topics, filter }
      socket.send(JSON.stringify({ jsonrpc: '2.0', id, method: 'subscribe', params }))
    })
    socket.addEventListener('message', ({ data }) => {
      let event: Json | undefined
      try {
        const message = readAnswer(String(data))
        if (message.method === 'subscription') event = object(message.params, 'The notification').event
        else resultOf(message, id)
      } catch (error) {
        fail(error)
        return
      }
      if (event !== undefined) {
        onEvent(event as unknown as LedgerEvent)
        return
      }
      clearTimeout(timer)
      open = true
      resolve({ close: () => socket.close() })
    })
    socket.addEventListener('close', ({ reason }) => {
      if (open) onEnd?.(reason)
      else fail(unreachable(url, reason === '' ? 'the connection closed' : reason))
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

function timedOut(url: URL, ms: number): ClientError {
  return new ClientError('timeout', `${url.origin} did not answer within ${ms} ms.`, { timeoutMs: ms })
}

function unreachable(url: URL, cause: unknown): ClientError {
  // fetch says only "fetch failed"; the reason is one level down.
  const inner = cause instanceof Error && cause.cause instanceof Error ? cause.cause : cause
  const message = `${url.origin} cannot be reached: ${errorMessage(inner)}`
  return new ClientError('unreachable', message, {}, { cause })
}
