import { deepEqual, equal, ok } from 'node:assert/strict'
import { simulate } from './simulation.ts'

/** Seeds that once found a fault, here or in an earlier design. They stay. */
const KEPT = [6, 413, 533]

describe('a simulated cluster', () => {
  it('keeps every promise of Raft over 200 seeds, and recovers', async function () {
    this.timeout(120_000)
    const faults: Record<string, number> = {}
    for (const seed of [...Array(200).keys(), ...KEPT]) {
      const outcome = await simulate(seed)
      if (outcome.violation !== undefined) {
        const { message, trace } = outcome.violation
        throw new Error(`${message}\nreplay: npm run sim -- --seeds 1 --start ${seed}\n${trace.join('\n')}`)
      }
      for (const [name, count] of Object.entries(outcome.faults)) faults[name] = (faults[name] ?? 0) + count
    }
    for (const [name, count] of Object.entries(faults)) ok(count > 0, `no ${name} in 200 seeds`)
  })

  it('replays a seed to the last event', async () => {
    const first = await simulate(17)
    deepEqual(await simulate(17), first)
    equal(first.violation, undefined)
    ok(first.steps > 1000 && first.committed > 0)
  })
})
