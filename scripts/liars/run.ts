/** One run: nodes up, one of them replaced by a liar, load and lies for a while, then everything judged. */
import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import { openSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { counted } from '../../node/cli/output.ts'
import { opensslSuite } from '../../node/crypto/openssl.ts'
import { readEvidenceFolder } from '../../node/evidence-folder.ts'
import { FILES, readNodeFolder } from '../../node/folder.ts'
import { createClient } from '../../node/rpc/client.ts'
import { QUERY_LIMIT_MAX } from '../../node/rpc/limits.ts'
import type { BlockView } from '../../node/service.ts'
import { errorMessage } from '../../src/errors.ts'
import type { Json } from '../../src/json.ts'
import { type Entry, entryFromJson } from '../../src/ledger/entry.ts'
import type { Evidence } from '../../src/ledger/evidence.ts'
import { EVIDENCE_EVENT_TYPE } from '../../src/ledger/evidence-event.ts'
import { Random } from '../../test/consensus/sim/random.ts'
import { type Audited, audit, awaitQuiet } from '../chaos/audit.ts'
import { Availability } from '../chaos/availability.ts'
import { Book } from '../chaos/book.ts'
import { ChaosCluster } from '../chaos/cluster.ts'
import { Load } from '../chaos/load.ts'
import type { Reporter } from '../chaos/reporter.ts'
import { ACTS } from './acts/all.ts'
import { untilServed } from './aftermath.ts'
import { accusationsOf, accusedIn, blamedIn, type Counts, faultsOf, isServed, splitsOf } from './judge.ts'
import type { FromHostile, ToHostile } from './messages.ts'
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

const READY_MS = 90_000
/** An act is told to its end. */
const LAST_ACT_MS = 60_000
const QUIET_MS = 120_000
const PROGRESS_MS = 1_000
/** A machine that pauses for longer is not what is looked at here. */
const PAUSE_MS_MAX = 20_000
/** Blocks asked for at once. */
const WIDTH = 8
const ANSWER_MS = 30_000

const HOSTILE = fileURLToPath(new URL('./hostile.ts', import.meta.url))

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
  readonly #told: Record<string, number> = {}
  readonly #failed: Record<string, number> = {}
  readonly #rss = new Map<string, number>()
  /** Nodes that were killed and did not come back, in sentences. */
  readonly #lost: string[] = []
  /** Told of every final entry, by the number of its event. */
  #onFinal: (event: number) => void = () => {}
  #hostile: ChildProcess | undefined
  #paused: { readonly node: string; readonly timer: NodeJS.Timeout } | undefined

  constructor(options: RunOptions, cluster: ChaosCluster) {
    const { rate, seed } = options
    this.#options = options
    this.#cluster = cluster
    this.#liar = cluster.names.at(-1)!
    this.#honest = cluster.names.slice(0, -1)
    const availability = new Availability(cluster.names.length, cluster.quorum, () => performance.now())
    this.#availability = availability
    this.#load = new Load({
      urls: this.#honest.map((name) => cluster.url(name)),
      token: cluster.devnet.token,
      signer: cluster.signer,
      rate,
      random: new Random(seed + 1),
      book: this.#book,
      onFinal: (event) => {
        availability.final()
        this.#onFinal(event)
      },
    })
  }

  /** Load and lies until the time is over, then until every client is served. */
  async play(): Promise<void> {
    const { seconds, interrupted, reporter } = this.#options
    await this.#cluster.devnet.kill(this.#liar, 'SIGTERM')
    this.#availability.strike([this.#liar])
    await this.#startHostile()
    reporter.say(`${counted(this.#honest.length, 'honest node')} up, ${this.#liar} lies; three clients begin`)
    const over = AbortSignal.any([interrupted, AbortSignal.timeout(1_000 * seconds)])
    const last = new AbortController()
    const served = new AbortController()
    this.#availability.begin()
    const watching = this.#watch(served.signal)
    const loading = this.#load.run(last.signal)
    await new Promise<void>((resolve) => over.addEventListener('abort', () => resolve()))
    if (!interrupted.aborted) {
      await this.#endHostile()
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
    const others: string[] = [...this.#lost]
    if (!(await awaitQuiet(cluster, QUIET_MS))) {
      others.push(`the honest nodes did not come to rest within ${QUIET_MS / 1_000} s`)
    }
    reporter.say('reading every block of every honest node, and proving what was acknowledged')
    const splits = splitsOf(await Promise.all(this.#honest.map((name) => this.#hashesOf(name))))
    const { lost, unproved, duplicated, proved, sentences } = await audit(
      cluster,
      this.#book,
      reporter.progress,
    )
    const { genesis } = await readNodeFolder(this.#dir(this.#liar))
    const { membership } = genesis
    const kept = await accusationsOf(opensslSuite, await this.#keptEvidence(), membership, this.#liar)
    const recorded = await accusedIn(opensslSuite, await this.#recordedEvents(), membership)
    const logs = await Promise.all(this.#honest.map((name) => readFile(join(this.#dir(name), 'log'), 'utf8')))
    const counts: Counts = {
      byAct: this.#told,
      splits: splits.length,
      ended: ended(),
      framed: kept.framed + recorded.filter((name) => name !== this.#liar).length,
      named: kept.named,
      blamed: logs.reduce((sum, log) => sum + blamedIn(log, this.#honest), 0),
      lost: lost + unproved,
      refused: [...this.#load.refusals.values()].reduce((sum, times) => sum + times, 0),
      neverFinal: this.#book.vanished,
      longestUnavailableMs: Math.round(this.#availability.longest.ms),
      rssMaxMiB: Math.max(0, ...this.#rss.values()),
    }
    if (duplicated > 0) others.push(`${duplicated} events stand in the chain twice`)
    for (const [sentence, times] of this.#load.refusals) others.push(`refused ${times} times: ${sentence}`)
    return {
      ...counts,
      liar: this.#liar,
      acts: sum(this.#told),
      failed: this.#failed,
      submitted: this.#book.events,
      final: this.#book.acknowledged.final,
      unanswered: this.#book.events - this.#book.promised - counts.refused,
      proved,
      logMaxKiB: Math.round(Math.max(...logs.map((log) => log.length)) / 1_024),
      faults: [...faultsOf(counts, this.#liar, ACTS), ...others, ...sentences],
    }
  }

  async close(): Promise<void> {
    await this.#resume()
    if (this.#hostile?.exitCode === null) this.#hostile.kill('SIGKILL')
  }

  // ---- the hostile process

  async #startHostile(): Promise<void> {
    const { seed, acts } = this.#options
    const dir = this.#dir(this.#liar)
    const log = openSync(join(dir, 'hostile-log'), 'a')
    const child = fork(HOSTILE, [dir, String(seed), ...acts], { stdio: ['ignore', log, log, 'ipc'] })
    this.#hostile = child
    child.on('message', (message: FromHostile) => void this.#heed(message))
    const ready = new Promise<boolean>((resolve) => {
      child.on('message', ({ kind }: FromHostile) => kind === 'ready' && resolve(true))
      child.once('exit', () => resolve(false))
      setTimeout(() => resolve(false), READY_MS).unref()
    })
    if (!(await ready)) throw new Error(`The hostile process did not start: see ${join(dir, 'hostile-log')}`)
  }

  async #endHostile(): Promise<void> {
    const child = this.#hostile
    if (!child || child.exitCode !== null) throw new Error('The hostile process has ended by itself.')
    this.#answer({ kind: 'end' })
    const timer = setTimeout(() => child.kill('SIGKILL'), LAST_ACT_MS)
    await once(child, 'exit')
    clearTimeout(timer)
    await this.#resume()
  }

  #answer(message: ToHostile): void {
    if (this.#hostile?.connected) this.#hostile.send(message)
  }

  async #heed(message: FromHostile): Promise<void> {
    const { reporter } = this.#options
    if (message.kind === 'told') {
      this.#told[message.act] = (this.#told[message.act] ?? 0) + 1
      reporter.say(`told: ${message.act}`)
    } else if (message.kind === 'failed') {
      this.#failed[message.act] = (this.#failed[message.act] ?? 0) + 1
      reporter.say(`not told: ${message.act}, because ${message.why}`)
    } else if (message.kind === 'pause' && this.#honest.includes(message.node)) {
      await this.#pause(message.node)
      this.#answer({ kind: 'done' })
    } else if (message.kind === 'resume') {
      await this.#resume()
      this.#answer({ kind: 'done' })
    } else if (message.kind === 'restart' && this.#honest.includes(message.node)) {
      await this.#restart(message.node)
      this.#answer({ kind: 'done' })
    }
  }

  async #pause(node: string): Promise<void> {
    await this.#resume()
    this.#availability.strike([node])
    await this.#cluster.devnet.kill(node, 'SIGSTOP')
    this.#paused = { node, timer: setTimeout(() => void this.#resume(), PAUSE_MS_MAX) }
  }

  async #resume(): Promise<void> {
    const paused = this.#paused
    if (!paused) return
    this.#paused = undefined
    clearTimeout(paused.timer)
    await this.#cluster.devnet.kill(paused.node, 'SIGCONT')
    this.#availability.release([paused.node])
  }

  async #restart(node: string): Promise<void> {
    const { devnet } = this.#cluster
    this.#availability.strike([node])
    await devnet.kill(node, 'SIGKILL')
    const began = performance.now()
    try {
      await devnet.restart(node)
      const seconds = ((performance.now() - began) / 1_000).toFixed(1)
      this.#options.reporter.say(`${node} was killed, and is back after ${seconds} s`)
    } catch (error) {
      this.#lost.push(`${node} was killed and did not come back: ${errorMessage(error)}`)
    }
    this.#availability.release([node])
  }

  // ---- what is looked at

  #dir(name: string): string {
    return this.#cluster.devnet.nodes.find((node) => node.name === name)!.dir
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

  /** By height. */
  async #hashesOf(name: string): Promise<(string | undefined)[]> {
    const client = createClient(this.#cluster.url(name), { timeoutMs: ANSWER_MS })
    const { height: top } = (await this.#cluster.status(name)) ?? { height: -1 }
    const hashes: (string | undefined)[] = Array.from({ length: top + 1 })
    let next = 0
    const worker = async () => {
      for (let height = next++; height <= top; height = next++) {
        hashes[height] = (await client.call<BlockView>('block.get', { height })).hash
      }
    }
    await Promise.all(Array.from({ length: WIDTH }, worker))
    return hashes
  }

  /** In the folders of the honest nodes; undefined for a piece that cannot be read. */
  async #keptEvidence(): Promise<(Evidence | undefined)[]> {
    const folders = await Promise.all(
      this.#honest.map((name) => readEvidenceFolder(join(this.#dir(name), FILES.evidence))),
    )
    return folders.flat().map(({ evidence }) => evidence)
  }

  /** Events in the ledger that say they are evidence. */
  async #recordedEvents(): Promise<Entry[]> {
    const client = createClient(this.#cluster.url(this.#honest[0]!), { timeoutMs: ANSWER_MS })
    const page = await client.call<{ readonly entries: readonly { readonly entry: Json }[] }>('entry.query', {
      type: EVIDENCE_EVENT_TYPE,
      limit: QUERY_LIMIT_MAX,
    })
    return page.entries.map(({ entry }) => entryFromJson(entry))
  }

  /** One line every few seconds. */
  async #watch(over: AbortSignal): Promise<void> {
    const { reporter } = this.#options
    while (!over.aborted) {
      await sleep(PROGRESS_MS, undefined, { signal: over }).catch(() => undefined)
      for (const name of this.#honest) await this.#measure(name)
      if (over.aborted) return
      const { events, acknowledged } = this.#book
      const gap = `longest pause ${(this.#availability.longest.ms / 1_000).toFixed(1)} s`
      reporter.progress(
        `${events} submitted, ${acknowledged.final} final · ${counted(sum(this.#told), 'act')} · ${gap}`,
      )
    }
  }

  async #measure(name: string): Promise<void> {
    const { pid } = this.#cluster.devnet.nodes.find((node) => node.name === name)!
    const status = await readFile(`/proc/${pid}/status`, 'utf8').catch(() => '')
    const kib = Number(/VmHWM:\s+(\d+)/.exec(status)?.[1] ?? 0)
    this.#rss.set(name, Math.max(this.#rss.get(name) ?? 0, Math.round(kib / 1_024)))
  }
}

function sum(counts: Readonly<Record<string, number>>): number {
  return Object.values(counts).reduce((total, count) => total + count, 0)
}
