/** `npm start`: a ledger of four nodes on this machine, fed with GitHub's example events, and a view of it. */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { setTimeout } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { DEVNET_NODES, DEVNET_PORT } from '../node/devnet/names.ts'
import { type Devnet, type DevnetNode, startDevnet } from '../node/devnet.ts'
import { createClient } from '../node/rpc/client.ts'
import type { LinkView, NodeStatus } from '../node/service.ts'
import { errorMessage } from '../src/errors.ts'
import { VALIDATORS_MAX } from '../src/limits.ts'
import { main, parseCommandLine, wholeNumber } from './support/command-line.ts'
import { feed } from './support/feeder.ts'
import { githubEvents } from './support/github-events.ts'
import { clusterView, type Feed, type NodeRow, Panel } from './support/panel.ts'

const HELP = `npm start -- [--port P] [--dir DIR] [--nodes N]

Starts N ledger nodes (4) as processes on loopback, JSON-RPC from port P (8480), peers from P + 1000, a simulated
QKD key management entity in each (P + 100 and P + 200), and submits
the example events of @octokit/webhooks-examples. Without --dir the ledger lives in a temporary folder and is
removed at the end. Stop with Ctrl-C.
`
const QAT = fileURLToPath(new URL('../node/bin/qat.js', import.meta.url))
const REFRESH_MS = 500
/** Slow enough to watch. */
const EVENTS_PER_SECOND = 12
const FEEDERS = 4

const stopped = new AbortController()
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, () => stopped.abort())

await main(HELP, readOptions, run)

function readOptions(args: readonly string[]) {
  const { port, nodes, dir, help } = parseCommandLine(args, {
    port: { type: 'string', default: String(DEVNET_PORT) },
    nodes: { type: 'string', default: String(DEVNET_NODES) },
    dir: { type: 'string' },
  })
  return {
    port: wholeNumber('--port', port, 1, 64_535),
    nodes: wholeNumber('--nodes', nodes, 1, VALIDATORS_MAX),
    dir,
    help,
  }
}

async function run({ port, nodes, dir: given }: ReturnType<typeof readOptions>): Promise<void> {
  const dir = given ?? (await mkdtemp(join(tmpdir(), 'qat-')))
  try {
    process.stdout.write(`Starting ${nodes} ledger nodes in ${dir} …\n\n`)
    const devnet = await startDevnet({ dir, nodes, port, qkd: 'prefer' })
    await watch(devnet)
    process.stdout.write('\nStopping the nodes …\n')
    await devnet.stop()
  } catch (error) {
    process.stderr.write(`${errorMessage(error)}\n`)
    process.exitCode = 1
  } finally {
    if (given === undefined) await rm(dir, { recursive: true, force: true })
  }
  process.exit()
}

/** Feeds the ledger and shows it until it is told to stop. */
async function watch({ nodes, token, policyPath }: Devnet): Promise<void> {
  const { signal } = stopped
  const urls = nodes.map(({ rpc }) => rpc)
  const events = githubEvents()
  const progress: Feed = {
    total: events.length,
    submitted: 0,
    final: 0,
    firstIndex: undefined,
    failure: undefined,
  }
  const fed = feed(events, {
    urls,
    token,
    width: FEEDERS,
    perSecond: EVENTS_PER_SECOND,
    signal,
    onSubmit: () => progress.submitted++,
    onFinal: (_, { index }) => {
      progress.final++
      progress.firstIndex ??= index
    },
  })
  fed.catch((error: unknown) => {
    progress.failure = errorMessage(error)
  })
  const panel = new Panel(process.stdout)
  const access = { qat: `node ${QAT}`, token, policy: resolve(policyPath) }
  try {
    while (!signal.aborted) {
      panel.show(clusterView(await Promise.all(nodes.map(ask)), progress, access))
      await setTimeout(REFRESH_MS, undefined, { signal }).catch(() => {})
    }
  } finally {
    panel.close()
  }
}

async function ask({ name, rpc }: DevnetNode): Promise<NodeRow> {
  try {
    const client = createClient(rpc, { timeoutMs: 2_000 })
    const status = (await client.call('node.status', {})) as NodeStatus
    const { links } = (await client.call('qkd.status', {})) as { links: LinkView[] }
    return { name, url: rpc, status, links }
  } catch {
    return { name, url: rpc, status: undefined, links: [] }
  }
}
