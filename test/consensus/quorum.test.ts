import { equal } from 'node:assert/strict'
import fc from 'fast-check'
import { majority, majorityHeight, tally } from '../../consensus/quorum.ts'

/** The definition, tried height by height. */
function naiveHeight(heights: readonly number[]): number {
  for (let height = Math.max(...heights); height > 0; height--) {
    if (2 * heights.filter((each) => each >= height).length > heights.length) return height
  }
  return 0
}

function naiveTally(voters: readonly string[], votes: ReadonlyMap<string, boolean>): string {
  const count = (wanted: boolean | undefined) => voters.filter((voter) => votes.get(voter) === wanted).length
  if (2 * count(true) > voters.length) return 'won'
  return 2 * (count(true) + count(undefined)) > voters.length ? 'open' : 'lost'
}

describe('quorums', () => {
  it('know what a majority is', () => {
    equal([1, 2, 3, 4, 5, 6, 7].map(majority).join(), '1,2,2,3,3,4,4')
  })

  it('find the height that a majority has reached, as counting does', () => {
    const heights = fc.array(fc.nat(12), { minLength: 1, maxLength: 15 })
    fc.assert(
      fc.property(heights, (each) => equal(majorityHeight(each), naiveHeight(each))),
      { numRuns: 5000 },
    )
  })

  it('count votes as counting does, and only those of voters', () => {
    const voters = ['a', 'b', 'c', 'd', 'e', 'f', 'g']
    const votes = fc.dictionary(fc.constantFrom(...voters, 'x', 'y'), fc.boolean())
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 7 }), votes, (size, each) => {
        const some = voters.slice(0, size)
        const map = new Map(Object.entries(each))
        equal(tally(some, map), naiveTally(some, map))
      }),
      { numRuns: 5000 },
    )
  })
})
