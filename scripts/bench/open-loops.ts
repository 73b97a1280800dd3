/** Open loops: the latency that users meet at a given rate, and what becomes of more than can be done. */
import { bar } from '../support/terminal.ts'
import { type Bench, latencies, ms, sign, tell } from './bench.ts'
import { submitter } from './cluster.ts'
import { round } from './figures.ts'
import { type LoadResult, type Outcome, openLoop } from './load.ts'
import { ClusterMeter } from './meters.ts'
import type { Figure, Findings } from './result.ts'
import { nameOf, SINGLE } from './workload.ts'

/** A fixed rate: every other entry waits until it is ordered, the others until they are final. */
export async function measureOpenLoops(
  bench: Bench,
  closedPerS: number,
  shares: readonly number[],
  seconds: number,
): Promise<Findings> {
  const { cluster, line, rampSeconds } = bench
  const rows: Figure[][] = []
  let failed = 0
  for (const share of shares) {
    const perS = closedPerS * share
    const what = `open loop, ${round(perS)}/s`
    const half = { perS: perS / 2, calls: Math.ceil((perS / 2) * (rampSeconds + seconds)), rampSeconds }
    const run = async (stage: 'ordered' | 'final', onProgress?: (sent: number) => void) => {
      const requests = await sign(bench, what, SINGLE, half.calls, stage)
      return () => {
        const { submit, close } = submitter(cluster.urls)
        const send = (number: number): Promise<Outcome> => submit(requests[number]!)
        return openLoop({ ...half, send, ...(onProgress && { onProgress }) }).finally(close)
      }
    }
    const loops = [
      await run('ordered'),
      await run('final', (sent) => line.update(`${what}: sending ${bar(sent, half.calls)}`)),
    ]
    const [ordered, final] = (await Promise.all(loops.map((start) => start()))) as [LoadResult, LoadResult]
    failed += ordered.failed + final.failed + ordered.later + final.later
    line.done(`${what}: ordered p50 ${ms(ordered.latencyMs.p50)}, final p50 ${ms(final.latencyMs.p50)}`)
    for (const [stage, result] of [
      ['ordered', ordered],
      ['final', final],
    ] as const) {
      const spread = result.latencyMs
      const late = round(result.clientLateMs, 1)
      rows.push([
        `${share * 100} %`,
        round(perS),
        stage,
        ...latencies(spread),
        late,
        result.failed + result.later,
      ])
    }
  }
  const columns = ['of closed loop', 'offered/s', 'submit →', 'calls', 'p50 ms', 'p90 ms', 'p99 ms', 'max ms']
  return {
    figures: { openFailed: failed },
    tables: [
      {
        title: `Open loop, ${nameOf(SINGLE)}`,
        columns: [...columns, 'client late ms', 'not done'],
        rows,
        note: 'From when a call was due, not from when the client came to send it.',
      },
    ],
  }
}

const OVERLOAD = 3

/** Three times as much as can be done: what is not taken must be refused with a time, and nothing may break. */
export async function measureOverload(bench: Bench, closedPerS: number, seconds: number): Promise<Findings> {
  const { cluster, line } = bench
  const perS = OVERLOAD * closedPerS
  const requests = await sign(bench, 'overload', SINGLE, perS * seconds, 'final')
  const { submit, close } = submitter(cluster.urls)
  const meter = new ClusterMeter(cluster.nodes)
  const startMs = performance.now()
  const result = await openLoop({
    perS,
    calls: requests.length,
    rampSeconds: 0,
    meter: { begin: () => meter.begin(), end: async () => {} },
    send: (number) => submit(requests[number]!),
    onProgress: (sent) => line.update(`overload: sending ${bar(sent, requests.length)}`),
  })
  const drainedSeconds = (performance.now() - startMs) / 1_000
  // Growing queues show after the last call was sent.
  await meter.end()
  close()
  tell(bench, 'overload', result)
  return {
    figures: {
      overloadOfferedPerS: round(perS),
      overloadFinal: result.total,
      overloadRefused: result.later,
      overloadFailed: result.failed,
      overloadFinalPerS: round(result.total / drainedSeconds),
      overloadPeersLost: cluster.nodes.length - 1 - meter.peersMin,
      overloadLeaderChanges: meter.leaderChanges,
      overloadRssMaxMiB: round(meter.highest('rssMaxMiB')),
    },
  }
}
