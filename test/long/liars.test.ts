/** `npm run liars`, short: one process holds a validator's keys and lies, and every promise of the others is kept. */
import assert from 'node:assert/strict'
import { existsSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { run, scratch } from '../cli/run-qat.ts'
import { freeDevnetPort } from '../support/free-ports.ts'

const LIARS = fileURLToPath(new URL('../../scripts/liars.ts', import.meta.url))
const TOLD = ['two-votes', 'false-commit', 'garbage', 'refusing-leader']

describe('a short run with a liar', function () {
  this.timeout(300_000)
  const { path } = scratch()

  it('keeps every promise, names the liar, and says so in one line', async () => {
    const where = ['--port', String(await freeDevnetPort(4)), '--dir', path('liars')]
    const acts = TOLD.flatMap((name) => ['--act', name])
    const { code, stdout, stderr, json } = await run([
      LIARS,
      ...['--seconds', '12', '--rate', '20', '--seed', '4', '--json'],
      ...where,
      ...acts,
    ])
    assert.equal(code, 0, stderr)
    assert.equal(stdout.split('\n').length, 2)
    const [line] = json()
    const { acts: told, byAct, submitted, final, longestUnavailableMs } = line as Record<string, number>
    assert.ok(told! >= 2 && final! > 20 && submitted! >= final!, stdout)
    assert.ok(Object.keys(byAct!).every((name) => TOLD.includes(name)))
    assert.ok(longestUnavailableMs! < 30_000)
    const still = {
      splits: 0,
      ended: 0,
      framed: 0,
      blamed: 0,
      lost: 0,
      refused: 0,
      neverFinal: 0,
      liar: 'delta',
      seed: 4,
    }
    assert.deepEqual({ ...line, ...still }, line)
    if ('two-votes' in (byAct as unknown as object)) assert.deepEqual(line?.named, ['delta'])
    assert.ok(existsSync(path('liars/nodes/delta/hostile-log')) && existsSync(path('liars/liars.log')))
  })

  it('refuses a command line that it does not understand', async () => {
    const { code, stderr } = await run([LIARS, '--act', 'kindness'])
    assert.equal(code, 2)
    assert.match(stderr, /^There is no act "kindness"/)
  })
})
