import assert from 'node:assert/strict'
import { hasCaughtUp } from '../../node/core/caught-up.ts'

describe('a learner that may be made a voter', () => {
  it('is there, and holds what the leader holds, by its acknowledgements or by what it has applied', () => {
    const cases: [Parameters<typeof hasCaughtUp>[0], boolean][] = [
      [undefined, false],
      [{ active: true, state: 'replicate', match: 100 }, true],
      [{ active: true, state: 'replicate', match: 99 }, true],
      [{ active: true, state: 'replicate', match: 10 }, false],
      [{ active: false, state: 'replicate', match: 100 }, false],
      // Nothing was recorded since it came: it pulled all there is, and was sent nothing to acknowledge.
      [{ active: true, state: 'probe', match: 100 }, true],
      [{ active: true, state: 'probe', match: 99 }, false],
      [{ active: true, state: 'catching-up', match: 100 }, false],
    ]
    for (const [known, expected] of cases) assert.equal(hasCaughtUp(known, 100), expected)
    assert.equal(hasCaughtUp({ active: true, state: 'probe', match: 0 }, 2), false)
  })
})
