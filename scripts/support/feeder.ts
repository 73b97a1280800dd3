/** Submits events to the nodes in turn, a few at a time, and trusts no single node to be up. */
import { setTimeout } from 'node:timers/promises'
import { createClient } from '../../node/rpc/client.ts'
import type { Submission } from '../../node/service.ts'
import type { JsonObject } from '../../src/json.ts'

export interface FeedOptions {
  readonly urls: readonly string[]
  readonly token: string
  /** Events under way at once. */
  readonly width: number
  /** Upper bound of events started a second; as fast as the ledger takes them if not given. */
  readonly perSecond?: number
  /** Ends the feed after the events under way. */
  readonly signal?: AbortSignal
  readonly onSubmit?: () => void
  readonly onFinal: (event: JsonObject, submission: Submission) => void
}

const RETRY_MS = 300
/** Every event is tried until it is final; a cluster that is gone for this long ends the feed with an error. */
const PATIENCE_MS = 90_000

/** Resolves when every event is final. An event keeps its id, so that trying again never records it twice. */
export async function feed(events: readonly JsonObject[], options: FeedOptions): Promise<void> {
  const { urls, token, width, perSecond, signal, onSubmit, onFinal } = options
  const clients = urls.map((url) => createClient(url, { token }))
  const pauseMs = perSecond === undefined ? 0 : (1_000 * width) / perSecond
  let next = 0
  const worker = async () => {
    while (next < events.length && !signal?.aborted) {
      const turn = next++
      const event = events[turn]!
      onSubmit?.()
      const started = performance.now()
      onFinal(event, await untilFinal(event, turn))
      await setTimeout(Math.max(0, pauseMs - (performance.now() - started)))
    }
  }
  const untilFinal = async (event: JsonObject, turn: number): Promise<Submission> => {
    const deadline = performance.now() + PATIENCE_MS
    for (let attempt = 0; ; attempt++) {
      const client = clients[(turn + attempt) % clients.length]!
      try {
        const params = { event, wait: 'final', timeoutMs: 10_000 }
        const submission = (await client.call('event.submit', params)) as Submission
        if (submission.status === 'final') return submission
      } catch (error) {
        if (performance.now() > deadline || signal?.aborted) throw error
        await setTimeout(RETRY_MS)
      }
    }
  }
  await Promise.all(Array.from({ length: width }, worker))
}
