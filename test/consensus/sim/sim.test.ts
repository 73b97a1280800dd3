import { deepEqual, equal, ok } from 'node:assert/strict'
import { type Options, simulate } from './simulation.ts'

/** Seeds that once found a fault, here or in an earlier design. They stay. */
const KEPT = [6, 53, 107, 110, 112, 129, 228, 242, 357, 413, 533]
const KEPT_WITH_LIARS = [23, 24, 33, 106, 1148, 1249, 10071]

async function all(seeds: readonly number[], options: Options): Promise<void> {
  const faults: Record<string, number> = {}
  for (const seed of seeds) {
    const outcome = await simulate(seed, options)
    if (outcome.violation !== undefined) {
      const { message, trace } = outcome.violation
      throw new Error(`seed ${seed}${options.liars ? ' with liars' : ''}: ${message}\n${trace.join('\n')}`)
    }
    for (const [name, count] of Object.entries(outcome.faults)) faults[name] = (faults[name] ?? 0) + count
  }
  const { stuckChanges: _, ...wanted } = faults
  for (const [name, count] of Object.entries(wanted)) ok(count > 0, `no ${name} in ${seeds.length} seeds`)
}

describe('a simulated cluster', () => {
  it('keeps every promise over 80 seeds of crashes and a bad network, and recovers', async function () {
    this.timeout(120_000)
    await all([...Array(70).keys(), ...KEPT], {})
  })

  it('keeps every promise over 27 seeds with liars as well, and goes on though they go on lying', async function () {
    this.timeout(120_000)
    await all([...Array(20).keys(), ...KEPT_WITH_LIARS], { liars: true })
  })

  it('replays a seed to the last event', async () => {
    for (const options of [{}, { liars: true }]) {
      const first = await simulate(17, options)
      deepEqual(await simulate(17, options), first)
      equal(first.violation, undefined)
      ok(first.steps > 1000 && first.committed > 0)
    }
  })
})
