/** JSON-RPC 2.0 (https://www.jsonrpc.org/specification): text in, text out, whatever the transport. */
import { errorCode, errorMessage } from '../../src/errors.ts'
import { type ParsedTwice, parseTwice } from '../../src/exact-json.ts'
import { fields, isObject, type Json, type JsonObject } from '../../src/json.ts'
import type { LedgerService, LinkService, Spend } from '../service.ts'
import type { Caller } from './context.ts'
import { errorAnswer, internalError, publicError, type RpcError, rpcError } from './errors.ts'
import { CALL_ID_CHARS_MAX, type RpcLimits, WAIT_MS_DEFAULT } from './limits.ts'
import { overloaded } from './load.ts'
import { METHODS, type Method } from './methods.ts'
import { compileParams, type ParamsCheck } from './validate.ts'

/** Answers one message; undefined if it held notifications only. Never throws. */
export type Dispatch = (message: Uint8Array | string, caller: Caller) => Promise<string | undefined>

export interface DispatchOptions {
  readonly service: LedgerService
  readonly links: LinkService
  readonly limits: RpcLimits
  /** Told of every call: `method` is `none` where there is none of that name; `outcome` is `ok` or an error code. */
  readonly onCall: (method: string, outcome: string) => void
  /** Keeps an internal error where its operator finds it, and returns the reference to it. */
  readonly onInternalError: (method: string, error: unknown) => string
}

type CallId = string | number | null

interface Call {
  /** Absent in a notification. */
  readonly id?: CallId
  readonly method: string
  readonly params: Json | undefined
}

export function createDispatch({
  service,
  links,
  limits,
  onCall,
  onInternalError,
}: DispatchOptions): Dispatch {
  const table = new Map<string, Method & { check: ParamsCheck }>()
  for (const method of METHODS) table.set(method.name, { ...method, check: compileParams(method.params) })

  return async (text, context) => {
    let message: ParsedTwice
    try {
      message = parseTwice(text, limits.bodyBytesMax)
    } catch (error) {
      return failure(rpcError('parse-error', errorMessage(error), { code: errorCode(error) }))
    }
    const { value, exact } = message
    if (Array.isArray(value)) return answerBatch(value, () => exact() as Json[], context)
    return answer(value, exact, context, () => context.admit(1))
  }

  async function answerBatch(
    calls: readonly Json[],
    exact: () => Json[],
    context: Caller,
  ): Promise<string | undefined> {
    if (calls.length === 0 || calls.length > limits.batchCallsMax) {
      return failure(rpcError('invalid-request', `A batch holds 1 to ${limits.batchCallsMax} calls.`))
    }
    try {
      await context.admit(calls.length)
    } catch (error) {
      return failure(publicError(error) ?? internalError(onInternalError('none', error)))
    }
    const answers = new Array<string | undefined>(calls.length)
    const places = Map.groupBy(calls.keys(), (place) => waits(calls[place]!))
    const waiting = (places.get(true) ?? []).map(async (place) => {
      answers[place] = await answer(calls[place]!, () => exact()[place]!, context)
    })
    let chars = 0
    // One after the other: what the answers hold, and what they cost, is bounded for each message.
    for (const place of places.get(false) ?? []) {
      const call = calls[place]!
      const isFull = chars > limits.batchAnswerCharsMax
      const text = isFull ? refuse(call) : await answer(call, () => exact()[place]!, context)
      chars += text?.length ?? 0
      answers[place] = text
    }
    await Promise.all(waiting)
    const spoken = answers.filter((text) => text !== undefined)
    return spoken.length === 0 ? undefined : `[${spoken.join(',')}]`
  }

  function waits(call: Json): boolean {
    return isObject(call) && typeof call.method === 'string' && table.get(call.method)?.waits === true
  }

  /** Of a batch whose answers are as long as they may be together. */
  function refuse(call: Json): string | undefined {
    const message = 'The answers before this one are as much as one batch may hold: ask again for the others.'
    const error = rpcError('unavailable', message, { code: 'overloaded', ...overloaded().facts })
    return isNotification(call) ? undefined : failure(error, callId(call))
  }

  async function answer(
    value: Json,
    exact: () => Json,
    context: Caller,
    admit?: () => Promise<void>,
  ): Promise<string | undefined> {
    let call: Call
    try {
      call = readCall(value)
    } catch (error) {
      return failure(rpcError('invalid-request', errorMessage(error)), callId(value))
    }
    const method = table.get(call.method)
    const name = method?.name ?? 'none'
    try {
      await admit?.()
      const text = await run(method, call, exact, context)
      context.burden.hold(text.length, method?.reads ? undefined : 'few')
      onCall(name, 'ok')
      return call.id === undefined ? undefined : text
    } catch (thrown) {
      const error = publicError(thrown) ?? internalError(onInternalError(name, thrown))
      onCall(name, error.code)
      return call.id === undefined ? undefined : errorAnswer(error, call.id)
    }
  }

  async function run(
    method: (Method & { check: ParamsCheck }) | undefined,
    call: Call,
    exact: () => Json,
    caller: Caller,
  ): Promise<string> {
    if (method === undefined) {
      const name = JSON.stringify(call.method.slice(0, 64))
      throw rpcError('method-not-found', `There is no method ${name}; rpc.discover lists all.`)
    }
    if (method.socketOnly && caller.subscriptions === undefined) {
      throw rpcError('method-not-found', `${method.name} works on a WebSocket: connect to /ws.`)
    }
    const given = method.check(call.params)
    const params = method.asSpelled === undefined ? given : asSpelled(given, method.asSpelled, exact, caller)
    if (params.linearizable === true) await service.barrier(WAIT_MS_DEFAULT)
    const handle = async (spend: Spend) => {
      const result = await method.handle(service, params, { ...caller, links, spend })
      // Spelled here, so that a result without JSON form is an internal error of this call alone.
      const text = JSON.stringify({ jsonrpc: '2.0', result, id: call.id })
      spend(text.length)
      return text
    }
    return method.reads ? caller.burden.read(handle) : handle(() => {})
  }

  function failure(error: RpcError, id: CallId = null): string {
    onCall('none', error.code)
    return errorAnswer(error, id)
  }
}

/** The parameter `name` with its numbers as spelled. That takes longer than parsing: not for who has no token. */
function asSpelled(params: JsonObject, name: string, exact: () => Json, caller: Caller): JsonObject {
  caller.principal()
  const { params: spelled } = exact() as { params: JsonObject }
  return { ...params, [name]: spelled[name]! }
}

/** A request object with exactly the members of the specification's section 4. Throws FormatError. */
function readCall(value: Json): Call {
  const call = fields(value, 'A call', ['jsonrpc', 'method'], ['params', 'id'])
  if (call.jsonrpc !== '2.0') throw rpcError('invalid-request', '"jsonrpc" must be "2.0".')
  if (typeof call.method !== 'string') throw rpcError('invalid-request', '"method" must be a text.')
  if (call.params !== undefined && typeof call.params !== 'object') {
    throw rpcError('invalid-request', '"params" must be an object.')
  }
  const { method, id } = call
  // Many clients send one of these where there is nothing to say.
  const isNothing = call.params === null || (Array.isArray(call.params) && call.params.length === 0)
  const params = isNothing ? undefined : call.params
  if (id === undefined) return { method, params }
  if (!isCallId(id)) {
    throw rpcError(
      'invalid-request',
      `"id" must be a text of at most ${CALL_ID_CHARS_MAX} characters, a number or null.`,
    )
  }
  return { method, params, id }
}

/** Numbers beyond 2^53 would come back as other numbers. */
function isCallId(id: Json): id is CallId {
  if (typeof id === 'string') return id.length <= CALL_ID_CHARS_MAX
  return id === null || (typeof id === 'number' && Math.abs(id) <= Number.MAX_SAFE_INTEGER)
}

/** The id of what may not be a call at all: null wherever it cannot be told (section 5). */
function callId(value: Json): CallId {
  if (!isObject(value) || !Object.hasOwn(value, 'id')) return null
  const { id } = value
  return id !== undefined && isCallId(id) ? id : null
}

function isNotification(value: Json): boolean {
  return isObject(value) && !Object.hasOwn(value, 'id')
}
