/** The command line of `npm run chaos`. */
import { randomInt } from 'node:crypto'
import { VALIDATORS_MAX } from '../../src/limits.ts'
import { FLAG, parseCommandLine, wholeNumber } from '../support/command-line.ts'

export const HELP = `npm run chaos -- [--seconds S] [--kills K] [--json] [--nodes N] [--seed X] [--rate R]

Runs N real nodes for S seconds while K times a node is killed and others are stopped and cut off; then heals
everything and proves every acknowledged entry against a node that did not acknowledge it.

  --seconds S       how long the faults and the load last (60)
  --kills K         kills in that time (one in ten seconds); half as many stops, half as many partitions
  --nodes N         3 to ${VALIDATORS_MAX} (4)
  --seed X          draws faults and load; real processes do not replay exactly (random)
  --rate R          entries a second, of three clients together (120)
  --dir D           new folder for nodes and logs, kept afterwards (a temporary one, kept if the run failed)
  --port P          without network namespaces: ports from P upwards on 127.0.0.1 (22480)
  --no-partitions   only processes are struck: needs no network namespaces
  --json            one line of JSON at the end, on standard output
`

export interface Options {
  readonly seconds: number
  readonly kills: number
  readonly nodes: number
  readonly seed: number
  readonly rate: number
  readonly dir: string | undefined
  readonly port: number
  readonly partitions: boolean
  readonly json: boolean
  readonly help: boolean
}

const SEED_MAX = 2 ** 32 - 1
/** A day: the bookkeeping of the entries is what limits it. */
const SECONDS_MAX = 86_400
const RATE_MAX = 2_000
/** Fewer have no minority that could be struck. */
const NODES_MIN = 3

/** Reads the command line. Throws OptionsError with a sentence that says what is wrong. */
export function readOptions(args: readonly string[]): Options {
  const values = parseCommandLine(args, {
    seconds: { type: 'string', default: '60' },
    kills: { type: 'string' },
    nodes: { type: 'string', default: '4' },
    seed: { type: 'string', default: `${randomInt(SEED_MAX)}` },
    rate: { type: 'string', default: '120' },
    dir: { type: 'string' },
    port: { type: 'string', default: '22480' },
    'no-partitions': FLAG,
  })
  const seconds = wholeNumber('--seconds', values.seconds, 5, SECONDS_MAX)
  return {
    seconds,
    kills: wholeNumber('--kills', values.kills ?? `${Math.ceil(seconds / 10)}`, 0, SECONDS_MAX),
    nodes: wholeNumber('--nodes', values.nodes, NODES_MIN, VALIDATORS_MAX),
    seed: wholeNumber('--seed', values.seed, 0, SEED_MAX),
    rate: wholeNumber('--rate', values.rate, 1, RATE_MAX),
    dir: values.dir,
    port: wholeNumber('--port', values.port, 1_024, 65_535 - 2 * VALIDATORS_MAX),
    partitions: !values['no-partitions'],
    json: values.json,
    help: values.help,
  }
}
