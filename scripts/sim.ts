/**
 * Simulates whole clusters by seed: `npm run sim -- --help`. Prints progress on standard error and one JSON line at
 * the end; a violation is printed with the end of its transcript as a sequence diagram, the commit, and the command
 * that replays it.
 */
import { execFileSync } from 'node:child_process'
import { orders, replayCommand, runFleet } from '../test/sim/fleet.ts'
import type { SimOptions } from '../test/sim/plan.ts'
import { commandLine, FLAG } from './support/command-line.ts'

const USAGE = `Usage: npm run sim -- [options]

Whole clusters of production nodes under seeded faults (test/README.md).

  --seeds N            how many clusters (1000)
  --start S            the first seed (0)
  --threads N          at a time (2)
  --until-violation    stop at the first broken promise
  --json               nothing but the JSON line at the end
  --nodes N, --liars N, --admins N, --oldCopies 0|1, --signatures real|stand-in
                       fix what each seed would decide

Exit code 1 if a promise was broken.
`

const { values, whole } = commandLine(USAGE, {
  json: FLAG,
  seeds: { type: 'string', default: '1000' },
  start: { type: 'string', default: '0' },
  threads: { type: 'string', default: '2' },
  'until-violation': { type: 'boolean', default: false },
  nodes: { type: 'string' },
  liars: { type: 'string' },
  admins: { type: 'string' },
  oldCopies: { type: 'string' },
  signatures: { type: 'string' },
})
const seeds = whole('seeds', values.seeds)
const options: SimOptions = {
  ...(values.nodes === undefined ? {} : { nodes: whole('nodes', values.nodes) }),
  ...(values.liars === undefined ? {} : { liars: whole('liars', values.liars) }),
  ...(values.admins === undefined ? {} : { admins: whole('admins', values.admins) }),
  ...(values.oldCopies === undefined ? {} : { oldCopies: whole('oldCopies', values.oldCopies) }),
  ...(values.signatures === undefined
    ? {}
    : { signatures: values.signatures === 'real' ? 'real' : 'stand-in' }),
}
const began = performance.now()
const faults: Record<string, number> = {}
let done = 0
let steps = 0
let violations = 0
let stoodStill = 0
/** Simulated milliseconds from the last fault to agreement, at most: without liars, and with them. */
const recoveryMsMax = { honest: 0, liars: 0 }

await runFleet(
  orders(seeds, whole('start', values.start), options),
  whole('threads', values.threads, 1),
  (outcome, order) => {
    done++
    steps += outcome.steps
    if (outcome.stoodStill) stoodStill++
    else {
      const kind = outcome.liars > 0 ? 'liars' : 'honest'
      recoveryMsMax[kind] = Math.max(recoveryMsMax[kind], outcome.recoveryMs)
    }
    for (const [name, count] of Object.entries(outcome.faults)) faults[name] = (faults[name] ?? 0) + count
    if (outcome.violation !== undefined) {
      violations++
      const { message, diagram } = outcome.violation
      process.stderr.write(`${diagram}\nseed ${outcome.seed}: ${message}\n`)
      process.stderr.write(`commit ${commit()}\nreplay: ${replayCommand(order)}\n`)
    }
    if (!values.json && done % 100 === 0) process.stderr.write(`${done} seeds, ${rate()} a second\n`)
    return outcome.violation === undefined || !values['until-violation']
  },
)
if (!values.json) {
  const kinds = Object.entries(faults).map(([name, count]) => `  ${String(count).padStart(9)} ${name}\n`)
  process.stderr.write(`faults and what came of them, by kind:\n${kinds.join('')}`)
}
process.stdout.write(
  `${JSON.stringify({ seeds: done, violations, stoodStill, recoveryMsMax, steps, faults, seedsPerSecond: rate() })}\n`,
)
process.exitCode = violations === 0 ? 0 : 1

function rate(): number {
  return Math.round((done * 10_000) / (performance.now() - began)) / 10
}

function commit(): string {
  try {
    return execFileSync('git', ['rev-parse', '--short', 'HEAD'], { encoding: 'utf8' }).trim()
  } catch {
    return 'unknown'
  }
}
