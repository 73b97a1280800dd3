/** One client alone: how long an entry takes when nobody else is there. */
import { bar } from '../support/terminal.ts'
import { type Bench, latencies, ms, sign } from './bench.ts'
import { submitter } from './cluster.ts'
import { round } from './figures.ts'
import { closedLoop, type LoadResult } from './load.ts'
import type { Findings } from './result.ts'
import { SINGLE } from './workload.ts'

/** The loop ends with its last call. */
const LONG_ENOUGH = 3_600

/** Submissions one after the other, to the leader: first until ordered, then until final. */
export async function measureOneClient(bench: Bench, calls: number): Promise<Findings> {
  const { cluster, line } = bench
  const leader = await cluster.leader()
  const urls = [leader?.rpc ?? cluster.urls[0]!]
  // The first ones find nothing compiled.
  const warmUp = Math.ceil(calls / 4)
  const results: LoadResult[] = []
  for (const stage of ['ordered', 'final'] as const) {
    const requests = await sign(bench, `one client, ${stage}`, SINGLE, warmUp + calls, stage)
    const { submit, close } = submitter(urls)
    for (const request of requests.splice(0, warmUp)) await submit(request)
    results.push(
      await closedLoop({
        clients: 1,
        calls,
        rampSeconds: 0,
        seconds: LONG_ENOUGH,
        send: (number) => submit(requests[number]!),
        onProgress: (done) => line.update(`one client, ${stage} ${bar(done, calls)}`),
      }),
    )
    close()
  }
  const [ordered, final] = results as [LoadResult, LoadResult]
  line.done(`one client: ordered p50 ${ms(ordered.latencyMs.p50)}, final p50 ${ms(final.latencyMs.p50)}`)
  return {
    figures: {
      orderedP50Ms: round(ordered.latencyMs.p50, 1),
      orderedP99Ms: round(ordered.latencyMs.p99, 1),
      finalP50Ms: round(final.latencyMs.p50, 1),
      finalP99Ms: round(final.latencyMs.p99, 1),
      oneClientFailed: ordered.failed + final.failed + ordered.later + final.later,
    },
    tables: [
      {
        title: 'One client',
        columns: ['submit →', 'calls', 'p50 ms', 'p90 ms', 'p99 ms', 'max ms'],
        rows: results.map(({ latencyMs }, i) => [i === 0 ? 'ordered' : 'final', ...latencies(latencyMs)]),
      },
    ],
  }
}
