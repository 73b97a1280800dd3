/** Closed loops by workload: what four nodes can do, and what it costs each of them. */
import { bar } from '../support/terminal.ts'
import { type Bench, sign, tell } from './bench.ts'
import { submitter } from './cluster.ts'
import { round, significant } from './figures.ts'
import { closedLoop, type LoadResult } from './load.ts'
import { ClusterMeter } from './meters.ts'
import type { Figure, Findings, Table } from './result.ts'
import { fits, nameOf, SINGLE, type Workload } from './workload.ts'

export interface Measured {
  readonly result: LoadResult
  readonly meter: ClusterMeter
}

/** In the first run of a workload, beyond the clients' first calls: enough to see how many entries a run takes. */
const PROBE = { single: 1_500, batch: 300 }
/** The first run is slower than those that follow it. */
const ENOUGH = 1.7

/** So many clients, each with one entry under way until it is final. */
export async function closedLoopOf(bench: Bench, workload: Workload, seconds: number): Promise<Measured> {
  const { cluster, line, rampSeconds, limitPerS } = bench
  const name = nameOf(workload)
  const clients = clientsOf(bench, workload)
  const { submit, close } = submitter(cluster.urls)
  const runOf = async (what: string, calls: number, ramp: number, time: number): Promise<Measured> => {
    const requests = await sign(bench, what, workload, calls, 'final')
    const meter = new ClusterMeter(cluster.nodes)
    const startMs = performance.now()
    const result = await closedLoop({
      clients,
      calls: requests.length,
      rampSeconds: ramp,
      seconds: time,
      meter,
      send: (number) => submit(requests[number]!),
      onProgress: (done) => {
        const elapsed = round((performance.now() - startMs) / 1_000)
        line.update(`${what}: ${bar(Math.min(elapsed, ramp + time), ramp + time)} s, ${done} final`)
      },
    })
    return { result, meter }
  }
  try {
    const probe = await runOf(
      `${name}, first run`,
      clients + (workload.events === 1 ? PROBE.single : PROBE.batch),
      0,
      30,
    )
    const perS = Math.min(ENOUGH * probe.result.perS, limitPerS ?? Number.POSITIVE_INFINITY)
    return await runOf(name, clients + perS * (rampSeconds + seconds), rampSeconds, seconds)
  } finally {
    close()
  }
}

/** Batches are as much work as many entries, so a quarter of the clients keeps the nodes busy. */
function clientsOf({ clients, cluster }: Bench, { events }: Workload): number {
  return cluster.nodes.length * (events === 1 ? clients : Math.ceil(clients / 4))
}

export interface ClosedFindings extends Findings {
  /** One-event entries a second. */
  readonly perS: number
}

export async function measureClosedLoops(
  bench: Bench,
  workloads: readonly Workload[],
  seconds: { readonly single: number; readonly others: number },
): Promise<ClosedFindings> {
  const rows: (readonly Figure[])[] = []
  const tables: Table[] = []
  const figures: Record<string, Figure> = {}
  const unfit: string[] = []
  let perS = 0
  let failed = 0
  for (const workload of workloads) {
    if (!(await fits(workload))) {
      unfit.push(nameOf(workload))
      continue
    }
    const isSingle = workload === SINGLE || nameOf(workload) === nameOf(SINGLE)
    const measured = await closedLoopOf(bench, workload, isSingle ? seconds.single : seconds.others)
    const { result } = measured
    failed += result.failed + result.later
    tell(bench, nameOf(workload), result)
    rows.push([nameOf(workload), clientsOf(bench, workload), ...loadRow(workload, measured)])
    if (workload.dataBytes === SINGLE.dataBytes && workload.events === 32) {
      figures.eventsPerS32 = round(result.perS * 32)
    }
    if (!isSingle) continue
    perS = result.perS
    tables.push(nodesTable(measured))
    Object.assign(figures, singleFigures(bench, measured))
  }
  const note =
    unfit.length === 0 ? {} : { note: `Longer than an entry may be (65,535 bytes): ${unfit.join('; ')}.` }
  const columns = ['events × data', 'clients', 'entries/s', 'events/s', 'final p50 ms', 'p90 ms', 'p99 ms']
  const costs = [
    'CPU ms/entry, all nodes',
    'CPU ms/entry, clients',
    'disk B/entry',
    'sent B/entry',
    'RSS MiB',
  ]
  return {
    perS,
    figures: { ...figures, closedFailed: failed },
    tables: [
      { title: 'Closed loop, submit → final', columns: [...columns, ...costs, 'loop p99 ms'], rows, ...note },
      ...tables,
    ],
  }
}

function singleFigures({ limitPerS }: Bench, { result, meter }: Measured): Record<string, Figure> {
  const { done, perS, latencyMs } = result
  return {
    entriesPerS: round(perS),
    measuredSeconds: round(result.seconds, 1),
    shareOfLimit: limitPerS === undefined ? null : round(perS / limitPerS, 2),
    loadedFinalP50Ms: round(latencyMs.p50),
    loadedFinalP99Ms: round(latencyMs.p99),
    nodesCpuMsPerEntry: round(meter.nodesCpuMs / done, 2),
    clientCpuMsPerEntry: round(meter.clientCpuMs / done, 3),
    diskBytesPerEntry: perEntry(meter, 'diskBytes', done),
    sentBytesPerEntry: perEntry(meter, 'sentBytes', done),
    loopDelayP99Ms: round(meter.highest('loopDelayP99Ms'), 1),
    leaderChanges: meter.leaderChanges,
  }
}

function loadRow({ events }: Workload, { result, meter }: Measured): Figure[] {
  const { done, perS, latencyMs } = result
  return [
    round(perS),
    round(perS * events),
    ...[latencyMs.p50, latencyMs.p90, latencyMs.p99].map(significant),
    significant(meter.nodesCpuMs / done),
    round(meter.clientCpuMs / done, 3),
    perEntry(meter, 'diskBytes', done),
    perEntry(meter, 'sentBytes', done),
    round(meter.highest('rssMaxMiB')),
    significant(meter.highest('loopDelayP99Ms')),
  ]
}

/** Of all nodes together. */
function perEntry({ costs }: ClusterMeter, what: 'diskBytes' | 'sentBytes', entries: number): Figure {
  const total = costs.reduce((all, cost) => all + cost[what], 0)
  return Number.isNaN(total) ? null : round(total / entries)
}

function nodesTable({ result: { done, seconds }, meter }: Measured): Table {
  return {
    title: `By node, ${nameOf(SINGLE)}`,
    columns: [
      'node',
      'CPU ms/entry',
      'cores',
      'disk B/entry',
      'sent B/entry',
      'received B/entry',
      'RSS MiB',
      'mapped MiB',
      'loop p99 ms',
    ],
    rows: meter.costs.map(
      ({ name, cpuMs, diskBytes, sentBytes, receivedBytes, rssMaxMiB, mappedMiB, loopDelayP99Ms }) => [
        name,
        round(cpuMs / done, 3),
        round(cpuMs / 1_000 / seconds, 2),
        ...[diskBytes, sentBytes, receivedBytes].map((bytes) =>
          Number.isNaN(bytes) ? null : round(bytes / done),
        ),
        round(rssMaxMiB),
        round(mappedMiB),
        round(loopDelayP99Ms, 1),
      ],
    ),
    note:
      'RSS is the highest since the node began; mapped, the part of it at the end that is mapped files, which the ' +
      'kernel takes back when it needs the room; sent and received, what peers and clients exchanged with the node.',
  }
}
