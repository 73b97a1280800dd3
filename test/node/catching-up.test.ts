/** Proven blocks that come while ordering brings the same ones, or from somebody who leaves one out. */
import assert from 'node:assert/strict'
import type { Block as RaftBlock } from '../../consensus/types.ts'
import { systemClock } from '../../node/clock.ts'
import { Pool } from '../../node/core/pool.ts'
import { Puller, type PullerPorts } from '../../node/core/puller.ts'
import { encodeSyncAnswer } from '../../node/core/sync.ts'
import { Unapplied } from '../../node/core/unapplied.ts'
import { opensslSuite } from '../../node/crypto/openssl.ts'
import { createLogger } from '../../node/logger.ts'
import { LedgerStore, toRaftBlock } from '../../node/store/ledger-store.ts'
import type { Block } from '../../src/ledger/block.ts'
import { extend, genesisState } from '../../src/ledger/chain.ts'
import type { Entry } from '../../src/ledger/entry.ts'
import {
  blockOn,
  exampleEntry,
  exampleGenesis,
  LEDGER,
  nodeSigner,
  refused,
  TIME,
} from '../ledger/fixture.ts'
import { until } from '../support/cluster.ts'
import { memoryKv } from '../support/memory-kv.ts'
import { mth, path } from '../support/naive-tree.ts'

describe('catching up', () => {
  const evidence = { sawSeal() {} } as unknown as PullerPorts['evidence']
  let store: LedgerStore
  let unapplied: Unapplied
  let entry: Entry
  let first: Block
  let second: Block
  let leaves: Uint8Array[]

  beforeEach(async () => {
    const genesis = await exampleGenesis()
    store = await LedgerStore.open(memoryKv(), genesis.block.bytes, { fresh: true })
    unapplied = new Unapplied(
      store,
      new Pool(),
      { urgent: opensslSuite, past: opensslSuite },
      evidence,
      systemClock,
    )
    entry = await exampleEntry()
    const start = genesisState(genesis)
    first = await blockOn(start, [entry], {}, nodeSigner)
    second = await blockOn(extend(start, first, [entry]), [], { time: TIME + 9_000 }, nodeSigner)
    leaves = [...genesis.block.leaves, ...first.leaves, ...second.leaves]
  })

  it('takes a block for good that is applied while its second copy is being checked', async () => {
    const { hash } = store.tip
    const applying = store.apply([{ block: first, entries: [entry] }])
    const checked = await unapplied.check(hash, [toRaftBlock(first)], Number.POSITIVE_INFINITY)
    await applying
    assert.deepEqual(
      checked.map(({ hash }) => hash),
      [first.id],
    )
  })

  it('refuses an entry that stands elsewhere', async () => {
    await store.apply([{ block: first, entries: [entry] }])
    const again = await blockOn(store.state, [entry], { time: TIME + 9_000 }, nodeSigner)
    await assert.rejects(
      unapplied.check(store.tip.hash, [toRaftBlock(again)], Number.POSITIVE_INFINITY),
      refused('duplicate-entry'),
    )
  })

  it('takes no answer that leaves out a block, although its parent is in the log', async () => {
    await unapplied.check(store.tip.hash, [toRaftBlock(first)], Number.POSITIVE_INFINITY)
    const size = leaves.length
    const answer = encodeSyncAnswer({
      certificate: 'verified elsewhere',
      path: path(size - 1, leaves),
      blocks: [second.bytes],
    })
    const installed: RaftBlock[] = []
    const fatal: unknown[] = []
    let asked = 0
    const request = async () => {
      asked++
      return answer
    }
    const ports = {
      network: { peers: () => ['bob'], request },
      driver: { raft: { commit: 0 }, install: (blocks: RaftBlock[]) => installed.push(...blocks) },
      store,
      unapplied,
      certifier: {
        size: 0,
        boundaryDue: false,
        receiveCertificate: async () => ({ origin: LEDGER, size, root: mth(leaves) }),
      },
      evidence,
      clock: { ...systemClock, after: (_: number, fn: () => void) => systemClock.after(0, fn) },
      logger: createLogger('test', 'silent'),
      onFatal: (error: unknown) => fatal.push(error),
    } as unknown as PullerPorts
    const puller = new Puller(ports)
    puller.pullTo(2)
    await until(() => asked >= 2 || installed.length > 0)
    puller.stop()
    assert.deepEqual([installed.map(({ height }) => height), fatal], [[], []])
  })

  it('says that it holds everything when the answer reaches its certificate, though there will be more', async () => {
    const certified = leaves.slice(0, leaves.length - second.leaves.length)
    const size = certified.length
    let asked = 0
    const request = async () => {
      assert.ok(++asked <= 3)
      // Where blocks come all the time the next question would be answered with the next one, and so on.
      const proof = { certificate: 'verified elsewhere', path: path(size - 1, certified) }
      return encodeSyncAnswer({ ...proof, blocks: [first.bytes] })
    }
    const ports = {
      network: { peers: () => ['bob'], request },
      driver: {
        raft: { commit: 0 },
        async install() {
          await store.apply([{ block: first, entries: [entry] }])
          puller.applied()
        },
      },
      store,
      unapplied,
      certifier: {
        size: 0,
        boundaryDue: false,
        receiveCertificate: async () => ({ origin: LEDGER, size, root: mth(certified) }),
      },
      evidence,
      clock: systemClock,
      logger: createLogger('test', 'silent'),
      onFatal: (error: unknown) => assert.fail(String(error)),
    } as unknown as PullerPorts
    const puller = new Puller(ports)
    assert.equal(await puller.follow(), true)
  })
})
