/** What a lying leader can make a node remember. */
import assert from 'node:assert/strict'
import { Pool } from '../../node/core/pool.ts'
import type { PullerPorts } from '../../node/core/puller.ts'
import { Unapplied } from '../../node/core/unapplied.ts'
import { opensslSuite } from '../../node/crypto/openssl.ts'
import { LedgerStore, toRaftBlock } from '../../node/store/ledger-store.ts'
import type { Block } from '../../src/ledger/block.ts'
import { extend } from '../../src/ledger/chain.ts'
import { encodeEnvelope } from '../../src/ledger/dsse.ts'
import { decodeEntry } from '../../src/ledger/entry.ts'
import { blockOn, entryOf, exampleGenesis, nodeSigner, refused, TIME } from '../ledger/fixture.ts'
import { memoryKv } from '../support/memory-kv.ts'

describe('blocks that are checked and not applied', () => {
  let examined: (Uint8Array | undefined)[]
  const evidence = {
    sawSeal() {},
    examine: async (leaf: Uint8Array | undefined) => void examined.push(leaf),
  } as unknown as PullerPorts['evidence']
  let store: LedgerStore
  let unapplied: Unapplied
  let tail: string
  let soon: (() => void)[]

  beforeEach(async () => {
    const genesis = await exampleGenesis()
    store = await LedgerStore.open(memoryKv(), genesis.block.bytes, { fresh: true })
    const suites = { urgent: opensslSuite, past: opensslSuite }
    soon = []
    examined = []
    const clock = { soon: (fn: () => void) => void soon.push(fn) }
    unapplied = new Unapplied(store, new Pool(), suites, evidence, clock)
    tail = store.tip.hash
    unapplied.follow(() => tail)
  })

  const rivalOf = (i: number) => blockOn(store.state, [], { time: TIME + 5_000 + i }, nodeSigner)

  async function check(block: Block, parent = store.tip.hash): Promise<void> {
    await unapplied.check(parent, [toRaftBlock(block)], Number.POSITIVE_INFINITY)
  }

  /** Raft has taken the block that was checked last, or has not, by now. */
  function later(): void {
    for (const fn of soon.splice(0)) fn()
  }

  it('are forgotten when the log goes on without them, however many rivals one height has', async () => {
    let last: Block | undefined
    for (let i = 0; i < 50; i++) {
      last = await rivalOf(i)
      await check(last)
      assert.ok(unapplied.get(last.id), 'until Raft has had the time to take it')
      tail = last.id
      later()
    }
    assert.equal(unapplied.size, 1)
    assert.ok(unapplied.get(last!.id))
  })

  it('are forgotten when they never came into the log', async () => {
    for (let i = 0; i < 50; i++) {
      await check(await rivalOf(i))
      later()
    }
    assert.equal(unapplied.size, 0)
  })

  it('are looked at for what their proposer has sealed, also if nobody may take them', async () => {
    const entry = await entryOf({ id: 'forged' })
    const { envelope } = entry
    const [{ keyid, sig }] = envelope.signatures as [{ keyid: string; sig: Uint8Array }]
    const bytes = encodeEnvelope({ ...envelope, signatures: [{ keyid, sig: sig.map((byte) => byte ^ 1) }] })
    const bad = await blockOn(store.state, [decodeEntry(bytes)], { time: TIME + 5_000 }, nodeSigner)
    await assert.rejects(check(bad), refused('bad-signature'))
    assert.deepEqual(examined, [bad.leaves.at(-1)])
  })

  it('are kept along the whole branch of the log', async () => {
    const first = await rivalOf(0)
    const second = await blockOn(extend(store.state, first, []), [], { time: TIME + 9_000 }, nodeSigner)
    await check(first)
    tail = first.id
    await check(second, first.id)
    tail = second.id
    await check(await rivalOf(1))
    later()
    assert.equal(unapplied.size, 2)
    assert.ok(unapplied.get(first.id) && unapplied.get(second.id))
  })

  it('are kept when a certificate has proven them, until they are applied', async () => {
    const proven = await rivalOf(0)
    await unapplied.checkProven(store.tip.hash, [await unapplied.read(proven)])
    await check(proven)
    await check(await rivalOf(1))
    later()
    assert.equal(unapplied.size, 1)
    assert.ok(unapplied.get(proven.id))
    await store.apply([{ block: proven, entries: [] }])
    unapplied.prune()
    assert.equal(unapplied.size, 0)
  })
})
