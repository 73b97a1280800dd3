/** What a user would pick for ordering alone: three nodes of etcd on the same disk, asked through their JSON gateway. */
import { type ChildProcess, execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { promisify } from 'node:util'
import { LeanConnection, LeanPool, preparePost } from './lean-http.ts'
import { closedLoop, type LoadResult, type Outcome } from './load.ts'

const NODES = 3
const VALUE_BYTES = 1_024
const READY_MS = 20_000
/** etcd's own messages are of no use to whoever reads the bench's, unless it ends. */
const LOG = ['--logger', 'zap', '--log-level', 'error']

/** The version of the etcd on PATH; undefined if there is none. */
export async function etcdVersion(): Promise<string | undefined> {
  const { stdout } = await promisify(execFile)('etcd', ['--version']).catch(() => ({ stdout: '' }))
  return /etcd Version: (\S+)/.exec(stdout)?.[1]
}

export class EtcdCluster {
  readonly urls: readonly string[]
  readonly #processes: readonly ChildProcess[]

  private constructor(urls: readonly string[], processes: readonly ChildProcess[]) {
    this.urls = urls
    this.#processes = processes
  }

  /** Clients are served on `port` and the two ports above, peers on the three after those. */
  static async start(dir: string, port: number): Promise<EtcdCluster> {
    const name = (i: number) => `etcd-${i}`
    const client = (i: number) => `http://127.0.0.1:${port + i}`
    const peer = (i: number) => `http://127.0.0.1:${port + NODES + i}`
    const numbers = Array.from({ length: NODES }, (_, i) => i)
    const cluster = numbers.map((i) => `${name(i)}=${peer(i)}`).join(',')
    const processes = numbers.map((i) => {
      const urls = ['--listen-client-urls', client(i), '--advertise-client-urls', client(i)]
      const peers = ['--listen-peer-urls', peer(i), '--initial-advertise-peer-urls', peer(i)]
      const args = ['--name', name(i), '--data-dir', join(dir, name(i)), '--initial-cluster', cluster]
      return spawn('etcd', [...args, ...urls, ...peers, ...LOG], { stdio: 'ignore' })
    })
    const etcd = new EtcdCluster(numbers.map(client), processes)
    try {
      await Promise.all(etcd.urls.map(untilTakesPuts))
      return etcd
    } catch (error) {
      await etcd.stop()
      throw error
    }
  }

  /** Puts of 1 KB by so many clients at once, each with one under way. */
  async load(clients: number, rampSeconds: number, seconds: number): Promise<LoadResult> {
    // One client asks the leader, as one would that wants its answers soonest; many ask all nodes.
    const urls = clients === 1 ? [await this.#leader()] : this.urls
    const pool = new LeanPool(urls, clients)
    const send = async (number: number): Promise<Outcome> => outcomeOf(await pool.call(put(number)))
    try {
      const calls = Number.POSITIVE_INFINITY
      return await closedLoop({ clients, calls, rampSeconds, seconds, send })
    } finally {
      pool.close()
    }
  }

  async stop(): Promise<void> {
    for (const child of this.#processes) {
      if (child.exitCode !== null || child.signalCode !== null || child.pid === undefined) continue
      const exit = once(child, 'exit')
      child.kill('SIGKILL')
      await exit
    }
  }

  async #leader(): Promise<string> {
    for (const url of this.urls) {
      const response = await fetch(`${url}/v3/maintenance/status`, { method: 'POST', body: '{}' })
      const { header, leader } = (await response.json()) as Status
      if (header?.member_id === leader) return url
    }
    return this.urls[0]!
  }
}

interface Status {
  readonly header?: { readonly member_id?: string }
  readonly leader?: string
}

const VALUE = Buffer.alloc(VALUE_BYTES, 'x').toString('base64')
/** As many as are overwritten in turn, so that the database stays as small as etcd's users keep it. */
const KEYS = 16_384
const prepared: Buffer[] = []

/** The request, made once for each key. */
function put(number: number): Buffer {
  const key = number % KEYS
  prepared[key] ??= preparePost(
    '/v3/kv/put',
    JSON.stringify({ key: Buffer.from(`key-${key}`).toString('base64'), value: VALUE }),
  )
  return prepared[key]
}

/** An answer names the revision; a refusal says why in `error`. */
function outcomeOf(body: string): Outcome {
  if (body.includes('"revision"')) return 'done'
  return { failed: body.slice(0, 200) }
}

async function untilTakesPuts(url: string): Promise<void> {
  const connection = new LeanConnection(url)
  const endMs = performance.now() + READY_MS
  try {
    for (;;) {
      const answer = await connection.call(put(0)).then(outcomeOf, () => undefined)
      if (answer === 'done') return
      if (performance.now() > endMs) throw new Error(`etcd at ${url} took no puts within ${READY_MS} ms.`)
      await sleep(50)
    }
  } finally {
    connection.close()
  }
}
