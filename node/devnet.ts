/** A whole ledger on one machine: each node a process of its own, as in production, under one parent. */
import { join } from 'node:path'
import { utf8 } from '../src/bytes.ts'
import { object } from '../src/json.ts'
import { type Exit, NodeProcess } from './devnet/child.ts'
import { refuseTakenPorts } from './devnet/free-ports.ts'
import { type LayoutOptions, openLayout } from './devnet/layout.ts'
import { DEVNET_SUBMITTER, DevnetError } from './devnet/names.ts'
import { canFinalize, isRecovering, isUp, untilAll } from './devnet/ready.ts'
import { replaceFile } from './durable-file.ts'
import { createClient } from './rpc/client.ts'

export interface DevnetOptions extends LayoutOptions {
  readonly logLevel?: string
  /** How long all nodes together may take until entries can become final; 60,000 if not given. */
  readonly readyMs?: number
  /** Starts a node again that ended without being asked to. */
  readonly restart?: boolean
  /** The command through which a node is run, such as one that enters its network namespace. */
  readonly through?: (name: string) => readonly string[]
  /** Told of every node that ended without being asked to; `removed` if it did because it is no member any more. */
  readonly onExit?: (name: string, exit: Exit, removed: boolean) => void
}

export interface DevnetNode {
  readonly name: string
  readonly rpc: string
  readonly dir: string
  /** Of the present process; undefined while there is none. */
  readonly pid: number | undefined
}

export interface Devnet {
  readonly dir: string
  readonly nodes: readonly DevnetNode[]
  /** Names of nodes that may have forgotten what they signed, and wait for new keys. */
  readonly forgetful: readonly string[]
  /** Bearer token that every node accepts, for any source and type. */
  readonly token: string
  readonly policyPath: string
  /** Private key of a submitter who may log anything: for signing on the client. */
  readonly keyPath: string
  /** Sends a signal. For one that ends a process, resolves when the process is gone. */
  kill(name: string, signal: NodeJS.Signals): Promise<void>
  /** Stops the node if it runs, starts it, and waits until it follows the cluster. */
  restart(name: string): Promise<void>
  /** Stops all nodes; those that have not ended after ten seconds are killed. */
  stop(): Promise<void>
}

const READY_MS = 60_000
const DEADLY: readonly NodeJS.Signals[] = ['SIGKILL', 'SIGTERM', 'SIGINT', 'SIGHUP']
/** Before an unasked restart, so that a node which cannot start does not keep the machine busy. */
const RESTART_DELAY_MS = 1_000

/**
 * Makes or continues the devnet in `dir` and returns once entries can become final. Throws DevnetError, with
 * no node left behind.
 */
export async function startDevnet(options: DevnetOptions): Promise<Devnet> {
  const layout = await openLayout(options)
  // Nodes that are entered through a command have addresses of their own.
  if (!options.through) {
    const places = layout.nodes
      .map(({ rpc }) => new URL(rpc))
      .map(({ hostname: host, port }) => ({ host, port: Number(port) }))
    await refuseTakenPorts(places, `Is the devnet in ${options.dir} running already? Else stop that program.`)
  }
  const args = options.logLevel === undefined ? [] : ['--log-level', options.logLevel]
  const members = layout.nodes.map((node) => new Member(node.name, node.rpc, node.dir, args, options))
  const stop = async () => {
    await Promise.all(members.map((member) => member.stop()))
  }
  const member = (name: string) => {
    const found = members.find((candidate) => candidate.name === name)
    if (found) return found
    throw new DevnetError('devnet-options', `The devnet has no node ${name}.`, { name })
  }
  const readyMs = options.readyMs ?? READY_MS
  const policyPath = join(options.dir, 'policy')
  let forgetful: readonly string[] = []
  try {
    for (const each of members) each.start()
    await untilAll(members, isUp, readyMs)
    const apart = await Promise.all(members.map((each) => isRecovering(each).catch(() => false)))
    const whole = members.filter((_, i) => !apart[i])
    forgetful = members.filter((_, i) => apart[i]).map(({ name }) => name)
    const names = new Set(whole.map(({ name }) => name))
    await untilAll(whole, (node) => canFinalize(node, names), readyMs)
    const first = [...whole, ...members].find((each) => !each.process.removed)
    if (!first) throw noMembers(options.dir)
    await writePolicy(policyPath, first.rpc)
  } catch (error) {
    await stop()
    throw error
  }
  return {
    dir: options.dir,
    nodes: members.filter((each) => !each.process.removed),
    forgetful,
    token: layout.token,
    policyPath,
    keyPath: join(options.dir, `${DEVNET_SUBMITTER}.key`),
    kill: async (name, signal) => member(name).kill(signal),
    restart: async (name) => {
      const found = member(name)
      await found.stop()
      found.start()
      await untilAll([found], isUp, readyMs)
    },
    stop,
  }
}

/** One node through all its processes. */
class Member implements DevnetNode {
  readonly name: string
  readonly rpc: string
  readonly dir: string
  readonly #args: readonly string[]
  readonly #options: DevnetOptions
  #process: NodeProcess | undefined
  /** False from the moment on at which the process is told to end. */
  #wanted = false

  constructor(name: string, rpc: string, dir: string, args: readonly string[], options: DevnetOptions) {
    this.name = name
    this.rpc = rpc
    this.dir = dir
    this.#args = args
    this.#options = options
  }

  get pid(): number | undefined {
    return this.#process?.running ? this.#process.pid : undefined
  }

  get process(): NodeProcess {
    if (this.#process) return this.#process
    throw new DevnetError('devnet-options', `${this.name} was never started.`)
  }

  start(): void {
    const started = new NodeProcess(this.dir, this.#args, this.#options.through?.(this.name))
    this.#process = started
    this.#wanted = true
    void started.exited.then((exit) => {
      if (this.#wanted && this.#process === started) this.#lost(exit)
    })
  }

  async kill(signal: NodeJS.Signals): Promise<void> {
    if (!this.process.running) return
    if (DEADLY.includes(signal)) this.#wanted = false
    this.process.signal(signal)
    if (DEADLY.includes(signal)) await this.process.exited
  }

  async stop(): Promise<void> {
    this.#wanted = false
    await this.#process?.stop()
  }

  #lost(exit: Exit): void {
    const { removed } = this.process
    this.#options.onExit?.(this.name, exit, removed)
    if (!this.#options.restart || removed) return
    setTimeout(() => {
      if (this.#wanted) this.start()
    }, RESTART_DELAY_MS)
  }
}

function noMembers(dir: string): DevnetError {
  return new DevnetError('devnet-folder', `No node in ${dir} is a member of its ledger any more.`, { dir })
}

/** The policy as the nodes give it; whole or not at all, for others read it while we run. */
async function writePolicy(path: string, rpc: string): Promise<void> {
  const { policy } = object(await createClient(rpc, {}).call('policy.get', {}), 'The policy')
  await replaceFile(path, utf8(String(policy)))
}
