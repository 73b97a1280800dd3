/** What a node's network survives: names it does not know (any more), and member records that make no sense. */
import assert from 'node:assert/strict'
import { connect, type Socket } from 'node:net'
import { generateKeyPairFromSeed } from '@libp2p/crypto/keys'
import type { Connection, Stream } from '@libp2p/interface'
import { lpStream } from '@libp2p/utils'
import { multiaddr } from '@multiformats/multiaddr'
import { opensslSuite } from '../../node/crypto/openssl.ts'
import { createLogger } from '../../node/logger.ts'
import { createMetrics } from '../../node/metrics.ts'
import { protocols } from '../../node/net/frames.ts'
import { createNetwork, peerIdOf } from '../../node/net/libp2p-network.ts'
import { FRAME, type Network, type NetworkHandlers, type PeerRecord, TOPICS } from '../../node/net/network.ts'
import { until } from '../support/cluster.ts'
import { freePorts } from '../support/free-ports.ts'
import { rawPeer } from '../support/liar.ts'
import { linkOptions } from '../support/link-options.ts'

const GENESIS_ID = 'ab'.repeat(32)
const SUBSCRIBE_MS = 1_200
const BRIEF = 7

describe('a network of two members', function () {
  this.timeout(30_000)
  const seeds = { alpha: new Uint8Array(32).fill(1), bravo: new Uint8Array(32).fill(2) }
  const handlers: NetworkHandlers = {
    frame: (from, _kind, bytes) => frames.push(`${from} ${bytes[0]}`),
    request: (from, question) => answer(from, question),
    isBrief: (question) => question[0] === BRIEF,
    gossip: async () => 'ignore',
    connected() {},
    disconnected: (peer) => gone.push(peer),
  }
  const frames: string[] = []
  let answer: NetworkHandlers['request'] = async () => new Uint8Array(0)
  const gone: string[] = []
  let nodes: PeerRecord[]
  let alpha: Network
  let bravo: Network

  before(async () => {
    const ports = await freePorts(2)
    const address = (i: number) => `/ip4/127.0.0.1/tcp/${ports[i]}`
    nodes = [
      { name: 'alpha', peerId: await peerIdOf(seeds.alpha), addresses: [address(0)] },
      { name: 'bravo', peerId: await peerIdOf(seeds.bravo), addresses: [address(1)] },
    ]
    const open = async (self: 'alpha' | 'bravo', i: number) => {
      const logger = createLogger(self, 'silent')
      const metrics = createMetrics({ node: self, ledger: 'test' })
      const network = await createNetwork({
        self,
        genesisId: GENESIS_ID,
        peerSeed: seeds[self],
        listen: [address(i)],
        logger,
        metrics,
        links: linkOptions(opensslSuite.signer('ML-DSA-65', seeds[self])),
        subscribeMs: SUBSCRIBE_MS,
      })
      network.setPeers({ nodes, former: new Map() })
      await network.start(handlers)
      return network
    }
    alpha = await open('alpha', 0)
    bravo = await open('bravo', 1)
    await until(() => alpha.peers().length === 1 && bravo.peers().length === 1)
  })
  after(() => Promise.all([alpha?.stop(), bravo?.stop()]))

  it('keeps its connections when somebody who is no member any more is found to have misbehaved', () => {
    alpha.misbehaved('charlie', 'bad-frame-length')
    assert.deepEqual(alpha.peers(), ['bravo'])
  })

  it('logs what one peer does wrong once, and counts it', async () => {
    const lines: object[] = []
    const logger = createLogger('alpha', 'silent')
    const metrics = createMetrics({ node: 'alpha', ledger: 'test' })
    const network = await createNetwork({
      self: 'alpha',
      genesisId: GENESIS_ID,
      peerSeed: seeds.alpha,
      listen: [],
      logger: Object.assign(Object.create(logger), { warn: (facts: object) => lines.push(facts) }),
      metrics,
      links: linkOptions(opensslSuite.signer('ML-DSA-65', seeds.alpha)),
    })
    network.setPeers({ nodes, former: new Map() })
    for (let i = 0; i < 500; i++) network.misbehaved('bravo', 'bad-time')
    network.misbehaved('bravo', 'bad-frame')
    assert.deepEqual(lines, [
      { peer: 'bravo', code: 'bad-time' },
      { peer: 'bravo', code: 'bad-frame' },
    ])
    const text = await metrics.text()
    assert.match(text, /qat_peer_misbehaviour_total\{peer="bravo",code="bad-time".*\} 500/)
  })

  it('leaves members aside whose records name no address or no peer', async () => {
    const { peerId } = nodes[1]!
    const strange = [
      { name: 'charlie', peerId: 'nobody', addresses: ['/ip4/127.0.0.1/tcp/1'] },
      { name: 'delta', peerId: await peerIdOf(new Uint8Array(32).fill(3)), addresses: ['127.0.0.1:4001'] },
    ]
    alpha.setPeers({ nodes: [...strange, ...nodes], former: new Map() })
    alpha.misbehaved('bravo', 'test')
    await until(() => alpha.peers().length === 0)
    // Both are dialled again in the same turn, the unusable address first.
    await until(() => alpha.peers().length === 1)
    assert.deepEqual(alpha.peers(), ['bravo'])
    assert.equal(nodes[1]!.peerId, peerId)
  })

  it('lets a member in while strangers keep connections open that say nothing', async () => {
    const ports = nodes.map(({ addresses }) => Number(addresses[0]!.split('/').at(-1)))
    const strangers = new Set<Socket>()
    let flooding = true
    const open = (port: number) => {
      const socket = connect(port, '127.0.0.1')
      strangers.add(socket)
      socket.on('error', () => {})
      socket.on('close', () => {
        strangers.delete(socket)
        if (flooding) setTimeout(() => open(port), 20)
      })
    }
    for (let i = 0; i < 200; i++) open(ports[i % 2]!)
    try {
      await until(() => strangers.size >= 100)
      alpha.misbehaved('bravo', 'test')
      await until(() => alpha.peers().length === 0)
      await until(() => alpha.peers().length === 1 && bravo.peers().length === 1)
      const since = performance.now()
      const crowd = [...strangers]
      await until(() => crowd.every((socket) => socket.destroyed))
      assert.ok(performance.now() - since < 4_000, 'who says nothing is closed within seconds')
      assert.deepEqual(alpha.peers(), ['bravo'])
    } finally {
      flooding = false
      for (const socket of strangers) socket.destroy()
    }
  })

  it('connects anew to a member from whom no gossip comes, and only to that one', async () => {
    const seed = new Uint8Array(32).fill(4)
    const mute = await rawPeer({
      privateKey: await generateKeyPairFromSeed('Ed25519', seed),
      name: 'echo',
      signer: opensslSuite.signer('ML-DSA-65', seed),
      others: new Map(nodes.map(({ name, peerId }) => [peerId, name])),
    })
    try {
      const echo = { name: 'echo', peerId: await peerIdOf(seed), addresses: [] }
      alpha.setPeers({ nodes: [...nodes, echo], former: new Map() })
      const connection = await mute.dial(multiaddr(nodes[0]!.addresses[0]!))
      await until(() => alpha.peers().length === 2)
      await until(() => connection.status !== 'open')
      await until(() => alpha.peers().join() === 'bravo')
      await until(() => gone.includes('echo'))

      mute.services.pubsub.subscribe(protocols(GENESIS_ID).topic(TOPICS[0]))
      const second = await mute.dial(multiaddr(nodes[0]!.addresses[0]!))
      await new Promise((resolve) => setTimeout(resolve, 2 * SUBSCRIBE_MS))
      assert.equal(second.status, 'open')
      assert.deepEqual(alpha.peers(), ['bravo', 'echo'])
    } finally {
      await mute.stop()
    }
  })

  /** A member `echo` without a node, connected `connections` times to alpha, and gossiping. */
  const withEcho = async (
    connections: number,
    test: (opened: readonly Connection[]) => Promise<void>,
  ): Promise<void> => {
    const seed = new Uint8Array(32).fill(5)
    const identity = {
      privateKey: await generateKeyPairFromSeed('Ed25519', seed),
      name: 'echo',
      signer: opensslSuite.signer('ML-DSA-65', seed),
      others: new Map(nodes.map(({ name, peerId }) => [peerId, name])),
    }
    const peers = await Promise.all(Array.from({ length: connections }, () => rawPeer(identity)))
    try {
      const echo = { name: 'echo', peerId: await peerIdOf(seed), addresses: [] }
      alpha.setPeers({ nodes: [...nodes, echo], former: new Map() })
      const opened: Connection[] = []
      for (const peer of peers) {
        peer.services.pubsub.subscribe(protocols(GENESIS_ID).topic(TOPICS[0]))
        opened.push(await peer.dial(multiaddr(nodes[0]!.addresses[0]!)))
      }
      await test(opened)
    } finally {
      await Promise.all(peers.map((peer) => peer.stop()))
    }
  }

  it('makes two long answers at a time for a peer that reads none, and answers the others', async () => {
    let made = 0
    answer = async (from, question) => {
      if (question[0] === BRIEF) return Uint8Array.of(BRIEF)
      if (from === 'echo') made++
      return new Uint8Array(4 * 1024 * 1024 - 1_000)
    }
    await withEcho(2, async (connections) => {
      const ask = async (connection: Connection, question: number) => {
        const stream = await connection.newStream(protocols(GENESIS_ID).request)
        await lpStream(stream).write(Uint8Array.of(question))
        return stream
      }
      const streams: Stream[] = []
      for (let i = 0; i < 100; i++) {
        const stream = await ask(connections[i % 2]!, 1)
        stream.pause()
        streams.push(stream)
      }
      await until(() => made >= 2 && streams.filter(({ status }) => status !== 'open').length >= 80)
      assert.equal(made, 2)
      assert.equal((await bravo.request('alpha', Uint8Array.of(1), 5_000)).length, 4 * 1024 * 1024 - 1_000)
      const brief = lpStream(await ask(connections[0]!, BRIEF))
      assert.equal((await brief.read()).get(0), BRIEF)

      for (const stream of streams) stream.abort(new Error('enough'))
      const again = lpStream(await ask(connections[1]!, 1), { maxBufferSize: 2 ** 23 })
      assert.equal((await again.read()).byteLength, 4 * 1024 * 1024 - 1_000)
      // Who waited and has gone gets no answer made.
      assert.ok(made <= 4, `${made}`)
    })
  })

  it('hears the two newest streams of frames of a peer', async () => {
    await withEcho(2, async (connections) => {
      const streams: Stream[] = []
      for (let i = 0; i < 6; i++) {
        const stream = await connections[Math.floor(i / 2) % 2]!.newStream(protocols(GENESIS_ID).frames)
        // Half a frame, except on the last.
        if (i < 5) stream.send(Uint8Array.of(100, FRAME.raft, i))
        else await lpStream(stream).write(Uint8Array.of(FRAME.raft, 42))
        streams.push(stream)
        await until(() => streams.filter(({ status }) => status === 'open').length <= 2)
      }
      await until(() => frames.includes('echo 42'))
      assert.deepEqual(
        streams.map(({ status }) => status === 'open'),
        [false, false, false, false, true, true],
      )
    })
  })
})
