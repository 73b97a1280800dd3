/** Do the invariants bite? Makes mistakes on purpose in the specification: `npm run spec:mutants -- --help`. */
import { readFileSync } from 'node:fs'
import { quintIsThere, SPEC, sample } from '../test/consensus/quint.ts'
import { mutated, SPEC_MUTANTS } from '../test/consensus/spec-mutants.ts'
import { main, parseCommandLine, wholeNumber } from './support/command-line.ts'

const HELP = `Usage: npm run spec:mutants -- [options]

Makes each mistake of test/consensus/spec-mutants.ts in a copy of consensus/spec/ordering.qnt, and draws samples until
an invariant is violated.

  --samples N   how many each mistake gets at most (1500)
  --steps N     how long each sample gets (45)
  --seed S      the first seed, instead of the one that is known to find it
  --only TEXT   only mistakes whose description has this text
  --jobs N      how many mistakes at a time (2)

One JSON line at the end. Exit code 1 if a mistake goes unnoticed.
`

await main(HELP, readOptions, run)

function readOptions(args: readonly string[]) {
  const values = parseCommandLine(args, {
    samples: { type: 'string', default: '1500' },
    steps: { type: 'string', default: '45' },
    seed: { type: 'string' },
    only: { type: 'string', default: '' },
    jobs: { type: 'string', default: '2' },
  })
  return {
    ...values,
    samples: wholeNumber('--samples', values.samples, 1, 1e9),
    steps: wholeNumber('--steps', values.steps, 1, 10_000),
    seed: values.seed === undefined ? undefined : `${wholeNumber('--seed', values.seed, 0, 1e14)}`,
    jobs: wholeNumber('--jobs', values.jobs, 1, 64),
  }
}

async function run({ samples, steps, seed, only, jobs }: ReturnType<typeof readOptions>): Promise<void> {
  if (!quintIsThere()) {
    process.stderr.write('Quint is not installed: run npm install.\n')
    process.exitCode = 2
    return
  }
  const spec = readFileSync(SPEC, 'utf8')
  const chosen = SPEC_MUTANTS.filter(({ why }) => why.includes(only))
  const waiting = [...chosen]
  let caught = 0
  const work = async () => {
    for (let mutant = waiting.shift(); mutant !== undefined; mutant = waiting.shift()) {
      const first = seed ?? mutant.seed ?? '1'
      const found = await sample(mutated(mutant, spec), { samples, steps, seed: first })
      const { violated } = found
      if (violated.length > 0) caught++
      const verdict =
        violated.length > 0
          ? `caught   ${mutant.why}: ${violated.join(', ')} (${found.seed})`
          : `SURVIVED ${mutant.why}`
      process.stderr.write(`${verdict}\n`)
    }
  }
  await Promise.all(Array.from({ length: jobs }, work))
  process.stdout.write(
    `${JSON.stringify({ mutants: chosen.length, caught, survived: chosen.length - caught })}\n`,
  )
  process.exitCode = caught === chosen.length ? 0 : 1
}
