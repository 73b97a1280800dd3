/**
 * The connections of the front door: how many there are, which of them give way to newer ones, what their requests
 * make the node hold, and how long an answer may wait for its reader.
 */
import type { ServerResponse } from 'node:http'
import type { Socket } from 'node:net'
import { Places } from '../net/places.ts'
import type { Bringer } from '../service.ts'
import type { RpcLimits } from './limits.ts'
import { type Burden, type Load, overloaded } from './load.ts'

export type Closed = 'crowded' | 'slow-consumer'

export class Connections {
  readonly #limits: RpcLimits
  readonly #load: Load
  readonly #onClosed: (why: Closed) => void
  readonly #places: Places<Socket>
  readonly #underWay = new Map<Socket, Set<Burden>>()

  /** `onClosed` is told of each connection that is closed because of a bound. */
  constructor(limits: RpcLimits, load: Load, onClosed: (why: Closed) => void) {
    this.#limits = limits
    this.#load = load
    this.#onClosed = onClosed
    this.#places = new Places(limits.connections, (socket) => this.#end(socket, 'crowded'))
  }

  came(socket: Socket): void {
    const burdens = new Set<Burden>()
    this.#underWay.set(socket, burdens)
    socket.on('close', () => {
      this.#underWay.delete(socket)
      this.#places.leave(socket)
      // The answers that queue up behind one another are not told that their connection has closed.
      for (const burden of burdens) burden.release()
    })
    // Nothing may be known of one that has closed again.
    this.#places.take(socket, socket.remoteAddress ?? '')
  }

  /** A request has begun to come in; its burden lasts until its answer has been taken. Throws ServiceError overloaded. */
  begin(response: ServerResponse, caller: Bringer): Burden {
    const socket = response.req.socket
    const burdens = this.#underWay.get(socket) ?? new Set()
    if (burdens.size >= this.#limits.callsPerSocketMax) throw overloaded()
    const burden = this.#load.take(caller, () => this.#end(socket, 'slow-consumer'))
    burdens.add(burden)
    this.#places.claim(socket, caller.known ? 2 : 1)
    response.once('close', () => {
      burden.release()
      burdens.delete(burden)
      // The deadline was that of this answer; the next one may still be in the making.
      if (burdens.size > 0) socket.setTimeout(0)
      else if (!caller.known) this.#places.claim(socket, 0)
    })
    return burden
  }

  /** The answer is written: from now on it is the reader that is waited for. */
  answers(response: ServerResponse, burden: Burden, bytes: number): void {
    const { progressMs, answerMs, answerBytesPerSecondMin } = this.#limits
    const socket = response.req.socket
    const begin = () => {
      burden.awaits(true)
      // Node's own timer: it starts anew whenever some of what waits has been taken, and then closes the socket.
      socket.setTimeout(progressMs)
      const ms = answerMs + (bytes / answerBytesPerSecondMin) * 1_000
      const timer = setTimeout(() => this.#end(socket, 'slow-consumer'), ms).unref()
      response.once('close', () => clearTimeout(timer))
    }
    // Others may have been asked for before it on the same connection.
    if (response.socket) begin()
    else response.once('socket', begin)
  }

  #end(socket: Socket, why: Closed): void {
    if (socket.destroyed) return
    this.#onClosed(why)
    socket.destroy()
  }
}
