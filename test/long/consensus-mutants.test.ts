/** Each mistake in the ordering rules (test/consensus/sim/mutants.ts) is found by simulated clusters of some hundred seeds. */
import { ok } from 'node:assert/strict'
import { withMutant } from '../consensus/mutated.ts'
import { MUTANTS } from '../consensus/sim/mutants.ts'
import type * as Simulation from '../consensus/sim/simulation.ts'

const SEEDS = Number(process.env.SEEDS ?? 300)
const SIMULATION = 'test/consensus/sim/simulation.ts'

describe('simulated clusters', () => {
  for (const mutant of MUTANTS) {
    it(`notice that ${mutant.name}`, async function () {
      this.timeout(600_000)
      const found = await withMutant(mutant, SIMULATION, async ({ simulate }: typeof Simulation) => {
        for (let seed = 0; seed < SEEDS; seed++) {
          const { violation } = await simulate(seed, { liars: seed % 3 !== 0 })
          if (violation) return `seed ${seed}: ${violation.message.split('\n')[0]}`
        }
        return undefined
      })
      ok(found, `no violation in ${SEEDS} seeds`)
      if (process.env.SHOW === '1') console.log(`${mutant.name}: ${found}`)
    })
  }
})
