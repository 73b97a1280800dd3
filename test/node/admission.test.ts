/** Admission while blocks are applied: what stands in the chain must not enter the pool for good. */
import assert from 'node:assert/strict'
import { Admission } from '../../node/core/admission.ts'
import { Pool } from '../../node/core/pool.ts'
import type { LedgerStore } from '../../node/store/ledger-store.ts'
import type { SignatureSuite } from '../../src/crypto/suite.ts'
import { genesisState } from '../../src/ledger/chain.ts'
import { applyChange } from '../../src/ledger/change.ts'
import { entryOf, exampleGenesis, TIME } from '../ledger/fixture.ts'

function admissionOver(store: object, pool: Pool, suite: object): Admission {
  return new Admission(
    store as LedgerStore,
    pool,
    suite as SignatureSuite,
    () => true,
    () => TIME,
  )
}

describe('an entry whose block is applied while its signature is verified', () => {
  it('is known, and not pending for ever', async () => {
    const entry = await entryOf()
    const pool = new Pool()
    const store = {
      state: genesisState(await exampleGenesis()),
      tip: { height: 0 },
      recorded: async () => ({ leaf: store.tip.height === 0 ? undefined : 1, event: undefined }),
    }
    const suite = {
      verify: async () => {
        store.tip.height = 1
        return true
      },
    }
    const admission = admissionOver(store, pool, suite)
    assert.deepEqual(await admission.admit(entry), { outcome: 'known' })
    assert.equal(pool.size, 0)
  })
})

describe('an entry of the future', () => {
  it('is refused where it comes in first, with a day for clocks and time zones', async () => {
    const store = {
      state: genesisState(await exampleGenesis()),
      tip: { height: 0 },
      recorded: async () => ({ leaf: undefined, event: undefined }),
    }
    const admission = admissionOver(store, new Pool(), { verify: async () => true })
    for (const time of ['2999-01-01T00:00:00Z', '2026-02-01T12:00:00.001Z', '2026-02-01t12:00:01z'])
      await assert.rejects(admission.admit(await entryOf({ time, id: time })), {
        code: 'bad-time',
        facts: { time },
      })
    for (const time of ['2026-02-01T12:00:00.0009Z', '2026-02-02T01:59:59+14:00', '1815-12-10T00:00:00Z'])
      assert.deepEqual(await admission.admit(await entryOf({ time, id: time })), { outcome: 'admitted' })
    // Another node has told its submitter that it will be recorded.
    const late = await entryOf({ time: '2999-01-01T00:00:00Z', id: 'late' })
    assert.deepEqual(await admission.admit(late, true), { outcome: 'admitted' })
  })
})

describe('an entry whose submitter is removed while its signature is verified', () => {
  it('is refused, since no block may hold it any more', async () => {
    const entry = await entryOf()
    const pool = new Pool()
    const store = {
      state: genesisState(await exampleGenesis()),
      tip: { height: 0 },
      recorded: async () => ({ leaf: undefined, event: undefined }),
    }
    const suite = {
      verify: async () => {
        const { state } = store
        const { ledger } = state.parameters
        const { cosigners, adminQuorum, submitters } = state.membership
        const what = { remove: submitters[0]!.name }
        const change = { ledger, sequence: 1, cosigners, adminQuorum, what }
        store.state = { ...state, membership: applyChange(state.membership, change) }
        return true
      },
    }
    const admission = admissionOver(store, pool, suite)
    await assert.rejects(admission.admit(entry), { code: 'unknown-key' })
    assert.equal(pool.size, 0)
  })
})

describe('a pool with all that clients may put into it', () => {
  it('makes them wait, and takes what another node has accepted', async () => {
    const entry = await entryOf()
    const pool = new Pool()
    for (let i = 0; i < 4_096; i++) pool.add({ ...entry, id: `entry ${i}`, claims: [] })
    const state = genesisState(await exampleGenesis())
    const store = { state, tip: { height: 0 }, recorded: async () => ({ leaf: undefined, event: undefined }) }
    const admission = admissionOver(store, pool, { verify: async () => true })
    await assert.rejects(admission.admit(entry), { code: 'overloaded', facts: { retryAfterMs: 500 } })
    assert.deepEqual(await admission.admit(entry, true), { outcome: 'admitted' })
    for (let i = 4_096; i < 16_384; i++) pool.add({ ...entry, id: `entry ${i}`, claims: [] })
    await assert.rejects(admission.admit(await entryOf({ id: 'another' }), true), { code: 'overloaded' })
  })

  it('is not filled by signatures that nobody has made, whoever they name', async () => {
    const pool = new Pool()
    const some = await entryOf()
    const state = genesisState(await exampleGenesis())
    const store = { state, tip: { height: 0 }, recorded: async () => ({ leaf: undefined, event: undefined }) }
    const waiting: (() => void)[] = []
    // They never come to their end here, as they would not for long under a flood.
    const verify = (_key: unknown, message: Uint8Array) =>
      new TextDecoder().decode(message).includes('honest')
        ? Promise.resolve(true)
        : new Promise<boolean>((resolve) => waiting.push(() => resolve(false)))
    const admission = admissionOver(store, pool, { verify })
    const flood = Array.from({ length: 6_000 }, (_, i) =>
      admission
        .admit({ ...some, id: `forged ${i}`, claims: [] }, false, {
          name: '10.0.0.1',
          connection: `${i % 50}`,
          known: false,
        })
        .then(
          () => 'admitted',
          (error) => error.code,
        ),
    )
    const honest = await entryOf({ id: 'honest' })
    const admitted = admission.admit(honest, false, { name: 'token ci', known: true })
    const drain = setInterval(() => {
      for (const end of waiting.splice(0)) end()
    }, 1)
    try {
      assert.deepEqual(await admitted, { outcome: 'admitted' })
      assert.equal(pool.size, 1)
      const outcomes = await Promise.all(flood)
      assert.ok(outcomes.filter((code) => code === 'overloaded').length > 4_000)
      assert.ok(!outcomes.includes('admitted'))
    } finally {
      clearInterval(drain)
    }
  })

  it('keeps a share for each submitter, and for each token and peer', async () => {
    const pool = new Pool()
    const some = await entryOf()
    const by = (keyid: string, id: string) => ({
      ...some,
      id,
      claims: [],
      envelope: { ...some.envelope, signatures: [{ ...some.envelope.signatures[0]!, keyid }] },
    })
    for (let i = 0; i < 4_096; i++) pool.add(by('greedy', `greedy ${i}`), 'token greedy')
    assert.equal(pool.hasRoom(by('greedy', 'more'), 4, false, 'token greedy'), false)
    assert.equal(pool.hasRoom(by('greedy', 'more'), 4, false, 'token other'), true)
    let shared = 0
    while (pool.hasRoom(by('modest', `modest ${shared}`), 4, false))
      pool.add(by('modest', `modest ${shared++}`))
    assert.equal(shared, 256)
    let brought = 0
    while (pool.hasRoom(by('greedy', `brought ${brought}`), 4, false, 'peer bravo'))
      pool.add(by('greedy', `brought ${brought++}`), 'peer bravo')
    assert.equal(brought, 32)
    for (let i = 0; i < 4_096; i++) pool.remove(`greedy ${i}`)
    assert.equal(pool.hasRoom(by('greedy', 'more'), 4, false), true)
  })

  it('gives blocks the oldest of each submitter in turn', async () => {
    const pool = new Pool()
    const some = await entryOf()
    const by = (keyid: string, id: string) => ({
      ...some,
      id,
      claims: [],
      envelope: { ...some.envelope, signatures: [{ ...some.envelope.signatures[0]!, keyid }] },
    })
    for (let i = 0; i < 1_000; i++) pool.add(by('greedy', `greedy ${i}`))
    pool.add(by('modest', 'modest 0'))
    pool.add(by('modest', 'modest 1'))
    const ids = pool.oldest(6, 1_000_000, ({ id }) => id === 'greedy 0').map(({ id }) => id)
    assert.deepEqual(ids, ['greedy 1', 'modest 0', 'greedy 2', 'modest 1', 'greedy 3', 'greedy 4'])
    assert.equal(pool.oldest(1, 1_000_000, () => false)[0]!.id, 'modest 0', 'another begins')
  })
})
