/**
 * The Network over libp2p: TCP, QKD-keyed links inside Noise, yamux, gossipsub; members only. The only file that
 * configures libp2p.
 *
 * Direct streams carry ordering (measured at more than ten times gossip's rate); gossip carries what everyone
 * should see. Gossip messages are signed with ML-DSA inside, so libp2p's own message signing stays off.
 */
import { gossipsub, StrictNoSign, TopicValidatorResult } from '@chainsafe/libp2p-gossipsub'
import { generateKeyPairFromSeed } from '@libp2p/crypto/keys'
import { identify } from '@libp2p/identify'
import type { Connection, MessageStream, PeerId, Stream } from '@libp2p/interface'
import { peerIdFromPrivateKey, peerIdFromString } from '@libp2p/peer-id'
import { ping } from '@libp2p/ping'
import { tcp } from '@libp2p/tcp'
import { lpStream } from '@libp2p/utils'
import { yamux } from '@libp2p/yamux'
import { type Multiaddr, multiaddr } from '@multiformats/multiaddr'
import { createLibp2p } from 'libp2p'
import { sha256 } from '../../src/crypto/hash.ts'
import type { PublicKey } from '../../src/crypto/suite.ts'
import { errorMessage, QatError } from '../../src/errors.ts'
import { boundedLog } from '../bounded-log.ts'
import type { Logger } from '../logger.ts'
import type { Metrics } from '../metrics.ts'
import { AnswerTurns } from './answer-turns.ts'
import { FRAME_BYTES_MAX, protocols, REQUEST_BYTES_MAX } from './frames.ts'
import { HALF_OPEN_LIMITS, HalfOpen } from './half-open.ts'
import { Link } from './link.ts'
import {
  FRAME,
  type FrameKind,
  type Network,
  type NetworkHandlers,
  type PeerRecord,
  type Peers,
  TOPICS,
  type Topic,
  type Verdict,
} from './network.ts'
import { createQkdNoise, type QkdNoiseOptions } from './qkd-noise/encrypter.ts'
import type { LinkPeer } from './qkd-noise/handshake.ts'
import type { LinkEvent, LinkSession } from './qkd-noise/session.ts'

export class NetworkError extends QatError<
  'port-in-use' | 'listen-failed' | 'not-connected' | 'request-failed'
> {}

export interface NetworkOptions {
  readonly self: string
  readonly genesisId: string
  /** 32 bytes: the libp2p identity. */
  readonly peerSeed: Uint8Array
  /** libp2p multiaddrs to listen on. */
  readonly listen: readonly string[]
  readonly logger: Logger
  readonly metrics: Metrics
  /** How links to peers are keyed. */
  readonly links: Omit<QkdNoiseOptions, 'name'>
  /** How long a connected member may take to subscribe to what all members gossip about; 10,000 if not given. */
  readonly subscribeMs?: number
}

/** The libp2p peer id that belongs to a 32-byte seed. */
export async function peerIdOf(seed: Uint8Array): Promise<string> {
  return peerIdFromPrivateKey(await generateKeyPairFromSeed('Ed25519', seed)).toString()
}

const REDIAL_MS = 1_000
/** Of two members one dials at once and the other only if that has not helped, so that they seldom meet halfway. */
const SECOND_DIALLER_MS = 3_000
const DIAL_TIMEOUT_MS = 5_000
/** A peer with which there is no QKD key is dialled ever more seldom, up to about the time of a block. */
const KEYLESS_REDIAL_MS_MAX = 10_000
const KEYLESS = ['no-keys', 'key-not-found', 'kme-unavailable']
/** Two members that dial each other at once have two; what has broken may be counted for some seconds more. */
const CONNECTIONS_PER_PEER_MAX = 8
/** It takes milliseconds; a busy machine gets as long as for an identify that it has to begin again. */
const SUBSCRIBE_MS = 10_000
/** Of one peer: what is being read, waits or is answered. Each linearizable read is a question to the leader. */
const QUESTIONS = { atOnce: 256, waitingMax: 0 }
/** Of one peer, up to a frame each. Who catches up fetches one answer at a time, and now and then a certificate. */
const LONG_ANSWERS = { atOnce: 2, waitingMax: 16 }
/** Who catches up waits no longer for an answer. */
const ANSWER_MS = 10_000
/** A peer needs one, and another while it connects anew. */
const FRAME_STREAMS_PER_PEER_MAX = 2
/** In one gossip message: more than members have topics, messages in a second, and ids of those of some seconds. */
const GOSSIP_LIMITS = {
  maxSubscriptions: 16,
  maxMessages: 64,
  maxIhaveMessageIDs: 512,
  maxIwantMessageIDs: 512,
  maxControlMessages: 16,
  maxIdontwantMessageIDs: 512,
  maxPeerInfos: 16,
}
/** So long gossip is known when it comes again; later it is verified again, and known then to those who judge it. */
const GOSSIP_SEEN_MS = 30_000

const VERDICTS: Record<Verdict, TopicValidatorResult> = {
  accept: TopicValidatorResult.Accept,
  ignore: TopicValidatorResult.Ignore,
  reject: TopicValidatorResult.Reject,
}

export interface Libp2pNetwork extends Network {
  /** Open connections and how they are keyed. */
  links(): LinkSession[]
  /** A stream on which this peer expects a question. */
  openRequest(to: string): Promise<Stream>
}

export async function createNetwork(options: NetworkOptions): Promise<Libp2pNetwork> {
  const { self, metrics } = options
  const logger = boundedLog(options.logger, options.links.clock.elapsed)
  const names = protocols(options.genesisId)
  let others: ReadonlyMap<string, readonly Peer[]> = new Map()
  let nameByPeerId: ReadonlyMap<string, string> = new Map()
  let former: ReadonlyMap<string, string> = new Map()
  const nameOf = (peer: PeerId) => nameByPeerId.get(peer.toString())
  let keyByPeerId: ReadonlyMap<string, PublicKey | undefined> = new Map()
  /** Former members may connect, for they may ask for what is final; no QKD key is spent on them. */
  const linkPeer = (peerId: string): LinkPeer | undefined => {
    const name = nameByPeerId.get(peerId) ?? former.get(peerId)
    const nodeKey = nameByPeerId.has(peerId) ? keyByPeerId.get(peerId) : undefined
    return name === undefined ? undefined : { peerId, name, ...(nodeKey && { nodeKey }) }
  }
  const turnedAway = (peerId: string) => {
    metrics.refusedPeers.inc()
    logger.warn({ peerId }, 'refused a peer that is not a member')
  }
  const keyless = new Map<string, { readonly waitMs: number; readonly untilMs: number }>()
  const onLink = (event: LinkEvent) => {
    if (event.kind === 'opened') keyless.delete(event.peer)
    if (event.kind === 'refused' && event.dialled && KEYLESS.includes(event.code)) {
      const waitMs = Math.min(2 * (keyless.get(event.peer)?.waitMs ?? REDIAL_MS / 2), KEYLESS_REDIAL_MS_MAX)
      keyless.set(event.peer, { waitMs, untilMs: performance.now() + waitMs })
    }
    options.links.onEvent(event)
  }
  const halfOpen = new HalfOpen<MessageStream>(HALF_OPEN_LIMITS, options.links.clock, () =>
    metrics.halfOpenClosed.inc(),
  )
  const qkdNoise = createQkdNoise({ ...options.links, name: self, onEvent: onLink }, linkPeer, turnedAway, {
    spoke: (connection) => halfOpen.spoke(connection),
    known: (connection) => halfOpen.done(connection),
  })
  const turnAway = (peer: PeerId) => {
    const stranger = nameOf(peer) === undefined && !former.has(peer.toString())
    if (stranger) turnedAway(peer.toString())
    return stranger
  }
  /** Nor may one peer take the room of all. */
  const isCrowded = (peer: PeerId): boolean => libp2p.getConnections(peer).length >= CONNECTIONS_PER_PEER_MAX

  const libp2p = await createLibp2p({
    start: false,
    privateKey: await generateKeyPairFromSeed('Ed25519', options.peerSeed),
    addresses: { listen: [...options.listen] },
    transports: [tcp()],
    connectionEncrypters: [qkdNoise.encrypter],
    streamMuxers: [yamux()],
    connectionGater: {
      denyDialPeer: (peer) => nameOf(peer) === undefined,
      denyInboundConnection: (connection) => {
        halfOpen.came(connection, hostOf(connection.remoteAddr))
        connection.addEventListener('close', () => halfOpen.done(connection))
        return false
      },
      denyInboundEncryptedConnection: (peer) => turnAway(peer) || isCrowded(peer),
      denyDialMultiaddr: () => false,
    },
    // libp2p's own bounds turn the newcomer away, who may be a member, so that strangers could keep members out.
    // Those of `halfOpen` close connections that have got less far.
    connectionManager: {
      inboundConnectionThreshold: Number.MAX_SAFE_INTEGER,
      maxIncomingPendingConnections: Number.MAX_SAFE_INTEGER,
      dialTimeout: DIAL_TIMEOUT_MS,
    },
    // A partition is noticed in about three seconds; the generous timeout spares a peer that is only busy.
    connectionMonitor: { pingInterval: 1_500, pingTimeout: { minTimeout: 5_000 } },
    services: {
      identify: identify(),
      ping: ping(),
      pubsub: gossipsub({
        globalSignaturePolicy: StrictNoSign,
        allowPublishToZeroTopicPeers: true,
        ignoreDuplicatePublishError: true,
        fallbackToFloodsub: false,
        emitSelf: false,
        // The publisher reaches every member itself; the mesh only bridges links that are down, so it is kept thin.
        floodPublish: true,
        D: 2,
        Dlo: 1,
        Dhi: 3,
        Dout: 0,
        Dscore: 1,
        doPX: false,
        maxInboundDataLength: FRAME_BYTES_MAX,
        // What no topic of ours has is passed over unseen: else its ids would be remembered, and nobody asked about it.
        allowedTopics: TOPICS.map((topic) => names.topic(topic)),
        decodeRpcLimits: GOSSIP_LIMITS,
        seenTTL: GOSSIP_SEEN_MS,
        msgIdFn: (message) => sha256(new TextEncoder().encode(message.topic), message.data),
      }),
    },
  })

  let handlers: NetworkHandlers | undefined
  let redial: NodeJS.Timeout | undefined
  const missingSince = new Map<string, number>()

  const connectionTo = (name: string): Connection | undefined => {
    const connections = (others.get(name) ?? []).flatMap(({ id }) => libp2p.getConnections(id))
    return connections.find(({ status }) => status === 'open')
  }
  const openStream = async (name: string, protocol: string): Promise<Stream> => {
    const connection = connectionTo(name)
    if (!connection) throw new NetworkError('not-connected', `${name} is not connected.`)
    return connection.newStream(protocol)
  }
  const links = new Map<string, Link>()
  const linkTo = (name: string): Link => {
    let link = links.get(name)
    if (!link) {
      link = new Link(() => openStream(name, names.frames))
      links.set(name, link)
    }
    return link
  }

  const setPeers = (peers: Peers) => {
    const nodes = peers.nodes.filter(({ name }) => name !== self).flatMap((node) => readPeer(node, logger))
    const before = nameByPeerId
    others = Map.groupBy(nodes, ({ name }) => name)
    nameByPeerId = new Map(nodes.map(({ name, id }) => [id.toString(), name]))
    keyByPeerId = new Map(peers.nodes.map(({ peerId, nodeKey }) => [peerId, nodeKey]))
    former = peers.former
    for (const [peerId, name] of before) {
      if (nameByPeerId.get(peerId) === name) continue
      links.delete(name)
      // Whoever may still ask comes back; what it had open counted as a member's.
      for (const connection of libp2p.getConnections(peerIdFromString(peerId))) {
        connection.abort(new Error('no longer a member'))
      }
    }
  }

  const misbehaved = (name: string, code: string) => {
    metrics.misbehaviour.inc({ peer: name, code })
    logger.warn({ peer: name, code }, 'closed the connection of a peer that broke the protocol')
    // It may have been removed since; asked for nobody's connections, libp2p answers with everyone's.
    for (const { id } of others.get(name) ?? []) {
      for (const connection of libp2p.getConnections(id)) connection.abort(new Error(code))
    }
  }

  const frameStreams = new Map<string, Set<Stream>>()
  /** The newest of a peer stay, for the others may be what is left of a link that broke. */
  const keepNewest = (peer: string, stream: Stream) => {
    const streams = frameStreams.get(peer) ?? new Set()
    frameStreams.set(peer, streams.add(stream))
    const [oldest] = streams
    if (oldest && streams.size > FRAME_STREAMS_PER_PEER_MAX) dropStream(peer, oldest, 'a newer stream came')
  }
  const dropStream = (peer: string, stream: Stream, why: string) => {
    const streams = frameStreams.get(peer)
    streams?.delete(stream)
    if (streams?.size === 0) frameStreams.delete(peer)
    stream.abort(new Error(why))
  }

  /** Reads frames until the peer closes; anything that is no frame ends the connection. */
  const readFrames = async (stream: Stream, connection: Connection) => {
    const peer = connection.remotePeer.toString()
    const from = nameOf(connection.remotePeer)
    if (from === undefined) return stream.abort(new Error('not a member'))
    keepNewest(peer, stream)
    const lp = lpStream(stream, { maxDataLength: FRAME_BYTES_MAX, maxBufferSize: 2 * FRAME_BYTES_MAX })
    try {
      while (true) {
        // A copy: decryption works in place and the buffer is not ours to keep.
        const frame = (await lp.read()).slice()
        // What still lies in a buffer would make a member that has gone look alive.
        if (connection.status !== 'open') return
        const kind = Object.values(FRAME).find((value) => value === frame[0])
        if (kind === undefined) return misbehaved(from, 'unknown-frame')
        handlers?.frame(from, kind, frame.subarray(1))
      }
    } catch (error) {
      if (error instanceof Error && error.name.startsWith('InvalidDataLength')) {
        misbehaved(from, 'bad-frame-length')
      }
    } finally {
      dropStream(peer, stream, 'done reading')
    }
  }

  const questions = new AnswerTurns(QUESTIONS)
  const longAnswers = new AnswerTurns(LONG_ANSWERS)
  const answer = async (stream: Stream, connection: Connection) => {
    const peer = connection.remotePeer.toString()
    const from = nameOf(connection.remotePeer) ?? former.get(peer)
    try {
      await questions.run(peer, async () => {
        if (from === undefined || handlers === undefined) throw new Error('not a member')
        const asked = handlers
        const lp = lpStream(stream, {
          maxDataLength: REQUEST_BYTES_MAX,
          maxBufferSize: 2 * REQUEST_BYTES_MAX,
        })
        const question = (await lp.read({ signal: AbortSignal.timeout(DIAL_TIMEOUT_MS) })).slice()
        await stream.closeRead()
        const reply = async () => {
          // While it waited, the peer may have gone.
          if (stream.status !== 'open') return
          const response = await asked.request(from, question)
          const signal = AbortSignal.timeout(ANSWER_MS)
          await lp.write(response, { signal })
          await stream.close({ signal })
        }
        await (asked.isBrief(question) ? reply() : longAnswers.run(peer, reply))
      })
    } catch (error) {
      logger.debug({ from, error: errorMessage(error) }, 'a request was not answered')
      stream.abort(error instanceof Error ? error : new Error('failed'))
    }
  }

  const dialMissing = () => {
    const now = performance.now()
    for (const [name, identities] of others) {
      if (connectionTo(name)) {
        missingSince.delete(name)
        continue
      }
      const since = missingSince.get(name) ?? now
      missingSince.set(name, since)
      if (self > name && now - since < SECOND_DIALLER_MS) continue
      if ((keyless.get(name)?.untilMs ?? 0) > now) continue
      for (const { targets } of identities) {
        if (targets.length === 0) continue
        libp2p.dial(targets, { signal: AbortSignal.timeout(DIAL_TIMEOUT_MS) }).catch((error) => {
          logger.debug({ peer: name, error: errorMessage(error) }, 'dialling failed; will try again')
        })
      }
    }
  }

  /**
   * Cuts connections over which no gossip comes. A stream that closes while gossipsub opens it is kept as if it were
   * open, and on its next connection that peer gossips nothing (17.1.1); nor does it where identify failed. This side
   * sees a member that subscribes to nothing, and only a new connection makes the other begin again.
   */
  const cutSilent = () => {
    const [topic] = TOPICS
    const heard = new Set(libp2p.services.pubsub.getSubscribers(names.topic(topic)).map(String))
    const openedBefore = Date.now() - (options.subscribeMs ?? SUBSCRIBE_MS)
    for (const connection of [...nameByPeerId.keys()].flatMap((id) =>
      libp2p.getConnections(peerIdFromString(id)),
    )) {
      const peer = connection.remotePeer
      if (heard.has(peer.toString()) || connection.timeline.open > openedBefore) continue
      logger.info({ peer: nameOf(peer) }, 'no gossip comes over this connection; connecting anew')
      connection.abort(new Error('no gossip'))
    }
  }

  return {
    links: qkdNoise.links,
    openRequest: (to) => openStream(to, names.request),
    setPeers,
    async start(given) {
      handlers = given
      const streamOptions = { maxInboundStreams: QUESTIONS.atOnce, maxOutboundStreams: QUESTIONS.atOnce }
      await libp2p.handle(
        names.frames,
        (stream, connection) => void readFrames(stream, connection),
        // One more, so that it is the oldest that ends.
        { maxInboundStreams: FRAME_STREAMS_PER_PEER_MAX + 1 },
      )
      await libp2p.handle(
        names.request,
        (stream, connection) => void answer(stream, connection),
        streamOptions,
      )
      for (const topic of TOPICS) {
        libp2p.services.pubsub.topicValidators.set(names.topic(topic), async (peer, message) => {
          const from = nameOf(peer)
          return VERDICTS[from === undefined ? 'ignore' : await given.gossip(from, topic, message.data)]
        })
      }
      libp2p.addEventListener('peer:connect', (event) => {
        const name = nameOf(event.detail)
        if (name !== undefined) given.connected(name)
      })
      libp2p.addEventListener('peer:disconnect', (event) => {
        const name = nameOf(event.detail)
        if (name !== undefined && !connectionTo(name)) given.disconnected(name)
      })
      try {
        await libp2p.start()
      } catch (error) {
        throw listenError(options.listen, error)
      }
      for (const topic of TOPICS) libp2p.services.pubsub.subscribe(names.topic(topic))
      dialMissing()
      redial = setInterval(() => {
        logger.flush()
        cutSilent()
        dialMissing()
      }, REDIAL_MS)
    },
    peers: () => [...others.keys()].filter((name) => connectionTo(name) !== undefined),
    send(to: string, kind: FrameKind, bytes: Uint8Array) {
      const sent = connectionTo(to) !== undefined && linkTo(to).send(kind, bytes)
      if (!sent) metrics.droppedFrames.inc({ peer: to })
      return sent
    },
    async request(to, bytes, timeoutMs) {
      // Whole milliseconds: Node takes no others, and a clock that measures what is left has them.
      const signal = AbortSignal.timeout(Math.ceil(timeoutMs))
      const stream = await openStream(to, names.request)
      try {
        const lp = lpStream(stream, { maxDataLength: FRAME_BYTES_MAX, maxBufferSize: 2 * FRAME_BYTES_MAX })
        await lp.write(bytes, { signal })
        return (await lp.read({ signal })).slice()
      } catch (cause) {
        throw new NetworkError('request-failed', `${to} did not answer.`, {}, { cause })
      } finally {
        stream.abort(new Error('answered'))
      }
    },
    async publish(topic: Topic, bytes: Uint8Array) {
      await libp2p.services.pubsub.publish(names.topic(topic), bytes)
    },
    misbehaved,
    async stop() {
      clearInterval(redial)
      await libp2p.stop()
      halfOpen.stop()
    },
  }
}

/** Of a connection's address; one that has none counts as one host of its own. */
function hostOf(address: Multiaddr): string {
  return address.getComponents()[0]?.value ?? ''
}

interface Peer {
  readonly name: string
  readonly id: PeerId
  readonly targets: Multiaddr[]
}

/** The admins may have signed what is no peer id, or no address: that must not take the other nodes down. */
function readPeer({ name, peerId, addresses }: PeerRecord, logger: Logger): Peer[] {
  const [id] = orNothing(() => peerIdFromString(peerId))
  const targets = addresses.flatMap((address) =>
    orNothing(() => multiaddr(address).encapsulate(`/p2p/${peerId}`)),
  )
  if (!id || targets.length < addresses.length)
    logger.warn({ peer: name, peerId, addresses }, 'the record of a member names no peer id, or no address')
  return id ? [{ name, id, targets }] : []
}

/** What keeps others from dialling the node of a record, as a sentence; undefined if nothing does. */
export function peerFault({ peerId, addresses }: Omit<PeerRecord, 'name'>): string | undefined {
  if (orNothing(() => peerIdFromString(peerId)).length === 0) return `"${peerId}" is no peer id.`
  const wrong = addresses.find((address) => !isDialable(address))
  return wrong === undefined
    ? undefined
    : `"${wrong}" is no address such as /ip4/10.0.0.9/tcp/9480 or /dns4/n5.example/tcp/9480.`
}

/** A host and a TCP port, and nothing else: the peer id stands beside the addresses. */
function isDialable(address: string): boolean {
  const [parts = []] = orNothing(() => multiaddr(address).getComponents())
  const [host, port] = parts
  const isHost = host !== undefined && ['ip4', 'ip6', 'dns', 'dns4', 'dns6'].includes(host.name)
  return parts.length === 2 && isHost && port?.name === 'tcp' && port.value !== '0'
}

function orNothing<T>(read: () => T): T[] {
  try {
    return [read()]
  } catch {
    return []
  }
}

function listenError(listen: readonly string[], error: unknown): NetworkError {
  const reasons =
    error instanceof AggregateError ? error.errors.map(errorMessage).join('; ') : errorMessage(error)
  const place = listen.join(', ')
  return /EADDRINUSE|in use/.test(`${reasons} ${errorMessage(error)}`)
    ? new NetworkError(
        'port-in-use',
        `The peer port of ${place} is taken. Stop the other process or choose another port.`,
      )
    : new NetworkError('listen-failed', `Cannot listen for peers on ${place}: ${reasons}`)
}
