/**
 * The routes: POST /rpc, GET /ws, and the three addresses that operators' tools ask. JSON-RPC errors are
 * answered with status 200; what HTTP itself refuses has its HTTP status and a JSON-RPC error as its body.
 */
import { Transform } from 'node:stream'
import { fastifyRateLimit, normalizeIP } from '@fastify/rate-limit'
import { fastifyWebsocket, type WebSocket } from '@fastify/websocket'
import type { FastifyInstance, FastifyRequest, RouteHandlerMethod } from 'fastify'
import type { Metrics } from '../metrics.ts'
import { Places } from '../net/places.ts'
import type { Bringer, LedgerService, Readiness } from '../service.ts'
import type { Connections } from './connections.ts'
import type { Dispatch } from './dispatch.ts'
import { errorAnswer, type RpcError, rpcError } from './errors.ts'
import { hostOf, isOwnHost } from './host.ts'
import { httpError, httpRefusal } from './http-errors.ts'
import type { RpcLimits } from './limits.ts'
import type { Burden, Load } from './load.ts'
import { serveSocket } from './socket.ts'
import type { Hub } from './subscriptions.ts'
import type { TokenStore } from './tokens.ts'

export interface RouteOptions {
  readonly dispatch: Dispatch
  readonly hub: Hub
  readonly tokens: TokenStore
  /** Names and addresses that this node is called by, beside loopback and the address that a connection came to. */
  readonly names: readonly string[]
  readonly limits: RpcLimits
  readonly load: Load
  readonly connections: Connections
  readonly metrics: Metrics
  readonly service: Pick<LedgerService, 'status'>
  readonly onCall: (method: string, outcome: string) => void
  readonly onInternalError: (method: string, error: unknown) => string
}

const JSON_TYPE = 'application/json; charset=utf-8'
/** RFC 6455 section 7.4.1. */
const GOING_AWAY = 1001
/** 1013 of the IANA registry. */
const TRY_AGAIN_LATER = 1013
/** What must be so for each address to answer 200; all of them say all. */
const READY: Readonly<Record<string, keyof Readiness>> = {
  '/readyz': 'final',
  '/readyz/final': 'final',
  '/readyz/entries': 'entries',
  '/readyz/reads': 'reads',
}
/** What is longer, or of unknown length, is counted as it comes in. */
const SMALL_BODY_BYTES = 65_536
const NOT_POST = ['GET', 'HEAD', 'PUT', 'PATCH', 'DELETE', 'OPTIONS'] as const

export async function addRoutes(app: FastifyInstance, options: RouteOptions): Promise<void> {
  const { limits } = options
  // Before all routes: an upgrade to any other address must end in a closed socket, too.
  await app.register(fastifyWebsocket, {
    // `ws` itself closes a socket that breaks the protocol, with the status that says why.
    errorHandler: () => options.onCall('none', 'bad-frame'),
    options: { maxPayload: limits.bodyBytesMax },
    preClose: sayGoodbye,
  })
  addProbes(app, options)
  // In a scope of its own: its errors and its body parser are not those of whatever else this node serves.
  await app.register(async (scope) => {
    scope.setErrorHandler((thrown, _request, reply) => {
      const { status, error } = httpError(thrown, limits.bodyBytesMax, options.onInternalError)
      options.onCall('none', error.code)
      return reply.code(status).type(JSON_TYPE).send(errorAnswer(error))
    })
    await scope.register(fastifyRateLimit, {
      max: limits.rateCallsMax,
      timeWindow: limits.rateWindowMs,
      keyGenerator: (request) => callerKey(request, options.tokens),
      errorResponseBuilder: (_request, { ttl }) => rateLimited(ttl),
      addHeaders: { 'x-ratelimit-limit': false, 'x-ratelimit-remaining': false, 'x-ratelimit-reset': false },
      addHeadersOnExceeding: {
        'x-ratelimit-limit': false,
        'x-ratelimit-remaining': false,
        'x-ratelimit-reset': false,
      },
    })
    scope.addHook('onRequest', async (request) => checkHost(request, options.names))
    scope.removeAllContentTypeParsers()
    // The bytes go on as they are: strict UTF-8 and duplicate names are the strict parser's business.
    scope.addContentTypeParser('application/json', { parseAs: 'buffer' }, (_request, body, done) =>
      done(null, body),
    )
    addRpc(scope, options)
    addSocket(scope, options)
  })
}

function sayGoodbye(this: FastifyInstance, done: () => void): void {
  for (const socket of this.websocketServer.clients) socket.close(GOING_AWAY, 'The node stops.')
  this.websocketServer.close()
  done()
}

/** HEAD is answered as GET: some tools ask so. */
function addProbes(app: FastifyInstance, { metrics, service }: RouteOptions): void {
  const get = (url: string, handler: RouteHandlerMethod) =>
    app.route({ method: ['GET', 'HEAD'], url, handler })
  get('/healthz', (_request, reply) => reply.type('text/plain').send('ok\n'))
  for (const [path, wanted] of Object.entries(READY)) {
    get(path, (_request, reply) => {
      const { ready, note } = service.status()
      return reply
        .code(ready[wanted] ? 200 : 503)
        .header('cache-control', 'no-store')
        .type(JSON_TYPE)
        .send(`${JSON.stringify({ ...ready, ...(note !== undefined && { note }) })}\n`)
    })
  }
  get('/metrics', async (_request, reply) =>
    reply.type(metrics.registry.contentType).send(await metrics.text()),
  )
  app.setNotFoundHandler((_request, reply) => reply.code(404).send({ error: 'There is nothing here.' }))
}

function addRpc(scope: FastifyInstance, { dispatch, tokens, connections }: RouteOptions): void {
  const admit = admission(scope)
  const burdens = new WeakMap<FastifyRequest, Burden>()
  scope.post('/rpc', {
    // Before its body is read.
    async preParsing(request, reply, payload) {
      const burden = connections.begin(reply.raw, bringerOf(request, tokens))
      burdens.set(request, burden)
      const bytes = Number(request.headers['content-length'])
      return bytes <= SMALL_BODY_BYTES ? payload : payload.pipe(counted(burden))
    },
    async handler(request, reply) {
      if (!(request.body instanceof Uint8Array)) throw httpRefusal('wrong-content-type')
      const burden = burdens.get(request)!
      burden.awaits(false)
      const text = await dispatch(request.body, {
        principal: () => tokens.principalOf(request.headers.authorization),
        bringer: bringerOf(request, tokens),
        burden,
        // The request itself was counted before its body was read.
        admit: (calls) => admit(request, calls - 1),
      })
      if (text === undefined) return reply.code(204).send()
      const answer = Buffer.from(text)
      connections.answers(reply.raw, burden, answer.length)
      return reply.type(JSON_TYPE).send(answer)
    },
  })
  scope.route({
    method: [...NOT_POST],
    url: '/rpc',
    // After the rate limit has counted the request, before its body is read.
    preParsing: async (_request, reply) => {
      reply.header('allow', 'POST')
      throw httpRefusal('method-not-allowed')
    },
    handler: () => undefined,
  })
}

/** Counts what passes, and ends it with an error where there is no room for more. */
function counted(burden: Burden): Transform {
  return new Transform({
    transform(chunk: Uint8Array, _encoding, done) {
      try {
        burden.hold(chunk.length)
        done(null, chunk)
      } catch (error) {
        done(error as Error)
      }
    },
  })
}

function addSocket(scope: FastifyInstance, options: RouteOptions): void {
  const { dispatch, hub, tokens, limits, load, onCall } = options
  const admit = admission(scope)
  const places = new Places<WebSocket>(limits.sockets, (socket) => {
    onCall('none', 'crowded')
    socket.close(
      TRY_AGAIN_LATER,
      'This node serves no more WebSockets, and others need the place of this one.',
    )
    setTimeout(() => socket.terminate(), limits.closeGraceMs).unref()
  })
  scope.route({
    method: 'GET',
    url: '/ws',
    preParsing: async (request, reply) => {
      if (!request.ws) {
        reply.header('upgrade', 'websocket')
        throw httpRefusal('upgrade-required')
      }
      if (!isSameOrigin(request)) throw httpRefusal('bad-origin')
    },
    handler: () => undefined,
    wsHandler: (socket, request) => {
      const bringer = bringerOf(request, tokens)
      socket.on('close', () => places.leave(socket))
      if (!places.take(socket, request.ip, bringer.known ? 2 : 0)) return
      serveSocket(socket, request.raw.socket, {
        dispatch,
        hub,
        limits,
        load,
        principal: () => tokens.principalOf(request.headers.authorization),
        bringer,
        admit: (calls) => admit(request, calls),
        onBusy: (busy) => places.claim(socket, bringer.known ? 2 : busy ? 1 : 0),
        onDropped: (code) => onCall('none', code),
      })
    },
  })
}

/** Counts so many more calls against the caller of `request`, one after the other: the store cannot do it at once. */
function admission(scope: FastifyInstance): (request: FastifyRequest, calls: number) => Promise<void> {
  const count = scope.createRateLimit()
  return async (request, calls) => {
    for (let i = 0; i < calls; i++) {
      const rate = await count(request)
      if (!rate.isAllowed && rate.isExceeded) throw rateLimited(rate.ttl)
    }
  }
}

/** A token that is known, or else the address: a made-up token must not open a fresh account. */
function callerKey(request: FastifyRequest, tokens: TokenStore): string {
  const caller = tokens.find(request.headers.authorization)
  return caller === undefined ? normalizeIP(request.ip) : `token ${caller.name}`
}

/** Of one address, each connection has turns of its own. */
function bringerOf(request: FastifyRequest, tokens: TokenStore): Bringer {
  const { remoteAddress = '', remotePort = 0 } = request.raw.socket
  return {
    name: callerKey(request, tokens),
    connection: `${remoteAddress} ${remotePort}`,
    known: tokens.find(request.headers.authorization) !== undefined,
  }
}

function rateLimited(retryAfterMs: number): RpcError {
  return rpcError('rate-limited', 'Too many calls: wait, then go on.', { retryAfterMs })
}

/** Throws RpcError. */
function checkHost({ headers, raw }: FastifyRequest, names: readonly string[]): void {
  const host = hostOf(headers.host)
  if (host !== undefined && isOwnHost(host, names, raw.socket.localAddress)) return
  const asked = host === undefined ? 'that' : JSON.stringify(host.slice(0, 255))
  const message =
    `This node is not called ${asked}: give "qat start" --rpc-name with each name that others call it by, ` +
    'or ask for it by its own.'
  throw httpRefusal('bad-host', {}, message)
}

/** Browsers do not hold other sites' pages back from WebSockets, and always say whose page it is. */
function isSameOrigin({ headers: { origin, host } }: FastifyRequest): boolean {
  return origin === undefined || (URL.canParse(origin) && new URL(origin).host === host)
}
