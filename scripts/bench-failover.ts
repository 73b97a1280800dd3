/**
 * `npm run bench:failover`: the leader is killed under load, again and again. How long until what is submitted then
 * is final?
 */
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { useNativeCode } from '../node/crypto/native.ts'
import type { DevnetNode } from '../node/devnet.ts'
import { type Bench, sign } from './bench/bench.ts'
import { BenchCluster, statusOf, submitter } from './bench/cluster.ts'
import { conclude } from './bench/conclude.ts'
import { round, spread, sum } from './bench/figures.ts'
import { inFolder } from './bench/folder.ts'
import { openLoop } from './bench/load.ts'
import { NODES, SINGLE } from './bench/workload.ts'
import { main, parseCommandLine, wholeNumber } from './support/command-line.ts'
import { bar, statusLine } from './support/terminal.ts'

const HELP = `npm run bench:failover -- [--kills N] [--rate R] [--json] [--out DIR]

Kills the leader of four nodes by SIGKILL, N times, while clients submit to the others; measures the time from the kill
until an entry that was submitted after it is final, then starts the node again.

  --kills N     kills (20)
  --rate R      entries a second of the load (300)
  --json        one line of JSON at the end, on standard output; all else goes to standard error
  --out DIR     keep the result in DIR: bench-failover.json, and README.md over all results there
  --port P      ports from P upwards, and from P + 1000 (18780)
`

/** Load before the kill, and from the kill on. */
const BEFORE_SECONDS = 1.5
const AFTER_SECONDS = 3.5
/** The resolution of the figure. */
const PROBE_EVERY_MS = 10
const PROBES = (AFTER_SECONDS * 1_000) / PROBE_EVERY_MS
const SETTLE_MS = 60_000

await main(HELP, readOptions, failover)

function readOptions(args: readonly string[]) {
  const text = (fallback: string) => ({ type: 'string', default: fallback }) as const
  const values = parseCommandLine(args, {
    out: { type: 'string' },
    kills: text('20'),
    rate: text('300'),
    port: text('18780'),
  })
  return {
    ...values,
    kills: wholeNumber('--kills', values.kills, 1, 10_000),
    rate: wholeNumber('--rate', values.rate, 1, 10_000),
    port: wholeNumber('--port', values.port, 1_024, 64_000),
  }
}

async function failover({ kills, rate, port, json, out }: ReturnType<typeof readOptions>): Promise<void> {
  useNativeCode()
  await inFolder('failover', async (dir, onClose) => {
    const line = statusLine()
    line.update('starting four nodes …')
    const cluster = await BenchCluster.start({ dir: join(dir, 'nodes'), nodes: NODES, port })
    onClose(() => cluster.stop())
    const bench: Bench = { cluster, line, clients: 0, rampSeconds: 0, limitPerS: undefined }
    const rounds: Round[] = []
    for (let i = 0; i < kills; i++) {
      const killed = await killLeader(bench, rate, i)
      rounds.push(killed)
      const times = spread(rounds.map(({ finalMs }) => finalMs))
      line.update(
        `${bar(i + 1, kills)} ${killed.leader}: ${round(killed.finalMs)} ms, p50 ${round(times.p50)} ms`,
      )
    }
    const times = spread(rounds.map(({ finalMs }) => finalMs))
    line.done(`${kills} kills: final again after ${round(times.p50)} ms, at worst ${round(times.max)} ms`)
    await cluster.stop()
    await conclude({
      name: 'bench-failover',
      figures: {
        nodes: NODES,
        kills,
        offeredPerS: rate,
        failoverP50Ms: round(times.p50),
        failoverP95Ms: round(times.p95),
        failoverMaxMs: round(times.max),
        loadDone: sum(rounds.map(({ done }) => done)),
        loadRefused: sum(rounds.map(({ later }) => later)),
        loadFailed: sum(rounds.map(({ failed }) => failed)),
      },
      tables: [
        {
          title: 'Kill by kill',
          columns: ['leader', 'final again ms', 'load p50 ms', 'load max ms', 'not done'],
          rows: rounds.map(({ leader, finalMs, loadP50Ms, loadMaxMs, later, failed }) => [
            leader,
            ...[finalMs, loadP50Ms, loadMaxMs].map((ms) => round(ms)),
            later + failed,
          ]),
          note: `Load: ${rate} entries a second to the other nodes, from ${BEFORE_SECONDS} s before the kill on.`,
        },
      ],
      out,
      json,
    })
  })
}

interface Round {
  readonly leader: string
  /** From the kill until an entry submitted after it was final. */
  readonly finalMs: number
  readonly loadP50Ms: number
  readonly loadMaxMs: number
  readonly done: number
  readonly later: number
  readonly failed: number
}

async function killLeader(bench: Bench, rate: number, number: number): Promise<Round> {
  const { cluster } = bench
  const load = await sign(
    bench,
    `kill ${number + 1}`,
    SINGLE,
    rate * (BEFORE_SECONDS + AFTER_SECONDS),
    'final',
  )
  const probes = await sign(bench, `kill ${number + 1}`, SINGLE, PROBES, 'final')
  const leader = await settledLeader(cluster)
  const others = cluster.urls.filter((url) => url !== leader.rpc)
  const { submit, close } = submitter(others)
  const loaded = openLoop({
    perS: rate,
    calls: load.length,
    rampSeconds: 0,
    send: (i) => submit(load[i]!),
  })
  await sleep(BEFORE_SECONDS * 1_000)
  const killedMs = performance.now()
  const gone = cluster.devnet.kill(leader.name, 'SIGKILL')
  const finalMs = await firstFinal(probes, submit, killedMs)
  const { latencyMs, total, later, failed } = await loaded
  await gone
  close()
  await cluster.devnet.restart(leader.name)
  return {
    leader: leader.name,
    finalMs,
    loadP50Ms: latencyMs.p50,
    loadMaxMs: latencyMs.max,
    done: total,
    later,
    failed,
  }
}

/** Submits one entry after the other until the first of them is final; NaN if none ever is. */
async function firstFinal(
  probes: readonly Buffer[],
  submit: ReturnType<typeof submitter>['submit'],
  sinceMs: number,
): Promise<number> {
  let finalMs = Number.NaN
  const underWay: Promise<void>[] = []
  for (const probe of probes) {
    const take = async () => {
      const outcome = await submit(probe).catch(() => undefined)
      if (outcome === 'done' && Number.isNaN(finalMs)) finalMs = performance.now() - sinceMs
    }
    underWay.push(take())
    await sleep(PROBE_EVERY_MS)
    if (!Number.isNaN(finalMs)) break
  }
  await Promise.all(underWay)
  return finalMs
}

/** The leader, once every node follows it and has all that it has. */
async function settledLeader(cluster: BenchCluster): Promise<DevnetNode> {
  const endMs = performance.now() + SETTLE_MS
  for (;;) {
    const statuses = await Promise.all(cluster.urls.map((url) => statusOf(url).catch(() => undefined)))
    const [first] = statuses
    const agree = statuses.every(
      (status) =>
        status?.leader !== undefined &&
        status.leader === first?.leader &&
        status.finalSize === first.finalSize &&
        status.peers.length === cluster.nodes.length - 1,
    )
    const leader = cluster.nodes.find(({ name }) => name === first?.leader)
    if (agree && leader) return leader
    if (performance.now() > endMs) throw new Error('the nodes did not come to rest after a kill')
    await sleep(PROBE_EVERY_MS)
  }
}
