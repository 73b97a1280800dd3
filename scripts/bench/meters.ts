/** What a load costs each node: read when the measured time begins and when it ends. */
import { setTimeout as sleep } from 'node:timers/promises'
import type { DevnetNode } from '../../node/devnet.ts'
import { statusOf } from './cluster.ts'
import { highest, sum } from './figures.ts'
import type { Meter } from './load.ts'
import { diskBytesOf, memoryOf } from './machine.ts'

const SAMPLE_MS = 1_000
/** perf_hooks samples the event loop by a timer of this period, which is part of what it reports. */
const LOOP_TIMER_MS = 10

/** Of one node within the measured time; what a system does not tell is NaN. */
export interface NodeCost {
  readonly name: string
  readonly cpuMs: number
  /** Since the node began. */
  readonly rssMaxMiB: number
  /** At the end, the part of resident memory that is mapped files. */
  readonly mappedMiB: number
  readonly diskBytes: number
  readonly sentBytes: number
  readonly receivedBytes: number
  readonly loopDelayP99Ms: number
}

interface Reading {
  readonly cpuMs: number
  readonly rssBytes: number
  readonly mappedBytes: number
  readonly diskBytes: number
  readonly sentBytes: number
  readonly receivedBytes: number
  readonly loopDelayP99Ms: number
}

export class ClusterMeter implements Meter {
  readonly #nodes: readonly DevnetNode[]
  #before: readonly Reading[] = []
  #clientBefore = process.cpuUsage()
  #over = false
  #watch: Promise<void> = Promise.resolve()
  readonly #leaders = new Set<string>()
  /** Valid after `end`. */
  costs: readonly NodeCost[] = []
  clientCpuMs = 0
  /** The fewest peers that any node saw connected. */
  peersMin = Number.POSITIVE_INFINITY

  constructor(nodes: readonly DevnetNode[]) {
    this.#nodes = nodes
  }

  /** Leaders or terms other than those at the beginning. */
  get leaderChanges(): number {
    return Math.max(0, this.#leaders.size - 1)
  }

  get nodesCpuMs(): number {
    return sum(this.costs.map(({ cpuMs }) => cpuMs))
  }

  highest(what: Exclude<keyof NodeCost, 'name'>): number {
    return highest(this.costs.map((cost) => cost[what]))
  }

  async begin(): Promise<void> {
    this.#clientBefore = process.cpuUsage()
    this.#watch = this.#watchPeers()
    // Reading the delay of an event loop begins it anew.
    this.#before = await this.#readAll()
  }

  async end(): Promise<void> {
    const { user, system } = process.cpuUsage(this.#clientBefore)
    this.clientCpuMs = (user + system) / 1_000
    const after = await this.#readAll()
    this.#over = true
    await this.#watch
    this.costs = this.#nodes.map(({ name }, i) => {
      const [before, now] = [this.#before[i]!, after[i]!]
      return {
        name,
        cpuMs: now.cpuMs - before.cpuMs,
        rssMaxMiB: now.rssBytes / 2 ** 20,
        mappedMiB: now.mappedBytes / 2 ** 20,
        diskBytes: now.diskBytes - before.diskBytes,
        sentBytes: now.sentBytes - before.sentBytes,
        receivedBytes: now.receivedBytes - before.receivedBytes,
        loopDelayP99Ms: Math.max(0, now.loopDelayP99Ms - LOOP_TIMER_MS),
      }
    })
  }

  #readAll(): Promise<readonly Reading[]> {
    return Promise.all(this.#nodes.map(read))
  }

  async #watchPeers(): Promise<void> {
    while (!this.#over) {
      const statuses = await Promise.all(this.#nodes.map(({ rpc }) => statusOf(rpc).catch(() => undefined)))
      for (const status of statuses) {
        if (!status) continue
        this.peersMin = Math.min(this.peersMin, status.peers.length)
        if (status.leader !== undefined) this.#leaders.add(`${status.leader} ${status.term}`)
      }
      await sleep(SAMPLE_MS)
    }
  }
}

/** Highest resident memory of any node since it began. */
export async function peakRssMiB(nodes: readonly DevnetNode[]): Promise<number> {
  const readings = await Promise.all(nodes.map(read))
  return highest(readings.map(({ rssBytes }) => rssBytes)) / 2 ** 20
}

/** The most that is resident now of the files that a node has mapped: LevelDB's tables. */
export async function mappedMiB(nodes: readonly DevnetNode[]): Promise<number> {
  const readings = await Promise.all(nodes.map(read))
  return highest(readings.map(({ mappedBytes }) => mappedBytes)) / 2 ** 20
}

async function read({ rpc, pid }: DevnetNode): Promise<Reading> {
  const text = await (await fetch(`${rpc}/metrics`)).text()
  const metric = (name: string) => metricIn(text, name)
  const memory = pid === undefined ? undefined : await memoryOf(pid)
  return {
    cpuMs: metric('process_cpu_seconds_total') * 1_000,
    rssBytes: memory?.peak ?? metric('process_resident_memory_bytes'),
    mappedBytes: memory?.mapped ?? Number.NaN,
    diskBytes: pid === undefined ? Number.NaN : ((await diskBytesOf(pid)) ?? Number.NaN),
    sentBytes: metric('network_sent_bytes_total'),
    receivedBytes: metric('network_received_bytes_total'),
    loopDelayP99Ms: metric('nodejs_eventloop_lag_p99_seconds') * 1_000,
  }
}

/** The value of a node's metric, by its name without the prefix; NaN if it has none. */
export function metricIn(text: string, name: string): number {
  return Number(new RegExp(`^qat_${name}\\{[^}]*\\} (\\S+)`, 'm').exec(text)?.[1])
}
