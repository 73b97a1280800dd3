/** Whole clusters of production nodes under seeded faults. `npm run sim` runs as many seeds as you like. */
import { deepEqual, equal, ok } from 'node:assert/strict'
import { FAULT_KINDS } from './faults.ts'
import { orders, replayCommand, runFleet } from './fleet.ts'
import { LIES } from './lies.ts'
import { REGRESSIONS } from './regressions.ts'
import { simulate } from './simulation.ts'

const SEEDS = 120
const LIARS_SEEDS = 12
/** Changes of membership that took effect. */
const CHANGES = ['joins', 'promotions', 'removals', 'key replacements', 'moves', 'guests', 'quorums'].map(
  (name) => `change: ${name}`,
)
/** Most suites wait more than they work: the seeds run beside them on a thread of their own, from the start. */
let seeds: Promise<Record<string, number>>
let wanted = true
before(() => {
  seeds = simulateAll()
  seeds.catch(() => {}) // heard below
})
after(() => {
  // Where only some tests are run, nobody waits for the seeds.
  wanted = false
})

/** Throws at the first violation; counts the faults by kind. */
async function simulateAll(): Promise<Record<string, number>> {
  const faults: Record<string, number> = {}
  // Two liars of seven, since of one liar some lies are rare.
  const liars = orders(LIARS_SEEDS, 1, { nodes: 7, liars: 2 })
  await runFleet([...REGRESSIONS, ...orders(SEEDS, 1), ...liars], 1, (outcome, order) => {
    const { violation } = outcome
    if (violation !== undefined) {
      throw new Error(`${violation.message}\n${violation.diagram}\nreplay: ${replayCommand(order)}`)
    }
    for (const [name, count] of Object.entries(outcome.faults)) faults[name] = (faults[name] ?? 0) + count
    return wanted
  })
  return faults
}

describe('a simulated cluster of whole nodes', () => {
  it(`keeps every promise over ${SEEDS} seeds and those kept, and recovers`, async function () {
    this.timeout(600_000)
    const faults = await seeds
    for (const kind of [...FAULT_KINDS, 'oldCopies', ...LIES.map((lie) => `lie: ${lie}`), ...CHANGES])
      ok((faults[kind] ?? 0) > 0, `no ${kind} in ${SEEDS} seeds`)
  })

  it('replays a seed to the last event, with real signatures too', async function () {
    this.timeout(60_000)
    for (const signatures of ['stand-in', 'real'] as const) {
      const first = await simulate(17, { signatures })
      deepEqual(await simulate(17, { signatures }), first)
      equal(first.violation, undefined)
      ok(first.steps > 1_000 && first.final > 0)
    }
  })
})
