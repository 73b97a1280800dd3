/** A link between two nodes: plain Noise beside ours, in turns, over loopback TCP with both ends in this process. */
import { randomBytes, randomUUID } from 'node:crypto'
import { generateKeyPairFromSeed } from '@libp2p/crypto/keys'
import type { Connection, PrivateKey, Stream } from '@libp2p/interface'
import { noise } from '@libp2p/noise'
import { peerIdFromPrivateKey } from '@libp2p/peer-id'
import { tcp } from '@libp2p/tcp'
import { yamux } from '@libp2p/yamux'
import { createLibp2p } from 'libp2p'
import { systemClock } from '../../node/clock.ts'
import { generateSeed } from '../../node/crypto/keyfile.ts'
import { opensslSuite } from '../../node/crypto/openssl.ts'
import { createQkdNoise, type QkdNoise } from '../../node/net/qkd-noise/encrypter.ts'
import { REKEY_LIMITS } from '../../node/net/qkd-noise/session.ts'
import { type KeyProvider, QkdError } from '../../node/qkd/key-provider.ts'
import type { Line } from '../support/terminal.ts'
import { round, spread } from './figures.ts'
import type { Findings } from './result.ts'

export interface LinksPlan {
  readonly mib: number
  readonly rounds: number
  readonly dials: number
}

const MESSAGE_BYTES = 16_384
const WARM_UP_MIB = 32
const PROTOCOL = '/bench/1'
/** A renewal so often while bytes flow, in place of every two minutes, to measure what it costs. */
const RENEWAL_MS = 100

const KINDS = ['noise', 'qkd-noise', 'renewing'] as const
type Kind = (typeof KINDS)[number]

export async function measureLinks(line: Line, plan: LinksPlan): Promise<Findings> {
  const rates: Record<Kind, number[]> = { noise: [], 'qkd-noise': [], renewing: [] }
  const dialsMs: Record<Kind, number[]> = { noise: [], 'qkd-noise': [], renewing: [] }
  let renewals = 0
  for (let i = 0; i < plan.rounds; i++) {
    for (const kind of KINDS) {
      line.update(`links: ${kind}, round ${i + 1} of ${plan.rounds} …`)
      const pair = await openPair(kind)
      try {
        for (let dial = 0; dial < plan.dials; dial++) {
          const startMs = performance.now()
          const connection = await pair.dial()
          dialsMs[kind].push(performance.now() - startMs)
          await connection.close()
        }
        // Some MiB first, for the compiler.
        await throughput(pair, WARM_UP_MIB)
        const timer = setInterval(() => pair.renew(), RENEWAL_MS)
        if (kind !== 'renewing') clearInterval(timer)
        rates[kind].push(await throughput(pair, plan.mib))
        clearInterval(timer)
        renewals += pair.renewals()
      } finally {
        await pair.stop()
      }
    }
  }
  const median = (values: readonly number[]) => spread(values).p50
  const [plain, ours, renewing] = KINDS.map((kind) => median(rates[kind])) as [number, number, number]
  const renewalsPerS = renewals / (rates.renewing.length * (plan.mib / renewing))
  // Of one link's throughput, at one renewal in two minutes.
  const renewalCost = (1 - renewing / ours) / renewalsPerS / (REKEY_LIMITS.ms / 1_000)
  const setUp = spread(dialsMs['qkd-noise'])
  line.done(
    `a link: ${round(ours)} MiB/s (plain Noise ${round(plain)}), set up in ${round(setUp.p50)} ms (${round(median(dialsMs.noise))})`,
  )
  return {
    figures: {
      linkMiBPerS: round(ours, 1),
      noiseMiBPerS: round(plain, 1),
      linkShareOfNoise: round(ours / plain, 2),
      renewingMiBPerS: round(renewing, 1),
      renewalsPerS: round(renewalsPerS, 1),
      renewalCostPercent: round(100 * renewalCost, 4),
      linkSetUpP50Ms: round(setUp.p50, 1),
      linkSetUpP95Ms: round(setUp.p95, 1),
      noiseSetUpP50Ms: round(median(dialsMs.noise), 1),
    },
  }
}

interface Pair {
  dial(): Promise<Connection>
  received(): number
  /** New keys for every link, now. */
  renew(): void
  /** How many there were. */
  renewals(): number
  stop(): Promise<void>
}

async function openPair(kind: Kind): Promise<Pair> {
  const signers = [0, 1].map(() => opensslSuite.signer('ML-DSA-65', generateSeed()))
  const privateKeys = await Promise.all([0, 1].map(() => generateKeyPairFromSeed('Ed25519', generateSeed())))
  const peerIds = privateKeys.map((key) => peerIdFromPrivateKey(key).toString())
  const names = ['dialler', 'listener']
  const keys = sharedKeys()
  let renewals = 0
  const made: QkdNoise[] = []
  const node = (i: 0 | 1, privateKey: PrivateKey) => {
    const link = createQkdNoise(
      {
        name: names[i]!,
        signer: signers[i]!,
        verify: opensslSuite.verify,
        policy: 'require',
        keys,
        limits: REKEY_LIMITS,
        clock: systemClock,
        random: (bytes) => new Uint8Array(randomBytes(bytes)),
        onEvent: (event) => {
          if (event.kind === 'rekeyed' && event.dialled) renewals++
        },
      },
      (peerId) => {
        const at = peerIds.indexOf(peerId)
        return at < 0 ? undefined : { peerId, name: names[at]!, nodeKey: signers[at]!.publicKey }
      },
      () => {},
    )
    made.push(link)
    return createLibp2p({
      privateKey,
      addresses: { listen: i === 1 ? ['/ip4/127.0.0.1/tcp/0'] : [] },
      transports: [tcp()],
      connectionEncrypters: [kind === 'noise' ? noise() : link.encrypter],
      streamMuxers: [yamux()],
      connectionManager: { inboundConnectionThreshold: 1_000 },
    })
  }
  const [dialler, listener] = [await node(0, privateKeys[0]!), await node(1, privateKeys[1]!)]
  let received = 0
  await listener.handle(PROTOCOL, (stream: Stream) => {
    stream.addEventListener('message', ({ data }) => {
      received += data.byteLength
    })
  })
  return {
    dial: () => dialler.dial(listener.getMultiaddrs()),
    received: () => received,
    renew: () => {
      for (const link of made) for (const session of link.links()) session.rekey()
    },
    renewals: () => renewals,
    stop: async () => {
      await dialler.stop()
      await listener.stop()
    },
  }
}

/** MiB a second, one way. */
async function throughput(pair: Pair, mib: number): Promise<number> {
  const connection = await pair.dial()
  const stream = await connection.newStream(PROTOCOL)
  const message = new Uint8Array(randomBytes(MESSAGE_BYTES))
  const before = pair.received()
  const total = (mib * 1_048_576) / MESSAGE_BYTES
  const startMs = performance.now()
  for (let i = 0; i < total; i++) if (!stream.send(message.slice())) await stream.onDrain()
  while (pair.received() - before < total * MESSAGE_BYTES) await new Promise((done) => setTimeout(done, 1))
  const seconds = (performance.now() - startMs) / 1_000
  await connection.close()
  return mib / seconds
}

/** As two KMEs that share keys; none is ever given twice. */
function sharedKeys(): KeyProvider {
  const held = new Map<string, Uint8Array>()
  return {
    status: async () => ({ keySizeBits: 256, storedKeys: 1_000, maxKeys: 1_000 }),
    async getKey(_peer, bits) {
      const key = { id: randomUUID(), bytes: new Uint8Array(randomBytes(bits / 8)) }
      held.set(key.id, key.bytes.slice())
      return key
    },
    async getKeyById(_master, id) {
      const bytes = held.get(id)
      if (!bytes || !held.delete(id)) throw new QkdError('key-not-found', 'There is no such key.')
      return { id, bytes }
    },
  }
}
