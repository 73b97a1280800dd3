/** Linearizable reads: however many wait, the leader is asked one question at a time. */
import assert from 'node:assert/strict'
import type { Driver } from '../../consensus/driver.ts'
import { systemClock } from '../../node/clock.ts'
import { Reads } from '../../node/core/reads.ts'
import { utf8 } from '../../src/bytes.ts'

describe('linearizable reads', () => {
  it('of any number of callers share a question, but never one that was sent before they came', async () => {
    let committed = 5
    const answers: (() => void)[] = []
    const reads = new Reads({
      name: 'alpha',
      driver: {} as Driver,
      network: {
        request: () => {
          const then = committed
          return new Promise((resolve) => {
            answers.push(() => resolve(utf8(JSON.stringify({ height: then }))))
          })
        },
      },
      clock: systemClock,
      leader: () => 'bravo',
      height: () => applied,
    })
    let applied = 5
    let done = 0
    const first = reads.barrier(5_000).then(() => done++)
    committed = 6
    const later = Array.from({ length: 500 }, () => reads.barrier(5_000).then(() => done++))
    assert.equal(answers.length, 1)
    answers[0]!()
    await first
    await new Promise((resolve) => setImmediate(resolve))
    assert.deepEqual([answers.length, done], [2, 1])
    answers[1]!()
    await new Promise((resolve) => setImmediate(resolve))
    assert.equal(done, 1, 'block 6 has not been applied')
    applied = 6
    reads.applied()
    await Promise.all(later)
    assert.deepEqual([answers.length, done], [2, 501])
  })
})
