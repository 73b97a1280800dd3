/**
 * Clients that never stop asking: each submits events at its own pace, most of them signed by itself and some
 * through a node's gateway, and goes on to the next node with the same event until one has acknowledged it.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import { isAtLeast } from '../../node/core/waiters.ts'
import { type Client, createClient, RpcError } from '../../node/rpc/client.ts'
import type { Stage, Submission } from '../../node/service.ts'
import { fromUtf8, utf8 } from '../../src/bytes.ts'
import type { Signer } from '../../src/crypto/suite.ts'
import { errorMessage } from '../../src/errors.ts'
import { type Json, type JsonObject, parseJson } from '../../src/json.ts'
import { signEntry } from '../../src/ledger/entry.ts'
import { PAYLOAD_TYPES } from '../../src/ledger/payload-types.ts'
import { ENTRY_BYTES_MAX } from '../../src/limits.ts'
import type { Random } from '../../test/consensus/sim/random.ts'
import type { Book } from './book.ts'

export interface LoadOptions {
  readonly urls: readonly string[]
  /** For events that the node signs. */
  readonly token: string
  readonly signer: Signer
  /** Submissions a second, of all clients together. */
  readonly rate: number
  readonly random: Random
  readonly book: Book
  /** Told of each submission that ended as final, with the number of its event, and how long that took. */
  readonly onFinal: (event: number, waitedMs: number) => void
}

const CLIENTS = 3
/** Submissions under way for one client: what piles up in some seconds without service. */
const IN_FLIGHT_MAX = 200
/** What a node is asked to wait, and what the client waits for the node: an election fits in. */
const WAIT_MS = 5_000
const ANSWER_MS = 6_000
const RETRY_MS = 100
/** Of a hundred submissions: so many ask for these stages, the others for `final`. */
const PENDING_SHARE = 0.1
const ORDERED_SHARE = 0.1
/** Signed by the gateway of the node: each retry elsewhere carries another signature for the same event. */
const GATEWAY_SHARE = 0.15

export const SOURCE = 'https://chaos.example/load'

/** What a node may answer and still acknowledge the same event later. */
const PASSING = new Set(['unavailable', 'overloaded', 'rate-limited', 'internal', 'not-found'])

export class Load {
  /** What nodes refused for good, by sentence: no event of ours deserves it. */
  readonly refusals = new Map<string, number>()
  readonly #options: LoadOptions
  readonly #clients: readonly Client[]
  readonly #under = new Set<Promise<void>>()
  #abandoned = false

  constructor(options: LoadOptions) {
    this.#options = options
    const { urls, token } = options
    this.#clients = urls.map((url) => createClient(url, { token, timeoutMs: ANSWER_MS }))
  }

  /** Submits until `signal` is aborted; what is under way then goes on. */
  async run(signal: AbortSignal): Promise<void> {
    await Promise.all(Array.from({ length: CLIENTS }, () => this.#client(signal)))
  }

  /** Waits until every submission has been acknowledged; after `timeoutMs` the rest stays unknown. */
  async drain(timeoutMs: number): Promise<void> {
    const late = sleep(timeoutMs, undefined, { ref: false }).then(() => {
      this.#abandoned = true
    })
    await Promise.race([Promise.all(this.#under), late])
    await Promise.all(this.#under)
  }

  async #client(signal: AbortSignal): Promise<void> {
    const pauseMs = (1_000 * CLIENTS) / this.#options.rate
    const mine = new Set<Promise<void>>()
    for (let due = performance.now(); !signal.aborted; due += pauseMs) {
      await sleep(Math.max(0, due - performance.now()))
      // What could not be submitted in time is left out, not caught up on.
      due = Math.max(due, performance.now() - pauseMs)
      if (mine.size >= IN_FLIGHT_MAX) continue
      const submission = this.#submit().finally(() => {
        mine.delete(submission)
        this.#under.delete(submission)
      })
      mine.add(submission)
      this.#under.add(submission)
    }
  }

  async #submit(): Promise<void> {
    const { random, book, signer, onFinal } = this.#options
    const number = book.submit()
    const began = performance.now()
    const draw = random.next()
    const stage: Stage =
      draw < PENDING_SHARE ? 'pending' : draw < PENDING_SHARE + ORDERED_SHARE ? 'ordered' : 'final'
    const first = random.int(0, this.#clients.length - 1)
    const what = random.chance(GATEWAY_SHARE)
      ? { method: 'event.submit', params: { event: eventOf(number) } }
      : { method: 'entry.submit', params: { entry: await signed(eventOf(number), signer) } }
    const params = { ...what.params, wait: stage, timeoutMs: WAIT_MS }

    for (let attempt = 0; !this.#abandoned; attempt++) {
      const node = (first + attempt) % this.#clients.length
      try {
        const { id, status } = await this.#clients[node]!.call<Submission>(what.method, params)
        // A node that gave up waiting says how far the entry is. `pending` then is no promise: only who asked
        // for it gets it from the disk.
        const isPromise = status !== 'pending' || stage === 'pending'
        book.admit(number)
        if (isPromise) book.acknowledge(number, status, node, id)
        if (isAtLeast(status, stage)) {
          if (status === 'final') onFinal(number, performance.now() - began)
          return
        }
      } catch (error) {
        if (error instanceof RpcError && !PASSING.has(error.code)) return this.#refused(error)
        await sleep(RETRY_MS)
      }
    }
  }

  #refused(error: unknown): void {
    const sentence = errorMessage(error)
    this.refusals.set(sentence, (this.refusals.get(sentence) ?? 0) + 1)
  }
}

function eventOf(number: number): JsonObject {
  return {
    specversion: '1.0',
    id: String(number),
    source: SOURCE,
    type: 'example.chaos.event',
    subject: `subject-${number % 1_000}`,
    time: '2026-01-31T12:00:00Z',
    datacontenttype: 'application/json',
    data: { number },
  }
}

async function signed(event: JsonObject, signer: Signer): Promise<Json> {
  const { bytes } = await signEntry(PAYLOAD_TYPES.event, utf8(JSON.stringify(event)), signer)
  return parseJson(fromUtf8(bytes), ENTRY_BYTES_MAX)
}
