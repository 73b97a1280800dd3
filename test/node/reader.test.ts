/** What is read for answers: how much at a time, and at the far ends of what may be asked for. */
import assert from 'node:assert/strict'
import { LedgerReader, type PageLimits } from '../../node/core/reader.ts'
import type { LedgerStore } from '../../node/store/ledger-store.ts'
import { INDEX_MAX } from '../../src/limits.ts'
import { EVENT } from '../ledger/fixture.ts'
import { type Chain, fillStore, makeChain } from '../store/fixture.ts'
import { memoryKv } from '../support/memory-kv.ts'

describe('the reader', () => {
  let chain: Chain
  let store: LedgerStore
  before(async () => {
    chain = await makeChain(6, 4)
    store = await fillStore(memoryKv(), chain)
  })

  const readerOf = (page?: PageLimits) =>
    new LedgerReader(store, { size: 0, sequence: 0, note: undefined, policyAt: () => assert.fail() }, page)

  /** All pages of a query: the ids found, how many pages there were, and what reading cost at most for one. */
  async function all(reader: LedgerReader, match: object, order: 'asc' | 'desc') {
    const found: string[] = []
    let [pages, most] = [0, 0]
    for (let after: number | undefined, more = true; more; pages++) {
      let cost = 0
      const query = { ...match, order, limit: 200, ...(after !== undefined && { after }) }
      const { entries, next } = await reader.query(query, (bytes) => {
        cost += bytes
      })
      found.push(...entries.map(({ id }) => id))
      most = Math.max(most, cost)
      after = next
      more = next !== undefined
    }
    return { found, pages, most }
  }

  it('ends a page that has cost enough, even an empty one, and misses nothing by it', async () => {
    const small = { bytesMax: 20_000, readBytesMax: 40_000 }
    for (const order of ['asc', 'desc'] as const) {
      for (const match of [{}, { source: EVENT.source }, { source: EVENT.source, subject: 'app-1' }]) {
        const whole = await all(readerOf(), match, order)
        const parts = await all(readerOf(small), match, order)
        assert.deepEqual(parts.found, whole.found)
        assert.ok(whole.found.length >= 6 && whole.pages === 1)
        assert.ok(parts.pages > 1 && parts.most < 100_000, `${parts.pages} pages of ${parts.most}`)
      }
      const none = await all(readerOf(small), { source: EVENT.source, type: 'of.nobody' }, order)
      assert.deepEqual(none.found, [])
      assert.ok(none.pages > 1 && none.most < 100_000, 'a query that finds nothing reads no more at a time')
    }
  })

  it('has nothing, and no error, after the last number there is', async () => {
    const reader = readerOf()
    assert.deepEqual(await reader.policyUpdates(INDEX_MAX), Uint8Array.of(0, 0))
    for (const match of [{}, { source: EVENT.source }]) {
      const { entries } = await reader.query({ ...match, order: 'asc', limit: 5, after: INDEX_MAX }, () => {})
      assert.deepEqual(entries, [])
    }
  })
})
