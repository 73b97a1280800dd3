/** Real stores, damaged by hand: every case ends in a plain finding, and a repair brings the content back. */
import assert from 'node:assert/strict'
import { cp, mkdtemp, readdir, readFile, rm, stat, truncate, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { answerFrom } from '../../node/core/sync.ts'
import { opensslSuite } from '../../node/crypto/openssl.ts'
import { checkFolder, type FolderReport } from '../../node/store/check-folder.ts'
import type { Kv } from '../../node/store/kv.ts'
import { LedgerStore, toRaftBlock } from '../../node/store/ledger-store.ts'
import { openLevel } from '../../node/store/level.ts'
import { toHex, utf8 } from '../../src/bytes.ts'
import { refused } from '../ledger/fixture.ts'
import { memoryKv } from '../support/memory-kv.ts'
import { type Chain, certify, fillStore, makeChain } from './fixture.ts'

const BLOCKS = 12

describe('a store on disk, damaged by hand', function () {
  this.timeout(120_000)
  let dir: string
  let sound: string
  let chain: Chain
  let peer: LedgerStore
  let content: string[]
  let counter = 0

  before(async () => {
    dir = await mkdtemp(join(tmpdir(), 'qat-damage-'))
    sound = join(dir, 'sound')
    chain = await makeChain(BLOCKS, 4)
    let kv = await openLevel(sound)
    await fillStore(kv, { ...chain, blocks: chain.blocks.slice(0, BLOCKS / 2) })
    await kv.close()
    // Opening writes the log out as a table: from here on there are both.
    kv = await openLevel(sound)
    const store = await LedgerStore.open(kv, chain.genesis.block.bytes)
    for (const block of chain.blocks.slice(BLOCKS / 2)) {
      await store.put({ blocks: [toRaftBlock(block.block)] })
      await store.apply([block])
    }
    const { size, root } = store.tip
    await store.setCosigned({ size, root })
    await store.setCertificate(await certify(size, root), size)
    content = await contentOf(kv)
    await kv.close()
    peer = await fillStore(memoryKv(), chain)
  })
  after(() => rm(dir, { recursive: true, force: true }))

  async function contentOf(kv: Kv): Promise<string[]> {
    const found = []
    for await (const [key, value] of kv.range({ from: utf8('A'), to: utf8('[') })) {
      const name = new TextDecoder().decode(key)
      // What a repair may not be able to bring back, and says so.
      if (/^M(?:hard-state|cosigned|certificate|recovering|log-end)$/.test(name)) continue
      found.push(`${toHex(key)} ${toHex(value)}`)
    }
    return found
  }

  /** Keys under which a content is not that of the sound store. */
  function differences(found: string[]): string[] {
    const [one, other] = [new Set(found), new Set(content)]
    const only = [...found.filter((line) => !other.has(line)), ...content.filter((line) => !one.has(line))]
    return only.map((line) => line.split(' ')[0]!)
  }

  async function copy(): Promise<string> {
    const folder = join(dir, `copy-${counter++}`)
    await cp(sound, folder, { recursive: true })
    return folder
  }

  async function files(folder: string, pattern: RegExp): Promise<string[]> {
    return (await readdir(folder)).filter((name) => pattern.test(name)).map((name) => join(folder, name))
  }

  function check(folder: string, repair = false): Promise<FolderReport> {
    const { genesis } = chain
    const task = { folder, genesis, name: 'ada', suite: opensslSuite, onProgress: () => {} }
    const fetch = async (from: number) => answerFrom(peer, await peer.certificate(), from)
    return checkFolder(task, repair ? { fetch, keys: ['ada'] } : undefined)
  }

  /** The node refuses the store, a check names what is wrong, twice, and a repair makes it whole. */
  async function mustBeMended(folder: string, expected: RegExp): Promise<void> {
    await assert.rejects(openLevel(folder), refused('store-damaged'))
    for (const time of ['first', 'second']) {
      const { findings } = await check(folder)
      const texts = findings.kept.map(({ where, what }) => `${where} ${what}`).join('\n')
      assert.ok(findings.damage, `the ${time} check finds it`)
      assert.match(texts, expected)
      await assert.rejects(openLevel(folder), refused('store-damaged'), 'a check mends nothing')
    }
    const { repair } = await check(folder, true)
    assert.ok(repair?.recovering)
    const kv = await openLevel(folder)
    assert.deepEqual(differences(await contentOf(kv)), [])
    await kv.close()
    const { findings } = await check(folder)
    assert.deepEqual(findings.kept, [])
  }

  it('is found sound when nothing was done to it', async () => {
    const folder = await copy()
    const { findings, store } = await check(folder)
    assert.deepEqual([findings.kept, store?.height], [[], BLOCKS])
    await (await openLevel(folder)).close()
  })

  it('is not checked while a node has it open', async () => {
    const folder = await copy()
    const kv = await openLevel(folder)
    await assert.rejects(check(folder), refused('store-locked'))
    await kv.close()
  })

  it('says that there is none, rather than make one', async () => {
    await assert.rejects(check(join(dir, 'nothing')), refused('store-missing'))
  })

  it('with a log cut off anywhere', async () => {
    for (const share of [0, 0.3, 0.9]) {
      const folder = await copy()
      const [log] = await files(folder, /\.log$/)
      await truncate(log!, Math.floor((await stat(log!)).size * share))
      await mustBeMended(folder, /\.log has \d+ bytes; it had \d+ when the store was closed/)
    }
  })

  it('with a log cut off after a crash, as far as can be told', async () => {
    const folder = await copy()
    await rm(join(folder, 'STOPPED'))
    const [log] = await files(folder, /\.log$/)
    await truncate(log!, (await stat(log!)).size - 5)
    const { findings } = await check(folder)
    assert.equal(findings.count('note'), 1)
    assert.match(findings.kept[0]!.what, /ends in the middle of a record/)
  })

  it('with a flipped byte in the log', async () => {
    const folder = await copy()
    await rm(join(folder, 'STOPPED'))
    const [log] = await files(folder, /\.log$/)
    const bytes = await readFile(log!)
    bytes[Math.floor(bytes.length / 3)]! ^= 0x10
    await writeFile(log!, bytes)
    await mustBeMended(folder, /damaged record at byte/)
  })

  it('with a file deleted', async () => {
    for (const pattern of [/\.ldb$/, /\.log$/, /^MANIFEST/, /^CURRENT$/]) {
      const folder = await copy()
      await rm((await files(folder, pattern))[0]!)
      await mustBeMended(folder, /is missing/)
    }
  })

  it('with a file deleted after a crash', async () => {
    for (const pattern of [/\.ldb$/, /^MANIFEST/, /^CURRENT$/]) {
      const folder = await copy()
      await rm(join(folder, 'STOPPED'))
      await rm((await files(folder, pattern))[0]!)
      await mustBeMended(folder, /missing|non-existent|No such file/)
    }
  })

  it('with a table cut short', async () => {
    const folder = await copy()
    const [table] = await files(folder, /\.ldb$/)
    await truncate(table!, 1_000)
    await mustBeMended(folder, /\.ldb has 1000 bytes/)
  })

  it('with CURRENT naming something else', async () => {
    for (const text of ['MANIFEST-999999\n', 'nonsense', '']) {
      const folder = await copy()
      await rm(join(folder, 'STOPPED'))
      await writeFile(join(folder, 'CURRENT'), text)
      await mustBeMended(folder, /CURRENT|manifest|non-existent/i)
    }
  })

  it('with bytes flipped anywhere in a table', async () => {
    const [original] = await files(sound, /\.ldb$/)
    const { size } = await stat(original!)
    let found = 0
    const places = Array.from({ length: 12 }, (_, i) => Math.floor(((i + 0.5) * size) / 12))
    // The last bytes are LevelDB's own index of the table.
    for (const at of [...places, size - 20, size - 60, size - 200]) {
      const folder = await copy()
      const [table] = await files(folder, /\.ldb$/)
      const bytes = await readFile(table!)
      bytes[at]! ^= 0xff
      await writeFile(table!, bytes)
      const { findings } = await check(folder)
      if (findings.damage) found++
      else {
        // Unused bytes: then the content is what it was.
        const kv = await openLevel(folder)
        assert.deepEqual(differences(await contentOf(kv)), [])
        await kv.close()
        continue
      }
      await check(folder, true)
      const kv = await openLevel(folder)
      assert.deepEqual(differences(await contentOf(kv)), [], `byte ${at}`)
      await kv.close()
    }
    assert.ok(found >= 11, `${found}`)
  })
})
