import { deepEqual, equal, notEqual, throws } from 'node:assert/strict'
import { TERM_LEAP_MAX } from '../../consensus/config.ts'
import type { Message } from '../../consensus/messages.ts'
import { InvariantError, RefusedError } from '../../src/errors.ts'
import { block, chain, GENESIS, LIMITS, leader, raft, settle } from './support.ts'

const vote = (term: number, tail = { height: 0, term: 0 }, transfer = false): Message => ({
  kind: 'vote',
  term,
  tail,
  transfer,
})

describe('a raft', () => {
  it('refuses a configuration that contradicts itself', () => {
    throws(() => raft('a', { configuration: { voters: ['a', 'a'], learners: [] } }), InvariantError)
    throws(() => raft('a', { configuration: { voters: [], learners: [] } }), InvariantError)
    throws(() => raft('a', { electionTicks: 4 }), InvariantError)
    throws(() => raft('a', { limits: { ...LIMITS, windowBlocks: 0 } }), InvariantError)
    throws(() => raft('a', { log: { blocks: [], commit: 0 } }), InvariantError)
    throws(() => raft('a', { log: { blocks: [GENESIS], commit: 1 } }), InvariantError)
    throws(() => raft('a', { log: { blocks: [GENESIS, ...chain([3])], commit: 0 } }), InvariantError)
  })

  it('votes once a term, first come first served', () => {
    const node = raft('a')
    node.step('b', vote(1))
    node.step('c', vote(1))
    node.step('b', vote(1))
    const granted = settle(node).map(({ to, message }) => [
      to,
      message.kind === 'vote-reply' && message.granted,
    ])
    deepEqual(granted, [
      ['b', true],
      ['c', false],
      ['b', true],
    ])
  })

  it('votes for no log that is behind its own, also when the leader asked the candidate to stand', () => {
    const node = raft('a', {
      hardState: { term: 2, votedFor: undefined },
      log: { blocks: [GENESIS, ...chain([1, 2])], commit: 0 },
    })
    for (const tail of [
      { height: 1, term: 2 },
      { height: 9, term: 1 },
    ]) {
      node.step('b', vote(node.term + 1, tail, true))
      deepEqual(settle(node), [{ to: 'b', message: { kind: 'vote-reply', term: node.term, granted: false } }])
    }
  })

  it('is not led to the end of all terms by one message', () => {
    const node = raft('a')
    const liars: Message[] = [
      vote(Number.MAX_SAFE_INTEGER, { height: 9, term: 9 }, true),
      { kind: 'heartbeat', term: Number.MAX_SAFE_INTEGER, round: 1 },
      { kind: 'pre-vote-reply', term: Number.MAX_SAFE_INTEGER, granted: false },
    ]
    for (const [i, message] of liars.entries()) {
      node.step('b', message)
      deepEqual(settle(node), [])
      equal(node.term, (i + 1) * TERM_LEAP_MAX)
      equal(node.leader, undefined)
    }
    // Whoever truly is so far ahead is followed after a few messages.
    const term = node.term + 2 * TERM_LEAP_MAX
    node.step('c', { kind: 'heartbeat', term, round: 1 })
    equal(node.leader, undefined)
    node.step('c', { kind: 'heartbeat', term, round: 2 })
    deepEqual([node.term, node.leader], [term, 'c'])
  })

  it('does not vote in a term that it knows to have a leader', () => {
    const node = raft('a')
    node.step('b', { kind: 'heartbeat', term: 1, round: 1 })
    settle(node)
    node.step('c', vote(1))
    deepEqual(settle(node), [{ to: 'c', message: { kind: 'vote-reply', term: 1, granted: false } }])
  })

  it('ignores candidates while its leader lives, unless the leader sent them', () => {
    const node = raft('a')
    node.step('b', { kind: 'heartbeat', term: 1, round: 1 })
    settle(node)
    for (let i = 0; i < 9; i++) node.tick()
    node.step('c', vote(2))
    node.step('c', { kind: 'pre-vote', term: 2, tail: { height: 0, term: 0 } })
    deepEqual(settle(node), [])
    equal(node.term, 1)
    node.step('c', vote(2, undefined, true))
    equal(node.term, 2)
  })

  it('hears candidates, and stands after the rest of its timeout, once the link to its leader broke', () => {
    const node = raft('a', { random: () => 0.3 })
    node.step('b', { kind: 'heartbeat', term: 1, round: 1 })
    settle(node)
    node.lostLink('c')
    node.step('c', { kind: 'pre-vote', term: 2, tail: { height: 0, term: 0 } })
    deepEqual(settle(node), [], 'another link says nothing about the leader')
    node.lostLink('b')
    node.step('c', { kind: 'pre-vote', term: 2, tail: { height: 0, term: 0 } })
    deepEqual(settle(node), [{ to: 'c', message: { kind: 'pre-vote-reply', term: 2, granted: true } }])
    for (let i = 0; i < 2; i++) node.tick()
    equal(node.role, 'follower')
    node.tick()
    equal(node.role, 'pre-candidate')
  })

  it('asks for pre-votes again, of those alone that have not answered', () => {
    const node = raft('a', { configuration: { voters: ['a', 'b', 'c', 'd', 'e'], learners: [] } })
    node.campaign()
    settle(node)
    node.step('b', { kind: 'pre-vote-reply', term: 1, granted: true })
    node.tick()
    deepEqual(settle(node), [])
    node.tick()
    deepEqual(
      settle(node).map(({ to, message }) => [to, message.kind]),
      ['c', 'd', 'e'].map((to) => [to, 'pre-vote']),
    )
  })

  it('begins anew when it has stood for half an election timeout', () => {
    const node = raft('a')
    node.campaign()
    node.step('b', { kind: 'pre-vote-reply', term: 1, granted: true })
    settle(node)
    for (let i = 0; i < 4; i++) node.tick()
    equal(node.role, 'candidate')
    node.tick()
    equal(node.role, 'pre-candidate')
  })

  it('shows no vote and no acknowledgement before advance has been owed', () => {
    const node = raft('a')
    node.step('b', vote(1))
    const ready = node.ready()
    deepEqual(ready.hardState, { term: 1, votedFor: 'b' })
    equal(ready.early.length, 0)
    equal(ready.messages.length, 1)
    equal(node.hasReady(), false, 'one Ready at a time')
    throws(() => node.ready(), InvariantError)
    node.advance(ready)
    throws(() => node.advance(ready), InvariantError)
  })

  it('drops what it meant to say in a term that ended before it was durable', () => {
    const node = raft('a')
    node.step('b', vote(1))
    node.step('c', vote(2))
    deepEqual(
      settle(node).map(({ to, message }) => [to, message.term]),
      [['c', 2]],
    )
  })

  it('answers old terms with its own, and lets their contents do nothing', () => {
    const node = raft('a', { hardState: { term: 5, votedFor: undefined } })
    const [one] = chain([4])
    node.step('b', { kind: 'append', term: 4, prev: GENESIS, blocks: [one!], commit: 1 })
    node.step('b', { kind: 'heartbeat', term: 4, round: 1 })
    node.step('b', { kind: 'behind', term: 4, commit: 7 })
    node.step('b', vote(4))
    node.step('b', { kind: 'pre-vote', term: 4, tail: { height: 9, term: 9 } })
    node.step('b', { kind: 'vote-reply', term: 4, granted: true })
    node.step('b', { kind: 'append-reply', term: 4, match: 1 })
    node.step('b', { kind: 'timeout-now', term: 4 })
    deepEqual(
      settle(node).map(({ message }) => message.kind),
      ['heartbeat-reply', 'heartbeat-reply', 'heartbeat-reply', 'vote-reply', 'pre-vote-reply'],
    )
    deepEqual([node.term, node.commit, node.tail.height, node.role], [5, 0, 0, 'follower'])
  })

  it('refuses what no honest member sends, and stays as it was', () => {
    const node = leader()
    const before = node.status()
    const [one] = chain([1])
    throws(() => node.step('a', { kind: 'heartbeat', term: 9, round: 1 }), RefusedError)
    throws(
      () => node.step('b', { kind: 'heartbeat', term: 1, round: 1 }),
      RefusedError,
      'a second leader of our term',
    )
    const gap = { kind: 'append', term: 9, prev: GENESIS, blocks: [block(one!, 1)], commit: 0 } as const
    throws(() => node.step('b', gap), RefusedError)
    deepEqual(node.status(), before)
  })

  it('stops rather than replace a block that Raft committed', () => {
    const node = raft('a')
    const [one, two] = chain([1, 1])
    node.step('b', { kind: 'append', term: 1, prev: GENESIS, blocks: [one!, two!], commit: 2 })
    settle(node)
    const fork = chain([2], one, 'fork')
    throws(
      () => node.step('c', { kind: 'append', term: 2, prev: one!, blocks: fork, commit: 0 }),
      InvariantError,
    )
  })

  it('opens its term before anything commits, and proposes only on its tail', () => {
    const node = raft('a', { configuration: { voters: ['a'], learners: [] } })
    node.campaign()
    equal(node.role, 'candidate', 'its own vote is not durable yet')
    settle(node)
    deepEqual([node.role, node.needsOpening, node.canPropose()], ['leader', true, true])
    deepEqual(node.propose(block(node.tail, 7)), { ok: false, reason: 'stale-term' })
    deepEqual(node.propose(block(block(node.tail, 1), 1)), { ok: false, reason: 'not-on-tail' })
    deepEqual(node.propose({ ...block(node.tail, 1), prev: 'other' }), { ok: false, reason: 'not-on-tail' })
    deepEqual(node.propose(block(node.tail, 1)), { ok: true })
    equal(node.needsOpening, false)
    equal(node.commit, 0, 'not durable yet')
    settle(node)
    equal(node.commit, 1)
    deepEqual(raft('a').propose(block(GENESIS, 0)), { ok: false, reason: 'not-leader' })
  })

  it('takes no more proposals than its pipeline holds, but always the one that opens its term', () => {
    const limits = { ...LIMITS, windowBlocks: 2 }
    const hardState = { term: 1, votedFor: undefined }
    const node = leader({ limits, hardState, log: { blocks: [GENESIS, ...chain([1, 1, 1])], commit: 0 } })
    equal(node.tail.height, 4)
    deepEqual(node.propose(block(node.tail, 2)), { ok: false, reason: 'pipeline-full' })
    node.step('b', { kind: 'append-reply', term: 2, match: 4 })
    equal(node.canPropose(), false, 'committed, but not applied')
    settle(node)
    equal(node.canPropose(), true)
  })

  it('counts its own disk only for what that has synced', () => {
    const node = leader()
    node.step('b', { kind: 'append-reply', term: 1, match: 1 })
    settle(node)
    node.propose(block(node.tail, 1))
    const ready = node.ready()
    equal(ready.early.length, 1, 'the append to b leaves at once; c is still being probed')
    node.step('b', { kind: 'append-reply', term: 1, match: 2 })
    equal(node.commit, 1)
    node.advance(ready)
    equal(node.commit, 2)
  })

  it('does not count acknowledgements of blocks that it does not have', () => {
    const node = leader()
    node.step('b', { kind: 'append-reply', term: 1, match: 9 })
    equal(node.commit, 0)
    equal(node.status().progress.b!.match, 0)
  })

  it('installs proven blocks over its own uncommitted ones, and acknowledges them', () => {
    const node = raft('a')
    node.step('b', { kind: 'append', term: 1, prev: GENESIS, blocks: chain([1, 1]), commit: 1 })
    settle(node)
    const proven = chain([1, 1, 1]).with(1, block(chain([1])[0]!, 1, 'z'))
    proven[2] = block(proven[1]!, 1)
    node.install(proven)
    const ready = node.ready()
    equal(ready.truncateFrom, 2)
    deepEqual(
      ready.messages.map(({ to, message }) => [to, message]),
      [['b', { kind: 'append-reply', term: 1, match: 3 }]],
    )
    node.advance(ready)
    settle(node)
    equal(node.commit, 3)
  })

  it('refuses proven blocks that leave a gap or contradict it', () => {
    const node = raft('a')
    const blocks = chain([1, 1, 1])
    throws(() => node.install(blocks.slice(1)), InvariantError)
    throws(() => node.install([blocks[0]!, blocks[2]!]), InvariantError)
    throws(() => node.install(chain([1], { ...GENESIS, hash: 'other' })), InvariantError)
    node.install(blocks.slice(0, 2))
    throws(() => node.install(chain([1, 1, 1], GENESIS, 'fork')), InvariantError)
    node.install(blocks.slice(0, 1))
    equal(node.commit, 2)
    equal(node.term, 1, 'a log holds no term that its node has not entered')
  })

  it('leads no more when a proven block shows that it was deposed', () => {
    const node = leader()
    node.propose(block(node.tail, 1, 'mine'))
    settle(node)
    const proven = [block(node.tail, 1)]
    proven.unshift(...chain([1]))
    proven[1] = block(proven[0]!, 1, 'theirs')
    node.install(proven)
    deepEqual([node.role, node.term, node.tail.hash], ['follower', 1, '2/1theirs'])
    node.step('c', vote(1))
    const replies = settle(node).map(({ message }) => message)
    deepEqual(replies.at(-1), { kind: 'vote-reply', term: 1, granted: false }, 'its own vote stands')
  })

  it('survives the leader of a dead term that contradicts a proven block, without stopping', () => {
    const node = raft('a')
    const proven = chain([1, 1])
    node.install(proven)
    settle(node)
    const stale = chain([1], proven[0], 'stale')
    const append = { kind: 'append', term: 1, prev: proven[0]!, blocks: stale, commit: 1 } as const
    throws(() => node.step('b', append), RefusedError)
    equal(node.tail.hash, '2/1')
  })

  it('steps down within two election timeouts when nobody answers', () => {
    const node = leader()
    node.step('b', { kind: 'heartbeat-reply', term: 1, commit: 0, round: 1 })
    for (let i = 0; i < 19; i++) node.tick()
    equal(node.role, 'leader')
    node.tick()
    equal(node.role, 'follower')
    equal(node.term, 1)
  })

  it('only listens when it is no voter', () => {
    const node = raft('x')
    for (let i = 0; i < 100; i++) node.tick()
    node.campaign()
    equal(node.role, 'follower')
    node.step('a', { kind: 'append', term: 1, prev: GENESIS, blocks: chain([1]), commit: 1 })
    settle(node)
    equal(node.commit, 1)
  })

  it('changes its configuration one step at a time, once it has committed in its term', () => {
    const node = leader()
    const change = (voters: string, learners = '') =>
      node.propose({
        ...block(node.tail, node.term),
        configuration: { voters: [...voters], learners: [...learners] },
      })
    equal(node.canChange, false)
    deepEqual(change('abcd'), { ok: false, reason: 'not-committed-in-term' })
    node.step('b', { kind: 'append-reply', term: 1, match: 1 })
    settle(node)
    equal(node.canChange, true)
    throws(() => change('abcde'), InvariantError)
    equal(node.tail.height, 1)
    deepEqual(change('abcd'), { ok: true })
    deepEqual(node.configuration.voters, ['a', 'b', 'c', 'd'])
    deepEqual([node.canChange, node.canPropose()], [false, true])
    deepEqual(change('abcde'), { ok: false, reason: 'change-pending' })
    settle(node)
    node.step('b', { kind: 'append-reply', term: 1, match: 2 })
    equal(node.commit, 1, 'two of four')
    node.step('d', { kind: 'append-reply', term: 1, match: 2 })
    equal(node.commit, 2)
    deepEqual(change('abd', 'c'), { ok: true })
  })

  it('hands leadership to voters only', () => {
    const node = leader({ configuration: { voters: ['a', 'b', 'c'], learners: ['d'] } })
    node.propose(block(node.tail, 1))
    settle(node)
    node.step('d', { kind: 'append-reply', term: 1, match: 2 })
    deepEqual(node.transfer('d'), { ok: false, reason: 'no-target' })
    deepEqual(node.transfer('a'), { ok: false, reason: 'no-target' })
    deepEqual(node.transfer(), { ok: false, reason: 'no-target' })
    node.step('b', { kind: 'append-reply', term: 1, match: 1 })
    deepEqual(node.transfer(), { ok: true, to: 'b' })
  })

  it('keeps a quorum of voters, not of learners', () => {
    const node = leader({ configuration: { voters: ['a', 'b', 'c'], learners: ['d', 'e'] } })
    for (let i = 0; i < 20; i++) {
      for (const from of ['d', 'e'])
        node.step(from, { kind: 'heartbeat-reply', term: 1, commit: 0, round: 1 })
      node.tick()
    }
    notEqual(node.role, 'leader')
  })

  it('does not lead on when a proven block removes it', () => {
    const node = leader()
    node.step('b', { kind: 'append-reply', term: 1, match: 1 })
    settle(node)
    const removal = { ...block(node.tail, 1), configuration: { voters: ['b', 'c'], learners: ['a'] } }
    node.propose(removal)
    settle(node)
    equal(node.role, 'leader')
    node.install([removal])
    equal(node.role, 'follower')
    for (let i = 0; i < 100; i++) node.tick()
    node.campaign()
    equal(node.role, 'follower')
  })

  it('stands no more when a proven block removes it', () => {
    const node = raft('a')
    const [one] = chain([1])
    const removal = { ...one!, configuration: { voters: ['b', 'c'], learners: ['a'] } }
    node.step('b', { kind: 'append', term: 1, prev: GENESIS, blocks: [removal], commit: 0 })
    settle(node)
    node.campaign()
    equal(node.role, 'pre-candidate', 'the removal may yet be undone')
    node.install([removal])
    equal(node.role, 'follower')
  })

  it('sends the rest to a follower that pulled what it had been sent and lost', () => {
    const node = leader()
    node.step('b', { kind: 'append-reply', term: 1, match: 1 })
    node.step('c', { kind: 'append-reply', term: 1, match: 1 })
    settle(node)
    for (let i = 0; i < 6; i++) node.propose(block(node.tail, 1))
    settle(node)
    equal(node.status().progress.c!.next, 6, 'four appends are unanswered')
    node.step('c', { kind: 'heartbeat-reply', term: 1, commit: 5, round: 1 })
    settle(node)
    node.step('c', { kind: 'append-reply', term: 1, match: 5 })
    const sent = settle(node).filter(({ to }) => to === 'c')
    deepEqual(
      sent.map(({ message }) => message.kind === 'append' && message.blocks.map(({ height }) => height)),
      [[6, 7]],
    )
  })

  it('names the part of an append that still has to be checked', () => {
    const node = raft('a')
    const [one, two, three] = chain([1, 1, 1])
    node.step('b', { kind: 'append', term: 1, prev: GENESIS, blocks: [one!], commit: 0 })
    const append = { kind: 'append', term: 1, prev: GENESIS, commit: 0 } as const
    equal(node.unchecked({ ...append, blocks: [one!] }), undefined, 'all known')
    equal(node.unchecked({ ...append, prev: two!, blocks: [three!] }), undefined, 'to be refused anyway')
    equal(node.unchecked({ ...append, term: 0, blocks: [] }), undefined, 'of a dead term')
    const rest = node.unchecked({ ...append, blocks: [one!, two!, three!] })
    deepEqual([rest?.prev.hash, rest?.blocks.map(({ hash }) => hash)], ['1/1', ['2/1', '3/1']])
  })
})
