import { deepEqual, equal, throws } from 'node:assert/strict'
import fc from 'fast-check'
import { chains, Log } from '../../consensus/log.ts'
import type { Block } from '../../consensus/types.ts'
import { InvariantError, RefusedError } from '../../src/errors.ts'
import { ABC, block, chain, GENESIS, LIMITS } from './support.ts'

function logOf(terms: readonly number[], commit = 0, limits = LIMITS): Log {
  return new Log([GENESIS, ...chain(terms)], commit, ABC, limits)
}

function hashes(log: Log): string[] {
  const out = []
  for (let height = log.base.height; height <= log.tail.height; height++) out.push(log.at(height)!.hash)
  return out
}

describe('the log', () => {
  it('knows a chain from what only looks like one', () => {
    const [one, two, three] = chain([1, 1, 2]) as [Block, Block, Block]
    equal(chains(GENESIS, [one, two, three], 2), true)
    equal(chains(GENESIS, [], 0), true)
    equal(chains(GENESIS, [one, three], 2), false, 'gap')
    equal(chains(GENESIS, [one, { ...two, prev: 'other' }], 2), false, 'wrong predecessor')
    equal(chains(GENESIS, [one, two, three], 1), false, 'term above the message')
    equal(chains(three, [block(three, 1)], 2), false, 'terms run backwards')
    equal(chains(GENESIS, [{ ...one, height: 2 }], 2), false, 'wrong height')
  })

  it('refuses to start from what is no chain', () => {
    throws(() => new Log([GENESIS, block(block(GENESIS, 1), 1)], 0, ABC, LIMITS), InvariantError)
  })

  it('holds a block only by its height, term and hash together', () => {
    const log = logOf([1, 1])
    equal(log.has({ height: 2, term: 1, hash: '2/1' }), true)
    equal(log.has({ height: 2, term: 2, hash: '2/1' }), false)
    equal(log.has({ height: 1, term: 1, hash: '2/1' }), false)
    equal(log.has({ height: 3, term: 1, hash: '2/1' }), false)
  })

  it('tells where blocks differ from its own, and what would give way', () => {
    const log = logOf([1, 1, 1], 1)
    equal(log.divergence(chain([1, 1])), undefined)
    deepEqual(log.divergence(chain([1, 1, 1, 1])), { at: 3, own: undefined })
    const fork = [log.at(1)!, ...chain([2, 2], log.at(1))]
    deepEqual(log.divergence(fork), { at: 1, own: log.at(2) })
    throws(() => log.divergence(chain([2])), RefusedError)
  })

  it('sends what a locked follower may have to give up in one piece, up to the base', () => {
    const log = logOf([1, 1, 1, 1, 1, 1], 2, { ...LIMITS, appendBlocksMax: 2 })
    const heights = (from: number, base: number) => log.batchOver(from, base).map(({ height }) => height)
    deepEqual(heights(1, 5), [1, 2], 'committed: as any')
    deepEqual(heights(2, 5), [2], 'not into the stretch')
    deepEqual(heights(3, 5), [3, 4, 5], 'over it')
    deepEqual(heights(5, 5), [5, 6])
    deepEqual(heights(3, 0), [3, 4])
  })

  it('keeps what it has, replaces what differs, and never what is committed', () => {
    const log = logOf([1, 1, 1, 1], 2)
    const own = hashes(log)
    log.merge(chain([1, 1]))
    deepEqual(hashes(log), own, 'a shorter message takes nothing away')
    const fork = chain([2, 2], log.at(2))
    log.merge([log.at(1)!, log.at(2)!, ...fork])
    deepEqual(hashes(log), ['genesis', '1/1', '2/1', '3/2', '4/2'])
    const rival = chain([3, 3], log.at(1), 'rival')
    throws(() => log.merge(rival), RefusedError)
    log.commitTo(4)
    throws(() => log.truncate(4), InvariantError)
    deepEqual(hashes(log), ['genesis', '1/1', '2/1', '3/2', '4/2'])
    throws(() => log.commitTo(5), InvariantError)
  })

  it('counts as durable only what the write held, less what was truncated meanwhile', () => {
    const log = logOf([1])
    log.merge(chain([1, 1, 1]))
    deepEqual(
      log.takeWrite().blocks.map(({ hash }) => hash),
      ['2/1', '3/1'],
    )
    throws(() => log.takeWrite(), InvariantError, 'one write at a time')
    log.merge(chain([1, 1, 2]))
    log.merge(chain([3], log.tail))
    log.written()
    equal(log.stable, 2)
    const write = log.takeWrite()
    equal(write.truncateFrom, 3)
    deepEqual(
      write.blocks.map(({ hash }) => hash),
      ['3/2', '4/3'],
    )
    log.written()
    equal(log.stable, 4)
    equal(log.hasWrite(), false)
    throws(() => log.written(), InvariantError)
  })

  it('does not believe that a block is durable again when it left and came back during a write', () => {
    const log = logOf([1])
    const first = chain([1, 1])
    log.merge(first)
    log.takeWrite()
    log.merge(chain([1, 2]))
    log.merge(first)
    log.written()
    equal(log.stable, 1)
    deepEqual(
      log.takeWrite().blocks.map(({ hash }) => hash),
      ['2/1'],
    )
  })

  it('hands out committed blocks once, in order, when durable and asked for', () => {
    const log = logOf([])
    log.merge(chain([1, 1]))
    log.commitTo(2)
    equal(log.hasCommitted(), false, 'not durable yet')
    deepEqual(log.takeCommitted(), [])
    log.takeWrite()
    log.written()
    deepEqual(
      log.takeCommitted().map(({ height }) => height),
      [1, 2],
    )
    log.merge(chain([1], log.tail))
    log.commitTo(3)
    log.takeWrite()
    log.written()
    equal(log.hasCommitted(), false, 'the ledger is still applying')
    throws(() => log.appliedTo(1), InvariantError)
    log.appliedTo(2)
    deepEqual(
      log.takeCommitted().map(({ height }) => height),
      [3],
    )
  })

  it('forgets applied blocks beyond its memory, by number and by bytes, but never the last', () => {
    equal(logOf([1, 1, 1, 1, 1], 4, { ...LIMITS, memoryBlocks: 2 }).base.height, 3)
    equal(logOf([1, 1, 1, 1, 1], 5, { ...LIMITS, memoryBytes: 25 }).base.height, 4)
    equal(logOf([1, 1, 1, 1, 1], 3, { ...LIMITS, memoryBytes: 1 }).base.height, 3)
    equal(logOf([1, 1, 1, 1, 1], 0, { ...LIMITS, memoryBytes: 1, memoryBlocks: 1 }).base.height, 0)
  })

  it('fills an append up to its bounds, and lets one large block pass alone', () => {
    const count = (limits: Partial<typeof LIMITS>) =>
      logOf([1, 1, 1, 1], 0, { ...LIMITS, ...limits }).batch(1).length
    equal(count({}), 4)
    equal(count({ appendBlocksMax: 3 }), 3)
    equal(count({ appendBytesMax: 29 }), 2)
    equal(count({ appendBytesMax: 1 }), 1)
    equal(logOf([1]).batch(2).length, 0)
  })

  it('finds where two logs meet within as many round trips as they have terms', () => {
    const terms = fc.array(fc.integer({ min: 0, max: 3 }), { maxLength: 12 })
    const grow = (steps: readonly number[], from: number) => steps.map((step) => (from += step))
    fc.assert(
      fc.property(terms, terms, terms, (common, ours, theirs) => {
        const shared = chain(grow(common, 1))
        const from = shared.at(-1) ?? GENESIS
        const top = from.term
        // Two blocks of one place and term there are under a leader that lies, and then it may take longer.
        const even = grow(ours, top).map((term) => 2 * term)
        const odd = grow(theirs, top).map((term) => 2 * term + 1)
        const us = new Log([GENESIS, ...shared, ...chain(even, from, 'u')], 0, ABC, LIMITS)
        const them = new Log([GENESIS, ...shared, ...chain(odd, from, 't')], 0, ABC, LIMITS)
        let next = us.tail.height
        let trips = 0
        while (!them.has(us.at(next)!)) {
          const hint = them.lastAtOrBelow(next, us.at(next)!.term)
          const meet = us.lastAtOrBelow(hint.height, hint.term).height
          next = Math.min(next - 1, meet)
          trips++
        }
        const all = new Set([...hashes(us), ...hashes(them)].map((hash) => hash.match(/\/(\d+)/)?.[1]))
        equal(next <= shared.length, true, 'the logs meet at or before the fork')
        equal(trips <= all.size + 1, true, `${trips} round trips over ${all.size} terms`)
      }),
      { numRuns: 2000 },
    )
  })

  it('behaves as an array does under random merges', () => {
    const step = fc.record({ keep: fc.nat(6), terms: fc.array(fc.nat(1), { maxLength: 4 }) })
    fc.assert(
      fc.property(fc.array(step, { maxLength: 15 }), (steps) => {
        const log = logOf([])
        let twin: Block[] = [GENESIS]
        let durable: Block[] = [GENESIS]
        let term = 1
        for (const [i, { keep, terms }] of steps.entries()) {
          const base = twin.slice(0, Math.min(keep, twin.length - 1) + 1)
          const parent = base.at(-1)!
          const added = chain(
            terms.map((up) => (term += up)),
            parent,
            `#${i}`,
          )
          log.merge([...base, ...added])
          if (added.length > 0) twin = [...base, ...added]
          deepEqual(
            hashes(log),
            twin.map(({ hash }) => hash),
          )
          if (i % 2 === 0) continue
          const { truncateFrom, blocks } = log.takeWrite()
          durable = [...durable.slice(0, truncateFrom), ...blocks]
          log.written()
          deepEqual(durable, twin)
        }
      }),
      { numRuns: 500 },
    )
  })
})
