/** A store that was damaged, lost or is of another kind says so, and serves nothing of it. */

import assert from 'node:assert/strict'
import { refOf } from '../../consensus/log.ts'
import { sealValue } from '../../node/store/checked-kv.ts'
import { blockKey, factsKey, firstIndexKey, leafKey, META, tileKey } from '../../node/store/keys.ts'
import { LedgerStore } from '../../node/store/ledger-store.ts'
import { concat, toHex, u64 } from '../../src/bytes.ts'
import { canonicalJson } from '../../src/json.ts'
import { refused } from '../ledger/fixture.ts'
import { type MemoryKv, memoryKv } from '../support/memory-kv.ts'
import { type Chain, certify, fillStore, makeChain, VOTED } from './fixture.ts'

const damaged = refused('store-damaged')

/** Everything a node reads from its store, at the start and later. */
async function readAll(kv: MemoryKv, chain: Chain): Promise<void> {
  const store = await LedgerStore.open(kv, chain.genesis.block.bytes)
  await store.hardState()
  await store.certified()
  await store.cosigned()
  await store.certificate()
  await store.owner()
  await store.logFrom(0)
  for (let height = 0; height <= store.tip.height; height++) await store.blockBytes(height)
  for (let index = 0; index < store.tip.size; index++) {
    await store.leaf(index)
    await store.tree.inclusionPath(index, store.tip.size)
  }
  for (const { block } of chain.blocks) for (const hash of block.leafHashes) await store.leafIndex(hash)
}

describe('the store of a node', function () {
  this.timeout(30_000)
  let chain: Chain
  before(async () => {
    chain = await makeChain(4)
  })

  it('notices damage to every kind of record it reads', async () => {
    const kv = memoryKv()
    await (await fillStore(kv, chain, 3)).setOwner({ name: 'ada', keys: [] })
    await readAll(kv, chain)
    const { block } = chain.blocks[1]!
    const keys = {
      ...META,
      block: blockKey(2),
      unapplied: blockKey(4),
      facts: factsKey(2),
      firstIndex: firstIndexKey(block.seal.firstIndex),
      leaf: leafKey(block.leafHashes[0]!),
      tile: tileKey(0, 0),
    }
    for (const [name, key] of Object.entries(keys)) {
      const stored = kv.map.get(toHex(key))
      if (name === 'recovering') continue
      assert.ok(stored, name)
      for (const bytes of [stored.slice(1), stored.with(0, stored[0]! ^ 1)]) {
        kv.map.set(toHex(key), bytes)
        await assert.rejects(readAll(kv, chain), damaged, name)
      }
      kv.map.set(toHex(key), stored)
    }
  })

  it('notices that a record is gone which cannot be absent', async () => {
    const kv = memoryKv()
    await fillStore(kv, chain, 3)
    const { block } = chain.blocks[1]!
    const { version, hardState, logEnd, applied, cosigned } = META
    const keys = {
      ...{ version, hardState, logEnd, applied, cosigned },
      block: blockKey(2),
      lastUnapplied: blockKey(4),
      facts: factsKey(2),
      firstIndex: firstIndexKey(block.seal.firstIndex),
      tile: tileKey(0, 0),
    }
    for (const [name, key] of Object.entries(keys)) {
      const stored = kv.map.get(toHex(key))!
      kv.map.delete(toHex(key))
      await assert.rejects(readAll(kv, chain), damaged, name)
      kv.map.set(toHex(key), stored)
    }
    await readAll(kv, chain)
  })

  it('serves no block but the one that was applied, though its checksum be right', async () => {
    const kv = memoryKv()
    const store = await fillStore(kv, chain)
    const other = chain.blocks[2]!.block.bytes
    kv.map.set(toHex(blockKey(2)), sealValue(blockKey(2), other))
    await assert.rejects(store.blockBytes(2), damaged)
    await assert.rejects(store.leaf(chain.blocks[1]!.block.seal.firstIndex), damaged)
  })

  it('refuses older layouts and the store of another ledger, in plain words', async () => {
    const kv = memoryKv()
    const { bytes, id } = chain.genesis.block
    await kv.write([{ key: META.version, value: canonicalJson({ version: 1, genesis: id }) }], true)
    await assert.rejects(LedgerStore.open(kv, bytes), /layout version 1; this program reads 4/)
    const older = sealValue(META.version, canonicalJson({ version: 2, genesis: id }))
    await kv.write([{ key: META.version, value: older }], true)
    await assert.rejects(LedgerStore.open(kv, bytes), /layout version 2; this program reads 4/)
    const value = sealValue(META.version, canonicalJson({ version: 4, genesis: '0'.repeat(64) }))
    await kv.write([{ key: META.version, value }], true)
    await assert.rejects(LedgerStore.open(kv, bytes), refused('store-mismatch'))
  })

  it('counts an empty store as a lost disk, unless the node is new', async () => {
    const genesis = chain.genesis.block.bytes
    const lost = await LedgerStore.open(memoryKv(), genesis)
    assert.deepEqual(await lost.recovering(), { keys: [], why: 'lost' })
    const kv = memoryKv()
    const fresh = await LedgerStore.open(kv, genesis, { fresh: true })
    assert.equal(await fresh.recovering(), undefined)
    const mark = { keys: ['one', 'two'], why: 'restored' } as const
    await fresh.setRecovering(mark)
    assert.deepEqual(await (await LedgerStore.open(kv, genesis)).recovering(), mark)
    await fresh.put({ hardState: { ...VOTED, term: 7 } })
    await fresh.clearRecovering('ada')
    const again = await LedgerStore.open(kv, genesis)
    assert.deepEqual(
      [await again.recovering(), await again.hardState()],
      [undefined, { ...VOTED, term: 7, vote: { candidate: 'ada', base: refOf(again.tip) } }],
    )
  })

  it('reads the mark of an earlier release as one that names no key, and a damaged one not at all', async () => {
    const kv = memoryKv()
    const store = await LedgerStore.open(kv, chain.genesis.block.bytes)
    const put = (value: Uint8Array) =>
      kv.write([{ key: META.recovering, value: sealValue(META.recovering, value) }], true)
    await put(canonicalJson({ without: ['bravo'] }))
    assert.deepEqual(await store.recovering(), { keys: [], why: 'unknown' })
    await put(canonicalJson({ keys: ['one'], why: 'something newer' }))
    assert.deepEqual(await store.recovering(), { keys: ['one'], why: 'unknown' })
    await put(canonicalJson({ keys: 'one', why: 'lost' }))
    await assert.rejects(store.recovering(), refused('store-damaged'))
  })

  it('installs blocks as if they had come through the log', async () => {
    const [one, other] = [memoryKv(), memoryKv()]
    await fillStore(one, chain)
    const store = await LedgerStore.open(other, chain.genesis.block.bytes, { fresh: true })
    await store.install(chain.blocks.slice(0, 1))
    await store.install(chain.blocks.slice(1))
    await store.put({ hardState: VOTED })
    await store.setCosigned(store.tip)
    await store.setCertificate(await certify(store.tip.size, store.tip.root), store.tip.size)
    const certificate = toHex(META.certificate) // signed anew, so with other bytes
    for (const { map } of [one, other]) map.delete(certificate)
    assert.deepEqual(new Map([...other.map].sort()), new Map([...one.map].sort()))
  })

  it('reads itself anew after a failed write that reached the disk after all', async () => {
    const kv = memoryKv()
    const store = await fillStore(kv, { ...chain, blocks: chain.blocks.slice(0, 3) })
    const { map } = kv
    const before = new Map(map)
    await store.install(chain.blocks.slice(3))
    const after = new Map(map)
    // The store of a node that was told "failed" stands at block 3; its disk holds block 4.
    map.clear()
    for (const [key, value] of before) map.set(key, value)
    const told = await LedgerStore.open(kv, chain.genesis.block.bytes)
    for (const [key, value] of after) map.set(key, value)
    await told.reopen()
    assert.equal(told.tip.height, 4)
    assert.equal(
      toHex(concat(told.tip.root, u64(told.tree.size))),
      toHex(concat(store.tip.root, u64(store.tip.size))),
    )
  })

  it('says when less is free than is kept in reserve', async () => {
    const kv = memoryKv()
    const store = await LedgerStore.open(kv, chain.genesis.block.bytes, { fresh: true, reserveBytes: 1_000 })
    kv.freeBytes = 1_000
    assert.equal(await store.lowOnSpace(), false)
    kv.freeBytes = 999
    assert.equal(await store.lowOnSpace(), true)
  })
})
