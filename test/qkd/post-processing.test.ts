/** The parts of post-processing, each against a naive twin, official vectors or another implementation. */
import assert from 'node:assert/strict'
import { createCipheriv } from 'node:crypto'
import fc from 'fast-check'
import { toHex } from '../../src/bytes.ts'
import { FormatError } from '../../src/errors.ts'
import { packBits, unpackBits } from '../../src/qkd/bits.ts'
import { type AskParities, correct, OPTION8, ORIGINAL, Parities } from '../../src/qkd/cascade.ts'
import { binaryEntropy } from '../../src/qkd/entropy.ts'
import { keyId } from '../../src/qkd/key-ids.ts'
import { PolynomialHash } from '../../src/qkd/polynomial-hash.ts'
import { RandomStream } from '../../src/qkd/random.ts'
import { shuffled } from '../../src/qkd/shuffle.ts'
import { toeplitz, toeplitzSeedBits } from '../../src/qkd/toeplitz.ts'
import { verificationTag } from '../../src/qkd/verification.ts'
import { Transcript } from '../../src/qkd/wegman-carter.ts'
import { seededRandom } from '../support/seeded-random.ts'

const RUNS = Number(process.env.QAT_QKD_RUNS ?? 2)

function randomBits(count: number, seed: string): Uint8Array {
  return seededRandom(seed)(count).map((byte) => byte & 1)
}

describe('strings of bits', () => {
  it('come back from the wire, and only with zeros behind them', () => {
    fc.assert(
      fc.property(fc.uint8Array({ max: 1 }), (bits) => {
        assert.deepEqual(unpackBits(packBits(bits), bits.length), bits)
      }),
    )
    assert.equal(toHex(packBits(Uint8Array.of(1, 0, 0, 0, 0, 0, 0, 0, 1, 1))), '80c0')
    assert.throws(() => unpackBits(Uint8Array.of(0x80, 0xe0), 10), FormatError)
    assert.throws(() => unpackBits(Uint8Array.of(0x80), 10), FormatError)
  })
})

describe('Cascade', () => {
  /** Both sides, and every bit that Alice told. */
  async function reconcile(bits: number, rate: number, seed: string, schedule = OPTION8) {
    const alice = randomBits(bits, `${seed} key`)
    const bob = alice.slice()
    const stream = new RandomStream(seededRandom(`${seed} errors`))
    let errors = 0
    for (let i = 0; i < bits; i++) {
      if (stream.uniform() >= rate) continue
      bob[i]! ^= 1
      errors++
    }
    const order = seededRandom(`${seed} order`)(16)
    const parities = new Parities(alice, order)
    let told = 0
    const ask: AskParities = async (ranges) => {
      told += ranges.length
      return Uint8Array.from(ranges, (range) => parities.parity(range))
    }
    const corrected = await correct(bob, rate, order, ask, schedule)
    assert.equal(corrected.disclosed, told, 'every disclosed bit is counted')
    return {
      ...corrected,
      efficiency: told / (bits * binaryEntropy(errors / bits)),
      equal: Buffer.from(alice).equals(bob),
      truly: errors,
    }
  }

  for (const rate of [0.01, 0.03, 0.05]) {
    it(`corrects ${rate * 100} % of 65,536 bits and discloses little`, async () => {
      for (let run = 0; run < RUNS; run++) {
        const original = await reconcile(65_536, rate, `o ${rate} ${run}`, ORIGINAL)
        const option8 = await reconcile(65_536, rate, `8 ${rate} ${run}`)
        assert.ok(original.equal && option8.equal, 'no error is left')
        // Questions of all searches go out at once, which costs the original schedule up to 0.03.
        assert.ok(original.efficiency > 1.07 && original.efficiency < 1.2, `original ${original.efficiency}`)
        assert.ok(option8.efficiency > 1.02 && option8.efficiency < 1.12, `option 8 ${option8.efficiency}`)
        assert.equal(option8.errors, option8.truly, 'no bit is flipped twice')
      }
    })
  }

  it('corrects short strings with any errors, or leaves some for the verification to find', async () => {
    let unequal = 0
    for (let run = 0; run < 200; run++) {
      const { equal } = await reconcile(500 + run, 0.002 * (run % 50), `short ${run}`)
      if (!equal) unequal++
    }
    assert.ok(unequal <= 4, `${unequal} of 200`)
  })

  it('refuses ranges that there are not, and answers of another length', async () => {
    const parities = new Parities(new Uint8Array(100), new Uint8Array(16))
    for (const [pass, from, to] of [
      [14, 0, 10],
      [0, 10, 10],
      [0, 0, 101],
    ] as const) {
      assert.throws(() => parities.parity({ pass, from, to }), FormatError)
    }
    const ask: AskParities = async () => new Uint8Array(1)
    await assert.rejects(correct(new Uint8Array(1000), 0.01, new Uint8Array(16), ask), FormatError)
  })

  it('shuffles alike on both sides, and differently for each pass and seed', () => {
    const seed = seededRandom('shuffle')(16)
    const passes = [0, 1, 2].map((pass) => shuffled(1_000, seed, pass))
    for (const order of passes) assert.equal(new Set(order).size, 1_000)
    assert.deepEqual(
      passes[0],
      Uint32Array.from({ length: 1_000 }, (_, i) => i),
    )
    assert.notDeepEqual(passes[1], passes[2])
    assert.deepEqual(passes[1], shuffled(1_000, seed, 1))
    assert.notDeepEqual(passes[1], shuffled(1_000, seededRandom('other')(16), 1))
    // Frozen: another implementation has to make the same.
    assert.deepEqual([...shuffled(8, new Uint8Array(16).fill(7), 1)], GOLDEN_ORDER)
  })
})

const GOLDEN_ORDER = [4, 7, 0, 3, 2, 1, 6, 5]

describe('Toeplitz hashing', () => {
  function naive(bits: Uint8Array, seed: Uint8Array, length: number): Uint8Array {
    const n = bits.length
    const t = unpackBits(seed, 8 * seed.length)
    const out = new Uint8Array(length)
    for (let i = 0; i < length; i++) for (let j = 0; j < n; j++) out[i]! ^= t[i - j + n - 1]! & bits[j]!
    return packBits(out)
  }

  it('is what the definition says, for a thousand shapes', () => {
    for (let run = 0; run < 1_000; run++) {
      const random = seededRandom(`toeplitz ${run}`)
      const n = 1 + (random(2)[0]! % 130)
      const length = 1 + (random(2)[1]! % 100)
      const bits = random(n).map((byte) => byte & 1)
      const seed = random(Math.ceil(toeplitzSeedBits(n, length) / 8))
      assert.deepEqual(toeplitz(bits, seed, length), naive(bits, seed, length), `${n} to ${length}`)
    }
  })

  it('hashes 131,072 bits to 30,000 within a second', () => {
    const bits = randomBits(131_072, 'long')
    const seed = seededRandom('seed')(Math.ceil(toeplitzSeedBits(131_072, 30_000) / 8))
    const began = performance.now()
    const hashed = toeplitz(bits, seed, 30_000)
    assert.ok(performance.now() - began < 1_000)
    assert.equal(hashed.length, 3_750)
    assert.throws(() => toeplitz(bits, seed.subarray(1), 30_000), FormatError)
  })
})

describe('the polynomial hash', () => {
  it('is GHASH: with it AES-GCM comes out as OpenSSL has it', () => {
    for (let run = 0; run < 50; run++) {
      const random = seededRandom(`gcm ${run}`)
      const [key, iv, data] = [random(16), random(12), random(run * 7)]
      const gcm = createCipheriv('aes-128-gcm', key, iv)
      gcm.setAAD(data)
      gcm.final()
      const block = (bytes: Uint8Array) =>
        new Uint8Array(createCipheriv('aes-128-ecb', key, null).setAutoPadding(false).update(bytes))
      const lengths = new Uint8Array(16)
      new DataView(lengths.buffer).setUint32(4, 8 * data.length)
      const hash = new PolynomialHash(block(new Uint8Array(16))).update(data).update(lengths).digest()
      const mask = block(Uint8Array.of(...iv, 0, 0, 0, 1))
      assert.deepEqual(
        hash.map((byte, i) => byte ^ mask[i]!),
        new Uint8Array(gcm.getAuthTag()),
      )
    }
  })

  it('tells keys apart that differ in one bit', () => {
    const point = seededRandom('point')(16)
    const bits = randomBits(1_001, 'verify')
    const tag = verificationTag(bits, point)
    assert.deepEqual(verificationTag(bits.slice(), point), tag)
    for (const flipped of [0, 500, 1_000]) {
      const other = bits.slice()
      other[flipped]! ^= 1
      assert.notDeepEqual(verificationTag(other, point), tag)
    }
  })
})

describe('a transcript', () => {
  const keys = () => ({ point: seededRandom('wc')(16), pads: seededRandom('pads')(64) })

  it('gives the same tags to both ends, and other ones for any other messages', () => {
    const tags = (...messages: string[]) => {
      const transcript = new Transcript(keys(), 'fromAlice')
      for (const message of messages) transcript.add(Buffer.from(message))
      return toHex(transcript.tag())
    }
    assert.equal(tags('a', 'bc'), tags('a', 'bc'))
    const all = [
      tags(),
      tags(''),
      tags('', ''),
      tags('a', 'bc'),
      tags('ab', 'c'),
      tags('abc'),
      tags('bc', 'a'),
      tags('a\0'),
    ]
    assert.equal(new Set([...all, tags('a')]).size, 9)
  })

  it('takes a pad for each tag, four in all, and none twice', () => {
    const made = (['fromAlice', 'fromBob'] as const).flatMap((direction) => {
      const transcript = new Transcript(keys(), direction)
      const tags = [transcript.tag(), transcript.tag()]
      assert.throws(() => transcript.tag(), RangeError)
      return tags.map(toHex)
    })
    // Of no message at all the hash is zero, so these are the pads.
    assert.equal(made.join(''), toHex(keys().pads))
  })
})

describe('names of keys', () => {
  it('are UUIDs of version 8 that both ends compute, each of them once', () => {
    const ids = [0, 1, 2].flatMap((block) => [0, 1, 2].map((index) => keyId('a|b', block, index)))
    assert.equal(new Set([...ids, keyId('a|c', 0, 0)]).size, 10)
    for (const id of ids)
      assert.match(id, /^[0-9a-f]{8}-[0-9a-f]{4}-8[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/)
    assert.equal(keyId('a|b', 1, 2), GOLDEN_ID)
  })
})

/** By hand: sha256sum of 7161742d6b69640003617c620000000100000002, cut, with version and variant. */
const GOLDEN_ID = '4ac5b2d5-225e-83fa-bf15-23584c956439'
