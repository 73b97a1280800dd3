/** The nodes under test: founded, run, asked how they are. */

import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { readKeyFile } from '../../node/crypto/keyfile.ts'
import { opensslSuite } from '../../node/crypto/openssl.ts'
import type { Exit } from '../../node/devnet/child.ts'
import { DEVNET_SUBMITTER, kmePorts, nodeNames } from '../../node/devnet/names.ts'
import { type Devnet, startDevnet } from '../../node/devnet.ts'
import { initCluster } from '../../node/init.ts'
import type { LinkPolicy } from '../../node/net/qkd-noise/messages.ts'
import { createClient } from '../../node/rpc/client.ts'
import type { NodeStatus } from '../../node/service.ts'
import type { Signer } from '../../src/crypto/suite.ts'
import { PrivateNetwork } from './private-network.ts'

export interface ClusterOptions {
  readonly dir: string
  readonly nodes: number
  /** Ports of a cluster on 127.0.0.1; with a private network each node has an address of its own. */
  readonly port: number
  readonly isolated: boolean
  /** With a simulated KME in each node; without it links are keyed by ML-KEM alone. */
  readonly qkd?: LinkPolicy
  /** A node ended by itself; it is started again. */
  readonly onCrash: (name: string, exit: Exit) => void
}

const ANSWER_MS = 2_000
const POLL_MS = 100
const RPC_PORT = 8_480
const PEER_PORT = 9_480
const LEDGER = 'chaos.example/audit'

export class ChaosCluster {
  readonly names: readonly string[]
  readonly devnet: Devnet
  /** Undefined where nodes share the loopback interface. */
  readonly network: PrivateNetwork | undefined
  /** As the founding gave it, before any node ran. */
  readonly policy: string
  /** Key of a submitter who may log anything. */
  readonly signer: Signer
  /** As many as it takes to elect, order and cosign. */
  readonly quorum: number

  private constructor(devnet: Devnet, network: PrivateNetwork | undefined, policy: string, signer: Signer) {
    this.devnet = devnet
    this.network = network
    this.policy = policy
    this.signer = signer
    this.names = devnet.nodes.map(({ name }) => name)
    // The default of genesis: n − ⌊(n−1)/3⌋ cosigners, never fewer than a majority.
    this.quorum = this.names.length - Math.floor((this.names.length - 1) / 3)
  }

  static async start(options: ClusterOptions): Promise<ChaosCluster> {
    const { dir, onCrash } = options
    const names = nodeNames(options.nodes)
    const network = options.isolated ? await PrivateNetwork.open(names) : undefined
    const { policy } = await initCluster({
      dir,
      ledger: LEDGER,
      nodes: names.map((name, i) => {
        const host = network?.host(name) ?? '127.0.0.1'
        const ports = network
          ? { rpcPort: RPC_PORT, peerPort: PEER_PORT }
          : { rpcPort: options.port + 2 * i, peerPort: options.port + 2 * i + 1 }
        return { name, team: `team-${name}`, host, rpcHost: host, ...ports }
      }),
      token: { name: 'chaos', sources: ['*'], types: ['*'] },
      submitterKey: DEVNET_SUBMITTER,
      ...(options.qkd && { qkd: { mode: options.qkd, ports: kmePorts } }),
    })
    const devnet = await startDevnet({
      dir,
      restart: true,
      onExit: onCrash,
      ...(network && { through: (name: string) => network.through(name) }),
    })
    const { alg, seed } = await readKeyFile(join(dir, `${DEVNET_SUBMITTER}.key`))
    return new ChaosCluster(devnet, network, policy, opensslSuite.signer(alg, seed))
  }

  url(name: string): string {
    return this.devnet.nodes.find((node) => node.name === name)!.rpc
  }

  /** Undefined if the node does not answer. */
  async status(name: string): Promise<NodeStatus | undefined> {
    const client = createClient(this.url(name), { timeoutMs: ANSWER_MS })
    return client.call<NodeStatus>('node.status').catch(() => undefined)
  }

  async statuses(): Promise<readonly (NodeStatus | undefined)[]> {
    return Promise.all(this.names.map((name) => this.status(name)))
  }

  /** Resolves with true as soon as `probe` does, with false after `timeoutMs`. */
  async until(probe: () => Promise<boolean>, timeoutMs: number): Promise<boolean> {
    const deadline = performance.now() + timeoutMs
    while (!(await probe())) {
      if (performance.now() > deadline) return false
      await sleep(POLL_MS)
    }
    return true
  }

  /** Stops every node, and lets the namespaces go. */
  async stop(): Promise<void> {
    // A stopped process does not see that it is asked to end.
    for (const name of this.names) await this.devnet.kill(name, 'SIGCONT')
    await this.devnet.stop()
    this.network?.close()
  }
}
