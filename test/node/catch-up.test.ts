/** Catching up: what may overlap and what must wait, and blocks that come twice or with one left out. */
import assert from 'node:assert/strict'
import type { Block as RaftBlock } from '../../consensus/types.ts'
import { systemClock } from '../../node/clock.ts'
import { Pool } from '../../node/core/pool.ts'
import { Puller, type PullerPorts } from '../../node/core/puller.ts'
import { decodeSyncRequest, encodeSyncAnswer } from '../../node/core/sync.ts'
import { Unapplied } from '../../node/core/unapplied.ts'
import { opensslSuite } from '../../node/crypto/openssl.ts'
import { createLogger } from '../../node/logger.ts'
import { LedgerStore, toRaftBlock } from '../../node/store/ledger-store.ts'
import type { SignatureSuite } from '../../src/crypto/suite.ts'
import { invariant } from '../../src/errors.ts'
import type { Block } from '../../src/ledger/block.ts'
import { extend, genesisState } from '../../src/ledger/chain.ts'
import type { Entry } from '../../src/ledger/entry.ts'
import { parseCheckpoint } from '../../src/notes/checkpoint.ts'
import { parseNote } from '../../src/notes/note.ts'
import {
  blockOn,
  exampleEntry,
  exampleGenesis,
  LEDGER,
  nodeSigner,
  refused,
  TIME,
} from '../ledger/fixture.ts'
import { type Chain, fillStore, makeChain } from '../store/fixture.ts'
import { until } from '../support/cluster.ts'
import { memoryKv } from '../support/memory-kv.ts'
import { mth, path } from '../support/naive-tree.ts'

const BLOCKS = 8
const BLOCKS_EACH = 2

describe('a node that catches up in several parts', () => {
  let chain: Chain
  let source: LedgerStore
  before(async () => {
    chain = await makeChain(BLOCKS)
    source = await fillStore(memoryKv(), chain)
  })

  /** An empty node before peers that answer with two blocks at a time. */
  const follower = async (verify: SignatureSuite['verify'] = opensslSuite.verify) => {
    const store = await LedgerStore.open(memoryKv(), chain.genesis.block.bytes, { fresh: true })
    const suite = { ...opensslSuite, verify }
    const unapplied = new Unapplied(
      store,
      new Pool(),
      { urgent: suite, past: suite },
      { sawSeal() {}, examine: async () => {} },
      systemClock,
    )
    const asked: number[] = []
    const installed: number[][] = []
    /** Blocks handed to Raft that wait to be applied. */
    const committed: RaftBlock[] = []
    const raft = { commit: 0 }
    let fatal: unknown
    const puller = new Puller({
      network: {
        peers: () => ['alpha', 'bravo'],
        request: (_: string, bytes: Uint8Array) => answer(bytes),
        misbehaved() {},
      },
      driver: {
        raft,
        install(blocks: readonly RaftBlock[]) {
          installed.push(blocks.map(({ height }) => height))
          committed.push(...blocks)
          raft.commit = blocks.at(-1)!.height
        },
      },
      store,
      unapplied,
      certifier: {
        size: 0,
        boundaryDue: false,
        receiveCertificate: async (note: string) => parseCheckpoint(parseNote(note).text),
      },
      clock: { ...systemClock, after: (_: number, fn: () => void) => systemClock.after(1, fn) },
      logger: createLogger('test', 'silent'),
      onFatal: (error: unknown) => {
        fatal = error
      },
    } as unknown as PullerPorts)
    const answer = async (bytes: Uint8Array) => {
      const { from } = decodeSyncRequest(bytes)
      asked.push(from)
      const blocks = chain.blocks.slice(from - 1, from - 1 + BLOCKS_EACH).map(({ block }) => block)
      const seal = blocks.at(-1)?.seal
      const path = seal ? await source.tree.inclusionPath(seal.firstIndex + seal.count, source.tip.size) : []
      const certificate = (await source.certificate())!
      return encodeSyncAnswer({ certificate, path, blocks: blocks.map((block) => block.bytes) })
    }
    const apply = async () => {
      for (const { hash } of committed.splice(0)) {
        const block = unapplied.get(hash)
        invariant(block, 'Checked before it was installed.')
        await store.apply([block])
      }
      unapplied.prune()
      puller.applied()
    }
    return { store, puller, asked, installed, apply, fatal: () => fatal }
  }

  it('asks for the next part while it verifies one', async () => {
    let open = () => {}
    const gate = new Promise<void>((resolve) => {
      open = resolve
    })
    const node = await follower(async (...check) => {
      await gate
      return opensslSuite.verify(...check)
    })
    node.puller.pullTo(BLOCKS)
    await until(() => node.asked.length === 2)
    assert.deepEqual([node.asked, node.installed], [[1, 3], []])
    open()
    await until(() => node.installed.length === 1)
    node.puller.stop()
  })

  it('hands a part to Raft only when the one before is applied, and keeps no more than three', async () => {
    const node = await follower()
    node.puller.pullTo(BLOCKS)
    await until(() => node.asked.length === 3)
    await new Promise((resolve) => setTimeout(resolve, 50))
    assert.deepEqual([node.asked, node.installed], [[1, 3, 5], [[1, 2]]])
    await node.apply()
    await until(() => node.installed.length === 2)
    await new Promise((resolve) => setTimeout(resolve, 50))
    assert.deepEqual(node.asked, [1, 3, 5, 7])
    node.puller.stop()
  })

  it('ends with every block, in order', async () => {
    const node = await follower()
    node.puller.pullTo(BLOCKS)
    await until(async () => {
      await node.apply()
      return node.store.tip.height === BLOCKS
    })
    assert.deepEqual(node.installed, [
      [1, 2],
      [3, 4],
      [5, 6],
      [7, 8],
    ])
    assert.deepEqual(node.store.tip, source.tip)
    assert.equal(node.fatal(), undefined)
  })

  it('installs nothing whose signatures do not verify, nor what was fetched behind it', async () => {
    let bad = true
    const node = await follower(async (...check) => !bad && opensslSuite.verify(...check))
    node.puller.pullTo(BLOCKS)
    await until(() => node.asked.length >= 4)
    assert.deepEqual(node.installed, [])
    bad = false
    // By now it may have asked everybody often enough to wait for news.
    node.puller.pullTo(BLOCKS)
    await until(() => node.installed.length === 1)
    node.puller.stop()
  })

  it('installs nothing more once it is stopped', async () => {
    const node = await follower()
    node.puller.pullTo(BLOCKS)
    await until(() => node.asked.length === 3)
    node.puller.stop()
    await node.apply()
    await new Promise((resolve) => setTimeout(resolve, 50))
    assert.equal(node.installed.length, 1)
  })

  it('follows to the end without being told how far, and says at once that it holds all there was', async () => {
    const node = await follower()
    const applying = setInterval(() => void node.apply(), 1)
    // Asking again would be too late under load: by then there would be more.
    assert.equal(await node.puller.follow().finally(() => clearInterval(applying)), 'alpha')
    assert.equal(node.fatal(), undefined)
    assert.equal(node.store.tip.height, BLOCKS)
  })
})

describe('proven blocks that come while ordering brings the same ones, or from somebody who leaves one out', () => {
  const evidence = { sawSeal() {}, examine: async () => {} } as unknown as PullerPorts['evidence']
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
})
