/** Explores all states of a small cluster with a liar: `npm run explore -- --help`. */
import { DECIDED, explore } from '../test/consensus/explore/explore.ts'
import { commandLine, FLAG } from './support/command-line.ts'

const USAGE = `Usage: npm run explore -- [options]

Explores, breadth first, every state that three honest nodes of the real Raft and one liar can reach, and judges each:
agreement, one certificate a term, no contradictory statements. See test/consensus/explore/.

  --terms N      no node enters a higher term (2)
  --heights N    no block is made above (1)
  --no-liar      the fourth server is silent
  --restarts N   how many times a node crashes and restarts, all together (0)
  --split        a step and the sync that makes it durable are two, and crashes come between
  --decided      begin where a block of term 1 is decided, and two nodes are locked on it
  --states N     stop after so many states (no limit)
  --json         no progress on standard error

One JSON line at the end; \`completed\` says whether every state within the bounds was seen. Exit code 1 if a promise is
broken: then the shortest way there goes to standard error. Larger bounds take hours, and gigabytes of memory.
`

const { values, whole } = commandLine(USAGE, {
  json: FLAG,
  terms: { type: 'string', default: '2' },
  heights: { type: 'string', default: '1' },
  'no-liar': { type: 'boolean', default: false },
  restarts: { type: 'string', default: '0' },
  split: { type: 'boolean', default: false },
  decided: { type: 'boolean', default: false },
  states: { type: 'string' },
})

const began = performance.now()
const seconds = () => Math.round((performance.now() - began) / 1000)
const bounds = {
  terms: whole('terms', values.terms),
  heights: whole('heights', values.heights),
  liar: !values['no-liar'],
  restarts: whole('restarts', values.restarts),
  split: values.split,
  ...(values.decided ? { start: DECIDED } : {}),
  ...(values.states === undefined ? {} : { statesMax: whole('states', values.states) }),
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
