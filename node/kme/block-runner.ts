/** Blocks in a thread of their own, for all links of a KME: the main thread only carries their messages. */
import { Worker } from 'node:worker_threads'
import { errorMessage, QatError } from '../../src/errors.ts'
import type { Block } from '../../src/qkd/protocol.ts'
import type { Clock } from '../clock.ts'
import type { BlockJob, FromThread, ToThread } from './block-thread.ts'

/** A thread takes some 40 MB. Links that rest have no use for it, and to start it anew takes 0.1 s. */
const IDLE_MS = 60_000

/** `auth-failed`: its messages were changed; `block-failed`: it did not come to an end. */
export class BlockFailed extends QatError<'auth-failed' | 'block-failed'> {}

export interface MadeBlock extends Block {
  /** That Alice sent; 0 at Bob's. */
  readonly pulses: number
}

export interface RunningBlock {
  /** Rejects with BlockFailed. */
  readonly made: Promise<MadeBlock>
  /** A message of the other side. */
  heard(bytes: Uint8Array): void
  abort(): void
}

type Work = BlockJob extends infer J ? (J extends BlockJob ? Omit<J, 'number'> : never) : never

interface Waiting {
  readonly say: (bytes: Uint8Array) => void
  readonly clicks: (bits: Uint8Array) => void
  readonly resolve: (block: MadeBlock) => void
  readonly reject: (error: BlockFailed) => void
}

export class BlockRunner {
  #worker: Worker | undefined
  readonly #waiting = new Map<number, Waiting>()
  readonly #clock: Pick<Clock, 'after'>
  #cancelEnd = () => {}
  #number = 0
  #closed = false

  constructor(clock: Pick<Clock, 'after'>) {
    this.#clock = clock
  }

  /**
   * @param say a message for the other side
   * @param clicks at Alice's: what Bob's detectors found, one bit for each detection
   */
  run(
    work: Work,
    say: (bytes: Uint8Array) => void,
    clicks: (bits: Uint8Array) => void = () => {},
  ): RunningBlock {
    const number = this.#number++
    this.#cancelEnd()
    const made = new Promise<MadeBlock>((resolve, reject) => {
      this.#waiting.set(number, { say, clicks, resolve, reject })
    })
    if (this.#closed) this.#settle(number, new BlockFailed('block-failed', 'The KME stops.'))
    else this.#post({ kind: 'start', job: { ...work, number } as BlockJob })
    return {
      made,
      heard: (bytes) => this.#post({ kind: 'heard', number, bytes }),
      abort: () => this.#post({ kind: 'abort', number }),
    }
  }

  async close(): Promise<void> {
    this.#closed = true
    this.#cancelEnd()
    await this.#worker?.terminate()
    this.#failAll('The KME stops.')
  }

  #post(message: ToThread): void {
    if (this.#closed) return
    this.#worker ??= this.#start()
    this.#worker.postMessage(message)
  }

  #start(): Worker {
    const name = import.meta.url.endsWith('.ts') ? './block-thread.ts' : './block-thread.js'
    const worker = new Worker(new URL(name, import.meta.url), {
      // One block holds some megabytes at a time; what V8 would take beyond that is garbage.
      resourceLimits: { maxYoungGenerationSizeMb: 8 },
    })
    worker.on('message', (message: FromThread) => this.#hear(message))
    const died = (why: unknown) => {
      if (this.#worker !== worker) return
      this.#worker = undefined
      this.#failAll(`The thread of the links failed: ${typeof why === 'number' ? why : errorMessage(why)}.`)
    }
    worker.on('error', died)
    worker.on('exit', died)
    worker.unref()
    return worker
  }

  #end(): void {
    const worker = this.#worker
    this.#worker = undefined
    void worker?.terminate()
  }

  #hear(message: FromThread): void {
    const waiting = this.#waiting.get(message.number)
    if (message.kind === 'say') waiting?.say(message.bytes)
    else if (message.kind === 'clicks') waiting?.clicks(message.bits)
    else if (message.kind === 'made') {
      this.#settle(message.number, { ...message.block, pulses: message.pulses })
    } else {
      const code =
        message.code === 'auth-failed' || message.code.startsWith('bad-') ? 'auth-failed' : 'block-failed'
      this.#settle(message.number, new BlockFailed(code, message.message))
    }
  }

  #settle(number: number, end: MadeBlock | BlockFailed): void {
    const waiting = this.#waiting.get(number)
    this.#waiting.delete(number)
    this.#cancelEnd()
    if (this.#worker && !this.#closed && this.#waiting.size === 0)
      this.#cancelEnd = this.#clock.after(IDLE_MS, () => this.#end())
    if (end instanceof BlockFailed) waiting?.reject(end)
    else waiting?.resolve(end)
  }

  #failAll(message: string): void {
    for (const number of [...this.#waiting.keys()])
      this.#settle(number, new BlockFailed('block-failed', message))
  }
}
