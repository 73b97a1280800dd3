/** The keys of a link: each handed out once, by one end, also after a crash. */
import assert from 'node:assert/strict'
import fc from 'fast-check'
import { KeyPool, type PoolOptions } from '../../node/kme/pool.ts'
import type { Kv } from '../../node/store/kv.ts'
import { toHex } from '../../src/bytes.ts'
import { memoryKv } from '../support/memory-kv.ts'
import { seededRandom } from '../support/seeded-random.ts'

const SEAL = seededRandom('seal')(32)

function options(kv: Kv, side: 'alice' | 'bob' = 'alice', more: Partial<PoolOptions> = {}): PoolOptions {
  return { kv, link: 'kme-a|kme-b|1', side, sealKey: SEAL.slice(), keysMax: 4_096, ...more }
}

function keysOf(block: number, count: number): Uint8Array[] {
  const random = seededRandom(`block ${block}`)
  return Array.from({ length: count }, () => random(32))
}

async function bothEnds(count: number) {
  const stores = [memoryKv(), memoryKv()] as const
  const alice = await KeyPool.open(options(stores[0], 'alice'))
  const bob = await KeyPool.open(options(stores[1], 'bob'))
  for (const end of [alice, bob]) await end.add(0, keysOf(0, count))
  return { alice, bob, stores }
}

describe('the pool of a link', () => {
  it('gives the even numbers to one end and the odd ones to the other, oldest first', async () => {
    const { alice, bob } = await bothEnds(7)
    assert.deepEqual([alice.own, bob.own, alice.size], [4, 3, 7])
    const [first, second] = [await alice.take(2), await bob.take(1)]
    assert.deepEqual(
      [...first, ...second].map(({ bytes }) => toHex(bytes)),
      [0, 2, 1].map((i) => toHex(keysOf(0, 7)[i]!)),
    )
    await assert.rejects(alice.take(3), { code: 'insufficient-keys', facts: { available: 2 } })
    assert.equal(alice.own, 2, 'a refusal takes nothing')
  })

  it('gives the other end its twin of a key by name, once', async () => {
    const { alice, bob } = await bothEnds(4)
    const [key] = await alice.take(1)
    const [twin] = (await bob.takeNamed([key!.id]))!
    assert.deepEqual(twin, key)
    assert.equal(await bob.takeNamed([key!.id]), undefined)
    const [own] = await bob.take(1)
    assert.equal(await bob.takeNamed([own!.id]), undefined)
    assert.equal(bob.holds([(await alice.take(1))[0]!.id]), true)
  })

  it('does not give away its own keys by name, nor one twice in a breath, nor some of many', async () => {
    const { alice, bob } = await bothEnds(6)
    const ids = (await alice.take(3)).map(({ id }) => id)
    assert.equal(await alice.takeNamed(ids), undefined)
    assert.equal(await bob.takeNamed([ids[0]!, ids[0]!]), undefined)
    assert.equal(await bob.takeNamed([ids[0]!, '00000000-0000-8000-8000-000000000000']), undefined)
    const size = bob.size
    const taken = await Promise.all([bob.takeNamed([ids[0]!]), bob.takeNamed([ids[0]!])])
    assert.equal(taken.filter(Boolean).length, 1)
    assert.equal(bob.size, size - 1)
  })

  it('has no key twice over ten thousand takes at once from both ends', async () => {
    const { alice, bob } = await bothEnds(4_096)
    const results = await Promise.allSettled(
      Array.from({ length: 10_000 }, (_, i) => (i % 2 === 0 ? alice : bob).take(1)),
    )
    const given = results.flatMap((result) => (result.status === 'fulfilled' ? result.value : []))
    assert.equal(given.length, 4_096)
    assert.equal(new Set(given.map(({ id }) => id)).size, 4_096)
    assert.equal(new Set(given.map(({ bytes }) => toHex(bytes))).size, 4_096)
    assert.deepEqual([alice.own, bob.own], [0, 0])
  })

  it('has room for so many, and zeroes what it was given', async () => {
    const pool = await KeyPool.open(options(memoryKv(), 'alice', { keysMax: 5 }))
    const keys = keysOf(1, 8)
    assert.equal(await pool.add(1, keys), 5)
    assert.deepEqual([pool.size, pool.room], [5, 0])
    assert.ok(keys.every((key) => key.every((byte) => byte === 0)))
    assert.equal(await pool.add(2, keysOf(2, 3)), 0)
  })

  it('comes back from the disk with what was not handed out, and lies there sealed', async () => {
    const { alice, stores } = await bothEnds(9)
    const gone = (await alice.take(2)).map(({ id }) => id)
    const all = keysOf(0, 9).map(toHex)
    for (const value of stores[0].map.values()) {
      for (const key of all) assert.ok(!toHex(value).includes(key))
    }
    const again = await KeyPool.open(options(stores[0]))
    assert.deepEqual([again.size, again.own], [7, 3])
    const rest = (await again.take(3)).map(({ id }) => id)
    assert.equal(new Set([...gone, ...rest]).size, 5)
    assert.deepEqual((await KeyPool.open(options(stores[0], 'alice', { link: 'kme-a|kme-b|2' }))).size, 0)
  })

  it('refuses keys that were changed on the disk, moved, or sealed by someone else', async () => {
    const { stores } = await bothEnds(2)
    const [[firstKey, first], [secondKey, second]] = [...stores[0].map] as [
      [string, Uint8Array],
      [string, Uint8Array],
    ]
    const opened = () => KeyPool.open(options(stores[0]))
    stores[0].map.set(firstKey, second).set(secondKey, first)
    await assert.rejects(opened(), { code: 'pool-damaged' })
    stores[0].map.set(firstKey, first).set(
      secondKey,
      second.map((byte, i) => (i === 20 ? byte ^ 1 : byte)),
    )
    await assert.rejects(opened(), { code: 'pool-damaged' })
    stores[0].map.set(secondKey, second.subarray(1))
    await assert.rejects(opened(), { code: 'pool-damaged' })
    stores[0].map.set(secondKey, second)
    await assert.rejects(KeyPool.open(options(stores[0], 'alice', { sealKey: new Uint8Array(32) })), {
      code: 'pool-damaged',
    })
    await opened()
  })

  it('never repeats a key, wherever it dies', async () => {
    // Each write either reaches the disk or not, and the process dies with it: then the pool is opened anew.
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.tuple(fc.nat(2), fc.boolean(), fc.boolean()), { maxLength: 25 }),
        async (steps) => {
          const kv = memoryKv()
          let reaches = true
          let dies = false
          const frail: Kv = {
            ...kv,
            async write(batch, sync) {
              if (reaches) await kv.write(batch, sync)
              if (dies) throw new Error('the power fails')
            },
          }
          let pool = await KeyPool.open(options(frail))
          const given: string[] = []
          let block = 0
          for (const [what, reached, died] of steps) {
            reaches = reached || !died
            dies = died
            const step = what === 0 ? pool.add(block++, keysOf(block, 4)) : pool.take(what)
            const keys = await step.catch(() => [])
            if (Array.isArray(keys)) given.push(...keys.map(({ bytes }) => toHex(bytes)))
            if (dies) pool = await KeyPool.open(options(frail))
          }
          assert.equal(new Set(given).size, given.length)
        },
      ),
      { numRuns: 150 },
    )
  })

  it('says which keys it has, and drops those that the other end lacks', async () => {
    const kv = memoryKv()
    const pool = await KeyPool.open(options(kv))
    for (const block of [3, 5]) await pool.add(block, keysOf(block, 2))
    const [first, second, ...rest] = pool.ids()
    assert.equal(rest.length, 2)
    assert.equal(await pool.drop([first!, second!, 'unknown']), 2)
    assert.deepEqual([pool.ids(), pool.size, pool.own, kv.map.size], [rest, 2, 1, 2])
  })
})
