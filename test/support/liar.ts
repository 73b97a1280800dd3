/** A validator that lies: a member's real keys on the real network, with no node behind them. */
import { join } from 'node:path'
import { gossipsub, StrictNoSign } from '@chainsafe/libp2p-gossipsub'
import { generateKeyPairFromSeed } from '@libp2p/crypto/keys'
import { identify } from '@libp2p/identify'
import { noise } from '@libp2p/noise'
import { ping } from '@libp2p/ping'
import { tcp } from '@libp2p/tcp'
import { yamux } from '@libp2p/yamux'
import { multiaddr } from '@multiformats/multiaddr'
import { createLibp2p } from 'libp2p'
import { readKeyFile } from '../../node/crypto/keyfile.ts'
import { opensslSuite } from '../../node/crypto/openssl.ts'
import { FILES, peerSeedOf, readNodeFolder } from '../../node/folder.ts'
import { protocols } from '../../node/net/frames.ts'
import type { Topic } from '../../node/net/network.ts'
import type { Signer } from '../../src/crypto/suite.ts'
import { type TestCluster, until } from './cluster.ts'

export interface Liar {
  readonly name: string
  readonly nodeKey: Signer
  readonly cosigner: Signer
  /** Says it to everyone by gossip. */
  publish(topic: Topic, bytes: Uint8Array): Promise<void>
  stop(): Promise<void>
}

/** Takes the place of the node `name`, which must be stopped, and connects to `others`. */
export async function startLiar(
  cluster: TestCluster,
  name: string,
  others = cluster.names.filter((other) => other !== name),
): Promise<Liar> {
  const node = await keyOf(cluster, name, FILES.nodeKey)
  const cosigner = await keyOf(cluster, name, FILES.cosignerKey)
  const libp2p = await createLibp2p({
    privateKey: await generateKeyPairFromSeed('Ed25519', peerSeedOf(node.seed)),
    transports: [tcp()],
    connectionEncrypters: [noise()],
    streamMuxers: [yamux()],
    services: {
      identify: identify(),
      ping: ping(),
      pubsub: gossipsub({
        globalSignaturePolicy: StrictNoSign,
        allowPublishToZeroTopicPeers: true,
        floodPublish: true,
      }),
    },
  })
  const { genesis } = await readNodeFolder(cluster.folder(name))
  const topicOf = protocols(genesis.block.id).topic
  const { pubsub } = libp2p.services
  for (const other of others) {
    const { config } = await readNodeFolder(cluster.folder(other))
    await libp2p.dial(multiaddr(config.listen[0]!))
  }
  return {
    name,
    nodeKey: node.signer,
    cosigner: cosigner.signer,
    async publish(topic, bytes) {
      pubsub.subscribe(topicOf(topic))
      await until(() => pubsub.getSubscribers(topicOf(topic)).length >= others.length)
      await pubsub.publish(topicOf(topic), bytes)
    },
    stop: async () => libp2p.stop(),
  }
}

/** A private key of a node of the cluster. */
export async function keyOf(cluster: TestCluster, name: string, file: string) {
  const { alg, seed } = await readKeyFile(join(cluster.folder(name), file))
  return { seed, signer: opensslSuite.signer(alg, seed) }
}
