/** One run: nodes up, load and faults for a while, everything healed, everything that was promised proved. */
import { setTimeout as sleep } from 'node:timers/promises'
import { counted } from '../../node/cli/output.ts'
import { Random } from '../../test/consensus/sim/random.ts'
import { audit, awaitQuiet, type Findings, rootsAtCommonHeight } from './audit.ts'
import { Availability } from './availability.ts'
import { Book } from './book.ts'
import { ChaosCluster } from './cluster.ts'
import { FaultSchedule } from './fault-schedule.ts'
import { Load } from './load.ts'
import type { Options } from './options.ts'
import type { Reporter } from './reporter.ts'

export interface RunOptions extends Pick<Options, 'seconds' | 'kills' | 'nodes' | 'seed' | 'rate' | 'port'> {
  /** A new folder for the nodes. */
  readonly dir: string
  /** Whether this process is in a network namespace of its own. */
  readonly isolated: boolean
  /** Ends the run early, without an audit. */
  readonly interrupted: AbortSignal
  readonly reporter: Reporter
}

export interface Result extends Pick<Findings, 'lost' | 'duplicated' | 'proved' | 'unproved'> {
  readonly submitted: number
  /** Acknowledged as final, and as any stage. */
  readonly final: number
  readonly acknowledged: number
  readonly longestUnavailableMs: number
  /** When that was over, in seconds since the load began. */
  readonly longestUnavailableAt: number
  readonly recoveries: number
  readonly kills: number
  readonly stops: number
  readonly partitions: number
  /** Nodes that ended by themselves. */
  readonly crashes: number
  /** The tree that all nodes have in the end. */
  readonly treeSize: number
  /** What should not have been, in sentences; empty if every promise was kept. */
  readonly faults: readonly string[]
}

const DRAIN_MS = 60_000
/** An entry that only one node knew may take a while after that node has come back. */
const QUIET_MS = 120_000
const PROGRESS_MS = 1_000
const CRASHES_SAID = 20

/** Undefined if interrupted. Throws what kept it from being carried out, with no process left behind. */
export async function run(options: RunOptions): Promise<Result | undefined> {
  const { interrupted, reporter } = options
  let crashes = 0
  const cluster = await ChaosCluster.start({
    ...options,
    onCrash: (name, { code, signal }) => {
      crashes++
      // A node that cannot start any more is tried again every second.
      if (crashes <= CRASHES_SAID)
        reporter.say(`${name} ENDED BY ITSELF (${signal ?? `exit code ${code}`}); see its log`)
    },
  })
  try {
    const storm = new Storm(options, cluster)
    await storm.rage()
    if (interrupted.aborted) return undefined
    const result = await Promise.race([storm.judge(), aborted(interrupted)])
    if (result === undefined) return undefined
    const faults = crashes === 0 ? [] : [`${counted(crashes, 'node')} ended without being asked to`]
    return { ...result, crashes, faults: [...result.faults, ...faults] }
  } finally {
    await cluster.stop()
  }
}

class Storm {
  readonly #options: RunOptions
  readonly #cluster: ChaosCluster
  readonly #book = new Book()
  readonly #availability: Availability
  readonly #load: Load
  readonly #faults: FaultSchedule
  #begun = 0

  constructor(options: RunOptions, cluster: ChaosCluster) {
    const { seconds, kills, rate, seed, interrupted, reporter } = options
    this.#options = options
    this.#cluster = cluster
    const availability = new Availability(cluster.names.length, cluster.quorum, () => performance.now())
    this.#availability = availability
    this.#load = new Load({
      urls: cluster.names.map((name) => cluster.url(name)),
      token: cluster.devnet.token,
      signer: cluster.signer,
      rate,
      random: new Random(seed + 1),
      book: this.#book,
      onFinal: () => availability.final(),
    })
    const random = new Random(seed)
    const { say } = reporter
    this.#faults = new FaultSchedule({ cluster, availability, random, seconds, kills, interrupted, say })
  }

  /** Load and faults until the time is over, then until every fault is made good and every client served. */
  async rage(): Promise<void> {
    const { seconds, interrupted, reporter } = this.#options
    reporter.say(`${counted(this.#cluster.names.length, 'node')} up, three clients begin`)
    this.#begun = performance.now()
    const over = AbortSignal.any([interrupted, AbortSignal.timeout(1_000 * seconds)])
    this.#availability.begin()
    over.addEventListener('abort', () => this.#availability.end())
    const watching = this.#watch(over)
    // A fault that cannot be done ends the run at once.
    await Promise.all([this.#load.run(over), this.#faults.run(over), watching])
    if (interrupted.aborted) return
    reporter.say('the time is over, everything is healed; waiting for the last answers')
    await this.#load.drain(DRAIN_MS)
  }

  /** What was promised, and what became of it. */
  async judge(): Promise<Omit<Result, 'crashes'>> {
    const { reporter } = this.#options
    const cluster = this.#cluster
    const faults: string[] = []
    if (!(await awaitQuiet(cluster, QUIET_MS))) {
      const statuses = (await cluster.statuses()).map((status, i) => {
        const { size = 0, finalSize = 0, pending = 0 } = status ?? {}
        return `${cluster.names[i]} has ${size} leaves, ${finalSize} final, ${pending} entries pending`
      })
      faults.push(`the nodes did not come to rest within ${QUIET_MS / 1_000} s: ${statuses.join('; ')}`)
    }
    const { roots, size } = await rootsAtCommonHeight(cluster)
    if (new Set(roots.values()).size !== 1) {
      faults.push(`the nodes have different roots for ${size} leaves: ${JSON.stringify([...roots])}`)
    }
    const { sentences, ...findings } = await audit(cluster, this.#book, reporter.progress)
    faults.push(...sentences)
    for (const [sentence, times] of this.#load.refusals) faults.push(`refused ${times} times: ${sentence}`)
    const { longest } = this.#availability
    const { done, recoveries, total } = this.#faults
    if (recoveries < total) faults.push(`${total - recoveries} of ${total} faults were not made good`)
    return {
      submitted: this.#book.events,
      final: this.#book.acknowledged.final,
      acknowledged: this.#book.promised,
      ...findings,
      longestUnavailableMs: Math.round(longest.ms),
      longestUnavailableAt: Math.round(Math.max(0, longest.at - this.#begun) / 1_000),
      recoveries,
      kills: done.kill,
      stops: done.stop,
      partitions: done.partition,
      treeSize: size,
      faults,
    }
  }

  /** One line every few seconds. */
  async #watch(over: AbortSignal): Promise<void> {
    const { reporter } = this.#options
    while (!over.aborted) {
      await sleep(PROGRESS_MS, undefined, { signal: over }).catch(() => undefined)
      const { events, acknowledged } = this.#book
      const { pending, ordered, final } = acknowledged
      const told = `${final} final, ${ordered} ordered, ${pending} pending`
      const { usable, longest } = this.#availability
      const gap = `longest pause ${(longest.ms / 1_000).toFixed(1)} s`
      reporter.progress(
        `${events} submitted: ${told} · ${usable}/${this.#cluster.names.length} nodes up · ${gap}`,
      )
    }
  }
}

function aborted(signal: AbortSignal): Promise<undefined> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve(undefined)
    signal.addEventListener('abort', () => resolve(undefined))
  })
}
