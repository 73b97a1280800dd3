/** The nodes under test, each a process of its own on this machine, and what their counters say. */
import { rm } from 'node:fs/promises'
import { readKeyFile } from '../../node/crypto/keyfile.ts'
import { opensslSuite } from '../../node/crypto/openssl.ts'
import { type Devnet, type DevnetNode, type DevnetOptions, startDevnet } from '../../node/devnet.ts'
import { createClient } from '../../node/rpc/client.ts'
import type { NodeStatus } from '../../node/service.ts'
import type { Signer } from '../../src/crypto/suite.ts'
import { LeanPool } from './lean-http.ts'
import type { Outcome } from './load.ts'

export class BenchCluster {
  readonly devnet: Devnet
  /** Key of a submitter who may log anything. */
  readonly signer: Signer
  readonly urls: readonly string[]

  private constructor(devnet: Devnet, signer: Signer) {
    this.devnet = devnet
    this.signer = signer
    this.urls = devnet.nodes.map(({ rpc }) => rpc)
  }

  static async start(options: DevnetOptions): Promise<BenchCluster> {
    const devnet = await startDevnet({ logLevel: 'warn', ...options })
    return new BenchCluster(devnet, await signerAt(devnet.keyPath))
  }

  get nodes(): readonly DevnetNode[] {
    return this.devnet.nodes
  }

  async leader(): Promise<DevnetNode | undefined> {
    const { leader } = await statusOf(this.urls[0]!)
    return this.nodes.find(({ name }) => name === leader)
  }

  async stop(): Promise<void> {
    await this.devnet.stop()
  }

  /** Stops the nodes and removes all they had. */
  async remove(): Promise<void> {
    await this.stop()
    await rm(this.devnet.dir, { recursive: true, force: true })
  }
}

export async function signerAt(path: string): Promise<Signer> {
  const { seed, alg } = await readKeyFile(path)
  const signer = opensslSuite.signer(alg, seed)
  seed.fill(0)
  return signer
}

export async function statusOf(rpc: string): Promise<NodeStatus> {
  return createClient(rpc).call<NodeStatus>('node.status')
}

/** Most connections that one node is asked to keep; it takes 4,096 in all. */
const CONNECTIONS_PER_NODE = 1_024

/** Connections to these nodes, and what an answer to a submission means. */
export function submitter(urls: readonly string[]) {
  const pool = new LeanPool(urls, urls.length * CONNECTIONS_PER_NODE)
  return {
    submit: async (request: Buffer): Promise<Outcome> => outcomeOf(await pool.call(request)),
    close: () => pool.close(),
  }
}

interface Answer {
  readonly result?: { readonly status: string }
  readonly error?: { readonly message: string; readonly data?: { readonly retryAfterMs?: number } }
}

/** An entry is done when it is as far as its request asked. A refusal with a time is back-pressure. */
export function outcomeOf(body: string): Outcome {
  const { result, error } = JSON.parse(body) as Answer
  if (result && result.status !== 'pending') return 'done'
  if (error?.data?.retryAfterMs !== undefined) return 'later'
  return { failed: error?.message ?? 'stayed pending' }
}
