/** What every load of the bench needs: the nodes, a line to report on, and entries signed before the clock starts. */
import { bar, type Line } from '../support/terminal.ts'
import type { BenchCluster } from './cluster.ts'
import { round, type Spread, say, significant } from './figures.ts'
import type { LoadResult } from './load.ts'
import { type SignOptions, signRequests, type Workload } from './workload.ts'

export interface Bench {
  readonly cluster: BenchCluster
  readonly line: Line
  /** Of a closed loop of one-event entries, for each node. */
  readonly clients: number
  readonly rampSeconds: number
  /** Entries a second that V allows n nodes; undefined if it was not measured. */
  readonly limitPerS: number | undefined
}

/** Every run has names of its own: an entry that is recorded already would not be work. */
let runs = 0

/** Signs `count` entries as requests that wait for `stage`. */
export function sign(
  { cluster, line }: Bench,
  what: string,
  workload: Workload,
  count: number,
  stage: SignOptions['stage'],
): Promise<Buffer[]> {
  const total = Math.ceil(count)
  return signRequests({
    name: `run-${runs++}`,
    workload,
    count: total,
    signer: cluster.signer,
    stage,
    onProgress: (done) => line.update(`${what}: signing ${bar(done, total)}`),
  })
}

export function tell({ line }: Bench, what: string, { perS, seconds, total, later, why }: LoadResult): void {
  const refused = later === 0 ? '' : `, ${later} refused for now`
  line.done(`${what}: ${round(perS)} entries/s final over ${round(seconds, 1)} s (${total} in all${refused})`)
  for (const [message, times] of why) say(`  ${times} × ${message}`)
}

/** The columns calls, p50, p90, p99 and max. */
export function latencies({ count, p50, p90, p99, max }: Spread): number[] {
  return [count, ...[p50, p90, p99, max].map(significant)]
}

export function ms(value: number): string {
  return `${round(value, 1)} ms`
}
