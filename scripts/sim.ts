/**
 * Runs simulated clusters by seed: `npm run sim -- --seeds N --start S [--json]`.
 *
 * Prints progress on standard error and one JSON line at the end. Exit code 1 if a promise was broken; each
 * violation is printed with the end of its transcript and the command that replays it.
 */
import { parseArgs } from 'node:util'
import { parseDecimal } from '../src/bytes.ts'
import { simulate } from '../test/consensus/sim/simulation.ts'

const { values } = parseArgs({
  options: {
    seeds: { type: 'string', default: '1000' },
    start: { type: 'string', default: '0' },
    json: { type: 'boolean', default: false },
  },
})
const seeds = parseDecimal(values.seeds)
const start = parseDecimal(values.start)
const began = performance.now()
const faults: Record<string, number> = {}
let steps = 0
let violations = 0

for (let done = 0; done < seeds; done++) {
  const outcome = await simulate(start + done)
  steps += outcome.steps
  for (const [name, count] of Object.entries(outcome.faults)) faults[name] = (faults[name] ?? 0) + count
  if (outcome.violation !== undefined) {
    violations++
    console.error(outcome.violation.trace.join('\n'))
    console.error(`seed ${outcome.seed}: ${outcome.violation.message}`)
    console.error(`replay: npm run sim -- --seeds 1 --start ${outcome.seed}`)
  }
  if (!values.json && (done + 1) % 100 === 0) console.error(`${done + 1} seeds, ${rate(done + 1)} a second`)
}
console.log(JSON.stringify({ seeds, violations, steps, faults, seedsPerSecond: rate(seeds) }))
process.exitCode = violations === 0 ? 0 : 1

function rate(done: number): number {
  return Math.round((done * 10_000) / (performance.now() - began)) / 10
}
