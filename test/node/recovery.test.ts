/** How a node that forgot judges what the others say binds it. */
import assert from 'node:assert/strict'
import { encodePromises, endRecovery, type Promises, Recovery } from '../../node/core/recovery.ts'
import { createLogger } from '../../node/logger.ts'
import { LedgerStore } from '../../node/store/ledger-store.ts'
import type { Membership } from '../../src/ledger/membership.ts'
import { exampleGenesis } from '../ledger/fixture.ts'
import { memoryKv } from '../support/memory-kv.ts'

describe('a recovering node', () => {
  const logger = createLogger('test', 'silent')

  function recovering(answers: Record<string, Promises>) {
    const own = { term: 3, tail: { height: 7, term: 3, hash: '' } }
    const names = ['ada', ...Object.keys(answers)]
    const recovery = new Recovery({
      name: 'ada',
      without: [],
      network: { request: async (peer) => encodePromises(answers[peer]!) },
      logger,
      membership: () => ({ validators: names.map((name) => ({ name })) }) as unknown as Membership,
      own: () => own,
    })
    return { recovery, own }
  }

  it('says whose log it has to catch up with', async () => {
    const bob = { term: 4, tail: { height: 7, term: 3 }, recovering: false }
    const cleo = { term: 4, tail: { height: 9, term: 4 }, recovering: false }
    const { recovery, own } = recovering({ bob, cleo })
    assert.equal(await recovery.attempt(), undefined)
    assert.match(recovery.note, /must catch up with cleo's \(block 9\)\.$/)
    own.tail = { height: 9, term: 4, hash: '' }
    assert.deepEqual(await recovery.attempt(), { term: 4, votedFor: 'ada' })
  })

  it('believes in no term that would leave it none to take part in, and names who says so', async () => {
    const bob = { term: 4, tail: { height: 7, term: 3 }, recovering: false }
    const liar = { term: Number.MAX_SAFE_INTEGER, tail: { height: 1, term: 1 }, recovering: false }
    const { recovery } = recovering({ bob, liar })
    assert.equal(await recovery.attempt(), undefined)
    assert.match(recovery.note, /must hear from liar\.$/)
  })

  it('builds nothing on the word of a node that may have forgotten too', async () => {
    const bob = { term: 4, tail: { height: 7, term: 3 }, recovering: false }
    const { recovery } = recovering({ bob, cleo: { ...bob, recovering: true } })
    assert.equal(await recovery.attempt(), undefined)
    assert.match(recovery.note, /must hear from cleo\. cleo may have forgotten too/)
  })

  it('keeps a newer term that it has heard of since it was answered', async () => {
    const genesis = await exampleGenesis()
    const store = await LedgerStore.open(memoryKv(), genesis.block.bytes)
    await store.persist({ term: 9, votedFor: undefined }, undefined, [])
    await endRecovery(store, { term: 4, votedFor: 'ada' }, logger)
    assert.deepEqual(await store.hardState(), { term: 9, votedFor: 'ada' })
    assert.equal(await store.recovering(), undefined)
  })
})
