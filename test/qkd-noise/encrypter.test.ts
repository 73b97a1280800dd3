/** The encrypter between real libp2p nodes: who gets in, and that nothing is lost while keys are renewed. */
import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { generateKeyPairFromSeed } from '@libp2p/crypto/keys'
import type { Stream } from '@libp2p/interface'
import { noise } from '@libp2p/noise'
import { peerIdFromPrivateKey } from '@libp2p/peer-id'
import { tcp } from '@libp2p/tcp'
import { yamux } from '@libp2p/yamux'
import { createLibp2p } from 'libp2p'
import { systemClock } from '../../node/clock.ts'
import { generateSeed } from '../../node/crypto/keyfile.ts'
import { opensslSuite } from '../../node/crypto/openssl.ts'
import { createQkdNoise, type QkdNoise } from '../../node/net/qkd-noise/encrypter.ts'
import { type LinkEvent, REKEY_LIMITS } from '../../node/net/qkd-noise/session.ts'
import { toHex } from '../../src/bytes.ts'
import { until } from '../support/cluster.ts'
import { PairedKeys } from '../support/paired-keys.ts'

const PROTOCOL = '/test/1'

async function privateKeys(count: number) {
  return Promise.all(Array.from({ length: count }, () => generateKeyPairFromSeed('Ed25519', generateSeed())))
}

async function nodes(names: readonly string[], paired: PairedKeys) {
  const keys = await privateKeys(names.length)
  const ids = keys.map((key) => peerIdFromPrivateKey(key).toString())
  const signers = names.map(() => opensslSuite.signer('ML-DSA-65', generateSeed()))
  const events: LinkEvent[] = []
  const strangers: string[] = []
  const made = await Promise.all(
    names.map(async (name, i) => {
      const link: QkdNoise = createQkdNoise(
        {
          name,
          signer: signers[i]!,
          verify: opensslSuite.verify,
          policy: 'require',
          keys: paired.provider,
          limits: REKEY_LIMITS,
          clock: systemClock,
          random: (bytes) => new Uint8Array(randomBytes(bytes)),
          onEvent: (event) => events.push(event),
        },
        (peerId) => {
          const at = ids.indexOf(peerId)
          return at < 0 ? undefined : { peerId, name: names[at]!, nodeKey: signers[at]!.publicKey }
        },
        (peerId) => strangers.push(peerId),
      )
      const libp2p = await createLibp2p({
        privateKey: keys[i]!,
        addresses: { listen: ['/ip4/127.0.0.1/tcp/0'] },
        transports: [tcp()],
        connectionEncrypters: [link.encrypter],
        streamMuxers: [yamux()],
      })
      return { name, link, libp2p }
    }),
  )
  return { made, events, strangers, stop: () => Promise.all(made.map(({ libp2p }) => libp2p.stop())) }
}

describe('libp2p nodes with QKD-keyed links', function () {
  this.timeout(60_000)

  it('lose no byte while three of them renew keys under load, and use no key twice', async () => {
    const paired = new PairedKeys()
    const { made, events, stop } = await nodes(['alpha', 'bravo', 'charlie'], paired)
    try {
      const received = new Map<string, Buffer[]>()
      for (const { name, libp2p } of made) {
        await libp2p.handle(PROTOCOL, (stream: Stream, connection) => {
          const pieces: Buffer[] = []
          received.set(`${connection.remotePeer.toString()}>${name}`, pieces)
          stream.addEventListener('message', ({ data }) => pieces.push(Buffer.from(data.subarray())))
        })
      }
      const wanted = Number(process.env.QAT_REKEYS ?? 60)
      const sent = new Map<string, Buffer[]>()
      const rekeyed = () => events.filter((event) => event.kind === 'rekeyed' && event.dialled).length
      await Promise.all(
        made.map(async (from, i) => {
          const to = made[(i + 1) % made.length]!
          const connection = await from.libp2p.dial(to.libp2p.getMultiaddrs())
          const stream = await connection.newStream(PROTOCOL)
          const pieces: Buffer[] = []
          sent.set(`${from.libp2p.peerId.toString()}>${to.name}`, pieces)
          while (rekeyed() < wanted) {
            const piece = randomBytes(1 + Math.floor(Math.random() * 40_000))
            pieces.push(piece)
            if (!stream.send(new Uint8Array(piece))) await stream.onDrain()
            for (const session of from.link.links()) session.rekey()
            await new Promise((resolve) => setImmediate(resolve))
          }
        }),
      )
      for (const [way, pieces] of sent) {
        const expected = Buffer.concat(pieces)
        await until(() => Buffer.concat(received.get(way) ?? []).length >= expected.length)
        assert.ok(Buffer.concat(received.get(way)!).equals(expected), way)
      }
      assert.ok(events.every((event) => event.kind !== 'refused' && (event.kind !== 'rekeyed' || event.qkd)))
      assert.equal(new Set(paired.issued.map(toHex)).size, paired.issued.length)
      assert.equal(new Set(paired.claimed).size, paired.claimed.length)
      assert.equal(made.flatMap(({ link }) => link.links()).length, 6)
    } finally {
      await stop()
    }
  })

  it('let in neither plain Noise nor a stranger, and spend no key on either', async () => {
    const paired = new PairedKeys()
    const { made, strangers, stop } = await nodes(['alpha'], paired)
    const [key] = await privateKeys(1)
    const outsider = await nodes(['mallory'], paired)
    const plain = await createLibp2p({
      privateKey: key!,
      transports: [tcp()],
      connectionEncrypters: [noise()],
      streamMuxers: [yamux()],
    })
    try {
      const address = made[0]!.libp2p.getMultiaddrs()
      await assert.rejects(plain.dial(address, { signal: AbortSignal.timeout(5_000) }))
      await assert.rejects(outsider.made[0]!.libp2p.dial(address, { signal: AbortSignal.timeout(5_000) }))
      // A stranger does not know this node either, so it gives up by itself; Noise has shown who it is.
      await until(() => made[0]!.libp2p.getConnections().length === 0)
      assert.ok(strangers.length <= 1)
      assert.deepEqual([paired.issued.length, paired.claimed.length], [0, 0])
    } finally {
      await Promise.all([plain.stop(), stop(), outsider.stop()])
    }
  })
})
