/** A real cluster inside the test process: real folders, LevelDB, libp2p and HTTP, only not four processes. */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { generateSeed } from '../../node/crypto/keyfile.ts'
import { opensslSuite } from '../../node/crypto/openssl.ts'
import { type ClusterOptions, initCluster } from '../../node/init.ts'
import { createClient } from '../../node/rpc/client.ts'
import type { NodeStatus } from '../../node/service.ts'
import { type RunningNode, startNode } from '../../node/start.ts'
import { utf8 } from '../../src/bytes.ts'
import type { Signer } from '../../src/crypto/suite.ts'
import type { JsonObject } from '../../src/json.ts'
import { type Entry, signEntry } from '../../src/ledger/entry.ts'
import { PAYLOAD_TYPES } from '../../src/ledger/payload-types.ts'
import { freePorts } from './free-ports.ts'

const NAMES = ['alpha', 'bravo', 'charlie', 'delta']

export interface TestCluster {
  readonly dir: string
  readonly ledger: string
  readonly token: string
  readonly policy: string
  /** Of a submitter who may log anything from `https://ci.example/*`. */
  readonly submitter: Signer
  readonly names: readonly string[]
  url(name: string): string
  folder(name: string): string
  /** Of a running node; throws if it is stopped. */
  running(name: string): RunningNode
  start(name: string): Promise<RunningNode>
  stop(name: string): Promise<void>
  call<T = JsonObject>(name: string, method: string, params?: object): Promise<T>
  /** Waits until every running node has a certificate for its whole tree, and all trees are of one size. */
  settled(): Promise<number>
  close(): Promise<void>
}

/** Makes the cluster's files and starts the nodes. */
export async function startCluster(
  options: Partial<ClusterOptions> & { start?: boolean; logLevel?: string } = {},
): Promise<TestCluster> {
  const dir = await mkdtemp(join(tmpdir(), 'qat-test-'))
  const ports = await freePorts(2 * NAMES.length)
  const ledger = options.ledger ?? 'test.example/ledger'
  const submitter = opensslSuite.signer('ML-DSA-65', generateSeed())
  const { token, nodes, policy } = await initCluster({
    dir,
    ledger,
    nodes: NAMES.map((name, i) => ({
      name,
      team: `team-${name}`,
      host: '127.0.0.1',
      peerPort: ports[2 * i]!,
      rpcHost: '127.0.0.1',
      rpcPort: ports[2 * i + 1]!,
    })),
    token: { name: 'tester', sources: ['*'], types: ['com.example.*'] },
    submitters: [
      {
        kind: 'submitter',
        name: 'ci',
        team: 'ci',
        key: submitter.publicKey,
        sources: ['https://ci.example/*'],
        types: ['*'],
      },
    ],
    ...options,
  })
  const running = new Map<string, RunningNode>()
  const placed = (name: string) => nodes.find((node) => node.name === name)!
  const cluster: TestCluster = {
    dir,
    ledger,
    token: token!,
    policy,
    submitter,
    names: NAMES,
    url: (name) => placed(name).rpcUrl,
    folder: (name) => placed(name).dir,
    running: (name) => running.get(name)!,
    async start(name) {
      const node = await startNode(placed(name).dir, { logLevel: options.logLevel ?? 'silent' })
      running.set(name, node)
      return node
    },
    async stop(name) {
      const node = running.get(name)
      running.delete(name)
      await node?.stop()
    },
    async call<T>(name: string, method: string, params: object = {}) {
      return (await createClient(placed(name).rpcUrl, { token: token! }).call(method, params)) as T
    },
    async settled() {
      const statuses = () => [...running.values()].map((node) => node.status())
      await until(() => {
        const sizes = statuses().flatMap(({ size, finalSize }: NodeStatus) => [size, finalSize])
        return statuses().every(({ leader }) => leader !== undefined) && new Set(sizes).size === 1
      })
      return statuses()[0]!.size
    },
    async close() {
      await Promise.all([...running.keys()].map((name) => cluster.stop(name)))
      await rm(dir, { recursive: true, force: true })
    },
  }
  try {
    if (options.start ?? true) {
      const started = await Promise.allSettled(NAMES.map((name) => cluster.start(name)))
      for (const node of started) if (node.status === 'rejected') throw node.reason
      await cluster.settled()
    }
    return cluster
  } catch (error) {
    await cluster.close()
    throw error
  }
}

export async function until(condition: () => boolean | Promise<boolean>, timeoutMs = 40_000): Promise<void> {
  const deadline = performance.now() + timeoutMs
  while (!(await condition())) {
    if (performance.now() > deadline) throw new Error('The condition was not met in time.')
    await new Promise((resolve) => setTimeout(resolve, 20))
  }
}

let counter = 0

export function event(fields: JsonObject = {}): JsonObject {
  return {
    specversion: '1.0',
    id: `event-${counter++}`,
    source: 'https://ci.example/build',
    type: 'com.example.build',
    subject: 'main',
    time: '2026-01-31T12:00:00Z',
    datacontenttype: 'application/json',
    data: { ok: true },
    ...fields,
  }
}

export function signedEvent(signer: Signer, fields: JsonObject = {}): Promise<Entry> {
  return signEntry(PAYLOAD_TYPES.event, utf8(JSON.stringify(event(fields))), signer)
}

export function envelopeJson(entry: Entry): JsonObject {
  return JSON.parse(new TextDecoder().decode(entry.bytes)) as JsonObject
}
