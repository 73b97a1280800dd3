/** The indexes by source, type and subject: their bytes on the disk, and what is found by them. */
import assert from 'node:assert/strict'
import fc from 'fast-check'
import { openValue } from '../../node/store/checked-kv.ts'
import { type AppliedBlock, derivedWrites, factsOf } from '../../node/store/derived.ts'
import { decodeOffsets, encodeOffsets } from '../../node/store/index-record.ts'
import { eventKey, indexKey } from '../../node/store/keys.ts'
import { LedgerStore } from '../../node/store/ledger-store.ts'
import { toHex, utf8 } from '../../src/bytes.ts'
import { extend, genesisState } from '../../src/ledger/chain.ts'
import { type Entry, signEntry } from '../../src/ledger/entry.ts'
import { PAYLOAD_TYPES } from '../../src/ledger/payload-types.ts'
import {
  blankSigner,
  blockOn,
  EVENT,
  entryOf,
  exampleGenesis,
  refused,
  submitterSigner,
} from '../ledger/fixture.ts'
import { memoryKv } from '../support/memory-kv.ts'

const damaged = refused('store-damaged')

/** A batch whose events have these subjects, signed by nobody. */
function batchOf(name: string, subjects: readonly string[]): Promise<Entry> {
  const events = subjects.map((subject, i) => ({ ...EVENT, id: `${name}-${i}`, subject }))
  return signEntry(PAYLOAD_TYPES.batch, utf8(JSON.stringify(events)), blankSigner(submitterSigner))
}

/** A chain of blocks whose entries have the subjects given. */
async function chainOf(blocks: readonly (readonly (readonly string[])[])[]): Promise<AppliedBlock[]> {
  let state = genesisState(await exampleGenesis())
  const chain: AppliedBlock[] = []
  for (const [height, subjects] of blocks.entries()) {
    const entries = await Promise.all(subjects.map((list, i) => batchOf(`e-${height}-${i}`, list)))
    const block = await blockOn(state, entries)
    chain.push({ block, entries })
    state = extend(state, block, entries)
  }
  return chain
}

async function collect(indexes: AsyncIterable<number>): Promise<number[]> {
  const found: number[] = []
  for await (const index of indexes) found.push(index)
  return found
}

describe('the indexes of a store', function () {
  this.timeout(60_000)

  it('have one record a block and value, in these bytes', async () => {
    const entries = [await batchOf('a', ['x', 'y', 'x']), await entryOf({ id: 'b', subject: 'z' })]
    entries.push(await batchOf('c', ['x', 'x']))
    const block = await blockOn(genesisState(await exampleGenesis()), entries)
    assert.equal(block.seal.firstIndex, 5)
    const writes = derivedWrites({ block, entries }, factsOf(block, new Uint8Array(32)))
    const text = writes
      .filter(({ key }) => 'ESYJ'.includes(String.fromCharCode(key[0]!)))
      .map(({ key, value }) => `${toHex(key)} ${toHex(value!)}`)
    const place = '0000000000000005'
    const event = (id: string) => toHex(eventKey(EVENT.source, id))
    assert.deepEqual(text, [
      ...['a-0', 'a-1', 'a-2'].map((id) => `${event(id)} 0000000000000005`),
      `${event('b')} 0000000000000006`,
      ...['c-0', 'c-1'].map((id) => `${event(id)} 0000000000000007`),
      // First letter, then `printf %s /ci/payments | sha256sum | cut -c-32`, and so on.
      `537eab8ec06593ed5b9c2728b5b8e43897${place} 000000010002`,
      `59f044189992f4898c29c0ef5cfc0a55be${place} 000000010002`,
      `4a2d711642b726b04401627ca9fbac32f5${place} 00000002`,
      `4aa1fce4363854ff888cff4b8e7875d600${place} 0000`,
      `4a594e519ae499312b29433b7dd8a97ff0${place} 0001`,
    ])
  })

  it('refuse every record that they would not write', () => {
    const some = fc.uniqueArray(fc.nat(0xffff), { minLength: 1, maxLength: 50 })
    fc.assert(
      fc.property(some, (numbers) => {
        const offsets = numbers.sort((a, b) => a - b)
        assert.deepEqual(decodeOffsets(encodeOffsets(offsets)), offsets)
      }),
    )
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 8 }), (bytes) => {
        let offsets: number[]
        try {
          offsets = decodeOffsets(bytes)
        } catch (error) {
          assert.ok(damaged(error))
          return
        }
        assert.deepEqual(encodeOffsets(offsets), bytes)
      }),
    )
    for (const bytes of [[], [0], [0, 1, 0], [0, 1, 0, 1], [0, 2, 0, 1]]) {
      assert.throws(() => decodeOffsets(Uint8Array.from(bytes)), damaged, String(bytes))
    }
  })

  it('find what a naive search finds, between any two leaves and in both directions', async () => {
    const subject = fc.constantFrom('x', 'y', 'z')
    const entry = fc.array(subject, { minLength: 1, maxLength: 3 })
    const blocks = fc.array(fc.array(entry, { maxLength: 4 }), { minLength: 1, maxLength: 5 })
    await fc.assert(
      fc.asyncProperty(blocks, async (shape) => {
        const chain = await chainOf(shape)
        const store = await LedgerStore.open(memoryKv(), await exampleGenesis(), { fresh: true })
        await store.install(chain)
        const { size } = store.tip
        const holders = (value: string) =>
          chain.flatMap(({ block, entries }) =>
            entries.flatMap(({ claims }, i) =>
              claims.some((claim) => claim.subject === value) ? [block.seal.firstIndex + i] : [],
            ),
          )
        for (const value of ['x', 'y', 'nobody']) {
          const all = holders(value)
          for (let from = 0; from <= size; from++) {
            for (let to = from; to <= size; to++) {
              const expected = all.filter((index) => index >= from && index < to)
              const forward = await collect(store.indexesWith('subject', value, from, to, false))
              assert.deepEqual(forward, expected, `${from} to ${to}`)
              const back = await collect(store.indexesWith('subject', value, from, to, true))
              assert.deepEqual(back, expected.reverse(), `${to} back to ${from}`)
            }
          }
        }
      }),
      { numRuns: 30 },
    )
  })

  it('are read no further than they are asked', async () => {
    const kv = memoryKv()
    const store = await LedgerStore.open(kv, await exampleGenesis(), { fresh: true })
    const chain = await chainOf([[['x']], [['x']]])
    await store.install(chain)
    const key = indexKey('subject', 'x', chain[1]!.block.seal.firstIndex)
    const stored = kv.map.get(toHex(key))!
    assert.deepEqual(decodeOffsets(openValue(key, stored)), [0])
    stored[0]! ^= 1
    const { firstIndex } = chain[1]!.block.seal
    assert.equal((await collect(store.indexesWith('subject', 'x', 0, firstIndex, false))).length, 1)
    await assert.rejects(collect(store.indexesWith('subject', 'x', 0, firstIndex + 1, false)), damaged)
  })
})
