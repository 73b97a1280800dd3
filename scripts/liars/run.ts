/** One run: nodes up, one of them replaced by a liar, load and lies for a while, then everything judged. */
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { counted } from '../../node/cli/output.ts'
import { opensslSuite } from '../../node/crypto/openssl.ts'
import type { DevnetNode } from '../../node/devnet.ts'
import { readNodeFolder } from '../../node/folder.ts'
import { Random } from '../../test/consensus/sim/random.ts'
import { type Audited, audit, awaitQuiet } from '../chaos/audit.ts'
import { Availability } from '../chaos/availability.ts'
import { Book } from '../chaos/book.ts'
import { ChaosCluster } from '../chaos/cluster.ts'
import { Load } from '../chaos/load.ts'
import type { Reporter } from '../chaos/reporter.ts'
import { ACTS } from './acts/all.ts'
import { untilServed } from './aftermath.ts'
import { hashesOf, keptEvidence, recordedEvidence, rssMaxMiB } from './findings.ts'
import { HostileProcess } from './hostile-process.ts'
import { accusationsOf, accusedIn, blamedIn, type Counts, faultsOf, isServed, splitsOf } from './judge.ts'
import type { Options } from './options.ts'

export interface RunOptions
  extends Pick<Options, 'seconds' | 'nodes' | 'acts' | 'qkd' | 'seed' | 'rate' | 'port'> {
  /** A new folder for the nodes. */
  readonly dir: string
  /** Ends the run early, without a verdict. */
  readonly interrupted: AbortSignal
  readonly reporter: Reporter
}

export interface Result extends Counts {
  readonly liar: string
  /** Acts told. */
  readonly acts: number
  /** Those that could not be carried out, by name. */
  readonly failed: Readonly<Record<string, number>>
  readonly submitted: number
  readonly final: number
  /** Given up by clients that no node had promised anything; no fault beside the outage that it shows. */
  readonly unanswered: number
  readonly proved: number
  /** The most that an honest process wrote to its log. */
  readonly logMaxKiB: number
  /** What should not have been, in sentences; empty if all held. */
  readonly faults: readonly string[]
}

const QUIET_MS = 120_000
const PROGRESS_MS = 1_000

/** Undefined if interrupted. Throws what kept it from being carried out, with no process left behind. */
export async function run(options: RunOptions): Promise<Result | undefined> {
  const { dir, nodes, port, interrupted, reporter } = options
  let ended = 0
  const cluster = await ChaosCluster.start({
    dir,
    nodes,
    port,
    isolated: false,
    ...(options.qkd && { qkd: 'require' }),
    onCrash: (name, { code, signal }) => {
      ended++
      if (ended <= 20) reporter.say(`${name} ENDED (${signal ?? `exit code ${code}`}); see its log`)
    },
  })
  const stage = new Stage(options, cluster)
  try {
    await stage.play()
    if (interrupted.aborted) return undefined
    return await stage.judge(() => ended)
  } finally {
    await stage.close()
    await cluster.stop()
  }
}

class Stage {
  readonly #options: RunOptions
  readonly #cluster: ChaosCluster
  readonly #liar: string
  readonly #honest: readonly string[]
  readonly #book = new Book()
  readonly #availability: Availability
  readonly #load: Load
  readonly #hostile: HostileProcess
  #longestWaitMs = 0
  readonly #rss = new Map<string, number>()
  /** Told of every final entry, by the number of its event. */
  #onFinal: (event: number) => void = () => {}

  constructor(options: RunOptions, cluster: ChaosCluster) {
    const { rate, seed } = options
    this.#options = options
    this.#cluster = cluster
    this.#liar = cluster.names.at(-1)!
    this.#honest = cluster.names.slice(0, -1)
    const availability = new Availability(cluster.names.length, cluster.quorum, () => performance.now())
    this.#availability = availability
    this.#hostile = new HostileProcess({
      dir: this.#node(this.#liar).dir,
      seed,
      acts: options.acts,
      honest: this.#honest,
      cluster,
      availability,
      reporter: options.reporter,
    })
    this.#load = new Load({
      urls: this.#honest.map((name) => cluster.url(name)),
      token: cluster.devnet.token,
      signer: cluster.signer,
      rate,
      random: new Random(seed + 1),
      book: this.#book,
      onFinal: (event, waitedMs) => {
        availability.final()
        this.#longestWaitMs = Math.max(this.#longestWaitMs, Math.round(waitedMs))
        this.#onFinal(event)
      },
    })
  }

  /** Load and lies until the time is over, then until every client is served. */
  async play(): Promise<void> {
    const { seconds, interrupted, reporter } = this.#options
    await this.#cluster.devnet.kill(this.#liar, 'SIGTERM')
    this.#availability.strike([this.#liar])
    await this.#hostile.start()
    reporter.say(`${counted(this.#honest.length, 'honest node')} up, ${this.#liar} lies; three clients begin`)
    const over = AbortSignal.any([interrupted, AbortSignal.timeout(1_000 * seconds)])
    const last = new AbortController()
    const served = new AbortController()
    this.#availability.begin()
    const watching = this.#watch(served.signal)
    const loading = this.#load.run(last.signal)
    await new Promise<void>((resolve) => over.addEventListener('abort', () => resolve()))
    if (!interrupted.aborted) {
      await this.#hostile.end()
      reporter.say('the time is over, the liar has gone; waiting for the last answers')
    }
    const cluster = this.#honestView()
    await untilServed({
      availability: this.#availability,
      answersAgain: (ms) => this.#answersAgain(ms),
      stopLoad: () => {
        last.abort()
        return loading
      },
      drain: (ms) => this.#load.drain(interrupted.aborted ? 0 : ms),
      served: (ms) => {
        return cluster.until(async () => interrupted.aborted || isServed(await cluster.statuses()), ms)
      },
    })
    served.abort()
    await watching
  }

  /** Until an entry that is submitted from now on is final; no longer than `ms`, or until the run is interrupted. */
  async #answersAgain(ms: number): Promise<void> {
    const { interrupted } = this.#options
    const first = this.#book.events
    const answered = new AbortController()
    this.#onFinal = (event) => event >= first && answered.abort()
    await sleep(ms, undefined, { signal: AbortSignal.any([answered.signal, interrupted]) }).catch(() => {})
  }

  async judge(ended: () => number): Promise<Result> {
    const { reporter } = this.#options
    const cluster: Audited = this.#honestView()
    const others: string[] = [...this.#hostile.lost]
    if (!(await awaitQuiet(cluster, QUIET_MS))) {
      others.push(`the honest nodes did not come to rest within ${QUIET_MS / 1_000} s`)
    }
    reporter.say('reading every block of every honest node, and proving what was acknowledged')
    const chains = this.#honest.map(async (name) => {
      const { height = -1 } = (await this.#cluster.status(name)) ?? {}
      return hashesOf(this.#cluster.url(name), height)
    })
    const splits = splitsOf(await Promise.all(chains))
    const { lost, unproved, duplicated, proved, sentences } = await audit(
      cluster,
      this.#book,
      reporter.progress,
    )
    const { genesis } = await readNodeFolder(this.#node(this.#liar).dir)
    const { membership } = genesis
    const dirs = this.#honest.map((name) => this.#node(name).dir)
    const kept = await accusationsOf(opensslSuite, await keptEvidence(dirs), membership, this.#liar)
    const recorded = await accusedIn(
      opensslSuite,
      await recordedEvidence(this.#cluster.url(this.#honest[0]!)),
      membership,
    )
    const logs = await Promise.all(dirs.map((dir) => readFile(join(dir, 'log'), 'utf8')))
    const counts: Counts = {
      byAct: this.#hostile.told,
      splits: splits.length,
      ended: ended(),
      framed: kept.framed + recorded.filter((name) => name !== this.#liar).length,
      named: kept.named,
      blamed: logs.reduce((sum, log) => sum + blamedIn(log, this.#honest), 0),
      lost: lost + unproved,
      refused: [...this.#load.refusals.values()].reduce((sum, times) => sum + times, 0),
      neverFinal: this.#book.vanished,
      longestUnavailableMs: Math.round(this.#availability.longest.ms),
      longestWaitMs: this.#longestWaitMs,
      rssMaxMiB: Math.max(0, ...this.#rss.values()),
    }
    if (duplicated > 0) others.push(`${duplicated} events stand in the chain twice`)
    for (const [sentence, times] of this.#load.refusals) others.push(`refused ${times} times: ${sentence}`)
    return {
      ...counts,
      liar: this.#liar,
      acts: sum(this.#hostile.told),
      failed: this.#hostile.failed,
      submitted: this.#book.events,
      final: this.#book.acknowledged.final,
      unanswered: this.#book.events - this.#book.promised - counts.refused,
      proved,
      logMaxKiB: Math.round(Math.max(...logs.map((log) => log.length)) / 1_024),
      faults: [...faultsOf(counts, this.#liar, ACTS), ...others, ...sentences],
    }
  }

  async close(): Promise<void> {
    await this.#hostile.close()
  }

  // ---- what is looked at

  #node(name: string): DevnetNode {
    return this.#cluster.devnet.nodes.find((node) => node.name === name)!
  }

  #honestView(): Audited {
    const { policy } = this.#cluster
    return {
      names: this.#honest,
      policy,
      url: (name) => this.#cluster.url(name),
      statuses: () => Promise.all(this.#honest.map((name) => this.#cluster.status(name))),
      until: (probe, ms) => this.#cluster.until(probe, ms),
    }
  }

  /** One line every few seconds. */
  async #watch(over: AbortSignal): Promise<void> {
    const { reporter } = this.#options
    while (!over.aborted) {
      await sleep(PROGRESS_MS, undefined, { signal: over }).catch(() => undefined)
      for (const name of this.#honest) {
        const rss = await rssMaxMiB(this.#node(name).pid)
        this.#rss.set(name, Math.max(this.#rss.get(name) ?? 0, rss))
      }
      if (over.aborted) return
      const { events, acknowledged } = this.#book
      const gap = `longest pause ${(this.#availability.longest.ms / 1_000).toFixed(1)} s`
      reporter.progress(
        `${events} submitted, ${acknowledged.final} final · ${counted(sum(this.#hostile.told), 'act')} · ${gap}`,
      )
    }
  }
}

function sum(counts: Readonly<Record<string, number>>): number {
  return Object.values(counts).reduce((total, count) => total + count, 0)
}
