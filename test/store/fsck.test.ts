/** Whatever is done to a store, a check finds it, and a repair brings back the same content or says what is lost. */
import assert from 'node:assert/strict'
import fc from 'fast-check'
import { answerFrom, type SyncAnswer } from '../../node/core/sync.ts'
import { opensslSuite } from '../../node/crypto/openssl.ts'
import { sealValue } from '../../node/store/checked-kv.ts'
import { Findings } from '../../node/store/finding.ts'
import { checkStore } from '../../node/store/fsck.ts'
import {
  blockKey,
  certificateKey,
  eventKey,
  indexKey,
  leafKey,
  META,
  tileKey,
} from '../../node/store/keys.ts'
import { LedgerStore } from '../../node/store/ledger-store.ts'
import { repairStore } from '../../node/store/repair.ts'
import { equalBytes, fromHex, toHex, u64, utf8 } from '../../src/bytes.ts'
import { EVENT, entryOf, refused } from '../ledger/fixture.ts'
import { type MemoryKv, memoryKv } from '../support/memory-kv.ts'
import { type Chain, certify, fillStore, makeChain } from './fixture.ts'

const APPLIED = 4
const ENTRIES = 2

describe('fsck', function () {
  this.timeout(120_000)
  let chain: Chain
  let sound: Map<string, Uint8Array>
  let peer: LedgerStore

  before(async () => {
    chain = await makeChain(APPLIED + 1, ENTRIES, 3)
    const kv = memoryKv()
    const store = await fillStore(kv, chain, APPLIED)
    await store.addPending([await entryOf({ id: 'waiting' })])
    sound = kv.map
    const other = memoryKv()
    peer = await fillStore(other, { ...chain, blocks: chain.blocks.slice(0, APPLIED) })
  })

  /** The sound store with something done to it. */
  function damagedStore(change: (kv: MemoryKv) => void): MemoryKv {
    const kv = memoryKv()
    for (const [key, value] of sound) kv.map.set(key, value.slice())
    change(kv)
    return kv
  }

  async function check(raw: MemoryKv) {
    const findings = new Findings()
    const { genesis } = chain
    const report = await checkStore({
      ...{ raw, genesis, findings },
      name: 'ada',
      suite: opensslSuite,
      onProgress: () => {},
    })
    return { findings, report, texts: findings.kept.map(({ where, what }) => `${where} ${what}`) }
  }

  const fromPeer = async (from: number): Promise<SyncAnswer> =>
    answerFrom(peer, await peer.certificate(), from)

  async function repair(raw: MemoryKv, fetch: (from: number) => Promise<SyncAnswer | undefined> = fromPeer) {
    const { findings, report } = await check(raw)
    const fresh = memoryKv()
    const { genesis } = chain
    const store = await LedgerStore.open(fresh, genesis.block.bytes, { fresh: true })
    const done = await repairStore({
      ...{ raw, store, genesis, fetch },
      suite: opensslSuite,
      badBlocks: report.badBlocks,
      forgetful: findings.forgetful,
      keys: ['node', 'cosigner'],
      onProgress: () => {},
    })
    return { fresh, done }
  }

  /** Keys under which two stores differ, but for those of `ignored`. */
  function differences(map: ReadonlyMap<string, Uint8Array>, ignored: readonly Uint8Array[] = []): string[] {
    const skip = new Set(ignored.map(toHex))
    const names = new Set([...map.keys(), ...sound.keys()])
    const text = (bytes: Uint8Array | undefined) => bytes && toHex(bytes)
    return [...names].filter((name) => !skip.has(name) && text(map.get(name)) !== text(sound.get(name)))
  }

  it('finds nothing wrong with a sound store, and verifies all of it', async () => {
    const { findings, report } = await check(damagedStore(() => {}))
    assert.deepEqual(findings.kept, [])
    assert.deepEqual(
      [report.height, report.entries, report.recovering],
      [APPLIED, ENTRIES * (APPLIED + 1) + 1, false],
    )
    assert.equal(report.size, chain.genesis.block.leaves.length + APPLIED * (ENTRIES + 1) + 1)
  })

  it('finds any record that is damaged, gone, or of another time, and repairs it', async () => {
    const keys = [...sound.keys()].sort()
    const how = fc.constantFrom('flip', 'cut', 'remove', 'replace')
    await fc.assert(
      fc.asyncProperty(fc.nat(keys.length - 1), how, fc.nat(), async (which, what, at) => {
        const name = keys[which]!
        const raw = damagedStore(({ map }) => {
          const stored = map.get(name)!
          const bit = at % (8 * stored.length)
          // What is replaced by itself is not damaged.
          fc.pre(what !== 'replace' || !equalBytes(stored, sealValue(fromHex(name), u64(at))))
          if (what === 'flip') stored[bit >> 3]! ^= 1 << (bit & 7)
          if (what === 'cut') map.set(name, stored.slice(0, at % stored.length))
          if (what === 'remove') map.delete(name)
          // Another value with a checksum of its own: as from an older copy of the disk.
          if (what === 'replace') map.set(name, sealValue(fromHex(name), u64(at)))
        })
        const { findings, texts } = await check(raw)
        const pendingGone = what === 'remove' && name.startsWith('50')
        const certificateGone = what === 'remove' && name === toHex(META.certificate)
        // These two leave no trace: nobody else knows that they were there.
        if (pendingGone || certificateGone) return
        assert.ok(findings.damage, `${what} ${name}`)
        assert.ok(texts.every((text) => text.length > 10))
        const { fresh, done } = await repair(raw)
        const left = await check(fresh)
        assert.deepEqual(left.findings.kept, [], `${what} ${name}`)
        // What nobody can give back, and the mark that stands for it.
        const lost = [META.hardState, META.cosigned, META.certificate, META.logEnd, META.recovering]
        const gone = ['50', '42', '43'].includes(name.slice(0, 2)) ? [fromHex(name)] : []
        assert.deepEqual(differences(fresh.map, [...lost, ...gone]), [], `${what} ${name}`)
        assert.equal(done.recovering, findings.forgetful)
      }),
      { numRuns: 60 },
    )
  })

  it('finds a version record that says nothing, and makes it again', async () => {
    const raw = damagedStore(({ map }) => map.set(toHex(META.version), sealValue(META.version, u64(0))))
    assert.deepEqual((await check(raw)).texts, ['the version record cannot be read'])
    assert.deepEqual(differences((await repair(raw)).fresh.map), [])
  })

  it('loses no block of a log whose end is said to be lower than it is', async () => {
    const raw = damagedStore(({ map }) => map.set(toHex(META.logEnd), sealValue(META.logEnd, u64(0))))
    assert.ok((await check(raw)).findings.damage)
    assert.deepEqual(differences((await repair(raw)).fresh.map, [META.recovering]), [])
  })

  it('repairs what follows from the blocks to the last byte, without a peer', async () => {
    const { block } = chain.blocks[2]!
    const keys = [tileKey(0, 0), leafKey(block.leafHashes[0]!), eventKey(EVENT.source, 'build-3-0')]
    const raw = damagedStore(({ map }) => {
      for (const key of keys) map.get(toHex(key))![0]! ^= 1
    })
    const { fresh, done } = await repair(raw, async () => assert.fail('no peer is needed'))
    assert.deepEqual(differences(fresh.map), [])
    assert.equal(done.recovering, false)
  })

  it('finds records that no block accounts for', async () => {
    const extra = [
      leafKey(new Uint8Array(32)),
      eventKey('//nobody', 'x'),
      indexKey('source', '//nobody', 3),
      tileKey(0, 99),
      utf8('Q?'),
      utf8('Mystery'),
    ]
    for (const key of extra) {
      const raw = damagedStore(({ map }) => map.set(toHex(key), sealValue(key, u64(3))))
      const { findings } = await check(raw)
      assert.equal(findings.count('derived'), 1, toHex(key))
      const { fresh } = await repair(raw)
      assert.deepEqual(differences(fresh.map, [META.recovering]), [], toHex(key))
    }
  })

  it('judges every certificate that is kept, and keeps those that hold', async () => {
    const { size, root } = (await peer.facts(1))!
    const note = utf8(await certify(size, root))
    const forged = utf8(await certify(size, new Uint8Array(32).fill(7)))
    const [right, wrong] = [certificateKey(size), certificateKey(size + 1)]
    const cases: [Uint8Array, Uint8Array, boolean, RegExp | undefined][] = [
      [right, note, true, undefined],
      [right, forged, false, /kept at size \d+ vouches for another tree/],
      [wrong, note, false, /kept at size \d+ is of another size/],
      [right, utf8('no note'), false, /kept at size \d+ is (no signed note|of another size)/],
    ]
    for (const [key, value, holds, sentence] of cases) {
      const raw = damagedStore(({ map }) => map.set(toHex(key), sealValue(key, value)))
      const { findings, texts } = await check(raw)
      assert.equal(findings.damage, !holds)
      if (sentence) assert.match(texts.join('\n'), sentence)
      const { fresh } = await repair(raw)
      assert.equal(fresh.map.has(toHex(key)), holds)
    }
  })

  it('fetches lost blocks from a peer, and writes nothing if there is none', async () => {
    const raw = damagedStore(({ map }) => {
      map.delete(toHex(blockKey(2)))
      map.get(toHex(blockKey(4)))![100]! ^= 4
    })
    const { texts, report } = await check(raw)
    assert.deepEqual([...report.badBlocks], [2, 4])
    assert.equal(texts.length, 2)
    await assert.rejects(
      repair(raw, async () => undefined),
      refused('store-damaged'),
    )
    const { fresh, done } = await repair(raw)
    assert.ok(done.fetched > 0 && done.recovering)
    assert.deepEqual(differences(fresh.map, [META.recovering]), [])
  })

  it('takes nothing from a peer that it cannot prove', async () => {
    const raw = damagedStore(({ map }) => map.delete(toHex(blockKey(2))))
    const forged = await makeChain(APPLIED, ENTRIES)
    const liar = await fillStore(memoryKv(), forged)
    await assert.rejects(
      repair(raw, async (from) => {
        const answer = await answerFrom(liar, await liar.certificate(), from)
        return { ...answer, certificate: (await peer.certificate())! }
      }),
      refused('bad-inclusion'),
    )
  })

  it('finds signatures that do not verify, although everything else fits', async () => {
    const kv = memoryKv()
    const { blocks } = await makeChain(3, 2)
    const unsigned = [await entryOf({ id: 'forged' })]
    const { blockOn } = await import('../ledger/fixture.ts')
    const { extend, genesisState } = await import('../../src/ledger/chain.ts')
    let state = genesisState(chain.genesis)
    for (const { block, entries } of blocks) state = extend(state, block, entries)
    const forged = { block: await blockOn(state, unsigned), entries: unsigned }
    await fillStore(kv, { genesis: chain.genesis, blocks: [...blocks, forged] })
    const { findings, texts } = await check(kv)
    assert.equal(findings.count('block'), 1)
    assert.match(texts[0]!, /block 4 .*signature/i)
  })

  it('finds that a promise is older than what the node has signed since', async () => {
    const raw = damagedStore(({ map }) => {
      const { size, root } = { size: 9, root: new Uint8Array(32) }
      const value = new Uint8Array([...u64(size), ...root])
      map.set(toHex(META.cosigned), sealValue(META.cosigned, value))
    })
    const { findings } = await check(raw)
    assert.ok(findings.count('promise') > 0 && findings.forgetful)
    const { fresh, done } = await repair(raw)
    assert.equal(done.recovering, true)
    assert.deepEqual((await check(fresh)).findings.count('fork'), 0)
  })
})
