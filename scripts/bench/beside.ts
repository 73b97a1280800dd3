/** What is measured beside the ledger, in the same run: the machine's limits, and what else one might pick. */
import type { Line } from '../support/terminal.ts'
import { EtcdCluster, etcdVersion } from './etcd.ts'
import { round, say, significant } from './figures.ts'
import type { Close } from './folder.ts'
import { fsyncLatency } from './fsync.ts'
import { hypercoreVersion, loadHypercore, measureHypercore } from './hypercore.ts'
import type { LoadResult } from './load.ts'
import type { Findings } from './result.ts'
import { verifyRate } from './verify-rate.ts'

/** Signatures by n nodes on one machine: each entry is verified n times. */
export async function measureLimits(
  line: Line,
  dir: string,
  nodes: number,
  seconds: { readonly verify: number; readonly fsync: number },
): Promise<Findings & { readonly verifyPerS: number }> {
  line.update('measuring ML-DSA-65 verifications …')
  const verifyPerS = await verifyRate(seconds.verify)
  const fsync = await fsyncLatency(dir, seconds.fsync)
  line.done(
    `raw ML-DSA-65 verification, all cores: ${round(verifyPerS)}/s; fsync p50 ${round(fsync.p50, 2)} ms`,
  )
  return {
    verifyPerS,
    figures: {
      verifyPerS: round(verifyPerS),
      limitPerS: round(verifyPerS / nodes),
      fsyncP50Ms: round(fsync.p50, 2),
      fsyncP99Ms: round(fsync.p99, 2),
    },
  }
}

/** What is not etcd's best number of clients is tried as well, so that it is not held to ours. */
const ETCD_CLIENTS = [64, 256]
const ETCD_ABSENT = { etcdPutsPerS: null, etcdPutsPerSSameClients: null, etcdP50Ms: null, etcdP99Ms: null }

export async function measureEtcd(
  line: Line,
  dir: string,
  port: number,
  seconds: number,
  ourClients: number,
  onClose: (close: Close) => void,
): Promise<Findings> {
  const version = await etcdVersion()
  if (version === undefined) {
    say('etcd is not installed and left out: on Debian, "apt-get install etcd-server".')
    return { figures: ETCD_ABSENT }
  }
  line.update('starting three nodes of etcd …')
  const etcd = await EtcdCluster.start(dir, port)
  onClose(() => etcd.stop())
  const runs: { clients: number; result: LoadResult }[] = []
  for (const clients of [...new Set([1, ...ETCD_CLIENTS, ourClients])]) {
    line.update(`etcd, ${clients} clients …`)
    runs.push({ clients, result: await etcd.load(clients, seconds / 4, seconds) })
  }
  await etcd.stop()
  const best = runs.reduce((a, b) => (b.result.perS > a.result.perS ? b : a))
  const one = runs[0]!.result
  line.done(`etcd ${version}: ${round(best.result.perS)} puts/s with ${best.clients} clients`)
  return {
    versions: { etcd: version },
    figures: {
      etcdPutsPerS: round(best.result.perS),
      etcdPutsPerSSameClients: round(runs.find(({ clients }) => clients === ourClients)!.result.perS),
      etcdP50Ms: round(one.latencyMs.p50, 2),
      etcdP99Ms: round(one.latencyMs.p99, 2),
    },
    tables: [
      {
        title: 'etcd, three nodes, puts of 1 KB',
        columns: ['clients', 'puts/s', 'p50 ms', 'p90 ms', 'p99 ms', 'failed'],
        rows: runs.map(({ clients, result: { perS, latencyMs, failed } }) => [
          clients,
          ...[perS, latencyMs.p50, latencyMs.p90, latencyMs.p99].map(significant),
          failed,
        ]),
      },
    ],
  }
}

/** The newest that the bench was tried with; it takes 200 MB, so it is no dependency of the project. */
const HYPERCORE_INSTALL = 'npm install --no-save hypercore@11.37.1'

export async function measureHypercoreHere(
  line: Line,
  dir: string,
  seconds: number,
  name = 'hypercore',
): Promise<Findings> {
  const Core = await loadHypercore(name)
  if (!Core) {
    say(`hypercore is not installed and left out: "${HYPERCORE_INSTALL}".`)
    return { figures: { hypercoreAppendsPerS: null } }
  }
  line.update('appending to a hypercore …')
  const version = await hypercoreVersion()
  const { perS, inFlight } = await measureHypercore(Core, dir, seconds)
  line.done(`hypercore ${version}: ${round(perS)} appends/s verified by a replica, ${inFlight} under way`)
  return { versions: { hypercore: version }, figures: { hypercoreAppendsPerS: round(perS) } }
}
