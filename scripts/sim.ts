/**
 * Simulates whole clusters by seed: `npm run sim -- --help`. Prints progress on standard error and one JSON line at
 * the end; a violation is printed with the end of its transcript as a sequence diagram, the commit, and the command
 * that replays it.
 */
import { execFileSync } from 'node:child_process'
import { defaultCosigners } from '../src/ledger/membership.ts'
import { orders, replayCommand, runFleet } from '../test/sim/fleet.ts'
import type { SimOptions } from '../test/sim/plan.ts'
import type { Outcome } from '../test/sim/simulation.ts'
import { FLAG, main, OptionsError, parseCommandLine, wholeNumber } from './support/command-line.ts'

const HELP = `Usage: npm run sim -- [options]

Whole clusters of production nodes under seeded faults (test/README.md).

  --seeds N            how many clusters (1000)
  --start S            the first seed (0)
  --threads N          at a time (2)
  --until-violation    stop at the first broken promise
  --json               nothing but the JSON line at the end
  --nodes N            4 to 7; this and what follows fixes what each seed would decide
  --liars N            0 to 3, and no more than are tolerated of the nodes: one of 4, two of 5 and 7, three of 6
  --admins N           who change the membership at the same time, 0 to 2
  --oldCopies 0|1      whether an old copy of one node's disk is put back; not among liars
  --signatures real|stand-in

Exit code 1 if a promise was broken.
`

await main(HELP, readOptions, run)

function readOptions(args: readonly string[]) {
  const values = parseCommandLine(args, {
    seeds: { type: 'string', default: '1000' },
    start: { type: 'string', default: '0' },
    threads: { type: 'string', default: '2' },
    'until-violation': FLAG,
    nodes: { type: 'string' },
    liars: { type: 'string' },
    admins: { type: 'string' },
    oldCopies: { type: 'string' },
    signatures: { type: 'string' },
  })
  const { signatures } = values
  if (signatures !== undefined && signatures !== 'real' && signatures !== 'stand-in')
    throw new OptionsError('usage', `--signatures must be real or stand-in, not "${signatures}".`)
  const number = (name: 'nodes' | 'liars' | 'admins' | 'oldCopies', min: number, max: number) => {
    const text = values[name]
    return text === undefined ? {} : { [name]: wholeNumber(`--${name}`, text, min, max) }
  }
  const fixed: SimOptions = {
    ...number('nodes', 4, 7),
    ...number('liars', 0, 3),
    ...number('admins', 0, 2),
    ...number('oldCopies', 0, 1),
    ...(signatures && { signatures }),
  }
  const { nodes, liars = 0 } = fixed
  const most = nodes === undefined ? liars : 2 * defaultCosigners(nodes) - nodes - 1
  if (liars > most)
    throw new OptionsError('usage', `Of ${nodes} nodes no more than ${most} may lie, not ${liars}.`)
  return {
    seeds: wholeNumber('--seeds', values.seeds, 1, 1e9),
    start: wholeNumber('--start', values.start, 0, 1e12),
    threads: wholeNumber('--threads', values.threads, 1, 256),
    untilViolation: values['until-violation'],
    fixed,
    json: values.json,
    help: values.help,
  }
}

async function run(options: ReturnType<typeof readOptions>): Promise<void> {
  const { seeds, start, threads, untilViolation, fixed, json } = options
  const began = performance.now()
  const faults: Record<string, number> = {}
  let done = 0
  let withLiars = 0
  let steps = 0
  let violations = 0
  let stoodStill = 0
  /** Simulated milliseconds from the last fault to agreement, at most: without liars, and with them. */
  const recoveryMsMax = { honest: 0, liars: 0 }
  const rate = () => Math.round((done * 10_000) / (performance.now() - began)) / 10

  const count = (outcome: Outcome) => {
    done++
    steps += outcome.steps
    if (outcome.liars > 0) withLiars++
    if (outcome.stoodStill) stoodStill++
    else {
      const kind = outcome.liars > 0 ? 'liars' : 'honest'
      recoveryMsMax[kind] = Math.max(recoveryMsMax[kind], outcome.recoveryMs)
    }
    for (const [name, times] of Object.entries(outcome.faults)) faults[name] = (faults[name] ?? 0) + times
  }
  await runFleet(orders(seeds, start, fixed), threads, (outcome, order) => {
    count(outcome)
    if (outcome.violation !== undefined) {
      violations++
      const { message, diagram } = outcome.violation
      process.stderr.write(`${diagram}\nseed ${outcome.seed}: ${message}\n`)
      process.stderr.write(`commit ${commit()}\nreplay: ${replayCommand(order)}\n`)
    }
    if (!json && done % 100 === 0) process.stderr.write(`${done} seeds, ${rate()} a second\n`)
    return outcome.violation === undefined || !untilViolation
  })
  if (!json) {
    const kinds = Object.entries(faults).map(([name, times]) => `  ${String(times).padStart(9)} ${name}\n`)
    process.stderr.write(`faults and what came of them, by kind:\n${kinds.join('')}`)
  }
  const result = { seeds: done, withLiars, violations, stoodStill, recoveryMsMax, steps, faults }
  process.stdout.write(`${JSON.stringify({ ...result, seedsPerSecond: rate() })}\n`)
  process.exitCode = violations === 0 ? 0 : 1
}

function commit(): string {
  try {
    return execFileSync('git', ['rev-parse', '--short', 'HEAD'], { encoding: 'utf8' }).trim()
  } catch {
    return 'unknown'
  }
}
