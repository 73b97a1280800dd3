import assert from 'node:assert/strict'
import { withMutant } from '../mutated.ts'
import { MUTANTS } from '../sim/mutants.ts'
import type * as Explore from './explore.ts'
import { type Bounds, DECIDED, explore } from './explore.ts'

const EXPLORE = 'test/consensus/explore/explore.ts'

/** If a number falls without reason, something is not explored any more. */
const WHOLE: readonly { readonly why: string; readonly bounds: Bounds; readonly states: number }[] = [
  { why: 'one term with a liar', bounds: { terms: 1, heights: 1, restarts: 1 }, states: 4364 },
  {
    why: 'two terms with a silent server',
    bounds: { terms: 2, heights: 1, liar: false, restarts: 1 },
    states: 4687,
  },
  {
    why: 'one term with a silent server and crashes before a sync',
    bounds: { terms: 1, heights: 1, liar: false, restarts: 1, split: true },
    states: 8662,
  },
]

const FOUND: readonly { readonly name: string; readonly bounds: Bounds; readonly promise: RegExp }[] = [
  {
    name: 'votes are given whatever the lock',
    bounds: { terms: 2, heights: 1, start: DECIDED },
    promise: /^the base of D 2 g lacks the decided g\/1A$/,
  },
  {
    name: 'one acknowledgement or lock fewer is a quorum',
    bounds: { terms: 1, heights: 1 },
    promise: /^two decided blocks/,
  },
  {
    name: 'blocks need not build on the base',
    bounds: { terms: 2, heights: 1, start: DECIDED },
    promise: /^two decided blocks/,
  },
  {
    name: 'a voter votes for every candidate',
    bounds: { terms: 1, heights: 1 },
    promise: /votes twice in term 1$/,
  },
]

describe('every state of four servers within small bounds', function () {
  this.timeout(60_000)

  for (const { why, bounds, states } of WHOLE) {
    it(`keeps every promise in ${why}`, async () => {
      const found = await explore(bounds)
      assert.equal(found.broken, undefined, JSON.stringify(found.broken))
      assert.deepEqual([found.completed, found.decidedMax, found.states], [true, 1, states])
    })
  }

  for (const { name, bounds, promise } of FOUND) {
    it(`shows that ${name}`, async () => {
      const mutant = MUTANTS.find((each) => each.name === name)!
      await withMutant(mutant, EXPLORE, async (mutated: typeof Explore) => {
        const { broken } = await mutated.explore({ ...bounds, statesMax: 50_000 })
        assert.match(broken?.promise ?? 'nothing is broken', promise)
        // The trace leads there: every step of it does something.
        const start = [...(bounds.start ?? []), ...broken!.trace]
        assert.equal((await mutated.explore({ ...bounds, start, statesMax: 0 })).states, 1)
      })
    })
  }
})
