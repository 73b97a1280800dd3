import assert from 'node:assert/strict'
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { open } from 'node:fs/promises'
import { text } from 'node:stream/consumers'

const LOGGER = new URL('../../node/logger.ts', import.meta.url).href

describe('the log of a node', () => {
  it('does not stop the node where it cannot be written', async function () {
    const full = await open('/dev/full', 'w').catch(() => undefined)
    if (full === undefined) return this.skip()
    const script = `import { createLogger } from '${LOGGER}'
      const logger = createLogger('alpha', 'info')
      for (let i = 0; i < 3; i++) logger.info({ filler: 'x'.repeat(1_000_000) }, 'still here')
      console.log('went on')`
    try {
      const args = ['--input-type=module', '-e', script]
      const child: ChildProcess = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', full.fd] })
      const [stdout, [code]] = await Promise.all([text(child.stdout!), once(child, 'close')])
      assert.deepEqual([stdout, code], ['went on\n', 0])
    } finally {
      await full.close()
    }
  })
})
