/** What LevelDB does when the disk is full, on a real and very small disk; and what of it the store passes on. */
import assert from 'node:assert/strict'
import { rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { Kv } from '../../node/store/kv.ts'
import { openLevel } from '../../node/store/level.ts'
import { toHex, u64 } from '../../src/bytes.ts'
import { refused } from '../ledger/fixture.ts'
import { smallDisk, unmount } from '../support/small-disk.ts'

const VALUE = new Uint8Array(200_000).fill(7)

/** Writes until it fails; the numbers that were acknowledged, and the failure. */
async function fill(kv: Kv, from: number): Promise<{ acknowledged: number; failure: unknown }> {
  for (let n = from; ; n++) {
    try {
      await kv.write([{ key: u64(n), value: VALUE }], true)
    } catch (failure) {
      return { acknowledged: n, failure }
    }
  }
}

async function count(kv: Kv): Promise<number> {
  let found = 0
  for await (const [key, value] of kv.range({ from: u64(0), to: u64(1_000_000) })) {
    assert.deepEqual([toHex(key), value.length], [toHex(u64(found)), VALUE.length])
    found++
  }
  return found
}

describe('a store on a full disk', function () {
  this.timeout(60_000)
  let disk: string | undefined
  before(function () {
    disk = smallDisk('60m')
    if (disk !== undefined) return
    console.log('      skipped: this user may not mount a small disk')
    this.skip()
  })
  let kv: Kv | undefined
  afterEach(() => kv?.close())
  after(() => {
    if (disk !== undefined) unmount(disk)
  })

  it('says so, stays readable, writes no more until it is reopened, and loses nothing acknowledged', async () => {
    // LevelDB's log meets the end of the disk before its memory table is full and written out.
    const ballast = join(disk!, 'ballast')
    await writeFile(ballast, new Uint8Array(40_000_000))
    const folder = join(disk!, 'store')
    kv = await openLevel(folder)
    const full = refused('disk-full')
    const { acknowledged, failure } = await fill(kv, 0)
    assert.ok(full(failure), String(failure))
    assert.ok((await kv.free()) < 64 * 1024 * 1024)
    assert.equal(await count(kv), acknowledged)

    // A short record might still fit; it would stand behind the half of a long one, and be lost with it.
    await assert.rejects(kv.write([{ key: u64(2_000_000), value: u64(1) }], true), full)
    await rm(ballast)
    await assert.rejects(kv.write([{ key: u64(2_000_000), value: u64(1) }], true), full)

    await kv.reopen()
    const found = await count(kv)
    assert.ok(found === acknowledged || found === acknowledged + 1, `${found} of ${acknowledged}`)
    assert.deepEqual(await kv.hasMany([u64(2_000_000)]), [false])
    const more = await fill(kv, found)
    assert.ok(more.acknowledged > found, 'there is room again')
    assert.equal(await count(kv), more.acknowledged)

    await kv.close()
    // LevelDB needs room to start; without it, the store says that, and not that it is damaged.
    const opened = await openLevel(folder).catch((error: unknown) => error as Error)
    if (opened instanceof Error) assert.ok(full(opened), String(opened))
    else kv = opened
  })

  it('lets reads that come while it is being reopened wait', async () => {
    // Whether the full store left room behind depends on how far LevelDB had come with it.
    await rm(join(disk!, 'store'), { recursive: true, force: true })
    kv = await openLevel(join(disk!, 'other'))
    const write = { key: u64(1), value: u64(2) }
    await kv.write([write], true).catch(() => {})
    const reopened = kv.reopen()
    const [found] = await Promise.all([kv.hasMany([u64(9)]), kv.get(u64(9)), reopened])
    assert.deepEqual(found, [false])
  })
})
