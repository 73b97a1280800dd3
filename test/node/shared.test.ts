import assert from 'node:assert/strict'
import { shared } from '../../node/shared.ts'

describe('work that is shared', () => {
  it('is done once for all who ask meanwhile, and anew for whoever asks later, also after it failed', async () => {
    let done = 0
    const work = shared(async () => {
      await new Promise((resolve) => setImmediate(resolve))
      if (++done === 2) throw new Error('no')
      return done
    })
    assert.deepEqual(await Promise.all([work(), work(), work()]), [1, 1, 1])
    for (const result of await Promise.allSettled([work(), work()])) assert.equal(result.status, 'rejected')
    assert.equal(await work(), 3)
  })
})
