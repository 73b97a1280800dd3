/**
 * `npm run demo`: the ledger's promises, tried out. Four nodes take GitHub's example events; the leader is
 * killed in the middle and comes back; everything becomes final; ten entries are proved, and verified with
 * every node stopped; one flipped byte is refused. Exits 0 only if all of that held.
 */
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { opensslSuite } from '../node/crypto/openssl.ts'
import { type Devnet, startDevnet } from '../node/devnet.ts'
import { createClient } from '../node/rpc/client.ts'
import type { BundleFiles, ClusterStatus } from '../node/service.ts'
import { utf8 } from '../src/bytes.ts'
import { errorMessage } from '../src/errors.ts'
import { bundleFromTexts } from '../src/light/bundle.ts'
import { verifyBundle } from '../src/light/verify.ts'
import { main, parseCommandLine, wholeNumber } from './support/command-line.ts'
import { feed } from './support/feeder.ts'
import { githubEvents } from './support/github-events.ts'
import { bar, statusLine } from './support/terminal.ts'

const HELP = `npm run demo -- [--port P]

Four nodes take GitHub's example events; the leader is killed and comes back; proofs are made, and verified with every
node stopped; a flipped byte is refused. Takes some twenty seconds, in a temporary folder.

  --port P   ports from P upwards, and from P + 1000 (18480)

Exit code 1 if any of it does not hold.
`
const PROOFS = 10
const WIDTH = 16

await main(HELP, readOptions, demo)

function readOptions(args: readonly string[]) {
  const { port, help } = parseCommandLine(args, { port: { type: 'string', default: '18480' } })
  return { port: wholeNumber('--port', port, 1_024, 60_000), help }
}

async function demo({ port }: ReturnType<typeof readOptions>): Promise<void> {
  const dir = await mkdtemp(join(tmpdir(), 'qat-demo-'))
  let devnet: Devnet | undefined
  const begun = performance.now()
  try {
    step('Four nodes start as four processes')
    devnet = await startDevnet({ dir, nodes: 4, port, logLevel: 'warn' })
    done(devnet.nodes.map(({ name, rpc }) => `${name} ${rpc}`).join(', '))

    // Before any proof is made: it is not for a proof to bring its policy along.
    const policy = await readFile(devnet.policyPath, 'utf8')
    const events = githubEvents()
    step(`${events.length} GitHub events are submitted; the leader is killed in the middle`)
    const { ids, killed, pauseMs } = await submitWithCrash(devnet, events)
    done(
      `all ${ids.length} final; ${killed} was killed with SIGKILL; longest wait for a final entry ${pauseMs} ms`,
    )

    step(`${killed} is started again and catches up`)
    await devnet.restart(killed)
    const size = await untilEqual(devnet)
    done(`all four nodes hold the same ${size} leaves, all of them certified`)

    step(`${PROOFS} entries at random are proved`)
    const proofs = await prove(devnet, ids)
    done(`${proofs.length} proof bundles`)

    step('Every node is stopped')
    await devnet.stop()
    devnet = undefined
    done('from here on there is no server to ask')

    step('The proofs are verified offline')
    for (const { id, ...files } of proofs) {
      const verdict = await verifyBundle(opensslSuite, bundleFromTexts({ ...files, policy }))
      if (!verdict.ok) throw new Error(`The proof of ${id} was refused: ${verdict.reason}`)
      if (verdict.proves.leafHash !== id) throw new Error(`The proof of ${id} proves another entry.`)
    }
    done(`${proofs.length} of ${proofs.length} accepted, under a policy from before they were made`)

    step('One byte of one entry is flipped')
    done(await tamper(proofs[0]!))

    const seconds = ((performance.now() - begun) / 1_000).toFixed(1)
    process.stdout.write(`\nAll of it held. ${events.length} events, ${size} leaves, ${seconds} s.\n`)
  } catch (error) {
    process.stdout.write(`\nThe demo FAILED: ${errorMessage(error)}\n`)
    process.exitCode = 1
  } finally {
    await devnet?.stop()
    await rm(dir, { recursive: true, force: true })
  }
  process.exit()
}

function step(text: string): void {
  process.stdout.write(`${text} …\n`)
}

function done(text: string): void {
  process.stdout.write(`  ${text}\n`)
}

/** Submits everything and kills the leader once a third is final. */
async function submitWithCrash(devnet: Devnet, events: ReturnType<typeof githubEvents>) {
  const line = statusLine(process.stdout)
  const ids: string[] = []
  let killing: Promise<string> | undefined
  let last = performance.now()
  let pauseMs = 0
  await feed(events, {
    urls: devnet.nodes.map(({ rpc }) => rpc),
    token: devnet.token,
    width: WIDTH,
    onFinal: (_, { id }) => {
      ids.push(id)
      pauseMs = Math.max(pauseMs, performance.now() - last)
      last = performance.now()
      line.update(`  ${bar(ids.length, events.length)} final`)
      if (ids.length >= events.length / 3) killing ??= killLeader(devnet)
    },
  })
  line.done(`  ${bar(ids.length, events.length)} final`)
  const killed = await killing
  if (killed === undefined || new Set(ids).size !== events.length)
    throw new Error('Not every event was recorded.')
  return { ids, killed, pauseMs: Math.round(pauseMs) }
}

async function killLeader(devnet: Devnet): Promise<string> {
  const { leader } = await cluster(devnet.nodes[0]!.rpc)
  const name = leader ?? devnet.nodes[0]!.name
  await devnet.kill(name, 'SIGKILL')
  return name
}

/** Waits until every node holds the same tree and has a certificate for all of it; returns its size. */
async function untilEqual(devnet: Devnet): Promise<number> {
  for (let attempt = 0; attempt < 120; attempt++) {
    const sizes = await Promise.all(
      devnet.nodes.map(async ({ rpc }) => {
        const status = (await createClient(rpc, {}).call('node.status', {})) as {
          size: number
          finalSize: number
        }
        return [status.size, status.finalSize]
      }),
    )
    const [first] = sizes.flat()
    if (first !== undefined && sizes.flat().every((size) => size === first)) return first
    await new Promise((resolve) => setTimeout(resolve, 250))
  }
  throw new Error('The nodes do not agree on one certified tree within 30 s.')
}

async function prove(devnet: Devnet, ids: readonly string[]): Promise<BundleFiles[]> {
  const shuffled = ids.map((id) => ({ id, at: Math.random() })).sort((a, b) => a.at - b.at)
  const chosen = shuffled.slice(0, PROOFS)
  const clients = devnet.nodes.map(({ rpc }) => createClient(rpc, {}))
  return Promise.all(
    chosen.map(
      async ({ id }, i) => (await clients[i % clients.length]!.call('entry.prove', { id })) as BundleFiles,
    ),
  )
}

async function tamper(files: BundleFiles): Promise<string> {
  const flipped = utf8(files.entry)
  flipped[flipped.length >> 1]! ^= 1
  const verdict = await verifyBundle(opensslSuite, { ...bundleFromTexts(files), entry: flipped })
  if (verdict.ok) throw new Error('A tampered entry was accepted.')
  return `refused: ${verdict.reason} (${verdict.code})`
}

async function cluster(url: string): Promise<ClusterStatus> {
  return (await createClient(url, {}).call('cluster.status', {})) as ClusterStatus
}
