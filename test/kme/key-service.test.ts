/** Two KMEs joined in memory: who gets which key, and who does not. */
import assert from 'node:assert/strict'
import { systemClock } from '../../node/clock.ts'
import { KEY_LIMITS, KeyService, type Notice } from '../../node/kme/key-service.ts'
import { KeyPool } from '../../node/kme/pool.ts'
import { toHex } from '../../src/bytes.ts'
import { memoryKv } from '../support/memory-kv.ts'
import { seededRandom } from '../support/seeded-random.ts'

const SAES = new Map([
  ['alpha', 'kme-a'],
  ['other', 'kme-a'],
  ['bravo', 'kme-b'],
  ['guest', 'kme-b'],
  ['far', 'kme-c'],
])

class TestClock {
  ms = 0
  readonly due: { at: number; fn: () => void }[] = []
  now = () => this.ms
  elapsed = () => this.ms
  every = () => () => {}
  soon = systemClock.soon
  after(ms: number, fn: () => void): () => void {
    const timer = { at: this.ms + ms, fn }
    this.due.push(timer)
    return () => {
      const at = this.due.indexOf(timer)
      if (at >= 0) this.due.splice(at, 1)
    }
  }
  async pass(ms: number): Promise<void> {
    this.ms += ms
    for (const timer of this.due.filter(({ at }) => at <= this.ms)) timer.fn()
    await new Promise((resolve) => setImmediate(resolve))
  }
}

/** Notices are carried over by hand or at once. */
async function twoKmes({ keys = 64, carry = true } = {}) {
  const clock = new TestClock()
  const link = 'kme-a|kme-b|1'
  const open = async (side: 'alice' | 'bob') => {
    const pool = await KeyPool.open({
      kv: memoryKv(),
      link,
      side,
      sealKey: new Uint8Array(32),
      keysMax: 4_096,
    })
    const random = seededRandom('keys')
    await pool.add(
      0,
      Array.from({ length: keys }, () => random(32)),
    )
    return pool
  }
  const pools = { a: await open('alice'), b: await open('bob') }
  const sent: { to: string; notices: readonly Notice[] }[] = []
  let usable = true
  const make = (kmeId: string, peer: string, pool: KeyPool): KeyService =>
    new KeyService({
      kmeId,
      kmeOfSae: SAES,
      links: new Map([[peer, { pool: () => pool, usable: () => usable }]]),
      peers: {
        notify(to, notices) {
          sent.push({ to, notices })
          if (carry) (to === 'kme-a' ? a : b).noticed(kmeId, notices)
        },
        carry: async () => assert.fail('nothing is carried between neighbours'),
      },
      random: seededRandom(kmeId),
      clock,
      limits: KEY_LIMITS,
    })
  const a = make('kme-a', 'kme-b', pools.a)
  const b = make('kme-b', 'kme-a', pools.b)
  const setUsable = (now: boolean) => {
    usable = now
  }
  return { a, b, pools, clock, sent, setUsable }
}

describe('a key management entity', () => {
  it('gives master and slave the same key, from either side, and once', async () => {
    const { a, b, clock } = await twoKmes()
    for (const [from, to, master, slave] of [
      [a, b, 'alpha', 'bravo'],
      [b, a, 'bravo', 'alpha'],
    ] as const) {
      const [key] = await from.issue(master, slave, { count: 1, bits: 256 })
      const [twin] = await to.claim(slave, master, [key!.id])
      assert.deepEqual(twin, key)
      const again = assert.rejects(to.claim(slave, master, [key!.id]), { code: 'not-found' })
      await clock.pass(250)
      await again
    }
  })

  it('joins keys for other sizes, alike on both sides', async () => {
    const { a, b, pools } = await twoKmes()
    for (const bits of [64, 128, 352, 1_024]) {
      const before = pools.a.size
      const keys = await a.issue('alpha', 'bravo', { count: 2, bits: bits })
      assert.deepEqual(
        keys.map(({ bytes }) => bytes.length),
        [bits / 8, bits / 8],
      )
      assert.equal(before - pools.a.size, 2 * Math.ceil(bits / 256))
      const twins = await b.claim(
        'bravo',
        'alpha',
        keys.map(({ id }) => id),
      )
      assert.deepEqual(twins, keys)
      assert.equal(pools.b.size, pools.a.size)
    }
  })

  it('tells nobody else: another slave, another master, an SAE of elsewhere', async () => {
    const { a, b } = await twoKmes()
    const [key] = await a.issue('alpha', 'bravo', { count: 1, bits: 256 })
    await assert.rejects(b.claim('guest', 'alpha', [key!.id]), { code: 'unauthorized' })
    await assert.rejects(b.claim('bravo', 'other', [key!.id]), { code: 'unauthorized' })
    await assert.rejects(b.claim('alpha', 'bravo', [key!.id]), { code: 'unauthorized' })
    await assert.rejects(a.issue('bravo', 'alpha', { count: 1, bits: 256 }), { code: 'unauthorized' })
    assert.equal((await b.claim('bravo', 'alpha', [key!.id]))[0]!.id, key!.id, 'those who may still can')
  })

  it('knows no SAE that it was not told of, and has no keys without a link', async () => {
    const { a } = await twoKmes()
    for (const slave of ['nobody', 'far']) {
      await assert.rejects(a.issue('alpha', slave, { count: 1, bits: 256 }), { code: 'bad-request' })
    }
  })

  it('gives one key to several slaves, each once, wherever they are', async () => {
    const { a, b, clock } = await twoKmes()
    const additional = ['guest', 'other']
    const [key] = await a.issue('alpha', 'bravo', { count: 1, bits: 256, additional })
    const copy = key!.bytes.slice()
    assert.deepEqual((await b.claim('bravo', 'alpha', [key!.id]))[0]!.bytes, copy)
    assert.deepEqual((await b.claim('guest', 'alpha', [key!.id]))[0]!.bytes, copy)
    assert.deepEqual((await a.claim('other', 'alpha', [key!.id]))[0]!.bytes, copy)
    for (const slave of ['bravo', 'guest']) {
      const again = assert.rejects(b.claim(slave, 'alpha', [key!.id]))
      await clock.pass(250)
      await again
    }
  })

  it('delivers all of the asked keys or none', async () => {
    const { a, b, clock } = await twoKmes()
    const ids = (await a.issue('alpha', 'bravo', { count: 3, bits: 256 })).map(({ id }) => id)
    const wrong = b.claim('bravo', 'alpha', [...ids, '00000000-0000-8000-8000-000000000000'])
    const refused = assert.rejects(wrong, { code: 'not-found' })
    await clock.pass(250)
    await refused
    await assert.rejects(b.claim('bravo', 'alpha', [ids[0]!, ids[0]!]), { code: 'not-found' })
    assert.equal((await b.claim('bravo', 'alpha', ids)).length, 3)
  })

  it('lets a slave wait a moment for the notice, and no longer', async () => {
    const { a, b, sent, clock } = await twoKmes({ carry: false })
    const [key] = await a.issue('alpha', 'bravo', { count: 1, bits: 256 })
    const early = b.claim('bravo', 'alpha', [key!.id])
    await clock.pass(200)
    b.noticed('kme-a', sent[0]!.notices)
    assert.deepEqual((await early)[0], key)
    const [lost] = await a.issue('alpha', 'bravo', { count: 1, bits: 256 })
    const never = assert.rejects(b.claim('bravo', 'alpha', [lost!.id]), { code: 'not-found' })
    await clock.pass(250)
    await never
  })

  it('believes a KME of its own SAEs alone', async () => {
    const { b, pools, clock } = await twoKmes()
    const [key] = await pools.a.take(1)
    b.noticed('kme-c', [{ id: key!.id, parts: [key!.id], bits: 256, master: 'alpha', slaves: ['bravo'] }])
    const refused = assert.rejects(b.claim('bravo', 'alpha', [key!.id]), { code: 'not-found' })
    await clock.pass(250)
    await refused
  })

  it('says how many keys are left when they are too few, and hands out none while the link is down', async () => {
    const { a, setUsable, pools } = await twoKmes({ keys: 8 })
    await assert.rejects(a.issue('alpha', 'bravo', { count: 3, bits: 512 }), {
      code: 'insufficient-keys',
      facts: { available: 2 },
    })
    setUsable(false)
    await assert.rejects(a.issue('alpha', 'bravo', { count: 1, bits: 256 }), { code: 'unavailable' })
    setUsable(true)
    assert.equal((await a.issue('alpha', 'bravo', { count: 4, bits: 256 })).length, 4)
    assert.deepEqual([pools.a.own, pools.b.own], [0, 4])
  })

  it('drops what no slave has asked for within a minute', async () => {
    const { a, b, clock, pools } = await twoKmes()
    const [key] = await a.issue('alpha', 'bravo', { count: 1, bits: 256 })
    await clock.pass(59_000)
    await b.expire()
    assert.equal(pools.b.size, 64)
    await clock.pass(2_000)
    await b.expire()
    assert.equal(pools.b.size, 63)
    const refused = assert.rejects(b.claim('bravo', 'alpha', [key!.id]), { code: 'not-found' })
    await clock.pass(250)
    await refused
  })

  it('hands out no key twice when both sides are asked ten thousand times at once', async () => {
    const { a, b, pools } = await twoKmes({ keys: 4_096 })
    const asked = await Promise.allSettled(
      Array.from({ length: 10_000 }, (_, i) =>
        i % 2 === 0
          ? a.issue('alpha', 'bravo', { count: 1, bits: 256 })
          : b.issue('bravo', 'alpha', { count: 1, bits: 256 }),
      ),
    )
    const given = asked.flatMap((result) => (result.status === 'fulfilled' ? result.value : []))
    assert.equal(new Set(given.map(({ bytes }) => toHex(bytes))).size, 4_096)
    assert.equal(given.length, 4_096, 'what was removed was delivered')
    assert.deepEqual([pools.a.own, pools.b.own], [0, 0])
    const random = seededRandom('refill')
    const more = Array.from({ length: 4 }, () => random(32))
    for (const pool of [pools.a, pools.b])
      await pool.add(
        1,
        more.map((key) => key.slice()),
      )
    assert.equal((await a.issue('alpha', 'bravo', { count: 1, bits: 256 })).length, 1)
  })
})
