/** Admission while blocks are applied: what stands in the chain must not enter the pool for good. */
import assert from 'node:assert/strict'
import { Admission } from '../../node/core/admission.ts'
import { Pool } from '../../node/core/pool.ts'
import type { LedgerStore } from '../../node/store/ledger-store.ts'
import type { SignatureSuite } from '../../src/crypto/suite.ts'
import { genesisState } from '../../src/ledger/chain.ts'
import { applyChange } from '../../src/ledger/change.ts'
import { entryOf, exampleGenesis } from '../ledger/fixture.ts'

function admissionOver(store: object, pool: Pool, suite: object): Admission {
  return new Admission(store as LedgerStore, pool, suite as SignatureSuite, () => true)
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

  it('counts those whose signatures are being verified, and no longer than that', async () => {
    const pool = new Pool()
    const some = await entryOf()
    for (let i = 0; i < 4_094; i++) pool.add({ ...some, id: `entry ${i}`, claims: [] })
    const state = genesisState(await exampleGenesis())
    const store = { state, tip: { height: 0 }, recorded: async () => ({ leaf: undefined, event: undefined }) }
    const verified: ((good: boolean) => void)[] = []
    const verify = () => new Promise<boolean>((resolve) => verified.push(resolve))
    const admission = admissionOver(store, pool, { verify })
    const entries = await Promise.all([1, 2, 3, 4].map((i) => entryOf({ id: `new ${i}` })))
    const [first, second, third] = entries.slice(0, 3).map((entry) => admission.admit(entry))
    await assert.rejects(third!, { code: 'overloaded' })
    verified[0]!(false)
    await assert.rejects(first!, { code: 'bad-signature' })
    const fourth = admission.admit(entries[3]!)
    while (verified.length < 3) await new Promise((resolve) => setImmediate(resolve))
    for (const resolve of verified) resolve(true)
    assert.deepEqual(await Promise.all([second, fourth]), [{ outcome: 'admitted' }, { outcome: 'admitted' }])
    assert.equal(pool.size, 4_096)
  })
})
