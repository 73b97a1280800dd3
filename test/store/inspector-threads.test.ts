/** Blocks inspected in threads: the same findings as in one thread, and an error instead of a wait when one fails. */
import assert from 'node:assert/strict'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { opensslSuite } from '../../node/crypto/openssl.ts'
import { BlockInspector, type Inspector } from '../../node/store/block-inspector.ts'
import { sealValue } from '../../node/store/checked-kv.ts'
import { Findings } from '../../node/store/finding.ts'
import { checkStore } from '../../node/store/fsck.ts'
import { type InspectorThreads, inspectorThreads } from '../../node/store/inspector-threads.ts'
import { blockKey, eventKey } from '../../node/store/keys.ts'
import { ThreadPool } from '../../node/thread-pool.ts'
import { toHex, u64, utf8 } from '../../src/bytes.ts'
import { extend, genesisState } from '../../src/ledger/chain.ts'
import { signEntry } from '../../src/ledger/entry.ts'
import { PAYLOAD_TYPES } from '../../src/ledger/payload-types.ts'
import { blockOn, EVENT, refused } from '../ledger/fixture.ts'
import { type MemoryKv, memoryKv } from '../support/memory-kv.ts'
import { type Chain, fillStore, makeChain } from './fixture.ts'

const BLOCKS = 12
/** A change of membership, behind which every block is begun anew: each holds an entry of the one it admits. */
const CHANGE_AT = 5

describe('threads that inspect blocks', function () {
  this.timeout(120_000)
  let chain: Chain
  let sound: Map<string, Uint8Array>
  let threads: InspectorThreads

  before(async () => {
    chain = await withNewcomer(await makeChain(CHANGE_AT, 2, CHANGE_AT))
    const kv = memoryKv()
    await fillStore(kv, chain)
    sound = kv.map
    threads = inspectorThreads(chain.genesis, 2)
  })
  after(() => threads.close())

  async function check(raw: MemoryKv, inspector: Inspector) {
    const findings = new Findings()
    const { genesis } = chain
    const report = await checkStore({
      ...{ raw, genesis, inspector, findings },
      name: 'ada',
      suite: opensslSuite,
      onProgress: () => {},
    })
    return { kept: findings.kept, report }
  }

  function storeWith(change: (kv: MemoryKv) => void): MemoryKv {
    const kv = memoryKv()
    for (const [key, value] of sound) kv.map.set(key, value.slice())
    change(kv)
    return kv
  }

  /** A block with other bytes and a checksum of its own, as an intruder would write it. */
  function rewrite({ map }: MemoryKv, height: number, at: (length: number) => number): void {
    const key = blockKey(height)
    const bytes = map.get(toHex(key))!.slice(0, -4)
    bytes[at(bytes.length)]! ^= 1
    map.set(toHex(key), sealValue(key, bytes))
  }

  const DAMAGE: Record<string, (kv: MemoryKv) => void> = {
    nothing: () => {},
    'an event that is indexed wrongly': ({ map }) => {
      const key = eventKey(EVENT.source, 'build-3-0')
      map.set(toHex(key), sealValue(key, u64(1)))
    },
    'blocks gone, before, at and behind the change': ({ map }) => {
      for (const height of [CHANGE_AT - 2, CHANGE_AT + 1]) map.delete(toHex(blockKey(height)))
    },
    'a change gone': ({ map }) => map.delete(toHex(blockKey(CHANGE_AT))),
    'an entry with another byte': (kv) => rewrite(kv, 3, (length) => length >> 2),
    'two blocks with another seal': (kv) => {
      rewrite(kv, 2, (length) => length - 100)
      rewrite(kv, CHANGE_AT + 2, (length) => length - 100)
    },
    'a block in the place of another': ({ map }) => {
      const [from, to] = [blockKey(9), blockKey(8)]
      map.set(toHex(to), sealValue(to, map.get(toHex(from))!.slice(0, -4)))
    },
  }

  for (const [what, damage] of Object.entries(DAMAGE)) {
    it(`find what one thread finds: ${what}`, async () => {
      const raw = storeWith(damage)
      // A change is told to an inspector once, so each check has one of its own.
      const own = inspectorThreads(chain.genesis, 2)
      const found = await check(raw, own).finally(() => own.close())
      const one = await check(raw, new BlockInspector(opensslSuite, chain.genesis))
      // And so does reading no block ahead, as if each were large.
      const { inspect, change } = bound(new BlockInspector(opensslSuite, chain.genesis))
      const slow = await check(raw, { appetite: 0, inspect, change })
      for (const { kept, report } of [one, slow]) {
        assert.deepEqual(found.kept, kept)
        assert.deepEqual({ ...found.report }, { ...report })
      }
      assert.equal(found.kept.length > 0, what !== 'nothing')
      if (what === 'nothing') {
        const entries = 2 * CHANGE_AT + 1 + (BLOCKS - CHANGE_AT)
        assert.deepEqual([found.report.entries, found.report.signatures], [entries, entries + BLOCKS])
      }
    })
  }

  it('find signatures that do not verify', async () => {
    const { bytes } = chain.blocks[0]!.block
    const place = genesisState(chain.genesis)
    const { height, term, hash, size, time } = place
    const sane = await threads.inspect({ height, term, hash, size, time }, bytes)
    assert.equal(sane.problem, undefined)
    const forger = { ...opensslSuite, verify: async () => false }
    const forged = await new BlockInspector(forger, chain.genesis).inspect(place, bytes)
    assert.deepEqual(forged, { ...sane, unsigned: 'A signature of block 1 does not verify.' })
  })

  it('answer with an error when one of them ends, then and ever after', async () => {
    const dir = await mkdtemp(join(tmpdir(), 'qat-threads-'))
    try {
      for (const [end, why] of [
        ['process.exit(3)', /code 3/],
        ['throw new Error("out of luck")', /out of luck/],
        ['parentPort.postMessage(1); Promise.reject(new Error("unheard"))', /unheard/],
      ] as const) {
        const file = join(dir, `thread-${end.length}.mjs`)
        const text = `import { parentPort } from 'node:worker_threads'\nparentPort.on('message', () => { ${end} })\n`
        await writeFile(file, text)
        const pool = new ThreadPool<number, number>(pathToFileURL(file), undefined, 2)
        const both = await Promise.allSettled([pool.ask(1), pool.ask(2)])
        for (const one of both) {
          assert.ok(one.status === 'rejected')
          assert.ok(refused('thread-failed')(one.reason))
          assert.match(String(one.reason), why)
        }
        await assert.rejects(pool.ask(3), refused('thread-failed'))
        await pool.close()
      }
    } finally {
      await rm(dir, { recursive: true })
    }
  })

  it('end a check of a store with that error', async () => {
    const own = inspectorThreads(chain.genesis, 1)
    await own.close()
    await assert.rejects(
      check(
        storeWith(() => {}),
        own,
      ),
      refused('thread-failed'),
    )
  })

  function bound(inspector: BlockInspector): Pick<Inspector, 'inspect' | 'change'> {
    return {
      inspect: (place, bytes) => inspector.inspect(place, bytes),
      change: (payload) => inspector.change(payload),
    }
  }
})

/** Goes on to BLOCKS blocks with entries signed by the key that `makeChain` admits. */
async function withNewcomer({ genesis, blocks }: Chain): Promise<Chain> {
  const newcomer = opensslSuite.signer('ML-DSA-65', new Uint8Array(32).fill(77))
  const proposer = opensslSuite.signer('ML-DSA-65', new Uint8Array(32).fill(2))
  const made = [...blocks]
  let state = genesisState(genesis)
  for (const { block, entries } of made) state = extend(state, block, entries)
  while (made.length < BLOCKS) {
    const event = utf8(JSON.stringify({ ...EVENT, id: `new-${made.length}` }))
    const entries = [await signEntry(PAYLOAD_TYPES.event, event, newcomer)]
    const block = await blockOn(state, entries, {}, proposer)
    made.push({ block, entries })
    state = extend(state, block, entries)
  }
  return { genesis, blocks: made }
}
