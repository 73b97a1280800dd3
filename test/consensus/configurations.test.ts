import { deepEqual, equal, throws } from 'node:assert/strict'
import fc from 'fast-check'
import { Configurations, checkConfiguration } from '../../consensus/configurations.ts'
import { Log } from '../../consensus/log.ts'
import type { Block, Configuration } from '../../consensus/types.ts'
import { InvariantError } from '../../src/errors.ts'
import { ABC, block, chain, GENESIS, LIMITS, of } from './support.ts'

const changing = (parent: Block, term: number, configuration: Configuration, mark = ''): Block => ({
  ...block(parent, term, mark),
  configuration,
})

describe('configurations', () => {
  it('name each server once, and from one to fifteen voters', () => {
    for (const bad of [
      of('', 'a'),
      of('aa'),
      of('ab', 'a'),
      of('a', 'bb'),
      of('abcdefghijklmnop'),
      of('abcd', '', 2),
      of('abc', '', 4),
      of('abc', '', 2.5),
    ]) {
      throws(() => checkConfiguration(bad), InvariantError)
    }
    checkConfiguration(of('a', 'bcdefghijklmnopqrstuvwxyz'))
  })

  it('change by one voter at most, and by as many learners as they like', () => {
    for (const bad of [of('abcde'), of('a'), of('abd'), of('xyz')]) {
      throws(() => new Configurations(ABC, 0).append(changing(GENESIS, 1, bad)), InvariantError)
    }
    for (const good of [of('abcd'), of('ab', 'c'), of('abc', 'wxyz'), of('cba')]) {
      new Configurations(ABC, 0).append(changing(GENESIS, 1, good))
    }
  })

  it('let a server stand until its removal is committed', () => {
    const all = new Configurations(ABC, 0)
    all.append(changing(block(GENESIS, 1), 1, of('abcd')))
    deepEqual(
      [all.mayStand('d', 1), all.mayStand('d', 2)],
      [false, true],
      'above its base it counts for nothing',
    )
    all.truncate(1)
    all.append(changing(GENESIS, 1, of('ab', 'c')))
    deepEqual([all.mayStand('c', 1), all.mayStand('x', 1)], [true, false])
    all.commitTo(1)
    equal(all.mayStand('c', 1), false)
  })

  it('are those in force at the commit height and above it when a log is read from disk', () => {
    const one = changing(GENESIS, 1, of('abcd'))
    const two = changing(one, 1, of('abcd', 'e'))
    const log = new Log([GENESIS, one, two], 1, of('abcd'), LIMITS)
    deepEqual(log.configuration, of('abcd', 'e'))
    equal(log.configurationIsCommitted, false)
    log.merge([one, ...chain([2], one)])
    deepEqual(log.configuration, of('abcd'), 'the change was truncated')
    equal(log.configurationIsCommitted, true)
    // What stands at or below the commit height is in the configuration handed in already.
    deepEqual(new Log([GENESIS, one, two], 2, of('abcd', 'e'), LIMITS).configuration, of('abcd', 'e'))
  })

  it('follow merges, truncations and commits as the last one in an array of blocks does', () => {
    const step = fc.record({
      keep: fc.nat(8),
      learners: fc.array(fc.nat(3), { maxLength: 4 }),
      commit: fc.nat(8),
    })
    fc.assert(
      fc.property(fc.array(step, { maxLength: 12 }), (steps) => {
        const log = new Log([GENESIS], 0, ABC, LIMITS)
        let twin: Block[] = [GENESIS]
        for (const [i, { keep, learners, commit }] of steps.entries()) {
          const base = twin.slice(0, Math.max(Math.min(keep, twin.length - 1), log.commit) + 1)
          const blocks = [...base]
          for (const count of learners) {
            const next = block(blocks.at(-1)!, i + 1, `#${i}`)
            blocks.push(count === 0 ? next : { ...next, configuration: of('abc', 'xyz'.slice(0, count)) })
          }
          log.merge(blocks)
          if (blocks.length > base.length) twin = blocks
          log.commitTo(Math.min(commit, twin.length - 1))
          const last = twin.findLast(({ configuration }) => configuration !== undefined)
          deepEqual(log.configuration, last?.configuration ?? ABC)
          equal(log.configurationIsCommitted, (last?.height ?? 0) <= log.commit)
          for (let height = log.commit; height < twin.length; height++) {
            const at = twin.findLast((each) => each.configuration !== undefined && each.height <= height)
            deepEqual(log.configurationAt(height), at?.configuration ?? ABC)
            equal(log.configurationIsCommittedAt(height), (at?.height ?? 0) <= log.commit)
          }
        }
      }),
      { numRuns: 1000 },
    )
  })
})
