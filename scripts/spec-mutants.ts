/** Do the invariants bite? Makes mistakes on purpose in the specification: `npm run spec:mutants -- --help`. */
import { readFileSync } from 'node:fs'
import { quintIsThere, SPEC, sample } from '../test/consensus/quint.ts'
import { mutated, SPEC_MUTANTS } from '../test/consensus/spec-mutants.ts'
import { commandLine } from './support/command-line.ts'

const USAGE = `Usage: npm run spec:mutants -- [options]

Makes each mistake of test/consensus/spec-mutants.ts in a copy of consensus/spec/ordering.qnt, and draws samples until
an invariant is violated.

  --samples N   how many each mistake gets at most (1500)
  --steps N     how long each sample gets (45)
  --seed S      the first seed, instead of the one that is known to find it
  --only TEXT   only mistakes whose description has this text
  --jobs N      how many mistakes at a time (2)

One JSON line at the end. Exit code 1 if a mistake goes unnoticed.
`

const { values, whole } = commandLine(USAGE, {
  samples: { type: 'string', default: '1500' },
  steps: { type: 'string', default: '45' },
  seed: { type: 'string' },
  only: { type: 'string', default: '' },
  jobs: { type: 'string', default: '2' },
})

if (!quintIsThere()) {
  process.stderr.write('Quint is not installed: run npm install.\n')
  process.exitCode = 2
} else {
  const [samples, steps] = [whole('samples', values.samples), whole('steps', values.steps)]
  const spec = readFileSync(SPEC, 'utf8')
  const chosen = SPEC_MUTANTS.filter(({ why }) => why.includes(values.only))
  const waiting = [...chosen]
  let caught = 0
  const work = async () => {
    for (let mutant = waiting.shift(); mutant !== undefined; mutant = waiting.shift()) {
      const first = values.seed ?? mutant.seed ?? '1'
      const { violated, seed } = await sample(mutated(mutant, spec), { samples, steps, seed: first })
      if (violated.length > 0) caught++
      const verdict =
        violated.length > 0
          ? `caught   ${mutant.why}: ${violated.join(', ')} (${seed})`
          : `SURVIVED ${mutant.why}`
      process.stderr.write(`${verdict}\n`)
    }
  }
  await Promise.all(Array.from({ length: whole('jobs', values.jobs, 1) }, work))
  process.stdout.write(
    `${JSON.stringify({ mutants: chosen.length, caught, survived: chosen.length - caught })}\n`,
  )
  process.exitCode = caught === chosen.length ? 0 : 1
}
