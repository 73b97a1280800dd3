import { deepEqual, equal } from 'node:assert/strict'
import fc from 'fast-check'
import type { NodeId } from '../../consensus/types.ts'
import {
  acknowledge,
  append,
  block,
  certified,
  chain,
  follower,
  GENESIS,
  lead,
  locked,
  of,
  settle,
} from './support.ts'

const ABCD3 = of('abcd', 'x', 3)

describe('certifying and deciding', () => {
  it('lock on what a quorum acknowledges, and say so when it is on the disk', () => {
    const node = follower({ configuration: ABCD3 })
    const [one] = chain([1])
    node.step('b', append(1, GENESIS, [one!]))
    settle(node)
    equal(node.certified.block.height, 0, 'the seal and its own')
    node.step('x', acknowledge('x', one!))
    node.step('b', acknowledge('b', one!))
    equal(node.certified.block.height, 0, 'a learner, and the proposer again')
    node.step('c', acknowledge('c', { ...one!, hash: 'other' }))
    equal(node.certified.block.height, 0)
    node.step('d', acknowledge('d', one!))
    deepEqual(node.certified.block, { height: 1, term: 1, hash: '1/1' })
    const ready = node.ready()
    equal(ready.certified?.block.height, 1)
    deepEqual(
      [ready.early, ready.messages.map(({ to, message }) => `${to} ${message.kind}`)],
      [[], ['b locked', 'c locked', 'd locked', 'x locked']],
    )
  })

  it('decide by the locks of a quorum of one term, on the block or above it, on one chain', () => {
    const node = follower({ configuration: ABCD3 })
    const [one, two] = chain([1, 1])
    node.step('b', append(1, GENESIS, [one!, two!]))
    settle(node)
    node.step('b', locked(one!))
    node.step('x', locked(one!))
    node.step('c', locked({ ...two!, hash: 'other' }))
    node.step('c', locked(one!))
    equal(node.commit, 0, 'a learner, and one that has said to be on another block')
    node.step('d', locked(two!))
    equal(node.commit, 0)
    node.step('c', locked({ ...two!, height: 3 }))
    equal(node.commit, 0)
    for (const from of ['c', 'd']) node.step(from, acknowledge(from, two!))
    settle(node)
    equal(node.commit, 1, 'its own, b and d')
  })

  it('forget the locks of a term with the term', () => {
    const node = follower({ configuration: ABCD3 })
    const [one] = chain([1])
    node.step('b', append(1, GENESIS, [one!]))
    for (const from of ['c', 'd']) node.step(from, acknowledge(from, one!))
    node.step('b', locked(one!))
    settle(node)
    equal(node.commit, 0)
    node.step('c', lead(2, 'c', 'bcd', certified(one!, 'cd')))
    node.step('d', locked(one!))
    settle(node)
    equal(node.commit, 0, 'of an earlier term')
    const next = block(one!, 2, '', 'c')
    node.step('c', append(2, one!, [next]))
    for (const from of ['b', 'd']) node.step(from, acknowledge(from, next))
    const sent = settle(node).map(({ message }) => message)
    equal(
      sent.every((message) => message.kind !== 'locked' || message.term === 2),
      true,
    )
    for (const from of ['c', 'd']) node.step(from, locked(next))
    equal(node.commit, 2)
  })

  it('tell on request what they have acknowledged and are locked on', () => {
    const node = follower({ configuration: ABCD3 })
    const [one] = chain([1])
    node.step('b', append(1, GENESIS, [one!]))
    settle(node)
    node.step('c', { kind: 'ask', term: 1, knowsLeader: true })
    deepEqual(settle(node), [{ to: 'c', message: acknowledge('a', one!) }])
    for (const from of ['c', 'd']) node.step(from, acknowledge(from, one!))
    node.step('d', { kind: 'ask', term: 1, knowsLeader: true })
    const early = node.ready()
    deepEqual(early.messages.filter(({ to, message }) => to === 'd' && message.kind !== 'locked').length, 1)
    node.advance(early)
    for (let i = 0; i < 2; i++) node.tick()
    settle(node)
    node.step('c', { kind: 'ask', term: 1, knowsLeader: true })
    deepEqual(
      settle(node).map(({ message }) => message),
      [acknowledge('a', one!), locked(one!)],
    )
  })

  it('ask for what was lost while something waits', () => {
    const node = follower({ configuration: ABCD3 })
    node.step('b', append(1, GENESIS, chain([1])))
    settle(node)
    node.tick()
    node.tick()
    deepEqual(
      settle(node).map(({ to, message }) => `${to} ${message.kind}`),
      ['b ask', 'c ask', 'd ask'],
    )
  })

  it('come to what sets of voters say, whatever comes in which order', () => {
    const said = fc.record({
      from: fc.constantFrom(...'bcdefx'),
      height: fc.integer({ min: 1, max: 4 }),
      what: fc.constantFrom('acknowledge' as const, 'locked' as const),
      forked: fc.boolean(),
    })
    fc.assert(
      fc.property(fc.array(said, { maxLength: 40 }), fc.integer({ min: 4, max: 5 }), (all, quorum) => {
        const configuration = of('abcdef', 'x', quorum)
        const node = follower({ configuration })
        const blocks = chain([1, 1, 1, 1])
        node.step('b', append(1, GENESIS, blocks))
        settle(node)
        // The naive twin: who has first acknowledged what at each height, and what each is locked on.
        const acknowledged = new Map<string, string>([['a 4', '4/1']])
        const locks = new Map<NodeId, { height: number; hash: string }>()
        let lock = 0
        let commit = 0
        for (const { from, height, what, forked } of all) {
          const hash = `${height}/1${forked ? 'fork' : ''}`
          const ref = { height, term: 1, hash }
          if (what === 'acknowledge') {
            node.step(from, acknowledge(from, ref))
            if (height > Math.max(lock, commit) && !acknowledged.has(`${from} ${height}`)) {
              acknowledged.set(`${from} ${height}`, hash)
            }
          } else {
            node.step(from, locked(ref))
            if (height > (locks.get(from)?.height ?? 0)) locks.set(from, ref)
          }
          settle(node)
          for (let h = commit + 1; h <= 4; h++) {
            const by = [...'abcdef'].filter(
              (name) => name === 'b' || acknowledged.get(`${name} ${h}`) === `${h}/1`,
            )
            if (by.length >= quorum && h > lock) lock = h
          }
          if (lock > 0) locks.set('a', { height: lock, hash: `${lock}/1` })
          for (let h = commit + 1; h <= 4; h++) {
            const by = [...'abcdef'].filter((name) => {
              const on = locks.get(name)
              return on !== undefined && on.height >= h && on.hash === `${on.height}/1`
            })
            if (by.length >= quorum) commit = h
          }
          deepEqual([node.certified.block.height, node.commit], [lock, commit])
        }
      }),
      { numRuns: 500 },
    )
  })
})
