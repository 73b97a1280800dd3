/** Explores all states of a small cluster with a liar: `npm run explore -- --help`. */
import { parseArgs } from 'node:util'
import { parseDecimal } from '../src/bytes.ts'
import { explore } from '../test/consensus/explore/explore.ts'

const USAGE = `Usage: npm run explore -- [options]

Explores, breadth first, every state that three honest nodes of the real Raft and one liar can reach, and judges each:
agreement, one certificate a term, no contradictory statements. See test/consensus/explore/.

  --terms N      no node enters a higher term (2)
  --heights N    no block is made above (1)
  --no-liar      the fourth server is silent
  --no-restarts  nodes do not crash
  --split        a step and the sync that makes it durable are two, and crashes come between
  --states N     stop after so many states (no limit)
  --json         no progress on standard error

One JSON line at the end; \`completed\` says whether every state within the bounds was seen. Exit code 1 if a promise is
broken: then the shortest way there goes to standard error. Larger bounds take hours, and gigabytes of memory.
`

const { values } = parseArgs({
  options: {
    help: { type: 'boolean', short: 'h', default: false },
    terms: { type: 'string', default: '2' },
    heights: { type: 'string', default: '1' },
    'no-liar': { type: 'boolean', default: false },
    'no-restarts': { type: 'boolean', default: false },
    split: { type: 'boolean', default: false },
    states: { type: 'string' },
    json: { type: 'boolean', default: false },
  },
})

if (values.help) process.stdout.write(USAGE)
else {
  const began = performance.now()
  const seconds = () => Math.round((performance.now() - began) / 1000)
  const bounds = {
    terms: parseDecimal(values.terms),
    heights: parseDecimal(values.heights),
    liar: !values['no-liar'],
    restarts: !values['no-restarts'],
    split: values.split,
    ...(values.states === undefined ? {} : { statesMax: parseDecimal(values.states) }),
  }
  const { broken, ...found } = await explore(bounds, ({ depth, states, frontier }) => {
    if (values.json) return
    process.stderr.write(`depth ${depth}: ${states} states, ${frontier} of them new, ${seconds()} s\n`)
  })
  if (broken !== undefined) process.stderr.write(`${broken.promise}\n  ${broken.trace.join('\n  ')}\n`)
  process.stdout.write(
    `${JSON.stringify({ ...bounds, ...found, seconds: seconds(), broken: broken?.promise ?? null })}\n`,
  )
  process.exitCode = broken === undefined ? 0 : 1
}
