import { deepEqual, equal, notEqual, ok, throws } from 'node:assert/strict'
import { TERM_LEAP_MAX } from '../../consensus/config.ts'
import type { Message } from '../../consensus/messages.ts'
import type { Raft } from '../../consensus/raft.ts'
import { utf8 } from '../../src/bytes.ts'
import { InvariantError, RefusedError } from '../../src/errors.ts'
import { fakeCover, fakeSign } from './fakes.ts'
import {
  acknowledge,
  append,
  block,
  certified,
  chain,
  follower,
  GENESIS,
  GENESIS_PROVEN,
  LIMITS,
  lead,
  leader,
  listening,
  locked,
  of,
  raft,
  refTo,
  second,
  settle,
  vote,
} from './support.ts'

/** Install blocks that a certificate of the ledger proves. */
function install(node: Raft, blocks: Parameters<Raft['install']>[0]): void {
  node.install(blocks, fakeCover(blocks.at(-1)!))
}

const granted = (sent: ReturnType<typeof settle>) =>
  sent.flatMap(({ to, message }) =>
    message.kind === 'vote-reply' ? [[to, message.signature !== undefined]] : [],
  )
const said = (node: Raft, to: string) =>
  settle(node).flatMap((each) => (each.to === to ? [each.message.kind] : []))
const ticks = (node: Raft, count: number) => {
  for (let i = 0; i < count; i++) node.tick()
}

describe('a raft', () => {
  it('refuses a configuration that contradicts itself', () => {
    throws(() => raft('a', { configuration: of('aa') }), InvariantError)
    throws(() => raft('a', { configuration: of('') }), InvariantError)
    throws(() => raft('a', { configuration: of('abcd', '', 2) }), InvariantError)
    throws(() => raft('a', { configuration: of('abc', '', 4) }), InvariantError)
    throws(() => raft('a', { electionTicks: 4 }), InvariantError)
    throws(() => raft('a', { limits: { ...LIMITS, windowBlocks: 0 } }), InvariantError)
    throws(() => raft('a', { log: { blocks: [], commit: 0 } }), InvariantError)
    throws(() => raft('a', { log: { blocks: [GENESIS], commit: 1 } }), InvariantError)
    throws(() => raft('a', { log: { blocks: [GENESIS, ...chain([3])], commit: 0 } }), InvariantError)
    const other = { ...GENESIS_PROVEN, block: { ...GENESIS, hash: 'other' } }
    throws(() => raft('a', { certified: other }), InvariantError)
  })

  it('votes once a term, first come first served', () => {
    const node = raft('a')
    node.step('b', vote(1, 'b'))
    node.step('c', vote(1, 'c'))
    node.step('b', vote(1, 'b'))
    deepEqual(granted(settle(node)).sort(), [
      ['b', true],
      ['b', true],
      ['c', false],
    ])
  })

  it('votes again for the same candidate and base alone after a restart', () => {
    const ballot = { candidate: 'b', base: refTo(GENESIS) }
    const node = raft('a', { hardState: { term: 1, vote: ballot, abstains: false } })
    node.step('c', vote(1, 'c'))
    deepEqual(granted(settle(node)), [['c', false]])
    const [one] = chain([1])
    node.step('b', vote(1, 'b', certified(one!, 'c')))
    deepEqual(granted(settle(node)), [['b', false]], 'another base is another vote')
    node.step('b', vote(1, 'b'))
    deepEqual(granted(settle(node)), [['b', true]])
  })

  it('votes for no base that ranks below its lock, or below what is committed', () => {
    const blocks = chain([1, 2, 2])
    const hardState = { term: 2, vote: undefined, abstains: false }
    const lock = certified(blocks[1]!, 'c')
    const low = certified(blocks[0]!, 'c')
    const node = raft('a', { hardState, log: { blocks: [GENESIS, ...blocks], commit: 0 }, certified: lock })
    node.step('b', vote(3, 'b', { ...low, block: { height: 9, term: 1, hash: 'high' } }))
    deepEqual(granted(settle(node)), [['b', false]], 'a later term outranks a greater height')
    node.step('b', vote(4, 'b', low))
    deepEqual(granted(settle(node)), [['b', false]])
    node.step('b', vote(5, 'b', lock))
    deepEqual(granted(settle(node)), [['b', true]])
    const applied = raft('a', {
      hardState,
      log: { blocks: [GENESIS, ...blocks], commit: 3 },
      certified: lock,
    })
    applied.step('b', vote(3, 'b', lock))
    deepEqual(granted(settle(applied)), [['b', false]])
  })

  it('enters no term for a mere word, and asks for its certificate', () => {
    const node = raft('a', { electionTicks: 100 })
    const words: Message[] = [
      { kind: 'heartbeat', term: 9, round: 1 },
      append(9, GENESIS, chain([9])),
      { kind: 'behind', term: 9, commit: 5 },
      { kind: 'timeout-now', term: 9, to: 'a' },
      { kind: 'complaint', term: 9 },
      { kind: 'append-reply', term: 9, match: 0 },
      { kind: 'heartbeat-reply', term: 9, commit: 0, round: 0 },
      acknowledge('b', block(GENESIS, 9)),
      locked(block(GENESIS, 9)),
    ]
    for (const message of words) {
      node.step('b', message)
      deepEqual(
        settle(node),
        [{ to: 'b', message: { kind: 'ask', term: 0, knowsLeader: false } }],
        message.kind,
      )
      node.step('b', message)
      deepEqual(settle(node), [], 'once in the time of a heartbeat')
      ticks(node, 2)
    }
    node.step('b', { kind: 'pre-vote-reply', term: 9, granted: false })
    node.step('b', { kind: 'vote-reply', term: 9, signature: undefined })
    deepEqual([node.term, node.tail.height, node.leader], [0, 0, undefined])
    node.step('c', lead(9, 'b', 'bc'))
    deepEqual([node.term, node.leader], [9, 'b'], 'anyone may show it')
  })

  it('shows the certificate of its term to those who are late, and who ask', () => {
    const node = follower({}, 5)
    node.step('c', { kind: 'heartbeat', term: 4, round: 1 })
    deepEqual(settle(node), [{ to: 'c', message: lead(5, 'b', 'bc') }])
    ticks(node, 2)
    node.step('c', { kind: 'ask', term: 5, knowsLeader: false })
    deepEqual(said(node, 'c').at(-1), 'lead')
    ticks(node, 2)
    node.step('c', { kind: 'ask', term: 5, knowsLeader: true })
    equal(said(node, 'c').includes('lead'), false)
  })

  it('is not led to the end of all terms by one candidacy or refusal', () => {
    const node = raft('a')
    node.step('b', vote(Number.MAX_SAFE_INTEGER, 'b'))
    deepEqual(granted(settle(node)), [['b', false]])
    equal(node.term, TERM_LEAP_MAX)
    node.step('b', { kind: 'vote-reply', term: Number.MAX_SAFE_INTEGER, signature: undefined })
    node.campaign()
    const [asked] = settle(node)
    equal(asked?.message.term, 2 * TERM_LEAP_MAX + 1)
  })

  it('stands above far later terms when more say so than may lie', () => {
    const node = raft('a', { configuration: of('abcde', '', 4) })
    const far = 3 * TERM_LEAP_MAX
    const next = () => {
      node.campaign()
      const term = settle(node)[0]?.message.term
      ticks(node, 5)
      settle(node)
      return term
    }
    node.step('b', { kind: 'vote-reply', term: Number.MAX_SAFE_INTEGER, signature: undefined })
    node.step('c', { kind: 'vote-reply', term: far, signature: undefined })
    node.step('c', { kind: 'vote-reply', term: far, signature: undefined })
    equal(next(), TERM_LEAP_MAX + 1)
    node.step('d', { kind: 'pre-vote-reply', term: far + 1, granted: false })
    equal(next(), far + 1)
  })

  it('does not vote in a term that it knows to have a leader', () => {
    const node = follower()
    node.step('c', vote(1, 'c'))
    deepEqual(granted(settle(node)), [['c', false]])
  })

  it('ignores candidates while its leader lives, unless the leader sent them', () => {
    const node = follower()
    ticks(node, 9)
    settle(node)
    node.step('c', vote(2, 'c'))
    node.step('c', { kind: 'pre-vote', term: 2, base: GENESIS })
    deepEqual(settle(node), [])
    equal(node.term, 1)
    node.step('b', { kind: 'timeout-now', term: 1, to: 'c' })
    node.step('c', vote(2, 'c'))
    equal(node.term, 2)
  })

  it('heeds a leader that succeeds itself, but not for ever', () => {
    const node = follower()
    for (let term = 1; term < 9; term++) {
      node.step('b', { kind: 'timeout-now', term, to: 'b' })
      node.step('b', vote(term + 1, 'b'))
      node.step('b', lead(term + 1, 'b', 'bc'))
      for (let i = 0; i < 50; i++) {
        if (i % 5 === 0) node.step('b', { kind: 'heartbeat', term: node.term, round: 1 })
        node.tick()
      }
      settle(node)
      node.step('b', { kind: 'timeout-now', term: node.term, to: 'b' })
      if (node.triage('b', vote(node.term + 1, 'b')) === 'drop') {
        equal(term, 3)
        return
      }
    }
    throw new Error('it is heeded for ever')
  })

  it('stands again, as its own successor, for a voter that has left the term', () => {
    const node = leader()
    second(node)
    const alive = (count: number) => {
      for (let i = 0; i < count; i++) {
        node.step('b', { kind: 'heartbeat-reply', term: 1, commit: 1, round: 1 })
        node.tick()
      }
    }
    node.step('c', { kind: 'ask', term: 9, knowsLeader: false })
    alive(318)
    settle(node)
    equal(node.role, 'leader')
    alive(2)
    deepEqual([node.role, node.term], ['candidate', 10])
    const kinds = settle(node).map(({ to, message }) => `${to} ${message.kind} ${message.term}`)
    deepEqual(kinds.slice(-4), ['b timeout-now 1', 'c timeout-now 1', 'b vote 10', 'c vote 10'])
  })

  it('takes the word of a leader from nobody else', () => {
    const node = follower()
    for (const message of [
      { kind: 'heartbeat', term: 1, round: 1 },
      append(1, GENESIS, chain([1])),
      { kind: 'behind', term: 1, commit: 5 },
      { kind: 'timeout-now', term: 1, to: 'a' },
    ] as const) {
      throws(() => node.step('c', message), { code: 'not-permitted' })
    }
    deepEqual([node.tail.height, node.role], [0, 'follower'])
  })

  it('hears candidates, and stands after the rest of its timeout, once the link to its leader broke', () => {
    const node = follower({ random: () => 0.3 })
    node.lostLink('c')
    node.step('c', { kind: 'pre-vote', term: 2, base: GENESIS })
    deepEqual(settle(node), [], 'another link says nothing about the leader')
    node.lostLink('b')
    node.step('c', { kind: 'pre-vote', term: 2, base: GENESIS })
    deepEqual(settle(node), [{ to: 'c', message: { kind: 'pre-vote-reply', term: 2, granted: true } }])
    ticks(node, 2)
    equal(node.role, 'follower')
    node.tick()
    equal(node.role, 'pre-candidate')
  })

  it('asks for pre-votes again, of those alone that have not answered', () => {
    const node = raft('a', { configuration: of('abcde') })
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

  it('keeps the pre-votes granted when another refuses with a later term, again and again', () => {
    const node = raft('a', { configuration: of('abcd', '', 3) })
    node.campaign()
    settle(node)
    for (const from of ['d', 'b', 'd'] as const) {
      node.step(from, { kind: 'pre-vote-reply', term: node.term + 5, granted: from === 'b' })
    }
    node.step('b', { kind: 'pre-vote-reply', term: 1, granted: true })
    node.step('d', { kind: 'pre-vote-reply', term: 8, granted: false })
    node.step('c', { kind: 'pre-vote-reply', term: 1, granted: true })
    deepEqual([node.role, node.term], ['candidate', 9])
  })

  it('begins anew when it has stood for half an election timeout', () => {
    const node = raft('a')
    node.campaign()
    node.step('b', { kind: 'pre-vote-reply', term: 1, granted: true })
    settle(node)
    ticks(node, 4)
    equal(node.role, 'candidate')
    node.tick()
    equal(node.role, 'pre-candidate')
  })

  it('signs no vote and no acknowledgement before what they rest on is durable', () => {
    const node = raft('a')
    node.step('b', vote(1, 'b'))
    const ready = node.ready()
    deepEqual(ready.hardState, {
      term: 1,
      vote: { candidate: 'b', base: refTo(GENESIS) },
      abstains: false,
    })
    deepEqual([ready.early, ready.messages], [[], []])
    deepEqual(ready.sign, [{ kind: 'vote', term: 1, candidate: 'b', base: refTo(GENESIS) }])
    equal(node.hasReady(), false, 'one Ready at a time')
    throws(() => node.ready(), InvariantError)
    node.advance(ready)
    throws(() => node.advance(ready), InvariantError)
  })

  it('drops what it meant to say, or has signed, in a term that ended meanwhile', () => {
    const node = raft('a')
    node.step('b', vote(1, 'b'))
    const ready = node.ready()
    node.advance(ready)
    for (let i = 0; i < 5; i++) node.tick()
    node.step('c', vote(2, 'c'))
    node.signed(ready.sign[0]!, fakeSign('a', ready.sign[0]!))
    deepEqual(
      settle(node).map(({ to, message }) => [to, message.kind, message.term]),
      [['c', 'vote-reply', 2]],
    )
  })

  it('lets the contents of old terms do nothing', () => {
    const node = follower({}, 5)
    node.step('b', append(4, GENESIS, chain([4])))
    node.step('b', { kind: 'behind', term: 4, commit: 7 })
    node.step('b', { kind: 'pre-vote', term: 4, base: { height: 9, term: 9 } })
    node.step('b', { kind: 'append-reply', term: 4, match: 1 })
    node.step('b', { kind: 'timeout-now', term: 4, to: 'a' })
    node.step('b', locked(chain([4])[0]!))
    deepEqual(said(node, 'b'), ['lead'])
    deepEqual([node.term, node.commit, node.tail.height, node.role], [5, 0, 0, 'follower'])
  })

  it('refuses what no honest member sends, and stays as it was', () => {
    const node = leader()
    const before = node.status()
    throws(() => node.step('a', { kind: 'heartbeat', term: 9, round: 1 }), RefusedError)
    throws(() => node.step('b', { kind: 'heartbeat', term: 1, round: 1 }), RefusedError, 'a second leader')
    const gap = append(9, GENESIS, [block(chain([1])[0]!, 1)])
    throws(() => node.step('b', gap), RefusedError)
    deepEqual(node.status(), before)
  })

  it('opens its term before anything commits, and proposes only on its tail', () => {
    const node = raft('a', { configuration: of('a') })
    node.campaign()
    equal(node.role, 'candidate', 'its own vote is not signed yet')
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

  it('drops what its base does not cover when it comes to lead', () => {
    const blocks = chain([1, 1, 1])
    const node = leader({
      hardState: { term: 1, vote: undefined, abstains: false },
      log: { blocks: [GENESIS, ...blocks], commit: 0 },
      certified: certified(blocks[0]!, 'c'),
    })
    deepEqual([node.tail.hash, node.tail.term], ['2/2', 2])
  })

  it('takes no more proposals than its pipeline holds, but always the one that opens its term', () => {
    const blocks = chain([1, 1, 1])
    const node = leader({
      limits: { ...LIMITS, windowBlocks: 2 },
      hardState: { term: 1, vote: undefined, abstains: false },
      log: { blocks: [GENESIS, ...blocks], commit: 0 },
      certified: certified(blocks[2]!, 'c'),
    })
    equal(node.tail.height, 4)
    deepEqual(node.propose(block(node.tail, 2)), { ok: false, reason: 'pipeline-full' })
    second(node)
    equal(node.commit, 4)
    equal(node.canPropose(), true)
  })

  it('leaves room among the bytes that are not committed for the blocks that open later terms', () => {
    const node = leader()
    const open = () => node.propose(block(node.tail, 1)).ok
    let count = 1
    while (open()) count++
    equal(count, 8, 'of ten that fit into an append')
  })

  it('counts its own lock only when its disk holds it', () => {
    const node = leader()
    node.step('b', acknowledge('b', node.tail))
    node.step('b', locked(node.tail))
    equal(node.certified.block.height, 1)
    const ready = node.ready()
    equal(ready.certified?.block.height, 1)
    equal(node.commit, 0)
    node.advance(ready)
    equal(node.commit, 1)
  })

  it('counts its own lock after a restart within the term, too', () => {
    const [one] = chain([1])
    const node = raft('a', {
      hardState: { term: 1, vote: undefined, abstains: false },
      log: { blocks: [GENESIS, one!], commit: 0 },
      certified: certified(one!, 'c'),
    })
    node.step('b', lead(1, 'b', 'bc'))
    node.step('b', locked(one!))
    equal(node.commit, 1)
  })

  it('acknowledges again after a restart within the term, when it knows the leader', () => {
    const blocks = chain([1, 1])
    const node = raft('a', {
      hardState: { term: 1, vote: undefined, abstains: false },
      log: { blocks: [GENESIS, ...blocks], commit: 0 },
    })
    node.step('c', lead(1, 'b', 'bc'))
    deepEqual(
      settle(node).map(({ to, message }) => [to, message]),
      // With the seal that is a quorum of three.
      [acknowledge('a', blocks[1]!), locked(blocks[1]!)].flatMap((each) =>
        ['b', 'c'].map((to) => [to, each]),
      ),
    )
  })

  it('learns nothing from acknowledgements of blocks that it does not have, and keeps few of them', () => {
    const node = leader()
    node.step('b', { kind: 'append-reply', term: 1, match: 9 })
    equal(node.status().progress.b!.match, 0)
    const far = { ...acknowledge('b', node.tail), height: node.tail.height + 65 }
    equal(node.triage('b', far), 'step')
    node.step('b', far)
    for (let i = 0; i < 64; i++)
      node.propose({ ...block(node.tail, 1), hash: far.hash, body: new Uint8Array() })
    equal(node.certified.block.height, 0)
  })

  it('remembers after a restart that it acknowledges nothing more in the term', () => {
    const blocks = chain([1, 1])
    const log = { blocks: [GENESIS, blocks[0]!], commit: 0 }
    const said = (abstains: boolean) => {
      const node = follower({ log, hardState: { term: 1, vote: undefined, abstains } })
      node.step('b', append(1, blocks[0]!, [blocks[1]!]))
      return settle(node).map(({ message }) => message.kind)
    }
    ok(said(false).includes('acknowledge'))
    deepEqual(said(true), ['append-reply'])
  })

  it('installs proven blocks over its own uncommitted ones, and acknowledges nothing more in the term', () => {
    const node = follower()
    node.step('b', append(1, GENESIS, chain([1, 1])))
    settle(node)
    const [one] = chain([1])
    const proven = [one!, block(one!, 1, 'z', 'b')]
    proven.push(block(proven[1]!, 1, '', 'b'))
    install(node, proven)
    const ready = node.ready()
    equal(ready.truncateFrom, 2)
    deepEqual(ready.hardState, { term: 1, vote: undefined, abstains: true })
    deepEqual(
      ready.messages.map(({ to, message }) => [to, message]),
      [['b', { kind: 'append-reply', term: 1, match: 3 }]],
    )
    node.advance(ready)
    settle(node)
    deepEqual([node.commit, node.certified.proof.kind], [3, 'ledger'])
    node.step('b', append(1, proven[2]!, [block(proven[2]!, 1, '', 'b')]))
    deepEqual(
      settle(node).map(({ message }) => message),
      [{ kind: 'append-reply', term: 1, match: 4 }],
    )
  })

  it('votes once more for the very same base only, its term included', () => {
    const node = raft('a')
    node.step('b', vote(3, 'b'))
    const signs = () => {
      const ready = node.ready()
      node.advance(ready)
      return ready.sign.length
    }
    equal(signs(), 1)
    node.step('b', vote(3, 'b'))
    equal(signs(), 1)
    node.step('b', vote(3, 'b', { ...GENESIS_PROVEN, block: { ...GENESIS_PROVEN.block, term: 2 } }))
    equal(signs(), 0)
  })

  it('does not say any more of blocks that gave way to proven ones what it was about to say', () => {
    const node = follower()
    node.step('b', append(1, GENESIS, chain([1, 1])))
    const ready = node.ready()
    node.advance(ready)
    for (const statement of ready.sign) node.signed(statement, fakeSign('a', statement))
    node.step('c', acknowledge('c', node.tail))
    const [one] = chain([1])
    install(node, [one!, block(one!, 1, 'z', 'b')])
    deepEqual(
      node.ready().messages.map(({ message }) => message.kind),
      ['append-reply'],
    )
  })

  it('refuses proven blocks that leave a gap or contradict it', () => {
    const node = raft('a')
    const blocks = chain([1, 1, 1])
    throws(() => install(node, blocks.slice(1)), InvariantError)
    throws(() => install(node, [blocks[0]!, blocks[2]!]), InvariantError)
    throws(() => install(node, chain([1], { ...GENESIS, hash: 'other' })), InvariantError)
    install(node, blocks.slice(0, 2))
    throws(() => install(node, chain([1, 1, 1], GENESIS, 'fork')), InvariantError)
    install(node, blocks.slice(0, 1))
    equal(node.commit, 2)
    equal(node.term, 1, 'a log holds no term that its node has not entered')
  })

  it('leads no more when a proven block shows that it was deposed', () => {
    const node = leader()
    node.propose(block(node.tail, 1, 'mine'))
    settle(node)
    const [one] = chain([1])
    install(node, [one!, block(one!, 1, 'theirs')])
    deepEqual([node.role, node.term, node.tail.hash], ['follower', 1, '2/1theirs'])
    node.step('c', vote(1, 'c'))
    deepEqual(granted(settle(node)), [['c', false]], 'its own vote stands')
  })

  it('survives a leader that contradicts a committed block, without stopping', () => {
    const node = follower()
    const proven = chain([1, 1])
    install(node, proven)
    settle(node)
    throws(() => node.step('b', append(1, proven[0]!, chain([1], proven[0], 'stale'))), RefusedError)
    equal(node.tail.hash, '2/1')
  })

  it('believes no certificate of a term whose leader lacks what was committed before, or beyond the last term', () => {
    const node = follower()
    node.install(chain([1, 1]), utf8('proof'))
    equal(node.commit, 2)
    equal(node.triage('c', lead(9, 'c', 'bc')), 'drop', 'signed by keys of the past')
    node.step('c', lead(9, 'c', 'bc'))
    equal(node.term, 1)
    const base = node.certified
    equal(node.triage('c', lead(9, 'c', 'bc', base)), 'verify')
    equal(node.triage('c', lead(Number.MAX_SAFE_INTEGER, 'c', 'bc', base)), 'drop')
    equal(node.triage('c', vote(Number.MAX_SAFE_INTEGER, 'c', base)), 'drop')
  })

  it('believes the certificate of its term also when more was committed in the term since', () => {
    const node = raft('a', {
      hardState: { term: 1, vote: undefined, abstains: false },
      log: { blocks: [GENESIS, ...chain([1])], commit: 1 },
      certified: { block: refTo(chain([1])[0]!), proof: { kind: 'ledger', bytes: utf8('proof') } },
    })
    equal(node.triage('b', lead(1, 'b', 'bc')), 'verify')
    node.step('b', lead(1, 'b', 'bc'))
    equal(node.leader, 'b')
  })

  it('steps down within two election timeouts when nobody answers', () => {
    const node = leader()
    node.step('b', { kind: 'heartbeat-reply', term: 1, commit: 0, round: 1 })
    ticks(node, 19)
    equal(node.role, 'leader')
    node.tick()
    equal(node.role, 'follower')
    equal(node.term, 1)
  })

  it('gives up leading when it commits nothing for five election timeouts', () => {
    const node = leader()
    for (let i = 0; i < 49; i++) {
      node.tick()
      node.step('b', { kind: 'heartbeat-reply', term: 1, commit: 0, round: 1 })
    }
    equal(node.role, 'leader')
    node.tick()
    equal(node.role, 'follower')
  })

  it('only listens when it is no voter', () => {
    const node = raft('x')
    ticks(node, 100)
    node.campaign()
    equal(node.role, 'follower')
    node.step('b', lead(1, 'b', 'bc'))
    const [one] = chain([1])
    node.step('b', append(1, GENESIS, [one!]))
    node.step('c', acknowledge('c', one!))
    deepEqual(
      settle(node)
        .map(({ message }) => message.kind)
        .includes('acknowledge'),
      false,
    )
    for (const from of ['b', 'c']) node.step(from, locked(one!))
    settle(node)
    deepEqual([node.commit, node.certified.block.height], [1, 1])
  })

  it('signs nothing, says no lock and does not stand when it may have forgotten', () => {
    const node = listening('a')
    ticks(node, 100)
    node.step('b', vote(1, 'b'))
    node.step('b', { kind: 'pre-vote', term: 2, base: GENESIS })
    node.step('b', lead(1, 'b', 'bc'))
    const [one] = chain([1])
    node.step('b', append(1, GENESIS, [one!]))
    node.step('c', acknowledge('c', one!))
    node.complain()
    const kinds = new Set(settle(node).map(({ message }) => message.kind))
    deepEqual([...kinds], ['vote-reply', 'pre-vote-reply', 'append-reply'])
    for (const from of ['b', 'c']) node.step(from, locked(one!))
    settle(node)
    equal(node.commit, 1)
  })

  it('changes its configuration one step at a time, once it has committed in its term', () => {
    const node = leader()
    const change = (voters: string, learners = '') =>
      node.propose({ ...block(node.tail, node.term), configuration: of(voters, learners) })
    equal(node.canChange, false)
    deepEqual(change('abcd'), { ok: false, reason: 'not-committed-in-term' })
    second(node)
    equal(node.canChange, true)
    throws(() => change('abcde'), InvariantError)
    equal(node.tail.height, 1)
    deepEqual(change('abcd'), { ok: true })
    deepEqual(node.configuration.voters, ['a', 'b', 'c', 'd'])
    deepEqual([node.canChange, node.canPropose()], [false, true])
    deepEqual(change('abcde'), { ok: false, reason: 'change-pending' })
    settle(node)
    second(node)
    equal(node.commit, 1, 'two of four')
    second(node, 'd')
    equal(node.commit, 2)
    deepEqual(change('abd', 'c'), { ok: true })
  })

  it('hands leadership to voters only', () => {
    const node = leader({ configuration: of('abc', 'd') })
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
    const node = leader({ configuration: of('abc', 'de') })
    for (let i = 0; i < 20; i++) {
      for (const from of ['d', 'e'])
        node.step(from, { kind: 'heartbeat-reply', term: 1, commit: 0, round: 1 })
      node.tick()
    }
    notEqual(node.role, 'leader')
  })

  it('does not lead on when a proven block removes it', () => {
    const node = leader()
    second(node)
    const removal = { ...block(node.tail, 1), configuration: of('bc', 'a') }
    node.propose(removal)
    settle(node)
    equal(node.role, 'leader')
    install(node, [removal])
    equal(node.role, 'follower')
    ticks(node, 100)
    node.campaign()
    equal(node.role, 'follower')
  })

  it('stands no more when the block that removes it is committed, proven or decided', () => {
    const [one] = chain([1])
    const removal = { ...one!, configuration: of('bc', 'a') }
    for (const proven of [true, false]) {
      const node = follower()
      node.step('b', append(1, GENESIS, [removal]))
      settle(node)
      node.campaign()
      equal(node.role, 'pre-candidate', 'the removal may yet be undone')
      if (proven) install(node, [removal])
      else for (const from of ['b', 'c']) node.step(from, locked(removal))
      deepEqual([node.commit, node.role], [1, 'follower'])
    }
  })

  it('does not stand for what only a block above its base makes it', () => {
    const [one] = chain([1])
    const node = raft('d')
    node.step('b', lead(1, 'b', 'bc'))
    node.step('b', append(1, GENESIS, [{ ...one!, configuration: of('abcd') }]))
    settle(node)
    node.campaign()
    equal(node.role, 'follower')
    for (const from of ['a', 'c']) node.step(from, acknowledge(from, one!))
    settle(node)
    node.campaign()
    equal(node.role, 'pre-candidate')
  })

  it('sends the rest to a follower that pulled what it had been sent and lost', () => {
    const node = leader({ limits: { ...LIMITS, appendBytesMax: 1000 } })
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
    const node = follower()
    const [one, two, three] = chain([1, 1, 1])
    node.step('b', append(1, GENESIS, [one!]))
    equal(node.unchecked('b', append(1, GENESIS, [one!])), undefined, 'all known')
    equal(node.unchecked('b', append(1, two!, [three!])), undefined, 'to be refused anyway')
    equal(node.unchecked('c', append(1, one!, [two!])), undefined, 'no leader')
    equal(node.unchecked('b', append(0, GENESIS, [])), undefined, 'of a dead term')
    equal(node.unchecked('b', append(2, one!, [two!])), undefined, 'of a term without a certificate')
    const rest = node.unchecked('b', append(1, GENESIS, [one!, two!, three!]))
    deepEqual([rest?.prev.hash, rest?.blocks.map(({ hash }) => hash)], ['1/1', ['2/1', '3/1']])
  })

  it('sends a follower that refuses at will few blocks for it', () => {
    const node = leader({ limits: { ...LIMITS, inflightAppendsMax: 16, appendBlocksMax: 1 } })
    second(node)
    for (let i = 0; i < 5; i++) node.propose(block(node.tail, node.term))
    settle(node)
    let blocks = 0
    for (let i = 0; i < 200; i++) {
      node.step('c', { kind: 'append-reject', term: node.term, rejected: 1, hint: { height: 1, term: 1 } })
      node.step('c', { kind: 'append-reply', term: node.term, match: 1 })
      node.step('c', { kind: 'append-reject', term: node.term, rejected: 0, hint: { height: 0, term: 0 } })
      for (const { to, message } of settle(node)) {
        if (to === 'c' && message.kind === 'append') blocks += message.blocks.length
      }
    }
    ok(blocks <= 10, `${blocks} blocks for 400 refusals`)
  })
})
