import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import {
  chmod,
  lstat,
  mkdir,
  mkdtemp,
  readdir,
  readFile,
  rm,
  stat,
  symlink,
  writeFile,
} from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { isMounted, replaceFile } from '../../node/durable-file.ts'
import { utf8 } from '../../src/bytes.ts'

/** Binds `from` to `to`; false where that is not allowed. */
function bind(from: string, to: string): boolean {
  try {
    execFileSync('mount', ['--bind', from, to], { stdio: 'ignore' })
    return true
  } catch {
    return false
  }
}

describe('a file that is replaced', () => {
  let folder: string
  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'qat-durable-'))
  })
  afterEach(() => rm(folder, { recursive: true }))

  it('keeps its mode, and the link through which it is reached', async () => {
    const real = join(folder, 'real')
    const link = join(folder, 'link')
    await writeFile(real, 'old')
    await chmod(real, 0o664)
    await symlink('real', link)
    await replaceFile(link, utf8('new'))
    assert.equal(await readFile(real, 'utf8'), 'new')
    assert.ok((await lstat(link)).isSymbolicLink())
    assert.equal((await stat(real)).mode & 0o777, 0o664)
    await replaceFile(join(folder, 'absent'), utf8('made'))
    assert.deepEqual(await readdir(folder), ['absent', 'link', 'real'])
  })

  it('is written over where it is mounted by itself, longer or shorter than before', async function () {
    const [outside, inside] = [join(folder, 'outside'), join(folder, 'in side')]
    await writeFile(outside, 'a policy of yesterday')
    await mkdir(inside)
    const mounted = join(inside, 'policy')
    await writeFile(mounted, '')
    if (!bind(outside, mounted)) return this.skip()
    try {
      assert.deepEqual([await isMounted(mounted), await isMounted(outside)], [true, false])
      for (const text of ['short', 'a policy that is longer than before']) {
        await replaceFile(mounted, utf8(text))
        assert.equal(await readFile(outside, 'utf8'), text)
      }
      assert.deepEqual(await readdir(inside), ['policy'])
    } finally {
      execFileSync('umount', [mounted])
    }
  })
})
