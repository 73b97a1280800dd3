/**
 * `npm run bench:catch-up`: a validator that was down for 100,000 entries returns while clients go on submitting.
 * How fast does it catch up, beside the rate at which this machine verifies signatures, and does anyone else
 * notice? `--json` prints one line at the end.
 */
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { availableParallelism, cpus, tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { parseArgs } from 'node:util'
import { readKeyFile } from '../node/crypto/keyfile.ts'
import { useNativeCode } from '../node/crypto/native.ts'
import { opensslSuite } from '../node/crypto/openssl.ts'
import { NodeProcess } from '../node/devnet/child.ts'
import { openLayout } from '../node/devnet/layout.ts'
import { DEVNET_SUBMITTER } from '../node/devnet/names.ts'
import { isUp, untilAll } from '../node/devnet/ready.ts'
import { FILES } from '../node/folder.ts'
import { utf8 } from '../src/bytes.ts'
import { type Entry, signEntry } from '../src/ledger/entry.ts'
import { PAYLOAD_TYPES } from '../src/ledger/payload-types.ts'
import { percentile, round, say } from './bench/figures.ts'
import { writeHistory } from './bench/history.ts'
import { status, watchReturn } from './bench/return.ts'
import { type Phase, SteadyClient } from './bench/steady.ts'
import { verifyRate } from './bench/verify-rate.ts'
import { benchEvent, NODES } from './bench/workload.ts'
import { bar, statusLine } from './support/terminal.ts'

const { values: options } = parseArgs({
  options: {
    json: { type: 'boolean', default: false },
    entries: { type: 'string', default: '100000' },
    'block-entries': { type: 'string', default: '256' },
    rate: { type: 'string', default: '20' },
    phase: { type: 'string', default: '10' },
    port: { type: 'string', default: '18580' },
    profile: { type: 'string' },
    help: { type: 'boolean', default: false },
  },
})
if (options.help) {
  process.stdout.write(
    'npm run bench:catch-up -- [--json] [--entries N] [--block-entries N] [--rate entries/s of the client]\n' +
      '  [--phase seconds before and after] [--port P] [--profile DIR for a CPU profile of the returning node]\n' +
      'Starts four nodes in a temporary folder, one of which was down for N entries, and removes everything.\n',
  )
  process.exit(0)
}

useNativeCode()
const READY_MS = 120_000
/** The first entries after an election wait for it. */
const WARM_UP_MS = 5_000
const PHASE_MS = Number(options.phase) * 1_000
const line = statusLine()

interface Member {
  readonly name: string
  readonly rpc: string
  readonly process: NodeProcess
}

const dir = await mkdtemp(join(tmpdir(), 'qat-catch-up-'))
const running: Member[] = []
try {
  const { nodes } = await openLayout({ dir, nodes: NODES, port: Number(options.port) })
  const { alg, seed } = await readKeyFile(join(dir, `${DEVNET_SUBMITTER}.key`))
  const signer = opensslSuite.signer(alg, seed)
  const entry = (name: string): Promise<Entry> =>
    signEntry(PAYLOAD_TYPES.event, utf8(JSON.stringify(benchEvent(name))), signer)
  const entries = Number(options.entries)
  const past = await writeHistory({
    genesis: await readFile(join(dir, FILES.genesis)),
    nodes: nodes.slice(0, -1),
    entries,
    blockEntries: Number(options['block-entries']),
    entry: (number) => entry(`past-${number}`),
    onProgress: (done) => line.update(`signing a history ${bar(done, entries)}`),
  })
  line.done(`signed a history of ${entries} entries`)

  const start = (node: (typeof nodes)[number], through: readonly string[] = []): Member => {
    const member = { ...node, process: new NodeProcess(node.dir, ['--log-level', 'warn'], through) }
    running.push(member)
    return member
  }
  const others = nodes.slice(0, -1).map((node) => start(node))
  await untilAll(others, isUp, READY_MS)
  const leader = await leaderOf(others)
  let submitted = 0
  const client = new SteadyClient({
    urls: others.map(({ rpc }) => rpc),
    perSecond: Number(options.rate),
    entry: () => entry(`now-${submitted++}`),
  })
  client.start()
  line.update('three nodes, before the fourth returns …')
  await sleep(WARM_UP_MS)
  const before = client.begin()
  await sleep(PHASE_MS)

  // The same cores, taken by nothing but verification: the limit, and what a busy machine alone does to the client.
  const verifying = client.begin()
  line.update('measuring ML-DSA-65 verifications beside them …')
  const cpuBefore = process.cpuUsage()
  const verifyPerS = await verifyRate(PHASE_MS / 1_000)
  const { user, system } = process.cpuUsage(cpuBefore)
  const verifyCores = (user + system) / 1_000 / PHASE_MS
  line.done(`raw ML-DSA-65 verification beside three nodes: ${verifyPerS.toFixed(0)}/s`)

  const during = client.begin()
  const { profile } = options
  const prof = ['env', `NODE_OPTIONS=--cpu-prof --cpu-prof-dir=${profile}`]
  const returning = start(nodes.at(-1)!, profile === undefined ? [] : prof)
  await untilAll([returning], async ({ process }) => process.answers, READY_MS)
  const watch = await watchReturn({ returning: returning.rpc, leader: leader.rpc }, past, (size) =>
    line.update(`catching up ${bar(size, past)}`),
  )
  const perS = entries / watch.seconds
  line.done(`${entries} entries in ${watch.seconds.toFixed(1)} s = ${perS.toFixed(0)} entries/s`)

  const after = client.begin()
  line.update('four nodes, after it …')
  await sleep(PHASE_MS)
  await client.stop()

  const cores = availableParallelism()
  const phases = { before, verifying, during, after }
  const latency = (share: number) =>
    Object.fromEntries(
      Object.entries(phases).map(([name, phase]) => [name, round(percentileOf(phase, share))]),
    )
  const failures = Object.values(phases).flatMap(({ errors }) => [...errors])
  const figures = {
    entries,
    cores,
    cpu: cpus()[0]?.model,
    node: process.version,
    verifyPerS: round(verifyPerS),
    verifyCores: round(verifyCores, 2),
    verifyCpuMs: round((verifyCores * 1_000) / verifyPerS, 3),
    catchUpPerS: round(perS),
    catchUpCores: round(watch.cpuSeconds / watch.seconds, 2),
    catchUpCpuMs: round((watch.cpuSeconds * 1_000) / entries, 3),
    shareOfVerifyRate: round(perS / verifyPerS, 2),
    finalP50Ms: latency(0.5),
    finalP99Ms: latency(0.99),
    submitted,
    failed: failures.reduce((sum, [, times]) => sum + times, 0),
    leaderChanges: watch.leaderChanges,
    returningMb: round(watch.returningMb),
    leaderMb: round(watch.leaderMb),
  }
  for (const [name, value] of Object.entries(figures)) say(`${name.padEnd(18)} ${JSON.stringify(value)}`)
  for (const [why, times] of failures) say(`  ${times} × ${why}`)
  if (options.json) process.stdout.write(`${JSON.stringify(figures)}\n`)
} finally {
  await Promise.all(running.map((member) => member.process.stop()))
  await rm(dir, { recursive: true, force: true })
}

/** Waits until the nodes have elected one of them. */
async function leaderOf(members: readonly Member[]): Promise<Member> {
  for (;;) {
    const { leader } = await status(members[0]!.rpc)
    const found = members.find(({ name }) => name === leader)
    if (found) return found
    await sleep(100)
  }
}

function percentileOf({ latenciesMs }: Phase, share: number): number {
  return percentile(
    latenciesMs.toSorted((a, b) => a - b),
    share,
  )
}
