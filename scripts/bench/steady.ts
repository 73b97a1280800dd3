/** A client that submits at a steady rate, whatever the answers do: so what has to wait is seen, not left out. */
import { setTimeout as sleep } from 'node:timers/promises'
import { createClient } from '../../node/rpc/client.ts'
import type { Submission } from '../../node/service.ts'
import { fromUtf8 } from '../../src/bytes.ts'
import { errorMessage } from '../../src/errors.ts'
import type { Entry } from '../../src/ledger/entry.ts'

export interface SteadyOptions {
  /** Asked in turn. */
  readonly urls: readonly string[]
  readonly perSecond: number
  readonly entry: () => Promise<Entry>
}

/** What became of the entries that were submitted in one stretch of time. */
export interface Phase {
  /** Submit → final of each entry, in ms. */
  readonly latenciesMs: number[]
  /** Error messages by how often they came. */
  readonly errors: Map<string, number>
}

export class SteadyClient {
  readonly #options: SteadyOptions
  #phase: Phase = newPhase()
  #stopped = false
  #running: Promise<unknown> = Promise.resolve()

  constructor(options: SteadyOptions) {
    this.#options = options
  }

  start(): void {
    this.#running = this.#run()
  }

  /** Entries submitted from now on count for the phase that is returned. */
  begin(): Phase {
    this.#phase = newPhase()
    return this.#phase
  }

  /** Resolves when every entry under way has been answered. */
  async stop(): Promise<void> {
    this.#stopped = true
    await this.#running
  }

  async #run(): Promise<void> {
    const { urls, perSecond, entry } = this.#options
    const clients = urls.map((url) => createClient(url))
    const underWay: Promise<void>[] = []
    const startMs = performance.now()
    for (let turn = 0; !this.#stopped; turn++) {
      const signed = JSON.parse(fromUtf8((await entry()).bytes))
      const client = clients[turn % clients.length]!
      underWay.push(submit(() => client.call('entry.submit', { entry: signed, wait: 'final' }), this.#phase))
      await sleep(Math.max(0, startMs + ((turn + 1) * 1_000) / perSecond - performance.now()))
    }
    await Promise.all(underWay)
  }
}

async function submit(call: () => Promise<unknown>, { latenciesMs, errors }: Phase): Promise<void> {
  const startMs = performance.now()
  try {
    const { status } = (await call()) as Submission
    if (status !== 'final') throw new Error(`stayed ${status}`)
    latenciesMs.push(performance.now() - startMs)
  } catch (error) {
    const why = errorMessage(error)
    errors.set(why, (errors.get(why) ?? 0) + 1)
  }
}

function newPhase(): Phase {
  return { latenciesMs: [], errors: new Map() }
}
