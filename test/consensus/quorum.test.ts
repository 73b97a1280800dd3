import { equal } from 'node:assert/strict'
import fc from 'fast-check'
import { oneHonest, quorumHeight, tally } from '../../consensus/quorum.ts'
import { of } from './support.ts'

/** The definition, tried height by height. */
function naiveHeight(heights: readonly number[], quorum: number): number {
  for (let height = Math.max(...heights); height > 0; height--) {
    if (heights.filter((each) => each >= height).length >= quorum) return height
  }
  return 0
}

/** Tries every way in which the voters that have not voted may still vote. */
function naiveTally(voters: readonly string[], quorum: number, votes: ReadonlyMap<string, boolean>): string {
  const silent = voters.filter((voter) => !votes.has(voter))
  const yes = voters.filter((voter) => votes.get(voter)).length
  const possible = Array.from({ length: silent.length + 1 }, (_, more) => yes + more >= quorum)
  if (possible.every(Boolean)) return 'won'
  return possible.some(Boolean) ? 'open' : 'lost'
}

/** Quorums of a size, as sets of voters' numbers. */
function subsets(size: number, quorum: number): number[][] {
  const all = Array.from({ length: 2 ** size }, (_, bits) =>
    Array.from({ length: size }, (_, i) => i).filter((i) => bits & (1 << i)),
  )
  return all.filter((set) => set.length === quorum)
}

describe('quorums', () => {
  it('find the height that a quorum has reached, as counting does', () => {
    const heights = fc.array(fc.nat(12), { minLength: 1, maxLength: 15 })
    fc.assert(
      fc.property(heights, fc.integer({ min: 1, max: 15 }), (each, quorum) =>
        equal(quorumHeight(each, quorum), naiveHeight(each, quorum)),
      ),
      { numRuns: 5000 },
    )
  })

  it('count votes as trying all that may come does, and only those of voters', () => {
    const names = 'abcdefg'
    const votes = fc.dictionary(fc.constantFrom(...names, 'x', 'y'), fc.boolean())
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 7 }), fc.nat(6), votes, (size, more, each) => {
        const quorum = Math.min(size, Math.floor(size / 2) + 1 + more)
        const configuration = of(names.slice(0, size), 'xy', quorum)
        const map = new Map(Object.entries(each))
        const { voters } = configuration
        equal(
          tally(configuration, (voter) => map.get(voter)),
          naiveTally(voters, quorum, map),
        )
      }),
      { numRuns: 5000 },
    )
  })

  it('share as many voters as make one of them honest', () => {
    for (let size = 1; size <= 7; size++) {
      for (let quorum = Math.floor(size / 2) + 1; quorum <= size; quorum++) {
        const sets = subsets(size, quorum)
        const shared = sets.map((set) => sets[0]!.filter((voter) => set.includes(voter)).length)
        equal(oneHonest(of('abcdefg'.slice(0, size), '', quorum)), Math.min(...shared))
      }
    }
  })
})
