/** Random samples of the specification of the ordering: `npm run spec -- --help`. */
import { readFileSync } from 'node:fs'
import { INVARIANTS, quintIsThere, SPEC, sample } from '../test/consensus/quint.ts'
import { main, OptionsError, parseCommandLine, wholeNumber } from './support/command-line.ts'

const HELP = `Usage: npm run spec -- [options]

Draws random samples of consensus/spec/ordering.qnt with Quint, and checks every invariant after every step.

  --samples N   how many (500)
  --steps N     how long each of them gets (45)
  --seed S      the same seed gives the same samples (by the clock)
  --main NAME   the module with the voters, liars and quorum: four, five, six (four)
  --json        no line on standard error before the end

500 samples of four take some minutes, and Quint says nothing before it is done.

One JSON line at the end. Exit code 1 if an invariant is violated: then Quint's output, with the seed of that sample,
goes to standard error.
`

const MODULES = ['four', 'five', 'six']

await main(HELP, readOptions, run)

function readOptions(args: readonly string[]) {
  const values = parseCommandLine(args, {
    samples: { type: 'string', default: '500' },
    steps: { type: 'string', default: '45' },
    seed: { type: 'string', default: String(Date.now()) },
    main: { type: 'string', default: 'four' },
  })
  if (!MODULES.includes(values.main))
    throw new OptionsError('usage', `--main must be one of ${MODULES.join(', ')}, not "${values.main}".`)
  return {
    ...values,
    samples: wholeNumber('--samples', values.samples, 1, 1e9),
    steps: wholeNumber('--steps', values.steps, 1, 10_000),
    seed: `${wholeNumber('--seed', values.seed, 0, 1e14)}`,
  }
}

async function run(options: ReturnType<typeof readOptions>): Promise<void> {
  const { samples, steps, main, json } = options
  if (!quintIsThere()) {
    process.stderr.write('Quint is not installed: run npm install.\n')
    process.exitCode = 2
    return
  }
  if (!json) process.stderr.write(`${samples} samples of ${main}, ${steps} steps each …\n`)
  const began = performance.now()
  const found = await sample(readFileSync(SPEC, 'utf8'), { samples, steps, seed: options.seed, main })
  const { violated, text } = found
  const seconds = Math.round((performance.now() - began) / 1000)
  if (violated.length > 0) process.stderr.write(`${text}\n`)
  const seed = violated.length > 0 ? found.seed : options.seed
  const result = { main, samples, steps, seed, seconds, violated, invariants: INVARIANTS.length }
  process.stdout.write(`${JSON.stringify(result)}\n`)
  process.exitCode = violated.length > 0 ? 1 : 0
}
