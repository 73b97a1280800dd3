/** Whatever the disk returns other than it was given is noticed. */
import assert from 'node:assert/strict'
import fc from 'fast-check'
import { checkedKv } from '../../node/store/checked-kv.ts'
import type { Kv } from '../../node/store/kv.ts'
import { toHex, utf8 } from '../../src/bytes.ts'
import { refused } from '../ledger/fixture.ts'
import { memoryKv } from '../support/memory-kv.ts'

const damaged = refused('store-damaged')
const everything = { from: new Uint8Array(0), to: new Uint8Array(9).fill(255) }
async function all(kv: Kv): Promise<(readonly [Uint8Array, Uint8Array])[]> {
  const found = []
  for await (const pair of kv.range(everything)) found.push(pair)
  return found
}

const bytes = fc.uint8Array({ maxLength: 40 })
const someKey = fc.uint8Array({ minLength: 1, maxLength: 8 })

describe('the checksums of a store', () => {
  it('return what was written, by every way of reading', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.uniqueArray(fc.tuple(someKey, bytes), { selector: ([key]) => toHex(key) }),
        async (pairs) => {
          const kv = checkedKv(memoryKv())
          await kv.write(
            pairs.map(([key, value]) => ({ key, value })),
            true,
          )
          const keys = pairs.map(([key]) => key)
          const plain = (found: readonly (Uint8Array | undefined)[]) =>
            found.map((value) => value && toHex(value))
          const values = pairs.map(([, value]) => toHex(value))
          assert.deepEqual(plain(await kv.getMany(keys)), values)
          assert.deepEqual(plain(await Promise.all(keys.map((key) => kv.get(key)))), values)
          const ranged = (await all(kv)).map(([key, value]) => toHex(key) + toHex(value))
          assert.deepEqual(ranged.sort(), pairs.map(([key, value]) => toHex(key) + toHex(value)).sort())
        },
      ),
    )
  })

  it('find every flipped bit and every shortened value, by every way of reading', async () => {
    await fc.assert(
      fc.asyncProperty(someKey, bytes, fc.nat(), fc.boolean(), async (key, value, at, cut) => {
        const raw = memoryKv()
        const kv = checkedKv(raw)
        await kv.write([{ key, value }], true)
        const stored = raw.map.get(toHex(key))!
        const bit = at % (8 * stored.length)
        if (cut) raw.map.set(toHex(key), stored.slice(0, at % stored.length))
        else stored[bit >> 3]! ^= 1 << (bit & 7)
        await assert.rejects(kv.get(key), damaged)
        await assert.rejects(kv.getMany([key]), damaged)
        await assert.rejects(all(kv), damaged)
      }),
    )
  })

  it('find a value that turns up under another key', async () => {
    const raw = memoryKv()
    const kv = checkedKv(raw)
    await kv.write([{ key: utf8('a'), value: utf8('same') }], true)
    await kv.write([{ key: utf8('b'), value: utf8('same') }], true)
    raw.map.set(toHex(utf8('a')), raw.map.get(toHex(utf8('b')))!)
    await assert.rejects(kv.get(utf8('a')), damaged)
    assert.equal(await kv.get(utf8('c')), undefined)
  })
})
