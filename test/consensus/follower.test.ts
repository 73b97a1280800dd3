import { deepEqual, equal, throws } from 'node:assert/strict'
import type { Block, BlockRef, RaftConfig } from '../../consensus/types.ts'
import {
  append,
  block,
  certified,
  chain,
  follower,
  GENESIS,
  LIMITS,
  of,
  raft,
  settle,
  vote,
} from './support.ts'

const NO_VOTE = { vote: undefined, abstains: false }

/** Blocks of term 1 up to height 2, elected on the first of them: a follower of `b` in term 3. */
function onBase(own: readonly Block[] = chain([1, 1]), config: Partial<RaftConfig> = {}) {
  const base = certified(chain([1])[0]!, 'c')
  const log = { blocks: [GENESIS, ...own], commit: 0 }
  return follower({ hardState: { term: 2, ...NO_VOTE }, log, ...config }, 3, base)
}

const replies = (node: ReturnType<typeof onBase>) =>
  settle(node).flatMap(({ to, message }) =>
    to === 'b' && message.kind.startsWith('append') ? [message] : [],
  )

describe('a follower', () => {
  const [one, old] = chain([1, 1]) as [Block, Block]
  const next = block(one, 3, '', 'b')

  it('takes blocks of the term on the base, and acknowledges the highest to everyone', () => {
    const node = onBase(undefined, { configuration: of('abcd', '', 3) })
    const two = block(next, 3, '', 'b')
    node.step('b', append(3, one, [next, two]))
    const sent = settle(node).filter(({ message }) => message.kind === 'acknowledge')
    deepEqual(
      sent.map(({ to, message }) => [to, 'height' in message && message.height]),
      [
        ['b', 3],
        ['c', 3],
        ['d', 3],
      ],
    )
    deepEqual([node.tail.hash, node.certified.block.hash], ['3/3', '1/1'], 'the base is its lock')
  })

  const fork = block(GENESIS, 1, 'fork', 'b')
  for (const [why, prev, blocks] of [
    ['a block of the term that its leader did not seal', one, [block(one, 3, '', 'c')]],
    ['an old block above the base', one, [old]],
    ['a block of a term between above the base', one, [block(one, 2, '', 'b')]],
    ['a block of the term at the base', GENESIS, [block(GENESIS, 3, '', 'b')]],
    ['another block than the base at its height', GENESIS, [fork]],
    ['a block of the term on another than the base', fork, [block(fork, 3, '', 'b')]],
    ['a comparison with an old block above the base', old, []],
  ] as const satisfies readonly (readonly [string, BlockRef, readonly Block[]])[]) {
    it(`refuses ${why}`, () => {
      const node = onBase()
      const before = node.status()
      throws(() => node.step('b', append(3, prev, blocks)), { code: 'bad-chain' })
      deepEqual([node.status(), replies(node)], [before, []])
    })
  }

  it('refuses a second block of the term at a height', () => {
    const node = onBase()
    node.step('b', append(3, one, [next]))
    settle(node)
    throws(() => node.step('b', append(3, one, [block(one, 3, 'second', 'b')])), { code: 'bad-chain' })
    equal(node.tail.hash, '2/3')
  })

  it('answers an append that it cannot place, or knows, though nobody has checked its blocks', () => {
    const node = onBase()
    const { proposal: _, ...unchecked } = block(next, 3, '', 'b')
    node.step('b', append(3, next, [unchecked]))
    deepEqual(replies(node), [{ kind: 'append-reject', term: 3, rejected: 2, hint: { height: 2, term: 1 } }])
    node.step('b', append(3, one, [next]))
    settle(node)
    const { proposal: __, ...known } = next
    node.step('b', append(3, one, [known]))
    deepEqual(replies(node), [{ kind: 'append-reply', term: 3, match: 2 }])
    throws(() => node.step('b', append(3, next, [unchecked])), { code: 'bad-chain' }, 'no proposal, no block')
  })

  it('keeps its lock until an append reaches the base at once, which is its lock then', () => {
    const theirs = chain([2, 2, 2], GENESIS, 'theirs', 'c')
    const base = certified(theirs[2]!, 'c')
    const node = follower(
      {
        hardState: { term: 2, ...NO_VOTE },
        log: { blocks: [GENESIS, one, old], commit: 0 },
        certified: certified(old, 'c'),
      },
      3,
      base,
    )
    node.step('b', append(3, GENESIS, theirs.slice(0, 2)))
    deepEqual([node.tail.hash, node.certified.block.hash], ['2/1', '2/1'])
    const ready = node.ready()
    deepEqual(
      [ready.behind, ready.messages.map(({ message }) => message)],
      [3, [{ kind: 'append-reject', term: 3, rejected: 0, hint: { height: 0, term: 0 } }]],
    )
    node.advance(ready)
    node.step('b', append(3, GENESIS, theirs))
    deepEqual([node.tail.hash, node.certified], ['3/2theirs', base])
    const written = node.ready()
    deepEqual([written.truncateFrom, written.blocks.length, written.certified], [1, 3, base], 'in one write')
  })

  it('gives up what it is locked on above the base for the first block of the term', () => {
    const node = onBase([one, old], { certified: certified(old, 'c') })
    equal(node.certified.block.height, 2)
    node.step('b', append(3, one, [next]))
    deepEqual([node.tail.hash, node.certified.block.height], ['2/3', 1])
  })

  it('votes by its lock, not by what it merely holds', () => {
    const node = raft('a', {
      hardState: { term: 1, ...NO_VOTE },
      log: { blocks: [GENESIS, one, old], commit: 0 },
    })
    node.step('b', vote(2, 'b'))
    deepEqual(
      settle(node).map(({ message }) => message.kind === 'vote-reply' && message.signature !== undefined),
      [true],
    )
  })

  it('takes the block that opens the term in any case, and no more than fits into an append', () => {
    const large = (on: BlockRef) => ({
      ...block(on, 3, '', 'b'),
      body: new Uint8Array(LIMITS.appendBytesMax + 1),
    })
    const node = onBase([one])
    const opening = large(one)
    const then = block(opening, 3, '', 'b')
    node.step('b', append(3, one, [opening, then]))
    equal(node.tail.height, 2)
    node.step('b', append(3, opening, [then]))
    equal(node.tail.height, 2)
    equal(node.ready().behind, 2, 'it may have been decided meanwhile')
  })

  it('takes blocks up to the very bytes of an append, and not one more', () => {
    const node = onBase([one])
    const many = chain(Array(10).fill(3), one)
    node.step('b', append(3, one, many.slice(0, 5)))
    equal(node.tail.height, 6)
    node.step('b', append(3, many[4]!, many.slice(5)))
    equal(node.tail.height, 10, 'ten blocks of ten bytes')
  })

  it('takes one change of the cluster at a time, and the blocks before the next', () => {
    const first = { ...next, configuration: of('abcd') }
    const then = block(first, 3, '', 'b')
    const second = { ...block(then, 3, '', 'b'), configuration: of('abcde') }
    const node = onBase()
    node.step('b', append(3, one, [first, then, second]))
    deepEqual([node.tail.height, node.configuration.voters.length], [3, 4])
    node.step('b', append(3, then, [second]))
    equal(node.tail.height, 3, 'the first is not committed')
  })

  it('refuses a change of two voters at once, whatever the ledger says, and goes on', () => {
    const node = onBase()
    const bad = { ...next, configuration: of('abcde') }
    throws(() => node.step('b', append(3, one, [bad])), { code: 'bad-chain' })
    deepEqual([node.tail.hash, node.configuration.voters.length], ['2/1', 3])
  })
})
