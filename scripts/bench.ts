/**
 * `npm run bench`: what four nodes on this machine reach, beside the limit that signatures set, measured in the
 * same run. Clients sign their entries before the clock starts. `--json` prints one line at the end.
 */
import { mkdtemp, rm } from 'node:fs/promises'
import { availableParallelism, cpus, tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { readKeyFile } from '../node/crypto/keyfile.ts'
import { useNativeCode } from '../node/crypto/native.ts'
import { opensslSuite } from '../node/crypto/openssl.ts'
import { startDevnet } from '../node/devnet.ts'
import { createClient } from '../node/rpc/client.ts'
import { fromUtf8, utf8 } from '../src/bytes.ts'
import type { Signer } from '../src/crypto/suite.ts'
import { signEntry } from '../src/ledger/entry.ts'
import { PAYLOAD_TYPES } from '../src/ledger/payload-types.ts'
import { verifyBundle } from '../src/light/verify.ts'
import { benchEvent, NODES, round, say } from './bench/common.ts'
import { percentile, run } from './bench/load.ts'
import { verifyRate } from './bench/verify-rate.ts'
import { bar, statusLine } from './support/terminal.ts'

const { values: options } = parseArgs({
  options: {
    json: { type: 'boolean', default: false },
    entries: { type: 'string', default: '12000' },
    batches: { type: 'string', default: '1500' },
    inflight: { type: 'string', default: '256' },
    port: { type: 'string', default: '18480' },
    help: { type: 'boolean', default: false },
  },
})
if (options.help) {
  process.stdout.write(
    'npm run bench -- [--json] [--entries N] [--batches N] [--inflight N a node] [--port P]\n' +
      'Starts four nodes in a temporary folder, loads them, prints the figures, removes everything.\n',
  )
  process.exit(0)
}

useNativeCode()
const VERIFY_SECONDS = 3
const line = statusLine()

const dir = await mkdtemp(join(tmpdir(), 'qat-bench-'))
line.update('measuring ML-DSA-65 verifications …')
const verifyPerS = await verifyRate(VERIFY_SECONDS)
line.done(`raw ML-DSA-65 verification, all cores: ${verifyPerS.toFixed(0)}/s`)
line.update('starting four nodes …')
const devnet = await startDevnet({ dir, nodes: NODES, port: Number(options.port), logLevel: 'warn' })
const urls = devnet.nodes.map(({ rpc }) => rpc)
line.done('four nodes are up')

try {
  const { seed, alg } = await readKeyFile(join(dir, devnet.nodes[0]!.name, 'gateway.key'))
  const signer = opensslSuite.signer(alg, seed)
  const single = await load('1 event an entry', signer, Number(options.entries), 1)
  const batched = await load('32 events an entry', signer, Number(options.batches), 32)
  const idle = await load('one client', signer, 200, 1, urls.slice(0, 1), 1)
  const proofs = await proveAndVerify()
  const figures = {
    nodes: NODES,
    cores: availableParallelism(),
    cpu: cpus()[0]?.model,
    node: process.version,
    verifyPerS: round(verifyPerS),
    limitPerS: round(verifyPerS / NODES),
    entriesPerS: round(single.perS),
    shareOfLimit: round(single.perS / (verifyPerS / NODES), 2),
    eventsPerS32: round(batched.perS * 32),
    nodesCpuMsPerEntry: round(single.cpuMs.nodes, 2),
    clientCpuMsPerEntry: round(single.cpuMs.client, 2),
    loadedFinalP50Ms: round(percentile(single.latenciesMs, 0.5), 1),
    finalP50Ms: round(percentile(idle.latenciesMs, 0.5), 1),
    finalP99Ms: round(percentile(idle.latenciesMs, 0.99), 1),
    ...proofs,
    failed: single.failed + batched.failed + idle.failed,
  }
  for (const [name, value] of Object.entries(figures)) say(`${name.padEnd(18)} ${value}`)
  if (options.json) process.stdout.write(`${JSON.stringify(figures)}\n`)
} finally {
  await devnet.stop()
  await rm(dir, { recursive: true, force: true })
}

/** Signs everything first, then sends it and waits until all is final. */
async function load(
  what: string,
  signer: Signer,
  entries: number,
  events: number,
  targets = urls,
  inFlight = Number(options.inflight),
) {
  const bodies: string[] = []
  for (let i = 0; i < entries; i++) {
    const list = Array.from({ length: events }, (_, j) => benchEvent(`${what}-${i}-${j}`))
    const payload = utf8(JSON.stringify(events === 1 ? list[0] : list))
    const entry = await signEntry(events === 1 ? PAYLOAD_TYPES.event : PAYLOAD_TYPES.batch, payload, signer)
    const head = `{"jsonrpc":"2.0","id":${i},"method":"entry.submit","params":{"wait":"final","timeoutMs":60000,"entry":`
    bodies.push(`${head}${fromUtf8(entry.bytes)}}}`)
    line.update(`${what}: signing   ${bar(i + 1, entries)}`)
  }
  const cpuBefore = await cpuSeconds()
  const result = await run(targets, bodies, inFlight, (done) =>
    line.update(`${what}: finalising ${bar(done, entries)}`),
  )
  const cpuAfter = await cpuSeconds()
  const perS = result.calls / result.seconds
  line.done(
    `${what}: ${result.calls} entries final in ${result.seconds.toFixed(1)} s = ${perS.toFixed(0)} entries/s`,
  )
  for (const [why, times] of result.errors) say(`  ${times} × ${why}`)
  const cpuMs = {
    nodes: ((cpuAfter.nodes - cpuBefore.nodes) * 1_000) / entries,
    client: ((cpuAfter.client - cpuBefore.client) * 1_000) / entries,
  }
  return { perS, latenciesMs: result.latenciesMs, failed: entries - result.calls, cpuMs }
}

/** CPU time of all nodes together, and of this process, which plays the clients. */
async function cpuSeconds() {
  const metrics = await Promise.all(urls.map(async (url) => (await fetch(`${url}/metrics`)).text()))
  const nodes = metrics.map((text) =>
    Number(/^qat_process_cpu_seconds_total\{[^}]*\} (\S+)/m.exec(text)?.[1]),
  )
  const { user, system } = process.cpuUsage()
  return { nodes: nodes.reduce((sum, seconds) => sum + seconds, 0), client: (user + system) / 1e6 }
}

/** Proofs of entries all over the tree, as a client asks for them, and their verification offline. */
async function proveAndVerify() {
  const client = createClient(urls[1]!, {})
  const { size } = (await client.call('checkpoint.get', {})) as { size: number }
  const proveMs: number[] = []
  const verifyMs: number[] = []
  const bytes: number[] = []
  for (let i = 0; i < 200; i++) {
    // Index 11 and below are genesis; a seal that is hit by chance is skipped.
    const index = 12 + ((i * 7919) % (size - 12))
    const { id, entry: envelope } = (await client.call('entry.get', { index })) as {
      id: string
      entry: { payloadType: string }
    }
    if (envelope.payloadType === PAYLOAD_TYPES.seal) continue
    const start = performance.now()
    const files = (await client.call('entry.prove', { id })) as {
      entry: string
      proof: string
      policy: string
    }
    proveMs.push(performance.now() - start)
    const bundle = { entry: utf8(files.entry), proof: utf8(files.proof), policy: utf8(files.policy) }
    // What the regulator receives for each entry; the policy file is the same for all of them.
    bytes.push(bundle.entry.length + bundle.proof.length)
    const began = performance.now()
    const verdict = await verifyBundle(opensslSuite, bundle)
    verifyMs.push(performance.now() - began)
    if (!verdict.ok) throw new Error(`a proof was refused: ${verdict.reason}`)
  }
  const median = (list: number[]) =>
    percentile(
      list.sort((a, b) => a - b),
      0.5,
    )
  return {
    proveP50Ms: round(median(proveMs), 2),
    verifyBundleMs: round(median(verifyMs), 2),
    bundleBytes: median(bytes),
    treeSize: size,
  }
}
