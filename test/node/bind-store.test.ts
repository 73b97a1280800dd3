/** Whose promises a store holds: another node's bind nobody here, and other keys may have made others. */
import assert from 'node:assert/strict'
import { bindStore } from '../../node/core/recovery.ts'
import { LedgerStore } from '../../node/store/ledger-store.ts'
import { keyId } from '../../src/crypto/keys.ts'
import { exampleGenesis } from '../ledger/fixture.ts'
import { memoryKv } from '../support/memory-kv.ts'

describe('a store and its node', () => {
  const ring = (...inPlace: string[]) => ({ ids: async () => ({ inPlace, next: [] }) })

  async function setUp() {
    const genesis = await exampleGenesis()
    const store = await LedgerStore.open(memoryKv(), genesis.block.bytes, { fresh: true })
    const [record] = genesis.membership.nodeByName.values()
    return { store, name: record!.name, keys: [keyId(record!.nodeKey), keyId(record!.cosignerKey)] as const }
  }

  it('belong together from the first start on; that of another node is refused by its name', async () => {
    const { store, name, keys } = await setUp()
    for (let starts = 0; starts < 2; starts++) await bindStore(store, name, ring(...keys))
    assert.deepEqual(await store.owner(), { name, keys })
    assert.equal(await store.recovering(), undefined)
    await assert.rejects(bindStore(store, 'bravo', ring(...keys)), (error: Error & { code?: string }) => {
      assert.equal(error.code, 'store-mismatch')
      assert.match(error.message, new RegExp(`that of ${name}, and the folder is that of bravo`))
      return true
    })
    assert.deepEqual(await store.owner(), { name, keys })
  })

  it('go on under keys that the members name after the others, also halfway through moving them', async () => {
    const { store, name, keys } = await setUp()
    // As if the keys of genesis had followed these in the same place: one of them stayed.
    await store.setOwner({ name, keys: ['before', keys[1]] })
    await bindStore(store, name, ring(...keys))
    assert.equal(await store.recovering(), undefined)
    assert.deepEqual(await store.owner(), { name, keys })
  })

  it('are marked where keys turn up that have a past of which the store knows nothing', async () => {
    const { store, name, keys } = await setUp()
    // A new store, made with keys of its own, and then given those of a founder that had lost its disk.
    await store.setOwner({ name, keys: ['new-node', 'new-cosigner'] })
    await bindStore(store, name, ring(...keys))
    assert.deepEqual(await store.recovering(), { keys: [], why: 'keys' })
  })
})
