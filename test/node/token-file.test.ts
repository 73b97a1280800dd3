/** Tokens count as their file has them, while it can be read. */
import assert from 'node:assert/strict'
import { mkdtemp, rename, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pino } from 'pino'
import { readTokens } from '../../node/folder.ts'
import { openTokenFile, type TokenFile } from '../../node/token-file.ts'
import { sha256Hex } from '../rpc/fake-service.ts'
import { until } from '../support/cluster.ts'

const list = (...names: string[]) =>
  JSON.stringify(
    names.map((name) => ({ name, sha256: sha256Hex(`token-${name}`), sources: ['*'], types: ['*'] })),
  )

describe('the tokens of a node', () => {
  let dir: string
  let file: TokenFile | undefined
  const logged: { level: number; msg: string }[] = []
  const logger = pino({ level: 'info' }, { write: (line) => logged.push(JSON.parse(line)) })
  const path = () => join(dir, 'tokens.json')
  const knows = (name: string) => file!.tokens.find(`Bearer token-${name}`)?.name === name
  const open = async () => {
    file = await openTokenFile({ path: path(), read: () => readTokens(dir), logger, everyMs: 20 })
  }
  beforeEach(async () => {
    dir = await mkdtemp(join(tmpdir(), 'qat-tokens-'))
    logged.length = 0
  })
  afterEach(async () => {
    file?.close()
    await rm(dir, { recursive: true })
  })

  it('are read again when the file changes, in place or by a rename', async () => {
    await writeFile(path(), list('a', 'b'))
    await open()
    assert.ok(knows('a') && knows('b') && !knows('c'))
    await writeFile(path(), list('b', 'c'))
    await until(() => knows('c'), 3_000)
    assert.ok(!knows('a'))
    await writeFile(join(dir, 'new'), list('d'))
    await rename(join(dir, 'new'), path())
    await until(() => knows('d'), 3_000)
    assert.ok(!knows('b'))
  })

  it('stay as they were when the file is broken or gone, and the log says why', async () => {
    await writeFile(path(), list('a'))
    await open()
    const twice = JSON.stringify([...JSON.parse(list('a')), ...JSON.parse(list('a'))])
    for (const bad of ['[{', '{}', '', twice, undefined]) {
      logged.length = 0
      if (bad === undefined) await rm(path())
      else await writeFile(path(), bad)
      await file!.reload()
      assert.ok(knows('a'), bad)
      assert.match(logged.at(-1)!.msg, /tokens\.json were not read, and those known before count: ./)
    }
    await writeFile(path(), list('b'))
    await until(() => knows('b') && !knows('a'), 3_000)
  })

  it('are none at the start when the file is broken, until it is mended', async () => {
    await writeFile(path(), list('a').slice(1))
    await open()
    assert.ok(!knows('a'))
    assert.match(logged[0]!.msg, /none are known/)
    await writeFile(path(), list('a'))
    await until(() => knows('a'), 3_000)
  })
})
