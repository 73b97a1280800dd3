/** What a node can be asked for, by what it knows of the others. */
import assert from 'node:assert/strict'
import { readinessOf } from '../../node/core/readiness.ts'

const node = (
  name: string,
  role = 'follower',
  online = true,
  kind: 'validator' | 'learner' = 'validator',
) => {
  return { name, kind, role, online, height: 1, size: 1, finalSize: 1, pending: 0 }
}
const FIVE = ['a', 'b', 'c', 'd', 'e'].map((name) => node(name))
const ALL = { reads: true, entries: true, final: true }

describe('readiness', () => {
  const of = (nodes = FIVE, leader: { leader?: string } = { leader: 'a' }, takes = true, stands = false) =>
    readinessOf({ ...leader, cosigners: 4, nodes }, takes, stands)

  it('is full while as many validators take part as must cosign', () => {
    assert.deepEqual(of(), ALL)
    assert.deepEqual(of(FIVE.with(4, node('e', 'unknown', false))), ALL)
  })

  it('promises nothing final with too few of them, whatever else keeps them away', () => {
    const without = (...others: ReturnType<typeof node>[]) => of([...FIVE.slice(0, 3), ...others])
    assert.deepEqual(without(), { ...ALL, final: false })
    for (const role of ['recovering', 'silent', 'suspended', 'outside']) {
      assert.deepEqual(without(node('d', role), node('e', 'follower', false)), { ...ALL, final: false }, role)
    }
    assert.deepEqual(without(node('d', 'follower', true, 'learner')), { ...ALL, final: false })
    assert.deepEqual(of(FIVE, { leader: 'a' }, true, true), { ...ALL, final: false })
  })

  it('takes no entries without a leader, membership or disk, and still serves reads', () => {
    assert.deepEqual(of(FIVE, {}), { reads: true, entries: false, final: false })
    assert.deepEqual(of(FIVE, { leader: 'a' }, false), { reads: true, entries: false, final: false })
  })
})
