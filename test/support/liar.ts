/** A validator that lies: a member's real keys on the real network, with no node behind them. */
import { join } from 'node:path'
import { gossipsub, StrictNoSign } from '@chainsafe/libp2p-gossipsub'
import { generateKeyPairFromSeed } from '@libp2p/crypto/keys'
import { identify } from '@libp2p/identify'
import type { PrivateKey } from '@libp2p/interface'
import { ping } from '@libp2p/ping'
import { tcp } from '@libp2p/tcp'
import { yamux } from '@libp2p/yamux'
import { multiaddr } from '@multiformats/multiaddr'
import { createLibp2p } from 'libp2p'
import { readKeyFile } from '../../node/crypto/keyfile.ts'
import { opensslSuite } from '../../node/crypto/openssl.ts'
import { FILES, peerSeedOf, readNodeFolder } from '../../node/folder.ts'
import { protocols } from '../../node/net/frames.ts'
import { TOPICS, type Topic } from '../../node/net/network.ts'
import { createQkdNoise } from '../../node/net/qkd-noise/encrypter.ts'
import type { Signer } from '../../src/crypto/suite.ts'
import { type TestCluster, until } from './cluster.ts'
import { linkOptions } from './link-options.ts'

/** In which gossip begins even on a busy machine. */
const GOSSIP_MS = 5_000

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
  const libp2p = await rawPeer(await memberIdentity(cluster, name))
  const { genesis } = await readNodeFolder(cluster.folder(name))
  const topicOf = protocols(genesis.block.id).topic
  try {
    for (const other of others) {
      const { config } = await readNodeFolder(cluster.folder(other))
      await gossipWith(libp2p, config.listen[0]!, TOPICS.map(topicOf))
    }
  } catch (error) {
    await libp2p.stop()
    throw error
  }
  return {
    name,
    nodeKey: node.signer,
    cosigner: cosigner.signer,
    publish: async (topic, bytes) => {
      await libp2p.services.pubsub.publish(topicOf(topic), bytes)
    },
    stop: async () => libp2p.stop(),
  }
}

export type RawPeer = Awaited<ReturnType<typeof rawPeer>>

export interface RawIdentity {
  readonly privateKey: PrivateKey
  /** What it claims to be, and signs by. */
  readonly name: string
  readonly signer: Signer
  /** Names of those that it meets, by PeerId. */
  readonly others: ReadonlyMap<string, string>
}

/** The identity of a member whose own node is stopped. */
export async function memberIdentity(cluster: TestCluster, name: string): Promise<RawIdentity> {
  const { seed, signer } = await keyOf(cluster, name, FILES.nodeKey)
  const { genesis } = await readNodeFolder(cluster.folder(name))
  const others = new Map([...genesis.membership.nodeByName.values()].map((node) => [node.peerId, node.name]))
  return { privateKey: await generateKeyPairFromSeed('Ed25519', peerSeedOf(seed)), name, signer, others }
}

/** libp2p alone, which says and hears what a test wants. */
export function rawPeer({ privateKey, name, signer, others }: RawIdentity) {
  const link = createQkdNoise(
    { ...linkOptions(signer), name },
    (peerId) => ({ peerId, name: others.get(peerId) ?? 'unknown' }),
    () => {},
  )
  return createLibp2p({
    privateKey,
    transports: [tcp()],
    connectionEncrypters: [link.encrypter],
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
}

/** Connects to a node, and again until it gossips: a node that has just lost this peer may keep a dead stream to it. */
export async function gossipWith(peer: RawPeer, address: string, topics: readonly string[]): Promise<void> {
  const { pubsub } = peer.services
  for (const topic of topics) pubsub.subscribe(topic)
  await until(async () => {
    const connection = await peer.dial(multiaddr(address))
    const hears = () =>
      topics.every((topic) => pubsub.getSubscribers(topic).some((id) => id.equals(connection.remotePeer)))
    return until(hears, GOSSIP_MS).then(
      () => true,
      () => connection.close().then(() => false),
    )
  })
}

/** A private key of a node of the cluster. */
export async function keyOf(cluster: TestCluster, name: string, file: string) {
  const { alg, seed } = await readKeyFile(join(cluster.folder(name), file))
  return { seed, signer: opensslSuite.signer(alg, seed) }
}
