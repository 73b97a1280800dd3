/** Random samples of the specification of the ordering: `npm run spec -- --help`. */
import { readFileSync } from 'node:fs'
import { INVARIANTS, quintIsThere, SPEC, sample } from '../test/consensus/quint.ts'
import { commandLine } from './support/command-line.ts'

const USAGE = `Usage: npm run spec -- [options]

Draws random samples of consensus/spec/ordering.qnt with Quint, and checks every invariant after every step.

  --samples N   how many (500)
  --steps N     how long each of them gets (45)
  --seed S      the same seed gives the same samples (by the clock)
  --main NAME   the module with the voters, liars and quorum: four, five, six (four)

One JSON line at the end. Exit code 1 if an invariant is violated: then Quint's output, with the seed of that sample,
goes to standard error.
`

const { values, whole } = commandLine(USAGE, {
  samples: { type: 'string', default: '500' },
  steps: { type: 'string', default: '45' },
  seed: { type: 'string', default: String(Date.now()) },
  main: { type: 'string', default: 'four' },
})

if (!quintIsThere()) {
  process.stderr.write('Quint is not installed: run npm install.\n')
  process.exitCode = 2
} else {
  const { main, seed } = values
  const [samples, steps] = [whole('samples', values.samples), whole('steps', values.steps)]
  const began = performance.now()
  const {
    violated,
    text,
    seed: found,
  } = await sample(readFileSync(SPEC, 'utf8'), { samples, steps, seed, main })
  const seconds = Math.round((performance.now() - began) / 1000)
  if (violated.length > 0) process.stderr.write(`${text}\n`)
  const result = { main, samples, steps, seed: violated.length > 0 ? found : seed, seconds, violated }
  process.stdout.write(`${JSON.stringify({ ...result, invariants: INVARIANTS.length })}\n`)
  process.exitCode = violated.length > 0 ? 1 : 0
}
