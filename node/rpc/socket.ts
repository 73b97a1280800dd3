/**
 * One WebSocket: JSON-RPC calls in, answers and notifications out. Everything that a peer could make the node
 * hold is bounded: a peer that sends faster than it is answered is not read; one that reads too slowly is dropped.
 */
import type { Socket } from 'node:net'
import type { WebSocket } from '@fastify/websocket'
import type { Bringer, Principal } from '../service.ts'
import type { Caller } from './context.ts'
import type { Dispatch } from './dispatch.ts'
import { rpcError } from './errors.ts'
import type { RpcLimits } from './limits.ts'
import type { Burden, Load } from './load.ts'
import type { Hub, Subscription } from './subscriptions.ts'

export interface SocketOptions {
  readonly dispatch: Dispatch
  readonly hub: Hub
  readonly limits: RpcLimits
  readonly load: Load
  readonly principal: () => Principal
  readonly bringer: Bringer
  readonly admit: (calls: number) => Promise<void>
  /** Told whether the socket is in use: it has subscriptions, or calls under way. */
  readonly onBusy: (busy: boolean) => void
  /** Told when the node ends the connection, and why. */
  readonly onDropped: (code: 'slow-consumer' | 'overloaded' | 'not-text' | 'silent') => void
}

/** RFC 6455 section 7.4.1, and 1013 of the IANA registry. */
const CLOSE = { unsupported: 1003, tryAgainLater: 1013 } as const

const SLOW = 'You read too slowly. Subscribe again; entry.query fills the gap.'
const FULL = 'The node has as much to answer and to tell as it may hold. Come again shortly.'

/** Serves the socket, which `raw` carries, until it closes. */
export function serveSocket(socket: WebSocket, raw: Socket, options: SocketOptions): void {
  const { dispatch, hub, limits, load, bringer } = options
  const subscriptions = new Map<string, Subscription>()
  let subscribed = 0
  let calls = 0
  /** Of calls that are under way. */
  const held = new Set<Burden>()

  function drop(code: 'slow-consumer' | 'overloaded' | 'not-text', status: number, reason: string): void {
    options.onDropped(code)
    endSubscriptions()
    socket.close(status, reason)
    // Whoever does not read does not answer a close frame either.
    setTimeout(() => socket.terminate(), limits.closeGraceMs).unref()
  }

  function cut(): void {
    options.onDropped('slow-consumer')
    socket.terminate()
  }

  /** Sends what `burden` is held for. */
  function send(text: string, burden: Burden): void {
    if (socket.readyState !== socket.OPEN) burden.release()
    else if (socket.bufferedAmount > limits.socketUnsentBytesMax) {
      burden.release()
      drop('slow-consumer', CLOSE.tryAgainLater, SLOW)
    } else {
      burden.awaits(true)
      socket.send(text, () => burden.release())
    }
  }

  /** Takes on a message of so many bytes; undefined if there is no room for it, which ends the socket. */
  function take(bytes?: number): Burden | undefined {
    try {
      return load.take(bringer, cut, bytes)
    } catch {
      drop('overloaded', CLOSE.tryAgainLater, FULL)
      return undefined
    }
  }

  function tell(text: string): void {
    if (socket.readyState !== socket.OPEN) return
    if (!load.tell(text.length) && !bringer.known) drop('overloaded', CLOSE.tryAgainLater, FULL)
    else {
      const burden = take(text.length)
      if (burden) send(text, burden)
    }
  }

  function endSubscriptions(): void {
    for (const subscription of subscriptions.values()) hub.remove(subscription)
    subscriptions.clear()
  }

  const busy = () => options.onBusy(calls > 0 || subscriptions.size > 0)

  /** New subscriptions begin once the answer that names them is sent: a peer never hears of an unknown one. */
  function contextOf(opened: Subscription[], burden: Burden): Caller {
    return {
      principal: options.principal,
      bringer,
      burden,
      admit: options.admit,
      subscriptions: {
        add(topics, filter) {
          if (subscriptions.size >= limits.subscriptionsPerSocketMax) {
            const max = limits.subscriptionsPerSocketMax
            throw rpcError('invalid-request', `A socket holds ${max} subscriptions at most.`, {
              code: 'too-many-subscriptions',
            })
          }
          const subscription = { id: `${++subscribed}`, topics, filter, deliver: tell }
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

  /** What has come of a message that is not complete. */
  let incoming: Burden | undefined
  raw.on('data', (chunk: Uint8Array) => {
    try {
      incoming ??= load.take(bringer, cut, 0)
      incoming.hold(chunk.length)
    } catch {
      drop('overloaded', CLOSE.tryAgainLater, FULL)
    }
  })

  async function receive(text: Uint8Array): Promise<void> {
    incoming?.release()
    incoming = undefined
    const burden = take()
    if (!burden) return
    held.add(burden)
    burden.awaits(false)
    if (++calls >= limits.callsPerSocketMax) socket.pause()
    busy()
    const opened: Subscription[] = []
    const answer = await dispatch(text, contextOf(opened, burden))
    if (answer === undefined) burden.release()
    else send(answer, burden)
    held.delete(burden)
    for (const subscription of opened) {
      if (subscriptions.has(subscription.id)) hub.add(subscription)
    }
    if (--calls < limits.callsPerSocketMax) socket.resume()
    busy()
  }

  socket.on('message', (data: Buffer, isBinary: boolean) => {
    if (isBinary) drop('not-text', CLOSE.unsupported, 'Send text messages.')
    else void receive(data)
  })
  // Node's own timer: it starts anew whenever some of what waits has been taken.
  raw.setTimeout(limits.progressMs)
  raw.on('timeout', () => {
    if (socket.bufferedAmount > 0) cut()
  })
  keepAlive(socket, limits.socketPingMs, () => options.onDropped('silent'))
  socket.on('close', () => {
    endSubscriptions()
    incoming?.release()
    for (const burden of held) burden.release()
  })
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
