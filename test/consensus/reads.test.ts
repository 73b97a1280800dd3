import { deepEqual, equal } from 'node:assert/strict'
import type { Raft } from '../../consensus/raft.ts'
import type { ReadAnswer } from '../../consensus/types.ts'
import { block, lead, leader, of, raft, second, settle } from './support.ts'

/** Sends and writes what is at hand; gives the answers to reads, and the rounds of the heartbeats to `b`. */
function answers(node: Raft): { reads: ReadAnswer[]; rounds: number[] } {
  const reads: ReadAnswer[] = []
  const rounds: number[] = []
  while (node.hasReady()) {
    const ready = node.ready()
    reads.push(...ready.reads)
    for (const { to, message } of ready.early) {
      if (to === 'b' && message.kind === 'heartbeat') rounds.push(message.round)
    }
    node.advance(ready)
    const last = ready.committed.at(-1)
    if (last !== undefined) node.applied(last.height)
  }
  return { reads, rounds }
}

const reply = (node: Raft, from: string, round: number) =>
  node.step(from, { kind: 'heartbeat-reply', term: node.term, commit: 0, round })

/** Leads term 1 and has committed a block of it. */
function reading(): Raft {
  const node = leader()
  second(node)
  return node
}

describe('reads', () => {
  it('are refused by whoever does not lead, or has committed nothing in its term', () => {
    deepEqual(raft('a').read(1), { ok: false, reason: 'not-leader' })
    deepEqual(leader().read(1), { ok: false, reason: 'not-committed-in-term' })
  })

  it('are answered, with the height proposed when they were asked for, once a quorum has confirmed', () => {
    const node = reading()
    node.propose(block(node.tail, 1))
    settle(node)
    // Others may have decided block 2 before this leader hears of it.
    deepEqual(node.read(7), { ok: true })
    const { reads, rounds } = answers(node)
    deepEqual(reads, [])
    node.propose(block(node.tail, 1))
    settle(node)
    node.step('b', { kind: 'append-reply', term: 1, match: 3 })
    deepEqual(answers(node).reads, [], 'an acknowledgement of blocks is no answer to the round')
    equal(node.commit, 1)
    reply(node, 'c', rounds[0]!)
    deepEqual(answers(node).reads, [{ id: 7, height: 2 }])
  })

  it('are not confirmed by a round that began before, nor by what is no voter', () => {
    const node = reading()
    node.tick()
    node.tick()
    const [earlier] = answers(node).rounds
    node.read(1)
    const [own] = answers(node).rounds
    reply(node, 'b', earlier!)
    reply(node, 'x', own!)
    reply(node, 'b', 0)
    deepEqual(answers(node).reads, [])
    reply(node, 'b', own!)
    equal(answers(node).reads.length, 1)
  })

  it('are not confirmed by a round that a follower makes up before it begins', () => {
    const node = reading()
    reply(node, 'b', 1000)
    node.read(1)
    deepEqual(answers(node).reads, [])
  })

  it('share rounds: however many come while one is under way, one more is begun', () => {
    const node = reading()
    node.read(1)
    const { rounds } = answers(node)
    for (let id = 2; id < 100; id++) node.read(id)
    deepEqual(answers(node).rounds, [])
    reply(node, 'b', rounds[0]!)
    const next = answers(node)
    deepEqual([next.reads.length, next.rounds], [1, [rounds[0]! + 1]])
    reply(node, 'c', next.rounds[0]!)
    equal(answers(node).reads.length, 98)
  })

  it('need nobody else where there is one voter', () => {
    const node = raft('a', { configuration: of('a', 'b') })
    node.campaign()
    settle(node)
    node.propose(block(node.tail, 1))
    settle(node)
    node.read(1)
    deepEqual(answers(node).reads, [{ id: 1, height: 1 }])
  })

  it('fail when the leader is deposed, and stay failed when it leads again', () => {
    const node = reading()
    node.read(1)
    answers(node)
    node.step('c', lead(2, 'c', 'bc', node.certified))
    deepEqual(answers(node).reads, [{ id: 1, height: undefined }])
    deepEqual(node.read(2), { ok: false, reason: 'not-leader' })
  })
})
