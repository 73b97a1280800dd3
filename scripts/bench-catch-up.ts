/**
 * `npm run bench:catch-up`: a validator that was down for 100,000 entries returns while clients go on submitting.
 * How fast does it catch up, beside the rate at which this machine verifies signatures, and does anyone else notice?
 */
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { useNativeCode } from '../node/crypto/native.ts'
import { NodeProcess } from '../node/devnet/child.ts'
import { isUp, untilAll, type Watched } from '../node/devnet/ready.ts'
import { BLOCK_ENTRIES_MAX } from '../src/limits.ts'
import { statusOf } from './bench/cluster.ts'
import { conclude } from './bench/conclude.ts'
import { round, say, spread, sum } from './bench/figures.ts'
import { inFolder } from './bench/folder.ts'
import { ENTRIES_MAX, foundWithPast } from './bench/past.ts'
import { watchReturn } from './bench/return.ts'
import { type Phase, SteadyClient } from './bench/steady.ts'
import { verifyRate } from './bench/verify-rate.ts'
import { NODES } from './bench/workload.ts'
import { main, parseCommandLine, wholeNumber } from './support/command-line.ts'
import { bar, statusLine } from './support/terminal.ts'

const HELP = `npm run bench:catch-up -- [--entries N] [--block-entries N] [--rate R] [--phase S] [--json] [--out DIR]

Starts four nodes in a temporary folder, one of which was down for N entries, and removes everything.

  --entries N        entries that the node missed (100000)
  --block-entries N  of each block of them (256)
  --rate R           entries a second of the client (20)
  --phase S          seconds measured before and after (10)
  --profile DIR      a CPU profile of the returning node
  --json             one line of JSON at the end, on standard output; all else goes to standard error
  --out DIR          keep the result in DIR: bench-catch-up.json, and README.md over all results there
  --port P           ports from P upwards, and from P + 1000 (18580)
`

const READY_MS = 120_000
/** The first entries after an election wait for it. */
const WARM_UP_MS = 5_000

await main(HELP, readOptions, catchUp)

function readOptions(args: readonly string[]) {
  const text = (fallback: string) => ({ type: 'string', default: fallback }) as const
  const values = parseCommandLine(args, {
    out: { type: 'string' },
    entries: text('100000'),
    'block-entries': text('256'),
    rate: text('20'),
    phase: text('10'),
    port: text('18580'),
    profile: { type: 'string' },
  })
  return {
    ...values,
    entries: wholeNumber('--entries', values.entries, 1, ENTRIES_MAX),
    blockEntries: wholeNumber('--block-entries', values['block-entries'], 1, BLOCK_ENTRIES_MAX),
    rate: wholeNumber('--rate', values.rate, 1, 1_000),
    phaseMs: 1_000 * wholeNumber('--phase', values.phase, 1, 3_600),
    port: wholeNumber('--port', values.port, 1_024, 64_000),
  }
}

async function catchUp(options: ReturnType<typeof readOptions>): Promise<void> {
  useNativeCode()
  const { entries, blockEntries, rate, phaseMs, port, profile, out, json } = options
  await inFolder('catch-up', async (folder, onClose) => {
    const line = statusLine()
    const layout = { dir: join(folder, 'nodes'), nodes: NODES, port }
    const past = await foundWithPast({ layout, present: NODES - 1, entries, blockEntries, line })
    const start = (node: (typeof past.nodes)[number], through: readonly string[] = []): Watched => {
      const member = { ...node, process: new NodeProcess(node.dir, ['--log-level', 'warn'], through) }
      onClose(() => member.process.stop())
      return member
    }
    const others = past.nodes.slice(0, -1).map((node) => start(node))
    await untilAll(others, isUp, READY_MS)
    const leader = await leaderOf(others)
    let submitted = 0
    const client = new SteadyClient({
      urls: others.map(({ rpc }) => rpc),
      perSecond: rate,
      entry: () => past.entry(`now-${submitted++}`),
    })
    client.start()
    line.update('three nodes, before the fourth returns …')
    await sleep(WARM_UP_MS)
    const before = client.begin()
    await sleep(phaseMs)

    // The same cores, taken by nothing but verification: the limit, and what a busy machine alone does to the client.
    const verifying = client.begin()
    line.update('measuring ML-DSA-65 verifications beside them …')
    const cpuBefore = process.cpuUsage()
    const verifyPerS = await verifyRate(phaseMs / 1_000)
    const { user, system } = process.cpuUsage(cpuBefore)
    const verifyCores = (user + system) / 1_000 / phaseMs
    line.done(`raw ML-DSA-65 verification beside three nodes: ${verifyPerS.toFixed(0)}/s`)

    const during = client.begin()
    const prof = ['env', `NODE_OPTIONS=--cpu-prof --cpu-prof-dir=${profile}`]
    const returning = start(past.nodes.at(-1)!, profile === undefined ? [] : prof)
    await untilAll([returning], async ({ process }) => process.answers, READY_MS)
    const watch = await watchReturn({ returning: returning.rpc, leader: leader.rpc }, past.size, (size) =>
      line.update(`catching up ${bar(size, past.size)}`),
    )
    const perS = entries / watch.seconds
    line.done(`${entries} entries in ${watch.seconds.toFixed(1)} s = ${perS.toFixed(0)} entries/s`)

    const after = client.begin()
    line.update('four nodes, after it …')
    await sleep(phaseMs)
    await client.stop()

    const phases = Object.entries({ before, verifying, during, after })
    const failures = phases.flatMap(([, { errors }]) => [...errors])
    for (const [why, times] of failures) say(`  ${times} × ${why}`)
    await conclude({
      name: 'bench-catch-up',
      figures: {
        entries,
        verifyPerS: round(verifyPerS),
        verifyCores: round(verifyCores, 2),
        verifyCpuMs: round((verifyCores * 1_000) / verifyPerS, 3),
        catchUpPerS: round(perS),
        catchUpCores: round(watch.cpuSeconds / watch.seconds, 2),
        catchUpCpuMs: round((watch.cpuSeconds * 1_000) / entries, 3),
        shareOfVerifyRate: round(perS / verifyPerS, 2),
        submitted,
        failed: sum(failures.map(([, times]) => times)),
        leaderChanges: watch.leaderChanges,
        ...Object.fromEntries(phases.map(([name, phase]) => [`${name}FinalP50Ms`, finalOf(phase)[1]!])),
        ...Object.fromEntries(phases.map(([name, phase]) => [`${name}FinalP99Ms`, finalOf(phase)[2]!])),
        returningMb: round(watch.returningMb),
        leaderMb: round(watch.leaderMb),
      },
      tables: [
        {
          title: 'What the client noticed, submit → final',
          columns: ['phase', 'entries', 'p50 ms', 'p99 ms'],
          rows: phases.map(([name, phase]) => [name, ...finalOf(phase)]),
          note: 'verifying: the same cores, taken by plain verification instead of the returning node.',
        },
      ],
      out,
      json,
    })
  })
}

function finalOf({ latenciesMs }: Phase): number[] {
  const { count, p50, p99 } = spread(latenciesMs)
  return [count, round(p50), round(p99)]
}

/** Waits until the nodes have elected one of them. */
async function leaderOf(members: readonly Watched[]): Promise<Watched> {
  for (;;) {
    const { leader } = await statusOf(members[0]!.rpc)
    const found = members.find(({ name }) => name === leader)
    if (found) return found
    await sleep(100)
  }
}
