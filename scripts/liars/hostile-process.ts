/** The hostile process as the run sees it: started, told to end, its wishes about other processes fulfilled. */
import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import { openSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { errorMessage } from '../../src/errors.ts'
import type { Availability } from '../chaos/availability.ts'
import type { ChaosCluster } from '../chaos/cluster.ts'
import type { Reporter } from '../chaos/reporter.ts'
import type { FromHostile, ToHostile } from './messages.ts'

const READY_MS = 90_000
/** An act is told to its end. */
const LAST_ACT_MS = 60_000
/** A machine that pauses for longer is not what is looked at here. */
const PAUSE_MS_MAX = 20_000

const HOSTILE = fileURLToPath(new URL('./hostile.ts', import.meta.url))

export interface HostileOptions {
  /** The folder of the node whose place it takes. */
  readonly dir: string
  readonly seed: number
  /** Names of acts; all if it is empty. */
  readonly acts: readonly string[]
  /** Nodes that it may have paused or killed. */
  readonly honest: readonly string[]
  readonly cluster: ChaosCluster
  readonly availability: Availability
  readonly reporter: Reporter
}

export class HostileProcess {
  /** How often each act was told, by name. */
  readonly told: Record<string, number> = {}
  /** Acts that could not be carried out, by name. */
  readonly failed: Record<string, number> = {}
  /** Nodes that were killed and did not come back, in sentences. */
  readonly lost: string[] = []
  readonly #options: HostileOptions
  readonly #log: string
  #child: ChildProcess | undefined
  #paused: { readonly node: string; readonly timer: NodeJS.Timeout } | undefined

  constructor(options: HostileOptions) {
    this.#options = options
    this.#log = join(options.dir, 'hostile-log')
  }

  /** Resolves when it is connected and follows. Throws if it does not start. */
  async start(): Promise<void> {
    const { dir, seed, acts } = this.#options
    const log = openSync(this.#log, 'a')
    const child = fork(HOSTILE, [dir, String(seed), ...acts], { stdio: ['ignore', log, log, 'ipc'] })
    this.#child = child
    child.on('message', (message: FromHostile) => void this.#heed(message))
    const ready = new Promise<boolean>((resolve) => {
      child.on('message', ({ kind }: FromHostile) => kind === 'ready' && resolve(true))
      child.once('exit', () => resolve(false))
      setTimeout(() => resolve(false), READY_MS).unref()
    })
    if (!(await ready)) throw new Error(`The hostile process did not start: see ${this.#log}`)
  }

  /** Lets it tell its act to the end. Throws if it has ended by itself. */
  async end(): Promise<void> {
    const child = this.#child
    if (!child || child.exitCode !== null)
      throw new Error(`The hostile process has ended by itself: see ${this.#log}`)
    this.#answer({ kind: 'end' })
    const timer = setTimeout(() => child.kill('SIGKILL'), LAST_ACT_MS)
    await once(child, 'exit')
    clearTimeout(timer)
    await this.#resume()
  }

  /** Ends it at once. */
  async close(): Promise<void> {
    await this.#resume()
    if (this.#child?.exitCode === null) this.#child.kill('SIGKILL')
  }

  #answer(message: ToHostile): void {
    if (this.#child?.connected) this.#child.send(message)
  }

  async #heed(message: FromHostile): Promise<void> {
    const { reporter, honest } = this.#options
    if (message.kind === 'told') {
      this.told[message.act] = (this.told[message.act] ?? 0) + 1
      reporter.say(`told: ${message.act}`)
    } else if (message.kind === 'failed') {
      this.failed[message.act] = (this.failed[message.act] ?? 0) + 1
      reporter.say(`not told: ${message.act}, because ${message.why}`)
    } else if (message.kind === 'pause' && honest.includes(message.node)) {
      await this.#pause(message.node)
      this.#answer({ kind: 'done' })
    } else if (message.kind === 'resume') {
      await this.#resume()
      this.#answer({ kind: 'done' })
    } else if (message.kind === 'restart' && honest.includes(message.node)) {
      await this.#restart(message.node)
      this.#answer({ kind: 'done' })
    }
  }

  async #pause(node: string): Promise<void> {
    await this.#resume()
    this.#options.availability.strike([node])
    await this.#options.cluster.devnet.kill(node, 'SIGSTOP')
    this.#paused = { node, timer: setTimeout(() => void this.#resume(), PAUSE_MS_MAX) }
  }

  async #resume(): Promise<void> {
    const paused = this.#paused
    if (!paused) return
    this.#paused = undefined
    clearTimeout(paused.timer)
    await this.#options.cluster.devnet.kill(paused.node, 'SIGCONT')
    this.#options.availability.release([paused.node])
  }

  async #restart(node: string): Promise<void> {
    const { cluster, availability, reporter } = this.#options
    const { devnet } = cluster
    availability.strike([node])
    await devnet.kill(node, 'SIGKILL')
    const began = performance.now()
    try {
      await devnet.restart(node)
      const seconds = ((performance.now() - began) / 1_000).toFixed(1)
      reporter.say(`${node} was killed, and is back after ${seconds} s`)
    } catch (error) {
      this.lost.push(`${node} was killed and did not come back: ${errorMessage(error)}`)
    }
    availability.release([node])
  }
}
