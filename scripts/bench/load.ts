/**
 * How clients offer load. A closed loop: so many clients, each with one call at a time, which shows what a system
 * can do. An open loop: calls at a fixed rate whatever the answers do, which shows what users meet; a call that had
 * to wait for the client itself counts from when it should have been sent (no coordinated omission).
 */
import { setTimeout as sleep } from 'node:timers/promises'
import { errorMessage } from '../../src/errors.ts'
import { type Spread, spread, sum } from './figures.ts'

/** `done` as asked, `later`: refused with the time after which to try again; else why it failed. */
export type Outcome = 'done' | 'later' | { readonly failed: string }

/** Makes the call with this number. One that throws has failed. */
export type Send = (number: number, client: number) => Promise<Outcome>

/** Told when the measured time begins and ends: counters are read then. */
export interface Meter {
  begin(): Promise<void>
  end(): Promise<void>
}

export interface LoadResult {
  /** Calls that were done within the measured time, and how long that was. */
  readonly done: number
  readonly seconds: number
  readonly perS: number
  /** Closed loop: of the calls answered within the measured time. Open loop: of those that were due in it. */
  readonly latencyMs: Spread
  /** Calls done, refused with a time, and failed, before and after the measured time as well. */
  readonly total: number
  readonly later: number
  readonly failed: number
  readonly why: ReadonlyMap<string, number>
  /** Open loop: by how much the client itself sent late at worst. */
  readonly clientLateMs: number
}

/** Counts what comes of calls, and takes the time of those within the measured time. */
class Tally {
  readonly #by: 'answer' | 'send'
  readonly #latenciesMs: number[] = []
  readonly #why = new Map<string, number>()
  #fromMs = Number.POSITIVE_INFINITY
  #toMs = Number.POSITIVE_INFINITY
  #doneWithin = 0
  #later = 0
  /** Measured or not. */
  done = 0
  clientLateMs = 0

  /**
   * @param by what makes a latency one of the measured time. In an open loop it is the sending: the slowest answers
   * come when no more calls are sent, and must not be left out.
   */
  constructor(by: 'answer' | 'send') {
    this.#by = by
  }

  begin(fromMs = performance.now()): void {
    this.#fromMs = fromMs
  }

  end(): void {
    this.#toMs = performance.now()
  }

  async take(call: Promise<Outcome>, sinceMs: number): Promise<void> {
    const outcome = await call.catch((error: unknown) => ({ failed: errorMessage(error) }))
    const nowMs = performance.now()
    if (outcome === 'later') this.#later++
    else if (outcome !== 'done') this.#why.set(outcome.failed, (this.#why.get(outcome.failed) ?? 0) + 1)
    else {
      this.done++
      if (this.#isWithin(nowMs)) this.#doneWithin++
      if (this.#isWithin(this.#by === 'send' ? sinceMs : nowMs)) this.#latenciesMs.push(nowMs - sinceMs)
    }
  }

  #isWithin(ms: number): boolean {
    return ms >= this.#fromMs && ms <= this.#toMs
  }

  result(): LoadResult {
    const seconds = (this.#toMs - this.#fromMs) / 1_000
    return {
      done: this.#doneWithin,
      total: this.done,
      seconds,
      perS: this.#doneWithin / seconds,
      latencyMs: spread(this.#latenciesMs),
      later: this.#later,
      failed: sum([...this.#why.values()]),
      why: this.#why,
      clientLateMs: this.clientLateMs,
    }
  }
}

export interface ClosedLoopOptions {
  readonly clients: number
  /** Calls there are; the loop ends with the last of them or when its time is over. */
  readonly calls: number
  /** Before the measured time: until every client is under way and compilers have seen the load. */
  readonly rampSeconds: number
  readonly seconds: number
  readonly send: Send
  readonly meter?: Meter
  readonly onProgress?: (done: number) => void
}

/** Resolves when the last call has been answered. */
export async function closedLoop(options: ClosedLoopOptions): Promise<LoadResult> {
  const { clients, calls, rampSeconds, seconds, send, meter, onProgress } = options
  const tally = new Tally('answer')
  const over = new AbortController()
  let next = 0
  const client = async (number: number) => {
    while (!over.signal.aborted && next < calls) {
      await tally.take(send(next++, number), performance.now())
      onProgress?.(tally.done)
    }
    // Fewer clients from here on would be another load.
    over.abort()
  }
  const running = Array.from({ length: clients }, (_, number) => client(number))
  await sleep(rampSeconds * 1_000, undefined, { signal: over.signal }).catch(() => {})
  await meter?.begin()
  tally.begin()
  await sleep(seconds * 1_000, undefined, { signal: over.signal }).catch(() => {})
  tally.end()
  await meter?.end()
  over.abort()
  await Promise.all(running)
  return tally.result()
}

export interface OpenLoopOptions {
  readonly perS: number
  readonly calls: number
  readonly rampSeconds: number
  readonly send: Send
  readonly meter?: Meter
  readonly onProgress?: (sent: number) => void
}

/** Resolves when the last call has been answered; the measured time ends with the last one sent. */
export async function openLoop(options: OpenLoopOptions): Promise<LoadResult> {
  const { perS, calls, rampSeconds, send, meter, onProgress } = options
  const tally = new Tally('send')
  const underWay: Promise<void>[] = []
  const startMs = performance.now()
  let begun: Promise<void> | undefined
  const begin = () => {
    tally.begin(startMs + rampSeconds * 1_000)
    return meter?.begin() ?? Promise.resolve()
  }
  for (let sent = 0; sent < calls; ) {
    const nowMs = performance.now()
    if (nowMs - startMs >= rampSeconds * 1_000) begun ??= begin()
    const due = Math.min(calls, Math.floor(((nowMs - startMs) * perS) / 1_000) + 1)
    for (; sent < due; sent++) {
      const dueMs = startMs + (sent * 1_000) / perS
      tally.clientLateMs = Math.max(tally.clientLateMs, performance.now() - dueMs)
      underWay.push(tally.take(send(sent, 0), dueMs))
    }
    onProgress?.(sent)
    await sleep(1)
  }
  await (begun ?? begin())
  tally.end()
  await meter?.end()
  await Promise.all(underWay)
  return tally.result()
}
