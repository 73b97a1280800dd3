/**
 * `npm run bench`: what four nodes (or more) on this machine reach, beside the limit that signatures set, etcd and hypercore,
 * measured in the same run. How to read the figures: scripts/README.md.
 */
import { join } from 'node:path'
import { useNativeCode } from '../node/crypto/native.ts'
import type { Bench } from './bench/bench.ts'
import { measureEtcd, measureHypercoreHere, measureLimits } from './bench/beside.ts'
import { closedLoopOf, measureClosedLoops } from './bench/closed-loops.ts'
import { BenchCluster } from './bench/cluster.ts'
import { conclude } from './bench/conclude.ts'
import { round, sum } from './bench/figures.ts'
import { inFolder } from './bench/folder.ts'
import { measureLinks } from './bench/links.ts'
import { peakRssMiB } from './bench/meters.ts'
import { measureOneClient } from './bench/one-client.ts'
import { measureOpenLoops, measureOverload } from './bench/open-loops.ts'
import { HELP, type Options, type Part, readOptions } from './bench/options.ts'
import { measureProofs } from './bench/proofs.ts'
import type { Figures, Findings } from './bench/result.ts'
import { NODES, SINGLE } from './bench/workload.ts'
import { main } from './support/command-line.ts'
import { statusLine } from './support/terminal.ts'

const ON_NODES: readonly Part[] = ['one', 'closed', 'open', 'overload', 'proofs']
/** Above the nodes' own ports, for etcd. */
const ETCD_PORT_OFFSET = 20
/** Where the closed loop is left out: how fast the open ones are to be, and entries to prove, take so many seconds. */
const ESTIMATE_SECONDS = 3

await main(HELP, readOptions, bench)

async function bench({ plan, parts, clients, nodes, port, qkd, json, out }: Options): Promise<void> {
  useNativeCode()
  await inFolder('bench', async (dir, onClose) => {
    const line = statusLine()
    const found: Findings[] = []
    const limits = parts.has('limits') ? await measureLimits(line, dir, nodes, plan) : undefined
    if (limits) found.push(limits)
    if (parts.has('links')) found.push(await measureLinks(line, plan.links))
    if (parts.has('etcd')) {
      const etcdPort = port + ETCD_PORT_OFFSET
      found.push(await measureEtcd(line, dir, etcdPort, plan.etcd, nodes * clients, onClose))
    }
    if (parts.has('hypercore')) found.push(await measureHypercoreHere(line, dir, plan.hypercore))
    if (ON_NODES.some((part) => parts.has(part))) {
      line.update(`starting ${nodes} nodes …`)
      const cluster = await BenchCluster.start({
        dir: join(dir, 'nodes'),
        nodes,
        port,
        ...(qkd && { qkd: 'require' as const }),
      })
      onClose(() => cluster.stop())
      line.done(`${nodes} nodes are up`)
      const limitPerS = limits && limits.verifyPerS / nodes
      found.push(await onNodes({ cluster, line, clients, rampSeconds: plan.ramp, limitPerS }, plan, parts))
      await cluster.stop()
    }
    const figures: Figures = Object.assign({}, ...found.map((each) => each.figures))
    const failed = Object.entries(figures).filter(([name]) => /(?<!overload)Failed$/.test(name))
    await conclude({
      name: 'bench',
      variant: [nodes === NODES ? [] : `${nodes}-nodes`, qkd ? 'qkd' : []].flat().join('-') || undefined,
      figures: { nodes, ...figures, failed: sum(failed.map(([, times]) => Number(times))) },
      tables: found.flatMap(({ tables = [] }) => tables),
      versions: Object.assign({}, ...found.map(({ versions }) => versions)),
      out,
      json,
    })
  })
}

async function onNodes(bench: Bench, plan: Options['plan'], parts: Options['parts']): Promise<Findings> {
  const found: Findings[] = []
  if (parts.has('one')) found.push(await measureOneClient(bench, plan.oneCalls))
  let perS: number | undefined
  if (parts.has('closed')) {
    const closed = await measureClosedLoops(bench, plan.workloads, plan)
    found.push(closed)
    perS = closed.perS
  }
  if (parts.has('open') || parts.has('overload') || parts.has('proofs')) {
    perS ??= (await closedLoopOf(bench, SINGLE, ESTIMATE_SECONDS)).result.perS
  }
  if (parts.has('open')) found.push(await measureOpenLoops(bench, perS!, plan.openShares, plan.open))
  if (parts.has('proofs')) found.push(await proofs(bench))
  if (parts.has('overload')) found.push(await measureOverload(bench, perS!, plan.overload))
  const rssMaxMiB = round(await peakRssMiB(bench.cluster.nodes))
  return {
    figures: Object.assign({}, ...found.map((each) => each.figures), { rssMaxMiB }),
    tables: found.flatMap(({ tables = [] }) => tables),
  }
}

async function proofs({ cluster, line }: Bench): Promise<Findings> {
  line.update('proofs …')
  const { proveMs, verifyMs, bundleBytes, treeSize } = await measureProofs(cluster.urls[1]!)
  line.done(`a proof takes ${round(proveMs.p50, 2)} ms, its verification ${round(verifyMs.p50, 2)} ms`)
  return {
    figures: {
      proveP50Ms: round(proveMs.p50, 2),
      proveP99Ms: round(proveMs.p99, 2),
      verifyBundleMs: round(verifyMs.p50, 2),
      bundleBytes: bundleBytes.p50,
      treeSize,
    },
  }
}
