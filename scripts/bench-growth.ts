/**
 * `npm run bench:growth`: what changes as the ledger grows. The same four nodes with a short and with a long past,
 * one after the other: throughput, proofs, restart, memory, and the check of everything on disk.
 */
import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import { useNativeCode } from '../node/crypto/native.ts'
import type { Bench } from './bench/bench.ts'
import { closedLoopOf } from './bench/closed-loops.ts'
import { BenchCluster } from './bench/cluster.ts'
import { conclude } from './bench/conclude.ts'
import { round, significant } from './bench/figures.ts'
import { type Close, inFolder } from './bench/folder.ts'
import { fsckRate } from './bench/fsck-rate.ts'
import { mappedMiB, peakRssMiB } from './bench/meters.ts'
import { ENTRIES_MAX, foundWithPast } from './bench/past.ts'
import { measureProofs } from './bench/proofs.ts'
import { measureRestart } from './bench/restart.ts'
import { verifyRate } from './bench/verify-rate.ts'
import { NODES, SINGLE } from './bench/workload.ts'
import { main, parseCommandLine, wholeNumber } from './support/command-line.ts'
import { type Line, statusLine } from './support/terminal.ts'

const HELP = `npm run bench:growth -- [--leaves N] [--small N] [--seconds S] [--json] [--out DIR]

Measures four nodes whose ledger has a short past, then four with a long one, in the same run. The past is signed for
real: a million leaves take some ten minutes of two cores, and 10 GB, which the four nodes share.

  --leaves N     leaves of the long past (1000000)
  --small N      leaves of the short one (10000)
  --seconds S    of load at each size (30)
  --clients N    clients for each node (256)
  --json         one line of JSON at the end, on standard output; all else goes to standard error
  --out DIR      keep the result in DIR: bench-growth.json, and README.md over all results there
  --port P       ports from P upwards, and from P + 1000 (18680)
`

const VERIFY_SECONDS = 5
const RAMP_SECONDS = 3
/** What a busy proposer makes of a second's entries. */
const BLOCK_ENTRIES = 256
const READY_MS = 180_000

await main(HELP, readOptions, growth)

function readOptions(args: readonly string[]) {
  const text = (fallback: string) => ({ type: 'string', default: fallback }) as const
  const values = parseCommandLine(args, {
    out: { type: 'string' },
    leaves: text('1000000'),
    small: text('10000'),
    seconds: text('30'),
    clients: text('256'),
    port: text('18680'),
  })
  return {
    ...values,
    leaves: wholeNumber('--leaves', values.leaves, 1_000, ENTRIES_MAX),
    small: wholeNumber('--small', values.small, 100, ENTRIES_MAX),
    seconds: wholeNumber('--seconds', values.seconds, 1, 3_600),
    clients: wholeNumber('--clients', values.clients, 1, 1_000),
    port: wholeNumber('--port', values.port, 1_024, 64_000),
  }
}

type Options = ReturnType<typeof readOptions>

async function growth(options: Options): Promise<void> {
  useNativeCode()
  const { leaves, small, json, out } = options
  await inFolder('growth', async (dir, onClose) => {
    const line = statusLine()
    line.update('measuring ML-DSA-65 verifications …')
    const verifyPerS = await verifyRate(VERIFY_SECONDS)
    line.done(`raw ML-DSA-65 verification, all cores: ${round(verifyPerS)}/s`)
    const first = await atSize(small, options, join(dir, 'small'), line, verifyPerS, onClose)
    const last = await atSize(leaves, options, join(dir, 'large'), line, verifyPerS, onClose)
    await conclude({
      name: 'bench-growth',
      figures: {
        nodes: NODES,
        leaves: last.leaves,
        verifyPerS: round(verifyPerS),
        entriesPerS: last.entriesPerS,
        entriesPerSSmall: first.entriesPerS,
        ratio: round(last.entriesPerS / first.entriesPerS, 2),
        restartAnswersMs: last.restartAnswersMs,
        restartReadyMs: last.restartReadyMs,
        restartAfterKillMs: last.restartAfterKillMs,
        proveP50Ms: last.proveP50Ms,
        proveP99Ms: last.proveP99Ms,
        rssMaxMiB: last.rssMaxMiB,
        mappedMiB: last.mappedMiB,
        fsckPerS: last.fsckPerS,
        fsckShareOfV: round(last.fsckPerS / verifyPerS, 2),
        failed: first.failed + last.failed,
      },
      tables: [
        {
          title: 'By size',
          columns: ['', ...[first, last].map((each) => `${each.leaves.toLocaleString('en')} leaves`)],
          rows: Object.keys(first).map((key) => [
            key,
            ...[first, last].map((each) => each[key as keyof AtSize]),
          ]),
        },
      ],
      out,
      json,
    })
  })
}

interface AtSize {
  /** Before the load. */
  readonly leaves: number
  readonly entriesPerS: number
  readonly finalP50Ms: number
  readonly proveP50Ms: number
  readonly proveP99Ms: number
  readonly bundleBytes: number
  readonly restartAnswersMs: number
  readonly restartReadyMs: number
  readonly restartAfterKillMs: number
  readonly rssMaxMiB: number
  readonly mappedMiB: number
  readonly fsckPerS: number
  readonly failed: number
}

/** Founds four nodes with such a past, measures everything, and removes them. */
async function atSize(
  entries: number,
  { seconds, clients, port }: Options,
  dir: string,
  line: Line,
  verifyPerS: number,
  onClose: (close: Close) => void,
): Promise<AtSize> {
  const layout = { dir, nodes: NODES, port }
  const past = await foundWithPast({ layout, present: NODES, entries, blockEntries: BLOCK_ENTRIES, line })
  line.update('starting four nodes …')
  const cluster = await BenchCluster.start({ ...layout, readyMs: READY_MS })
  onClose(() => cluster.stop())
  const limitPerS = verifyPerS / NODES
  const bench: Bench = { cluster, line, clients, rampSeconds: RAMP_SECONDS, limitPerS }
  const { result } = await closedLoopOf(bench, SINGLE, seconds)
  line.done(`${past.size} leaves: ${round(result.perS)} entries/s final`)
  line.update('proofs, restarts …')
  const { proveMs, bundleBytes } = await measureProofs(cluster.urls[1]!)
  const [rssMaxMiB, mapped] = [await peakRssMiB(cluster.nodes), await mappedMiB(cluster.nodes)]
  const leader = await cluster.leader()
  const { name, dir: folder } = cluster.nodes.find((node) => node !== leader)!
  const orderly = await measureRestart(cluster.devnet, name, 'SIGTERM')
  const killed = await measureRestart(cluster.devnet, name, 'SIGKILL')
  await cluster.stop()
  line.update('qat fsck …')
  const fsckPerS = await fsckRate(folder)
  line.done(
    `${past.size} leaves: proof ${significant(proveMs.p50)} ms, restart ${round(orderly.readyMs)} ms, ` +
      `qat fsck ${round(fsckPerS)} entries/s`,
  )
  await rm(dir, { recursive: true, force: true })
  return {
    leaves: past.size,
    entriesPerS: round(result.perS),
    finalP50Ms: round(result.latencyMs.p50),
    proveP50Ms: round(proveMs.p50, 2),
    proveP99Ms: round(proveMs.p99, 2),
    bundleBytes: bundleBytes.p50,
    restartAnswersMs: round(orderly.answersMs),
    restartReadyMs: round(orderly.readyMs),
    restartAfterKillMs: round(killed.readyMs),
    rssMaxMiB: round(rssMaxMiB),
    mappedMiB: round(mapped),
    fsckPerS: round(fsckPerS),
    failed: result.failed + result.later,
  }
}
