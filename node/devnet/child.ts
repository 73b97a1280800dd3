/** One node as a child process. It ends with its parent: the channel between them closes, however that dies. */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { closeSync, openSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

/** After SIGTERM: as long as a node may take to hand over leadership and to close its store. */
const STOP_MS = 10_000

const QAT = fileURLToPath(
  // Built, this file is dist/node/devnet/child.js; the launcher is plain JavaScript and stays where it is.
  new URL(import.meta.url.endsWith('.ts') ? '../bin/qat.js' : '../../../node/bin/qat.js', import.meta.url),
)

/**
 * As in docker/Dockerfile. Left to itself V8 lets the space for new objects grow to what a server with nothing beside
 * it could use: 80 MiB more of memory for each node and longer pauses, and no entry a second more.
 */
const NODE_FLAGS = ['--max-semi-space-size=16']

export interface Exit {
  readonly code: number | null
  readonly signal: NodeJS.Signals | null
}

export class NodeProcess {
  readonly dir: string
  readonly exited: Promise<Exit>
  readonly #child: ChildProcess
  #answers = false
  #removed = false

  /**
   * Starts `qat start --dir <dir>`, its output appended to <dir>/log.
   * @param through a command that runs another one in its own place, such as `nsenter …`
   */
  constructor(dir: string, args: readonly string[] = [], through: readonly string[] = []) {
    this.dir = dir
    const log = openSync(join(dir, 'log'), 'a')
    try {
      const [command, ...rest] = [
        ...through,
        process.execPath,
        ...NODE_FLAGS,
        QAT,
        'start',
        '--dir',
        dir,
        ...args,
      ]
      this.#child = spawn(command!, rest, {
        stdio: ['ignore', log, log, 'ipc'],
        // A group of its own: Ctrl-C is for the parent, which stops its nodes in order.
        detached: true,
      })
    } finally {
      closeSync(log)
    }
    this.#child.on('message', (message) => {
      const { event } = message as { readonly event?: string }
      if (event === 'ready') this.#answers = true
      if (event === 'removed') this.#removed = true
    })
    this.#child.channel?.unref()
    this.exited = new Promise((resolve) => {
      this.#child.once('exit', (code, signal) => resolve({ code, signal }))
      this.#child.once('error', () => resolve({ code: null, signal: null }))
    })
  }

  get pid(): number | undefined {
    return this.#child.pid
  }

  get running(): boolean {
    return this.#child.pid !== undefined && this.#child.exitCode === null && this.#child.signalCode === null
  }

  /** Whether this very process has said that it answers: another may answer on its port. */
  get answers(): boolean {
    return this.#answers && this.running
  }

  /** Whether it has ended because its node is no member of the ledger any more. */
  get removed(): boolean {
    return this.#removed && !this.running
  }

  signal(signal: NodeJS.Signals): void {
    this.#child.kill(signal)
  }

  /** Asks it to stop; kills it if it has not within STOP_MS. */
  async stop(): Promise<void> {
    if (!this.running) return
    const exit = once(this.#child, 'exit')
    this.signal('SIGTERM')
    const deadline = setTimeout(() => this.signal('SIGKILL'), STOP_MS)
    await exit
    clearTimeout(deadline)
  }

  /** The last line of its log: why it ended, if it could say. */
  async lastWords(): Promise<string> {
    const log = await readFile(join(this.dir, 'log'), 'utf8').catch(() => '')
    return log.trimEnd().split('\n').at(-1) ?? ''
  }
}
