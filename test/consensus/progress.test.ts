import { deepEqual, equal } from 'node:assert/strict'
import { Progress } from '../../consensus/progress.ts'

describe('the progress of a follower', () => {
  it('probes with one append, then runs ahead up to the limit', () => {
    const progress = new Progress(5, 2)
    equal(progress.canSend, true)
    progress.sent(6)
    equal(progress.canSend, false)
    equal(progress.next, 5, 'a probe may have to be sent again')
    equal(progress.acknowledge(6), true)
    deepEqual([progress.state, progress.match, progress.next], ['replicate', 6, 7])
    progress.sent(7)
    progress.sent(9)
    equal(progress.next, 10)
    equal(progress.canSend, false)
    equal(progress.acknowledge(7), true)
    equal(progress.inflight, 1)
    equal(progress.canSend, true)
    equal(progress.acknowledge(7), false, 'no news')
    equal(progress.acknowledge(3), false, 'old news')
    equal(progress.acknowledge(9), true)
    equal(progress.inflight, 0)
  })

  it('takes an acknowledgement without news as the end of probing', () => {
    const progress = new Progress(1, 2)
    equal(progress.acknowledge(0), true)
    equal(progress.state, 'replicate')
  })

  it('goes back to where the logs may meet, and believes no old refusal', () => {
    const progress = new Progress(10, 4)
    equal(progress.reject(8, 3), false, 'not the probe that is under way')
    equal(progress.reject(9, 20), true)
    equal(progress.next, 9, 'always at least one step')
    equal(progress.reject(8, 3), true)
    equal(progress.next, 4)
    progress.acknowledge(5)
    progress.sent(8)
    equal(progress.reject(4, 2), false, 'what is acknowledged stays so')
    equal(progress.reject(7, 2), true)
    deepEqual([progress.state, progress.match, progress.next, progress.inflight], ['probe', 5, 6, 0])
  })

  it('takes back what is acknowledged when the follower refuses that very block: its disk was lost', () => {
    const progress = new Progress(6, 4)
    progress.acknowledge(5)
    equal(progress.reject(5, 2), true)
    deepEqual([progress.state, progress.match, progress.next], ['probe', 2, 3])
  })

  it('does not go on when a refusal brings it no further: the follower holds another block in that place', () => {
    const progress = new Progress(3, 4)
    progress.acknowledge(1)
    progress.sent(2)
    equal(progress.reject(1, 1), true)
    deepEqual([progress.state, progress.next], ['probe', 2])
    equal(progress.reject(1, 1), false)
    equal(progress.reject(1, 0), true, 'this one does')
    equal(progress.next, 1)
  })

  it('sends nothing to who is catching up, and goes on from what it then has', () => {
    const progress = new Progress(3, 4)
    progress.fallBehind()
    equal(progress.canSend, false)
    equal(progress.reject(2, 1), false)
    progress.atLeast(7)
    equal(progress.state, 'catching-up')
    progress.resume()
    deepEqual([progress.state, progress.match, progress.next], ['replicate', 7, 8])
    progress.atLeast(4)
    deepEqual([progress.match, progress.next], [7, 8])
  })
})
