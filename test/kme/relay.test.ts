/** Keys for those whom no fibre reaches: over a trusted node, and what that costs. */
import assert from 'node:assert/strict'
import { Carrier } from '../../node/kme/carrier.ts'
import { padsFor, unwrap, wrap } from '../../node/kme/one-time-pad.ts'
import { toHex } from '../../src/bytes.ts'
import { KEY_BYTES } from '../../src/qkd/key-ids.ts'
import { Kmes } from '../support/kmes.ts'
import { seededRandom } from '../support/seeded-random.ts'

describe('a key under one-time pads', () => {
  const random = seededRandom('relay')
  const pads = (count: number) =>
    Array.from({ length: count }, (_, i) => ({ id: `pad-${i}`, bytes: random(KEY_BYTES) }))
  const copy = (keys: ReturnType<typeof pads>) => keys.map(({ id, bytes }) => ({ id, bytes: bytes.slice() }))
  const key = { id: 'k', bytes: random(32), master: 'alpha', slaves: ['charlie'], share: 0, shares: 1 }

  it('costs its own length and 256 bits for the tag, and comes out again', () => {
    for (const bytes of [8, 32, 33, 128]) {
      const keys = pads(padsFor(bytes))
      assert.equal(keys.length, Math.ceil(bytes / 32) + 1)
      const sent = { ...key, bytes: random(bytes) }
      const wrapped = wrap(sent, [], copy(keys))
      assert.notDeepEqual(wrapped.cipher, sent.bytes)
      assert.deepEqual(unwrap(wrapped, copy(keys)), sent)
    }
  })

  it('does not come out if anything of it was changed', () => {
    const keys = pads(2)
    const wrapped = wrap(key, ['kme-c'], copy(keys))
    const flipped = (bytes: Uint8Array, at: number) => bytes.with(at, bytes[at]! ^ 1)
    for (const changed of [
      { ...wrapped, id: 'l' },
      { ...wrapped, master: 'mallory' },
      { ...wrapped, slaves: ['mallory'] },
      { ...wrapped, route: [] },
      { ...wrapped, share: 1 },
      { ...wrapped, shares: 2 },
      { ...wrapped, cipher: wrapped.cipher.subarray(1) },
      { ...wrapped, cipher: new Uint8Array(0) },
      ...Array.from({ length: 32 }, (_, at) => ({ ...wrapped, cipher: flipped(wrapped.cipher, at) })),
      ...Array.from({ length: 16 }, (_, at) => ({ ...wrapped, tag: flipped(wrapped.tag, at) })),
    ]) {
      assert.equal(unwrap(changed, copy(keys)), undefined)
    }
  })
})

describe('three KMEs in a row', function () {
  this.timeout(60_000)
  let kmes: Kmes
  before(async () => {
    kmes = await Kmes.start({
      names: ['alpha', 'bravo', 'charlie'],
      routes: [{ from: 'alpha', to: 'charlie', via: ['bravo'] }],
    })
    await kmes.keyed()
  })
  after(() => kmes?.close())

  it('bring keys from one end to the other, at two keys of each fibre', async () => {
    const [alpha, charlie] = [await kmes.client('alpha'), await kmes.client('charlie')]
    const stored = () => ['alpha', 'charlie'].map((name) => kmes.kme(name).links()[0]!.keysStored)
    const blocks = () =>
      kmes.names.map((name) =>
        kmes
          .kme(name)
          .links()
          .map(({ blocks: seen }) => seen.ok),
      )
    for (const [from, to, master, slave] of [
      [alpha, charlie, 'alpha', 'charlie'],
      [charlie, alpha, 'charlie', 'alpha'],
    ] as const) {
      for (;;) {
        const before = { stored: stored(), blocks: JSON.stringify(blocks()) }
        const key = await from.getKey(slave, 256)
        const after = stored()
        const quiet = JSON.stringify(blocks()) === before.blocks
        assert.equal(toHex((await to.getKeyById(master, key.id, 256)).bytes), toHex(key.bytes))
        // A block that came in between has brought keys.
        if (!quiet) continue
        assert.deepEqual(
          before.stored.map((count, i) => count - after[i]!),
          [2, 2],
        )
        break
      }
    }
  })

  it('refuse where a key must not pass others, and where the way is broken', async () => {
    const alpha = await kmes.client('alpha')
    assert.ok((await alpha.status('charlie')).storedKeys > 0)
    await kmes.stop('charlie')
    await assert.rejects(alpha.getKey('charlie', 256), { code: 'no-keys' })
    await kmes.start('charlie')
  })
})

describe('two ways between two KMEs', function () {
  this.timeout(60_000)
  let kmes: Kmes
  before(async () => {
    const routes = ['bravo', 'delta'].map((between) => ({ from: 'alpha', to: 'charlie', via: [between] }))
    kmes = await Kmes.start({
      names: ['alpha', 'bravo', 'charlie', 'delta'],
      routes,
      pulsesPerSecond: 5_000_000,
    })
    await kmes.keyed()
  })
  after(() => kmes?.close())

  it('carry a share of each key, so that a relay alone knows nothing of it', async () => {
    const [alpha, charlie] = [await kmes.client('alpha'), await kmes.client('charlie')]
    const carried: Uint8Array[] = []
    const hear = Carrier.prototype.carry
    // What the two in between bring on is what they know.
    Carrier.prototype.carry = function (route, key) {
      carried.push(key.bytes.slice())
      return hear.call(this, route, key)
    }
    try {
      const key = await alpha.getKey('charlie', 256)
      assert.equal(toHex((await charlie.getKeyById('alpha', key.id, 256)).bytes), toHex(key.bytes))
      const shares = [...new Map(carried.map((bytes) => [toHex(bytes), bytes])).values()]
      assert.equal(shares.length, 2)
      for (const share of shares) assert.notEqual(toHex(share), toHex(key.bytes))
      assert.equal(toHex(shares[0]!.map((byte, i) => byte ^ shares[1]![i]!)), toHex(key.bytes))
    } finally {
      Carrier.prototype.carry = hear
    }
    await kmes.stop('delta')
    await assert.rejects(alpha.getKey('charlie', 256), { code: 'no-keys' })
  })
})
