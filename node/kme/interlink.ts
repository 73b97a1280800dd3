/**
 * Connections between KMEs: mutual TLS, one for each pair, made by the KME with the smaller id (Alice), for as long
 * as the process runs. Who someone is says the certificate: SAN URI `urn:qat:kme:<id>`, issued by the common CA.
 */
import type { Socket } from 'node:net'
import { connect, createServer, type TLSSocket } from 'node:tls'
import { errorMessage } from '../../src/errors.ts'
import { systemClock } from '../clock.ts'
import { type Abortable, HalfOpen } from '../net/half-open.ts'
import {
  encodeInterlinkFrame,
  type InterlinkFrame,
  type InterlinkKind,
  InterlinkReader,
} from './interlink-frames.ts'
import { certificateOf, uriName } from './sae-id.ts'
import type { TlsIdentity } from './tls-files.ts'

export interface InterlinkPeer {
  readonly kmeId: string
  readonly host: string
  readonly port: number
}

export interface InterlinkHandlers {
  /** The connection to a peer is up; `secret` gives bytes that only its two ends know (RFC 8446 section 7.5). */
  up(kmeId: string, secret: (bytes: number) => Uint8Array): void
  down(kmeId: string): void
  frame(kmeId: string, frame: InterlinkFrame): void
}

export interface InterlinkOptions {
  readonly kmeId: string
  readonly tls: TlsIdentity
  readonly listen: { readonly host: string; readonly port: number }
  readonly peers: readonly InterlinkPeer[]
  readonly handlers: InterlinkHandlers
  readonly debug: (facts: object, message: string) => void
}

const REDIAL_MS = 1_000
/** Of connections whose other end has not shown a certificate yet. A handshake takes milliseconds. */
const STRANGERS = { perAddressMax: 64, max: 256, silentMs: 5_000, unknownMs: 5_000 }
/** A peer that has gone without a word is noticed by keep-alive of TCP, and a block that does not end by its link. */
const KEEP_ALIVE_MS = 10_000
/** Bytes that wait for a peer that does not read: several blocks. */
const WAITING_BYTES_MAX = 8 * 1_048_576
const EXPORTER_LABEL = 'EXPERIMENTAL-qat-kme-enrolment'

export class Interlink {
  readonly #options: InterlinkOptions
  readonly #sockets = new Map<string, TLSSocket>()
  readonly #redials = new Set<NodeJS.Timeout>()
  readonly #server
  readonly #accepted = new Set<TLSSocket>()
  readonly #halfOpen: HalfOpen<Abortable>
  /** By the address and port of the other end, since TLS does not say which connection it is over. */
  readonly #strangers = new Map<string, Abortable>()
  #tls: TlsIdentity
  #closed = false

  private constructor(options: InterlinkOptions) {
    this.#options = options
    this.#tls = options.tls
    const server = {
      ...options.tls,
      requestCert: true,
      rejectUnauthorized: true,
      minVersion: 'TLSv1.3',
    } as const
    this.#halfOpen = new HalfOpen(STRANGERS, systemClock, () => {})
    this.#server = createServer(server, (socket) => this.#accept(socket))
    this.#server.on('connection', (socket: Socket) => this.#come(socket))
    this.#server.on('tlsClientError', (error) => {
      options.debug({ error: errorMessage(error) }, 'a connection between KMEs was refused')
    })
  }

  static async start(options: InterlinkOptions): Promise<Interlink> {
    const interlink = new Interlink(options)
    await new Promise<void>((resolve, reject) => {
      interlink.#server.once('error', reject)
      interlink.#server.listen(options.listen.port, options.listen.host, () => {
        interlink.#server.off('error', reject)
        resolve()
      })
    })
    for (const peer of options.peers) if (options.kmeId < peer.kmeId) interlink.#dial(peer)
    return interlink
  }

  /** Other certificates for connections from now on; those that are open stay. */
  renew(tls: TlsIdentity): void {
    this.#tls = tls
    this.#server.setSecureContext({ ...tls, minVersion: 'TLSv1.3' })
  }

  get port(): number {
    const address = this.#server.address()
    return typeof address === 'object' && address !== null ? address.port : 0
  }

  /** False if the peer is not connected or does not read: the frame is lost then. */
  send(kmeId: string, kind: InterlinkKind, body: Uint8Array): boolean {
    const socket = this.#sockets.get(kmeId)
    if (!socket?.writable || socket.writableLength > WAITING_BYTES_MAX) return false
    socket.write(encodeInterlinkFrame({ kind, body }))
    return true
  }

  connected(kmeId: string): boolean {
    return this.#sockets.has(kmeId)
  }

  /** Ends the connection to a peer that broke the protocol; it is made anew. */
  drop(kmeId: string, why: string): void {
    this.#options.debug({ kme: kmeId, why }, 'the connection between KMEs is cut')
    this.#sockets.get(kmeId)?.destroy()
  }

  async close(): Promise<void> {
    this.#closed = true
    for (const timer of this.#redials) clearTimeout(timer)
    this.#halfOpen.stop()
    for (const stranger of this.#strangers.values()) stranger.abort(new Error('closed'))
    for (const socket of [...this.#sockets.values(), ...this.#accepted]) socket.destroy()
    await new Promise<void>((resolve) => this.#server.close(() => resolve()))
  }

  #dial(peer: InterlinkPeer): void {
    const { kmeId, host, port } = peer
    // The id is checked by the URI in the certificate, which works for addresses without names as well.
    const socket = connect({
      ...this.#tls,
      host,
      port,
      minVersion: 'TLSv1.3',
      checkServerIdentity: () => undefined,
    })
    socket.once('secureConnect', () => {
      if (kmeIdOf(socket) === kmeId) this.#adopt(kmeId, socket)
      else {
        this.#options.debug({ kme: kmeId, found: kmeIdOf(socket) }, 'another KME answers at this address')
        socket.destroy()
      }
    })
    socket.on('error', (error) => {
      this.#options.debug(
        { kme: kmeId, error: errorMessage(error) },
        'no connection to a KME; will try again',
      )
    })
    socket.once('close', () => {
      if (this.#closed) return
      const timer = setTimeout(() => {
        this.#redials.delete(timer)
        this.#dial(peer)
      }, REDIAL_MS)
      this.#redials.add(timer)
    })
  }

  #come(socket: Socket): void {
    const stranger = { abort: () => void socket.destroy() }
    const end = endOf(socket)
    this.#strangers.set(end, stranger)
    socket.once('close', () => {
      this.#halfOpen.done(stranger)
      this.#strangers.delete(end)
    })
    this.#halfOpen.came(stranger, socket.remoteAddress ?? '')
  }

  #accept(socket: TLSSocket): void {
    const stranger = this.#strangers.get(endOf(socket))
    if (stranger) this.#halfOpen.done(stranger)
    this.#accepted.add(socket)
    socket.once('close', () => this.#accepted.delete(socket))
    socket.on('error', (error) => this.#options.debug({ error: errorMessage(error) }, 'between KMEs'))
    const kmeId = kmeIdOf(socket)
    const known = this.#options.peers.some((peer) => peer.kmeId === kmeId)
    if (kmeId !== undefined && known && kmeId < this.#options.kmeId) this.#adopt(kmeId, socket)
    else {
      this.#options.debug({ found: kmeId }, 'refused a KME that has no link to this one')
      socket.destroy()
    }
  }

  /** The newer connection counts: the other end has given up the older one. */
  #adopt(kmeId: string, socket: TLSSocket): void {
    const { handlers } = this.#options
    const older = this.#sockets.get(kmeId)
    if (older) {
      this.#sockets.delete(kmeId)
      handlers.down(kmeId)
      older.destroy()
    }
    this.#sockets.set(kmeId, socket)
    socket.setNoDelay(true)
    socket.setKeepAlive(true, KEEP_ALIVE_MS)
    const reader = new InterlinkReader()
    socket.on('data', (piece: Buffer) => {
      try {
        for (const frame of reader.push(piece)) {
          if (this.#sockets.get(kmeId) !== socket) return
          handlers.frame(kmeId, frame)
        }
      } catch (error) {
        this.drop(kmeId, errorMessage(error))
      }
    })
    socket.once('close', () => {
      if (this.#sockets.get(kmeId) !== socket) return
      this.#sockets.delete(kmeId)
      handlers.down(kmeId)
    })
    handlers.up(kmeId, (bytes) => {
      const secret = socket.exportKeyingMaterial(bytes, EXPORTER_LABEL, Buffer.alloc(0))
      return new Uint8Array(secret)
    })
  }
}

function endOf({ remoteAddress, remotePort }: Socket): string {
  return `${remoteAddress} ${remotePort}`
}

/** The KME id in the certificate of the other end; undefined unless there is exactly one. */
function kmeIdOf(socket: TLSSocket): string | undefined {
  return uriName(certificateOf(socket), 'urn:qat:kme:')
}
