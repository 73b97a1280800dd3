/** Mistakes made on purpose stay possible: the code that each of them changes stands where it says, once. */
import { deepEqual } from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { MUTANTS as OF_ORDERING } from './consensus/sim/mutants.ts'
import { MUTANTS as OF_NODES } from './sim/mutants.ts'

describe('the mutants of the simulators', () => {
  it('find the code that they change', () => {
    const edits = [
      ...OF_ORDERING.map(({ file, from }) => ({ file: `consensus/${file}`, find: from })),
      ...OF_NODES.flatMap((mutant) => [mutant, ...(mutant.also ?? [])]),
    ]
    const lost = edits.filter(({ file, find }) => readFileSync(file, 'utf8').split(find).length !== 2)
    deepEqual(
      lost.map(({ file, find }) => `${file}: ${find}`),
      [],
    )
  })
})
