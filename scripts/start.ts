/** `npm start`: a ledger of four nodes on this machine, fed with GitHub's example events, and a view of it. */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout } from 'node:timers/promises'
import { parseArgs } from 'node:util'
import { type Devnet, type DevnetNode, startDevnet } from '../node/devnet.ts'
import { createClient } from '../node/rpc/client.ts'
import type { LinkView, NodeStatus } from '../node/service.ts'
import { errorMessage } from '../src/errors.ts'
import { feed } from './support/feeder.ts'
import { githubEvents } from './support/github-events.ts'
import { clusterLines, type Feed, type NodeRow, Panel } from './support/panel.ts'

const USAGE = `npm start -- [--port P] [--dir DIR] [--nodes N]

Starts N ledger nodes (4) as processes on loopback, JSON-RPC from port P (8480), peers from P + 1000, a simulated
QKD key management entity in each (P + 100 and P + 200), and submits
the example events of @octokit/webhooks-examples. Without --dir the ledger lives in a temporary folder and is
removed at the end. Stop with Ctrl-C.
`
const REFRESH_MS = 500
/** Slow enough to watch. */
const EVENTS_PER_SECOND = 12
const FEEDERS = 4

const { values: options } = parseArgs({
  options: {
    port: { type: 'string', default: '8480' },
    nodes: { type: 'string', default: '4' },
    dir: { type: 'string' },
    help: { type: 'boolean', default: false },
  },
})
if (options.help) {
  process.stdout.write(USAGE)
  process.exit(0)
}

const stopped = new AbortController()
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, () => stopped.abort())

const dir = options.dir ?? (await mkdtemp(join(tmpdir(), 'qat-')))
try {
  process.stdout.write(`Starting ${options.nodes} ledger nodes in ${dir} …\n\n`)
  const devnet = await startDevnet({
    dir,
    nodes: Number(options.nodes),
    port: Number(options.port),
    qkd: 'prefer',
  })
  await watch(devnet)
  process.stdout.write('\nStopping the nodes …\n')
  await devnet.stop()
} catch (error) {
  process.stderr.write(`${errorMessage(error)}\n`)
  process.exitCode = 1
} finally {
  if (options.dir === undefined) await rm(dir, { recursive: true, force: true })
}
process.exit()

/** Feeds the ledger and shows it until it is told to stop. */
async function watch({ nodes, token, policyPath }: Devnet): Promise<void> {
  const { signal } = stopped
  const urls = nodes.map(({ rpc }) => rpc)
  const events = githubEvents()
  const progress: Feed = { total: events.length, submitted: 0, final: 0, firstId: undefined }
  const fed = feed(events, {
    urls,
    token,
    width: FEEDERS,
    perSecond: EVENTS_PER_SECOND,
    signal,
    onSubmit: () => progress.submitted++,
    onFinal: (_, { id }) => {
      progress.final++
      progress.firstId ??= id
    },
  })
  fed.catch((error: unknown) => process.stderr.write(`The feed of events ended: ${errorMessage(error)}\n`))
  const panel = new Panel(process.stdout)
  while (!signal.aborted) {
    panel.show(clusterLines(await Promise.all(nodes.map(ask)), progress, { token, policyPath }))
    await setTimeout(REFRESH_MS, undefined, { signal }).catch(() => {})
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
