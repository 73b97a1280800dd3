/**
 * One direction of the persistent stream to a peer: frames go out in order over a stream that is opened when
 * needed and kept. Raft repeats what is lost, so a link that fails drops what it held and starts afresh.
 */
import type { Stream } from '@libp2p/interface'
import { lpStream } from '@libp2p/utils'
import { concat } from '../../src/bytes.ts'
import { FRAME_BYTES_MAX } from './frames.ts'
import type { FrameKind } from './network.ts'

/** Frames waiting for a slow peer: a few full blocks. Beyond that they are dropped, not piled up. */
const QUEUE_BYTES_MAX = 4 * FRAME_BYTES_MAX

export class Link {
  readonly #open: () => Promise<Stream>
  readonly #queue: Uint8Array[] = []
  #queuedBytes = 0
  #pumping = false

  constructor(open: () => Promise<Stream>) {
    this.#open = open
  }

  send(kind: FrameKind, bytes: Uint8Array): boolean {
    if (this.#queuedBytes + bytes.length > QUEUE_BYTES_MAX) return false
    const frame = concat(Uint8Array.of(kind), bytes)
    this.#queue.push(frame)
    this.#queuedBytes += frame.length
    if (!this.#pumping) void this.#pump()
    return true
  }

  /** Writes until the queue is empty; the stream outlives it and is used again. */
  async #pump(): Promise<void> {
    this.#pumping = true
    try {
      const writer = await this.#writer()
      for (let frame = this.#queue[0]; frame; frame = this.#queue[0]) {
        await writer.write(frame)
        this.#queue.shift()
        this.#queuedBytes -= frame.length
      }
    } catch {
      this.#stream = undefined
      this.#queue.length = 0
      this.#queuedBytes = 0
    } finally {
      this.#pumping = false
    }
  }

  #stream: { raw: Stream; lp: ReturnType<typeof lpStream> } | undefined

  async #writer() {
    if (this.#stream?.raw.status !== 'open') {
      const raw = await this.#open()
      this.#stream = { raw, lp: lpStream(raw, { maxDataLength: FRAME_BYTES_MAX }) }
    }
    return this.#stream.lp
  }
}
