/** One block by both sides: equal keys, honest counts, and nothing at all if anyone touches a message. */
import assert from 'node:assert/strict'
import fc from 'fast-check'
import { toHex } from '../../src/bytes.ts'
import { QatError } from '../../src/errors.ts'
import { decodeMessage, encodeMessage } from '../../src/qkd/messages.ts'
import { type Channel, PROFILES, type Profile } from '../../src/qkd/profile.ts'
import { type Block, type ClassicalChannel, runAlice, runBob } from '../../src/qkd/protocol.ts'
import { transmit } from '../support/qkd.ts'
import { seededRandom } from '../support/seeded-random.ts'

/** Small enough to be quick; to give keys it has to be a better link, and demand less. */
const SMALL: Profile = {
  ...PROFILES['5km'],
  blockBits: 16_000,
  keyBasis: 0.6,
  misalignment: 0.003,
  intensities: [0.5, 0.2, 2e-4],
  epsSecrecy: 0.1,
  epsCorrectness: 0.1,
}

class Closed extends Error {}

/** Two ends of a channel; `tamper` may change what goes over it. Numbers count the messages of both directions. */
function pair(tamper: (message: Uint8Array, number: number) => Uint8Array = (message) => message) {
  let number = 0
  let closed = false
  const wires = [0, 1].map(() => ({ queue: [] as Uint8Array[], wake: () => {} }))
  const end = (out: number): ClassicalChannel => ({
    send(message) {
      wires[out]!.queue.push(tamper(message.slice(), number++))
      wires[out]!.wake()
    },
    async receive() {
      const wire = wires[1 - out]!
      while (wire.queue.length === 0) {
        if (closed) throw new Closed()
        await new Promise<void>((resolve) => {
          wire.wake = resolve
        })
      }
      return wire.queue.shift()!
    },
  })
  const close = () => {
    closed = true
    for (const { wake } of wires) wake()
  }
  return { alice: end(0), bob: end(1), close, count: () => number }
}

interface BlockRun {
  readonly profile?: Profile
  readonly channel?: Partial<Channel>
  readonly seed?: string
  readonly tamper?: (message: Uint8Array, number: number) => Uint8Array
  readonly estimateOnly?: boolean
  readonly otherPads?: boolean
}

/** What each side ends with: a block or an error. */
async function runBlock(run: BlockRun = {}) {
  const { profile = SMALL, channel = {}, seed = 'block', estimateOnly = false } = run
  const sent = transmit({ profile, channel, seed })
  const { alice, bob, close, count } = pair(run.tamper)
  const keys = (name: string) => ({ point: seededRandom('point')(16), pads: seededRandom(name)(64) })
  const either = (side: Promise<Block>): Promise<Block | Error> =>
    side.catch((error: Error) => {
      close()
      return error
    })
  const common = { profile, random: seededRandom(`${seed} alice`), estimateOnly }
  const raw = [sent.bitA, sent.bitB]
  const ends = await Promise.all([
    either(runAlice({ ...common, channel: alice, authentication: keys('pads'), sent })),
    either(
      runBob({ ...common, channel: bob, authentication: keys(run.otherPads ? 'x' : 'pads'), found: sent }),
    ),
  ])
  for (const bits of raw)
    assert.ok(
      bits.every((bit) => bit === 0),
      'raw bits are wiped',
    )
  return { ends, messages: count() }
}

function blocks(ends: readonly (Block | Error)[]): readonly Block[] {
  return ends.map((end) => {
    if (end instanceof Error) throw end
    return end
  })
}

describe('a block of the QKD protocol', () => {
  it('gives both sides the same keys, as many as the bound allows', async () => {
    const profile = PROFILES['25km']
    const { ends } = await runBlock({ profile })
    const [alice, bob] = blocks(ends)
    assert.deepEqual(alice!.report, bob!.report)
    const { report, keys, pads } = alice!
    assert.equal(report.result, 'ok')
    assert.ok(report.secretBits > 20_000 && report.secretBits < 25_000, `${report.secretBits}`)
    assert.equal(keys.length, Math.floor((report.secretBits - 512) / 256), 'four tags are paid for, 512 bits')
    assert.deepEqual(keys.map(toHex), bob!.keys.map(toHex))
    assert.deepEqual(pads, bob!.pads)
    assert.equal(new Set(keys.map(toHex)).size, keys.length)
    assert.ok(Math.abs(report.qber - 0.0101) < 0.003 && Math.abs(report.keyQber! - 0.0101) < 0.002)
    assert.ok(report.efficiency! > 1.02 && report.efficiency! < 1.12)
    assert.ok(report.leakedBits > 131_072 * 0.08)
  })

  it('makes keys of ones and zeros alike', async () => {
    const bytes: Uint8Array[] = []
    for (let i = 0; i < 8; i++) bytes.push(...blocks((await runBlock({ seed: `keys ${i}` })).ends)[0]!.keys)
    const all = Buffer.concat(bytes)
    const counts = new Array<number>(256).fill(0)
    let ones = 0
    for (const byte of all) {
      counts[byte]!++
      for (let rest = byte; rest > 0; rest >>= 1) ones += rest & 1
    }
    const bits = 8 * all.length
    assert.ok(bits > 10_000)
    assert.ok(Math.abs(ones - bits / 2) < 4 * Math.sqrt(bits / 4), 'monobit')
    const mean = all.length / 256
    const chiSquare = counts.reduce((sum, count) => sum + (count - mean) ** 2 / mean, 0)
    assert.ok(chiSquare > 160 && chiSquare < 360, `chi-square ${chiSquare} of 255`)
  })

  it('is aborted by both when everything is intercepted, and gives nothing when a part is', async () => {
    for (const [eavesdropped, result] of [
      [1, 'qber_abort'],
      [0.5, 'qber_abort'],
      [0.2, 'no_key'],
    ] as const) {
      for (const { report, keys } of blocks((await runBlock({ channel: { eavesdropped } })).ends)) {
        assert.deepEqual([report.result, keys.length], [result, 0])
        if (eavesdropped === 1) assert.ok(report.qber > 0.24 && report.qber < 0.27)
      }
    }
  })

  it('ends after the estimate when nobody has room for keys', async () => {
    const { ends, messages } = await runBlock({ estimateOnly: true })
    for (const { report, keys } of blocks(ends))
      assert.deepEqual([report.result, keys.length], ['pool_full', 0])
    assert.equal(messages, 5)
  })

  it('gives neither side a key if any bit of any message is flipped', async () => {
    const { messages } = await runBlock()
    await fc.assert(
      fc.asyncProperty(fc.nat(messages - 1), fc.nat(1_000_000), async (which, where) => {
        const tamper = (message: Uint8Array, number: number) => {
          if (number === which) message[Math.floor(where / 8) % message.length]! ^= 1 << (where % 8)
          return message
        }
        const { ends } = await runBlock({ tamper })
        // Bob's last word may be lost on its way: then he has keys that Alice has not, which their inventories show.
        const last = which === messages - 1
        for (const end of last ? ends.slice(0, 1) : ends) {
          // Who speaks last but one may have seen the keys differ; that is a result as well.
          if (!(end instanceof Error)) assert.equal(end.report.result, 'verify_fail', `message ${which}`)
          else assert.ok(end instanceof QatError || end instanceof Closed, end.stack)
        }
        assert.ok(last || ends.some((end) => end instanceof Error), `message ${which} went through`)
      }),
      { numRuns: Number(process.env.QAT_QKD_FLIPS ?? 25) },
    )
  })

  it('gives neither side a key if their pads differ', async () => {
    for (const end of (await runBlock({ otherPads: true })).ends) assert.ok(end instanceof Error)
  })

  it('ends in a typed error whatever the other side says instead', async () => {
    await fc.assert(
      fc.asyncProperty(fc.nat(12), fc.uint8Array({ maxLength: 40 }), async (which, bytes) => {
        const { ends } = await runBlock({ tamper: (message, number) => (number === which ? bytes : message) })
        for (const end of ends) assert.ok(end instanceof QatError || end instanceof Closed)
      }),
      { numRuns: 12 },
    )
  })
})

describe('the messages of a block', () => {
  it('have one spelling: what is read is written alike', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 60 }), (bytes) => {
        try {
          assert.deepEqual(encodeMessage(decodeMessage(bytes)), bytes)
        } catch (error) {
          assert.ok(error instanceof QatError)
        }
      }),
      { numRuns: 2_000 },
    )
  })
})
