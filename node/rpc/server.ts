/** The node's front door: JSON-RPC over HTTP and WebSocket, and the probes of operators. */
import { randomUUID } from 'node:crypto'
import { setTimeout as delay } from 'node:timers/promises'
import { fastify } from 'fastify'
import { errorMessage, QatError } from '../../src/errors.ts'
import { boundedLog } from '../bounded-log.ts'
import { systemClock } from '../clock.ts'
import type { Logger } from '../logger.ts'
import type { Metrics } from '../metrics.ts'
import type { LedgerService, LinkService } from '../service.ts'
import { Connections } from './connections.ts'
import { createDispatch } from './dispatch.ts'
import { addRoutes } from './http.ts'
import { RPC_LIMITS, type RpcLimits } from './limits.ts'
import { Load } from './load.ts'
import { createHub } from './subscriptions.ts'
import type { TokenStore } from './tokens.ts'

export class ListenError extends QatError<'port-taken' | 'cannot-listen'> {}

export interface ServerOptions {
  readonly service: LedgerService
  readonly links: LinkService
  readonly tokens: TokenStore
  /** Names and addresses that this node is called by, beside loopback and the address that a connection came to. */
  readonly names: readonly string[]
  readonly metrics: Metrics
  readonly logger: Logger
  readonly limits?: Partial<RpcLimits>
}

export interface Server {
  /** Port 0 takes a free one. Returns the base URL. Throws ListenError. */
  listen(address: { readonly host: string; readonly port: number }): Promise<string>
  /** Takes no more calls, lets running ones end for a short while, then closes every connection. */
  close(): Promise<void>
}

/** Failed calls of one kind that are logged within a minute with all that is known of them. */
const FAILURES_LOGGED = 10

export async function createServer(options: ServerOptions): Promise<Server> {
  const { service, metrics } = options
  const logger = boundedLog(options.logger, () => performance.now(), FAILURES_LOGGED)
  const limits = { ...RPC_LIMITS, ...options.limits }

  const onCall = (method: string, outcome: string) => metrics.rpcRequests.inc({ method, outcome })
  const onInternalError = (method: string, error: unknown) => {
    const reference = randomUUID()
    logger.error({ reference, method, err: error }, 'a call failed')
    return reference
  }
  const dispatch = createDispatch({ service, links: options.links, limits, onCall, onInternalError })
  const hub = createHub(service, (err) => logger.error({ err }, 'an event was not delivered'))

  const app = fastify({
    logger: false,
    bodyLimit: limits.bodyBytesMax,
    http: {
      connectionsCheckingInterval: limits.requestCheckMs,
      headersTimeout: limits.headMs,
      requestTimeout: limits.requestMs,
    },
    requestTimeout: limits.requestMs,
    exposeHeadRoutes: false,
  })
  const load = new Load(limits.load, systemClock)
  metrics.onCollect(async () => metrics.rpcHeldBytes.set(load.heldBytes))
  const connections = new Connections(limits, load, (why) => onCall('none', why))
  app.server.on('connection', (socket) => connections.came(socket))
  await addRoutes(app, { ...options, limits, load, connections, dispatch, hub, onCall, onInternalError })

  return {
    async listen({ host, port }) {
      try {
        return await app.listen({ host, port })
      } catch (cause) {
        if (cause instanceof Error && 'code' in cause && cause.code === 'EADDRINUSE') {
          const message = `Port ${port} on ${host} is taken: stop what uses it, or choose another port.`
          throw new ListenError('port-taken', message, { host, port }, { cause })
        }
        const message = `The node cannot listen on ${host}:${port}: ${errorMessage(cause)}`
        throw new ListenError('cannot-listen', message, { host, port }, { cause })
      }
    },
    async close() {
      const sockets = app.websocketServer.clients
      const closed = app.close()
      await Promise.race([closed, delay(limits.closeGraceMs, undefined, { ref: false })])
      for (const socket of sockets) socket.terminate()
      app.server.closeAllConnections()
      await closed
    },
  }
}
