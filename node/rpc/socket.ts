/**
 * One WebSocket: JSON-RPC calls in, answers and notifications out. Everything that a peer could make the node
 * hold is bounded: a peer that sends faster than it is answered is not read; one that reads too slowly is dropped.
 */
import type { WebSocket } from '@fastify/websocket'
import type { Bringer, Principal } from '../service.ts'
import type { Caller } from './context.ts'
import type { Dispatch } from './dispatch.ts'
import { rpcError } from './errors.ts'
import type { RpcLimits } from './limits.ts'
import type { Hub, Subscription } from './subscriptions.ts'

export interface SocketOptions {
  readonly dispatch: Dispatch
  readonly hub: Hub
  readonly limits: RpcLimits
  readonly principal: () => Principal
  readonly bringer?: Bringer
  readonly admit: (calls: number) => Promise<void>
  /** Told when the node ends the connection, and why. */
  readonly onDropped: (code: 'slow-consumer' | 'not-text' | 'silent') => void
}

/** RFC 6455 section 7.4.1, and 1013 of the IANA registry. */
const CLOSE = { unsupported: 1003, tryAgainLater: 1013 } as const

/** Serves the socket until it closes. */
export function serveSocket(socket: WebSocket, options: SocketOptions): void {
  const { dispatch, hub, limits } = options
  const subscriptions = new Map<string, Subscription>()
  let subscribed = 0
  let calls = 0

  function drop(code: 'slow-consumer' | 'not-text', status: number, reason: string): void {
    options.onDropped(code)
    endSubscriptions()
    socket.close(status, reason)
    // Whoever does not read does not answer a close frame either.
    setTimeout(() => socket.terminate(), limits.closeGraceMs).unref()
  }

  function send(text: string): void {
    if (socket.readyState !== socket.OPEN) return
    if (socket.bufferedAmount > limits.socketUnsentBytesMax) {
      const reason = 'You read too slowly. Subscribe again; entry.query fills the gap.'
      drop('slow-consumer', CLOSE.tryAgainLater, reason)
    } else {
      socket.send(text)
    }
  }

  function endSubscriptions(): void {
    for (const subscription of subscriptions.values()) hub.remove(subscription)
    subscriptions.clear()
  }

  /** New subscriptions begin once the answer that names them is sent: a peer never hears of an unknown one. */
  function contextOf(opened: Subscription[]): Caller {
    return {
      principal: options.principal,
      ...(options.bringer && { bringer: options.bringer }),
      admit: options.admit,
      subscriptions: {
        add(topics, filter) {
          if (subscriptions.size >= limits.subscriptionsPerSocketMax) {
            const max = limits.subscriptionsPerSocketMax
            throw rpcError('invalid-request', `A socket holds ${max} subscriptions at most.`, {
              code: 'too-many-subscriptions',
            })
          }
          const subscription = { id: `${++subscribed}`, topics, filter, deliver: send }
          subscriptions.set(subscription.id, subscription)
          opened.push(subscription)
          return subscription.id
        },
        remove(id) {
          const subscription = subscriptions.get(id)
          if (subscription !== undefined) hub.remove(subscription)
          return subscriptions.delete(id)
        },
      },
    }
  }

  async function receive(text: Uint8Array): Promise<void> {
    if (++calls >= limits.callsPerSocketMax) socket.pause()
    const opened: Subscription[] = []
    const answer = await dispatch(text, contextOf(opened))
    if (answer !== undefined) send(answer)
    for (const subscription of opened) {
      if (subscriptions.has(subscription.id)) hub.add(subscription)
    }
    if (--calls < limits.callsPerSocketMax) socket.resume()
  }

  socket.on('message', (data: Buffer, isBinary: boolean) => {
    if (isBinary) drop('not-text', CLOSE.unsupported, 'Send text messages.')
    else void receive(data)
  })
  keepAlive(socket, limits.socketPingMs, () => options.onDropped('silent'))
  socket.on('close', endSubscriptions)
}

/** Pings, so that a peer that vanished without a word does not stay. One that is not being read is left alone. */
function keepAlive(socket: WebSocket, everyMs: number, onSilent: () => void): void {
  let answered = true
  socket.on('pong', () => {
    answered = true
  })
  const timer = setInterval(() => {
    if (socket.isPaused) return
    if (!answered) {
      onSilent()
      socket.terminate()
      return
    }
    answered = false
    socket.ping()
  }, everyMs)
  timer.unref()
  socket.on('close', () => clearInterval(timer))
}
