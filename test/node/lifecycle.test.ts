/** One replica after the other: nothing that was asked for is lost, and two never run at once. */
import assert from 'node:assert/strict'
import { Lifecycle } from '../../node/core/lifecycle.ts'
import { createLogger } from '../../node/logger.ts'
import { StoreError } from '../../node/store/store-error.ts'
import { InvariantError } from '../../src/errors.ts'

describe('the lifecycle of a node', () => {
  const hop = () => new Promise<void>(setImmediate)

  class Part {
    readonly name: string
    readonly log: string[]
    halted = false
    started = false
    constructor(name: string, log: string[]) {
      this.name = name
      this.log = log
    }
    start() {
      assert.ok(!this.halted, 'a halted replica was started')
      this.started = true
      this.log.push(`${this.name} starts`)
    }
    halt() {
      if (!this.halted) this.log.push(`${this.name} halts`)
      this.halted = true
    }
    async ended() {
      assert.ok(this.halted)
      await hop()
      this.log.push(`${this.name} ended`)
    }
    async stop() {
      this.halt()
      await this.ended()
    }
  }

  async function started() {
    const log: string[] = []
    const parts: Part[] = []
    const disk = { low: false, reopens: true }
    const fatal: unknown[] = []
    let look = () => {}
    const lifecycle = new Lifecycle<Part>({
      store: {
        lowOnSpace: async () => disk.low,
        reopen: async () => {
          if (!disk.reopens) throw new StoreError('store-unusable', 'It cannot be opened.')
          log.push('store reopened')
        },
      },
      clock: {
        every: (_, fn) => {
          look = fn
          return () => {}
        },
      },
      logger: createLogger('test', 'silent'),
      open: async () => {
        assert.ok(parts.every(({ halted }) => halted))
        await hop()
        const part = new Part(`r${parts.length}`, log)
        parts.push(part)
        return part
      },
      onFatal: (error) => fatal.push(error),
    })
    await lifecycle.open()
    lifecycle.start()
    const quiet = async () => {
      for (let i = 0; i < 40; i++) await hop()
    }
    return { lifecycle, log, parts, disk, fatal, look: () => look(), quiet }
  }
  const full = () => new StoreError('disk-full', 'The disk is full.')

  it('does what was asked for while a replica is being replaced', async () => {
    const { lifecycle, log, parts, quiet } = await started()
    lifecycle.replace(async () => {
      await hop()
      log.push('first')
      lifecycle.replace(async () => void log.push('second'))
    })
    await hop()
    await quiet()
    assert.ok(log.indexOf('first') > 0 && log.indexOf('second') > log.indexOf('first'))
    assert.equal(lifecycle.replica, parts.at(-1))
    assert.deepEqual(
      parts.map(({ halted }) => halted),
      [...parts.slice(1).map(() => true), false],
    )
    assert.ok(lifecycle.replica.started)
  })

  it('puts a replica that was opened in vain aside, without starting it', async () => {
    const { lifecycle, parts, quiet, log } = await started()
    lifecycle.replace()
    while (!log.includes('r0 ended')) await hop()
    lifecycle.replace(async () => void log.push('asked for while the other opened'))
    await quiet()
    assert.equal(parts.length, 3)
    assert.ok(!parts[1]!.started && parts[2]!.started)
    assert.ok(log.includes('asked for while the other opened'))
  })

  it('still owes what a full disk prevented, and does it before the next replica opens', async () => {
    const { lifecycle, log, parts, look, quiet, fatal } = await started()
    let fails = true
    lifecycle.replace(async () => {
      if (fails) throw full()
      log.push('marked')
    })
    await quiet()
    assert.equal(lifecycle.suspended?.code, 'disk-full')
    assert.equal(parts.length, 1)
    fails = false
    look()
    await quiet()
    assert.equal(lifecycle.suspended, undefined)
    assert.ok(log.indexOf('marked') > log.indexOf('store reopened'))
    assert.ok(lifecycle.replica === parts[1] && parts[1].started)
    assert.deepEqual(fatal, [])
  })

  it('starts nothing while the disk is nearly full, whatever is asked for', async () => {
    const { lifecycle, parts, disk, look, quiet } = await started()
    disk.low = true
    look()
    lifecycle.replace()
    await quiet()
    assert.equal(lifecycle.suspended?.code, 'disk-full')
    assert.ok(parts.slice(1).every((part) => !part.started))
    disk.low = false
    look()
    await quiet()
    assert.ok(lifecycle.replica.started && !lifecycle.replica.halted)
  })

  it('tries again when a store that failed cannot be opened at once', async () => {
    const { lifecycle, disk, look, quiet, fatal } = await started()
    lifecycle.failed(new StoreError('store-failed', 'The disk failed.'))
    disk.reopens = false
    look()
    await quiet()
    assert.equal(lifecycle.suspended?.code, 'store-failed')
    disk.reopens = true
    look()
    await quiet()
    assert.equal(lifecycle.suspended, undefined)
    assert.deepEqual(fatal, [])
  })

  it('halts the replica before it says that the node must stop, and says so once', async () => {
    const { lifecycle, fatal, parts, look, quiet } = await started()
    lifecycle.failed(new InvariantError('It is broken.'))
    assert.ok(parts[0]!.halted)
    lifecycle.failed(new InvariantError('It is broken again.'))
    lifecycle.replace()
    look()
    await quiet()
    assert.equal(fatal.length, 1)
    assert.equal(parts.length, 1)
  })

  it('stops only when a replacement under way has ended, and then starts nothing', async () => {
    const { lifecycle, parts, log } = await started()
    const { promise, resolve } = Promise.withResolvers<void>()
    lifecycle.replace(() => promise)
    while (!log.includes('r0 ended')) await hop()
    await hop()
    let stopped = false
    const stop = lifecycle.stop().then(() => {
      stopped = true
    })
    for (let i = 0; i < 10; i++) await hop()
    assert.equal(stopped, false)
    resolve()
    await stop
    assert.deepEqual(
      parts.map(({ started, halted }) => ({ started, halted })),
      [{ started: true, halted: true }],
    )
    assert.equal(log.filter((line) => line.endsWith('starts')).length, 1)
  })
})
