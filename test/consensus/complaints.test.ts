import { deepEqual, equal } from 'node:assert/strict'
import type { Raft } from '../../consensus/raft.ts'
import { append, chain, follower, GENESIS, leader, of, second, settle, vote } from './support.ts'

const ABCD3 = { configuration: of('abcd', '', 3) }
const complaint = { kind: 'complaint', term: 1 } as const
const complaints = (node: Raft) =>
  settle(node)
    .filter(({ message }) => message.kind === 'complaint')
    .map(({ to }) => to)
    .join('')
const isHeeded = (node: Raft) => {
  for (let i = 0; i < 2; i++) node.tick()
  return node.triage('c', vote(2, 'c')) === 'verify'
}

describe('complaints', () => {
  it('end the lease of the leader when one more complain than may lie, and are joined then', () => {
    const node = follower(ABCD3)
    node.step('d', complaint)
    node.step('d', complaint)
    deepEqual([isHeeded(node), complaints(node)], [false, ''])
    node.step('c', complaint)
    deepEqual([complaints(node), isHeeded(node)], ['bcd', true])
    node.step('b', { kind: 'heartbeat', term: 1, round: 5 })
    equal(isHeeded(node), true, 'that the leader is heard changes nothing')
    equal(node.triage('b', vote(2, 'b')), 'drop', 'the leader itself is not heeded')
  })

  it('count those who have left the term without a leader: they cannot complain in it', () => {
    const gone = { kind: 'ask', term: 2, knowsLeader: false } as const
    const node = follower(ABCD3)
    node.step('c', gone)
    node.step('d', gone)
    deepEqual([isHeeded(node), complaints(node)], [false, ''], 'nobody complains')
    node.complain()
    equal(isHeeded(node), true)
    for (let i = 0; i < 30; i++) {
      node.step('b', { kind: 'heartbeat', term: 1, round: 5 })
      node.tick()
    }
    equal(node.role, 'pre-candidate', 'heartbeats do not keep it from standing')
    const late = follower(ABCD3)
    late.complain()
    equal(isHeeded(late), false)
    late.step('c', gone)
    late.tick()
    equal(isHeeded(late), true, 'whichever comes first')
    const stranger = follower({ configuration: of('abcd', 'x', 3) })
    stranger.complain()
    stranger.step('x', gone)
    equal(isHeeded(stranger), false)
  })

  it('count those of voters, once each, and of this term', () => {
    const node = follower({ configuration: of('abcd', 'x', 3) })
    for (const from of ['x', 'y', 'd']) node.step(from, complaint)
    node.step('c', { kind: 'complaint', term: 0 })
    equal(isHeeded(node), false)
  })

  it('make the leader step down', () => {
    const node = leader()
    node.step('c', complaint)
    deepEqual([node.role, node.leader], ['follower', undefined])
  })

  it('are made when nothing is committed for eight election timeouts while something waits, and repeated', () => {
    const node = follower(ABCD3)
    node.step('b', append(1, GENESIS, chain([1])))
    const live = () => {
      node.step('b', { kind: 'heartbeat', term: 1, round: 1 })
      node.tick()
    }
    for (let i = 0; i < 79; i++) live()
    equal(complaints(node), '')
    live()
    equal(complaints(node), 'bcd')
    live()
    live()
    equal(complaints(node), 'bcd')
  })

  it('are not made by who is behind nothing, or leads', () => {
    const node = leader()
    second(node)
    node.complain()
    equal(complaints(node), '')
    for (let i = 0; i < 100; i++) {
      node.step('b', { kind: 'heartbeat-reply', term: 1, commit: 1, round: 1 })
      node.tick()
    }
    deepEqual([node.role, complaints(node)], ['leader', ''])
  })

  it('are made when an entry waits too long, and go on when the server has come to stand itself', () => {
    const node = follower(ABCD3)
    node.complain()
    equal(complaints(node), 'bcd')
    for (let i = 0; i < 20; i++) node.tick()
    equal(node.role, 'pre-candidate')
    settle(node)
    node.tick()
    node.tick()
    equal(complaints(node), 'bcd')
  })

  it('end after a while if there is no more reason', () => {
    const node = follower(ABCD3)
    node.step('d', complaint)
    for (let i = 0; i < 30; i++) {
      node.step('b', { kind: 'heartbeat', term: 1, round: 1 })
      node.tick()
    }
    node.step('c', complaint)
    equal(isHeeded(node), false, 'two complaints, and never both at a time')
  })

  it('are heard by who stands already', () => {
    const node = follower(ABCD3)
    for (let i = 0; i < 10; i++) node.tick()
    equal(node.role, 'pre-candidate')
    settle(node)
    for (const from of ['c', 'd']) node.step(from, complaint)
    node.step('b', { kind: 'heartbeat', term: 1, round: 5 })
    deepEqual([node.leader, node.role], [undefined, 'pre-candidate'], 'the leader does not call it back')
  })

  it('are seconded by who does not hear the leader, as if it spoke to one server alone', () => {
    const node = follower(ABCD3)
    node.step('d', complaint)
    equal(complaints(node), '')
    for (let i = 0; i < 12; i++) node.tick()
    settle(node)
    node.step('d', complaint)
    equal(complaints(node), '', 'a short lapse is no reason')
    for (let i = 0; i < 18; i++) node.tick()
    settle(node)
    node.step('d', complaint)
    equal(complaints(node), 'bcd')
  })
})
