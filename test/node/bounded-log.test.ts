/** A log that no peer can fill. */
import assert from 'node:assert/strict'
import { boundedLog, LOG_WINDOW_MS } from '../../node/bounded-log.ts'
import type { Logger } from '../../node/logger.ts'

function setUp(burst?: number) {
  const lines: unknown[] = []
  const time = { now: 0 }
  const logger = {
    info: (facts: object, message: string) => lines.push([message, facts]),
    warn: (facts: object, message: string) => lines.push([message, facts]),
    error: (facts: object, message: string) => lines.push([message, facts]),
    debug() {},
  } as unknown as Logger
  return { lines, time, log: boundedLog(logger, () => time.now, burst) }
}

describe('a bounded log', () => {
  it('logs the first at once, and then once a minute with the number', () => {
    const { lines, time, log } = setUp()
    for (let i = 0; i < 1_000; i++) log.warn({ peer: 'delta', code: 'bad' }, 'misbehaved')
    assert.deepEqual(lines, [['misbehaved', { peer: 'delta', code: 'bad' }]])
    time.now = LOG_WINDOW_MS
    log.flush()
    assert.deepEqual(lines[1], ['misbehaved', { peer: 'delta', code: 'bad', times: 999 }])
    for (let i = 0; i < 1_000; i++) log.warn({ peer: 'delta', code: 'bad' }, 'misbehaved')
    assert.equal(lines.length, 2)
    time.now = 3 * LOG_WINDOW_MS
    log.flush()
    assert.deepEqual(lines[2], ['misbehaved', { peer: 'delta', code: 'bad', times: 1_000 }])
    time.now = 5 * LOG_WINDOW_MS
    log.flush()
    log.warn({ peer: 'delta', code: 'bad' }, 'misbehaved')
    assert.equal(lines.length, 4, 'after a quiet minute the next one is logged at once')
  })

  it('keeps peers, kinds and codes apart, and strangers together', () => {
    const { lines, log } = setUp()
    for (let i = 0; i < 100; i++) {
      for (const peer of ['charlie', 'delta']) log.warn({ peer, code: 'bad' }, 'misbehaved')
      log.error({ validator: 'delta', size: i }, 'contradicts')
      log.warn({ peerId: `stranger ${i}` }, 'refused')
      log.info({ kind: 'standstill' }, `note ${i}`)
    }
    assert.equal(lines.length, 5)
  })

  it('lets a burst through where that is asked for, and passes other levels on', () => {
    const { lines, log } = setUp(3)
    for (let i = 0; i < 10; i++) log.info({ i }, 'role changed')
    assert.equal(lines.length, 3)
    log.debug({}, 'anything')
  })

  it('forgets the oldest rather than grow', () => {
    const { lines, log } = setUp()
    for (let i = 0; i < 3_000; i++) log.warn({ peer: `peer ${i}` }, 'misbehaved')
    log.warn({ peer: 'peer 2999' }, 'misbehaved')
    assert.equal(lines.length, 3_000)
  })
})
