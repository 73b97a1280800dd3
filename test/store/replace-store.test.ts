/** A new store in the place of another, also where the folder of the store is a disk of its own. */
import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { mkdir, mkdtemp, readdir, rm, symlink } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { LedgerStore } from '../../node/store/ledger-store.ts'
import { openLevel } from '../../node/store/level.ts'
import { inspectFiles } from '../../node/store/level-files.ts'
import { replaceStore } from '../../node/store/replace-store.ts'
import type { Genesis } from '../../src/ledger/genesis.ts'
import { exampleGenesis } from '../ledger/fixture.ts'
import { smallDisk, unmount } from '../support/small-disk.ts'

describe('a store that takes the place of another', () => {
  let folder: string
  let genesis: Genesis
  before(async () => {
    genesis = await exampleGenesis()
  })
  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'qat-replace-'))
  })
  afterEach(() => rm(folder, { recursive: true }))

  /** Puts a store there that says why it was made. */
  const put = (place: string, why: 'restored' | 'repaired') =>
    replaceStore(place, genesis, (store) => store.setRecovering({ keys: ['k'], why }))
  const whyOf = async (place: string) => {
    assert.deepEqual(await inspectFiles(place), [])
    const kv = await openLevel(place, { create: false })
    const store = await LedgerStore.open(kv, genesis.block.bytes)
    const mark = await store.recovering()
    await kv.close()
    return mark?.why
  }

  it('keeps the old one beside it', async () => {
    const place = join(folder, 'store')
    assert.equal((await put(place, 'restored')).kept, undefined)
    const { kept } = await put(place, 'repaired')
    assert.match(kept ?? '', /\/store\.old-[0-9a-f]{8}$/)
    assert.deepEqual([await whyOf(place), await whyOf(kept!)], ['repaired', 'restored'])
    assert.equal((await readdir(folder)).length, 2)
  })

  it('stays behind a link', async () => {
    const [real, link] = [join(folder, 'disk', 'data'), join(folder, 'store')]
    await mkdir(real, { recursive: true })
    await symlink(real, link)
    await put(link, 'restored')
    const { kept } = await put(link, 'repaired')
    assert.deepEqual(
      [await whyOf(real), await whyOf(link), await whyOf(kept!)],
      ['repaired', 'repaired', 'restored'],
    )
  })

  it('is put together inside of a folder that is mounted by itself, and keeps the old one there', async function () {
    const disk = smallDisk('64m')
    if (disk === undefined) return this.skip()
    const bound = join(folder, 'store')
    await mkdir(bound)
    await mkdir(join(disk, 'lost+found'))
    execFileSync('mount', ['--bind', disk, bound])
    try {
      for (const place of [disk, bound]) {
        await put(place, 'restored')
        const { kept } = await put(place, 'repaired')
        assert.match(kept ?? '', /\/old-[0-9a-f]{8}$/)
        assert.deepEqual([await whyOf(place), await whyOf(kept!)], ['repaired', 'restored'])
        await assert.rejects(
          replaceStore(place, genesis, () => Promise.reject(new Error('no'))),
          /^Error: no$/,
        )
        assert.ok(!(await readdir(place)).some((name) => name.startsWith('new-')))
        assert.equal(await whyOf(place), 'repaired')
      }
    } finally {
      execFileSync('umount', [bound])
      unmount(disk)
    }
  })
})
