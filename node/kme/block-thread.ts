/**
 * The thread in which the blocks of a KME are made: detections, and the conversation of protocol.ts. It has no socket:
 * what it says and hears passes through its parent (block-runner.ts).
 */
import { randomBytes } from 'node:crypto'
import { parentPort } from 'node:worker_threads'
import { errorCode, errorMessage, invariant } from '../../src/errors.ts'
import { detect } from '../../src/qkd/detections.ts'
import { type Channel, PROFILES, type ProfileName } from '../../src/qkd/profile.ts'
import { type Block, type ClassicalChannel, runAlice, runBob } from '../../src/qkd/protocol.ts'

interface Job {
  readonly number: number
  readonly profile: ProfileName
  readonly point: Uint8Array
  readonly pads: Uint8Array
  readonly estimateOnly: boolean
}

export type BlockJob =
  | (Job & {
      readonly role: 'alice'
      readonly channel: Channel
      /** Pulses that may be sent before the block is given up. */
      readonly pulsesMax: number
      /** Bob's, one for each detection. */
      readonly bases: Uint8Array
    })
  | (Job & {
      readonly role: 'bob'
      readonly bases: Uint8Array
      /** What he found. */
      readonly bits: Uint8Array
    })

export type ToThread =
  | { readonly kind: 'start'; readonly job: BlockJob }
  | { readonly kind: 'heard'; readonly number: number; readonly bytes: Uint8Array }
  | { readonly kind: 'abort'; readonly number: number }

export type FromThread = { readonly number: number } & (
  | { readonly kind: 'clicks'; readonly bits: Uint8Array }
  | { readonly kind: 'say'; readonly bytes: Uint8Array }
  | { readonly kind: 'made'; readonly block: Block; readonly pulses: number }
  | { readonly kind: 'failed'; readonly code: string; readonly message: string }
)

class Channels implements ClassicalChannel {
  readonly #number: number
  readonly #heard: Uint8Array[] = []
  #waiting: { resolve: (bytes: Uint8Array) => void; reject: (error: Error) => void } | undefined
  #ended = false

  constructor(number: number) {
    this.#number = number
  }

  send(bytes: Uint8Array): void {
    post({ kind: 'say', number: this.#number, bytes })
  }

  receive(): Promise<Uint8Array> {
    return new Promise((resolve, reject) => {
      const next = this.#heard.shift()
      if (next) resolve(next)
      else if (this.#ended) reject(new Error('The block was given up.'))
      else this.#waiting = { resolve, reject }
    })
  }

  heard(bytes: Uint8Array): void {
    if (this.#waiting) this.#waiting.resolve(bytes)
    else this.#heard.push(bytes)
    this.#waiting = undefined
  }

  abort(): void {
    this.#ended = true
    this.#waiting?.reject(new Error('The block was given up.'))
  }
}

const running = new Map<number, Channels>()

function post(message: FromThread): void {
  parentPort?.postMessage(message)
}

const random = (bytes: number) => new Uint8Array(randomBytes(bytes))

async function run(job: BlockJob): Promise<void> {
  const { number, point, pads, estimateOnly } = job
  const channel = new Channels(number)
  running.set(number, channel)
  const profile = PROFILES[job.profile]
  const setup = { profile, channel, authentication: { point, pads }, random, estimateOnly }
  try {
    if (job.role === 'bob') {
      const basisB = job.bases.subarray(0, job.bits.length)
      const block = await runBob({ ...setup, found: { basisB, bitB: job.bits } })
      post({ kind: 'made', number, block, pulses: 0 })
      return
    }
    let next = 0
    const found = detect({
      profile,
      channel: job.channel,
      random,
      basisB: () => job.bases[next++],
      keyBits: profile.blockBits,
      pulsesMax: job.pulsesMax,
    })
    post({ kind: 'clicks', number, bits: found.bitB.slice() })
    const block = await runAlice({ ...setup, sent: found })
    post({ kind: 'made', number, block, pulses: found.pulses })
  } catch (error) {
    post({ kind: 'failed', number, code: errorCode(error), message: errorMessage(error) })
  } finally {
    running.delete(number)
    point.fill(0)
    pads.fill(0)
  }
}

invariant(parentPort, 'Blocks are made in a thread of their own.')
parentPort.on('message', (message: ToThread) => {
  if (message.kind === 'start') void run(message.job)
  else if (message.kind === 'heard') running.get(message.number)?.heard(message.bytes)
  else running.get(message.number)?.abort()
})
