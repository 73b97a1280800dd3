/** A link as libp2p sees it: a stream of bytes over a Noise connection, in the frames of a LinkSession. */
import type { AbortOptions, MessageStream, StreamCloseEvent, StreamMessageEvent } from '@libp2p/interface'
import { AbstractMessageStream, LengthPrefixedDecoder } from '@libp2p/utils'
import { Uint8ArrayList } from 'uint8arraylist'
import { LENGTH_BYTES, RECORD_CONTENT_MAX } from './records.ts'
import type { LinkSession } from './session.ts'

/** What a peer may have sent before it is read: some records. */
const BUFFER_BYTES_MAX = 16_777_216

export class LinkStream extends AbstractMessageStream {
  readonly #noise: MessageStream
  readonly #decoder = new LengthPrefixedDecoder({
    lengthDecoder: Object.assign((bytes: Uint8Array | Uint8ArrayList) => u16(bytes), { bytes: LENGTH_BYTES }),
    encodingLength: () => LENGTH_BYTES,
    maxBufferSize: BUFFER_BYTES_MAX,
    maxDataLength: 0xffff,
  })
  #session: LinkSession | undefined
  #flushing = false

  constructor(noise: MessageStream) {
    super({
      log: noise.log,
      inactivityTimeout: noise.inactivityTimeout,
      maxReadBufferLength: noise.maxReadBufferLength,
      direction: noise.direction,
    })
    this.#noise = noise
  }

  /** Begins to read. */
  start(session: LinkSession): void {
    this.#session = session
    this.#noise.addEventListener('message', ({ data }: StreamMessageEvent) => {
      try {
        for (const frame of this.#decoder.decode(data)) session.receive(frame.subarray())
      } catch (error) {
        this.#end(error)
      }
    })
    this.#noise.addEventListener('close', (event: StreamCloseEvent) => {
      session.close()
      if (event.error === undefined) this.onTransportClosed()
      else if (event.local) this.abort(event.error)
      else this.onRemoteReset()
    })
    this.#noise.addEventListener('drain', () => this.safeDispatchEvent('drain'))
    this.#noise.addEventListener('remoteCloseWrite', () => this.onRemoteCloseWrite())
  }

  /** A whole frame, as the session made it. */
  write(bytes: Uint8Array): void {
    this.#noise.send(bytes)
  }

  deliver(content: Uint8Array): void {
    this.onData(content)
  }

  /**
   * Takes what it is given into one record with all that comes in the same turn: yamux sends a window update for
   * nearly every frame that it receives, and each record costs two writes to the socket and two ciphers.
   */
  override send(data: Uint8Array | Uint8ArrayList): boolean {
    if (this.writeStatus !== 'writable') return super.send(data)
    this.writeBuffer.append(data)
    if (!this.#flushing) {
      this.#flushing = true
      queueMicrotask(() => this.#flush())
    }
    return !this.writableNeedsDrain
  }

  override sendData(data: Uint8ArrayList) {
    const records = new Uint8ArrayList()
    for (let at = 0; at < data.byteLength; at += RECORD_CONTENT_MAX) {
      records.append(
        this.#session!.seal(data.subarray(at, Math.min(at + RECORD_CONTENT_MAX, data.byteLength))),
      )
    }
    return { sentBytes: data.byteLength, canSendMore: this.#noise.send(records) }
  }

  async close(options?: AbortOptions): Promise<void> {
    this.#flush()
    this.#session?.close()
    await this.#noise.close(options)
  }

  override sendReset(error: Error): void {
    this.#session?.close()
    this.#noise.abort(error)
  }

  override sendPause(): void {
    this.#noise.pause()
  }

  override sendResume(): void {
    this.#noise.resume()
  }

  #flush(): void {
    this.#flushing = false
    if (this.writeStatus !== 'writable' || this.writeBuffer.byteLength === 0) return
    try {
      this.processSendQueue()
    } catch (error) {
      this.#end(error)
    }
  }

  #end(error: unknown): void {
    this.abort(error instanceof Error ? error : new Error(String(error)))
  }
}

function u16(bytes: Uint8Array | Uint8ArrayList): number {
  const [high, low] = bytes.subarray(0, LENGTH_BYTES)
  return 256 * high! + low!
}
