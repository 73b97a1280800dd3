/** The command line of `npm run chaos`. */
import { randomInt } from 'node:crypto'
import { parseArgs } from 'node:util'
import { parseDecimal } from '../../src/bytes.ts'
import { QatError } from '../../src/errors.ts'
import { VALIDATORS_MAX } from '../../src/limits.ts'

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

export class OptionsError extends QatError<'usage'> {}

/** Reads the command line. Throws OptionsError with a sentence that says what is wrong. */
export function readOptions(args: readonly string[]): Options {
  const { values } = parse(args)
  const number = (name: keyof typeof values, fallback: number, min: number, max: number) => {
    const text = values[name]
    if (typeof text !== 'string') return fallback
    const value = /^\d{1,15}$/.test(text) ? parseDecimal(text) : Number.NaN
    if (value >= min && value <= max) return value
    throw new OptionsError('usage', `--${name} must be a whole number from ${min} to ${max}, not "${text}".`)
  }
  const seconds = number('seconds', 60, 5, SECONDS_MAX)
  return {
    seconds,
    kills: number('kills', Math.ceil(seconds / 10), 0, SECONDS_MAX),
    nodes: number('nodes', 4, NODES_MIN, VALIDATORS_MAX),
    seed: number('seed', randomInt(SEED_MAX), 0, SEED_MAX),
    rate: number('rate', 120, 1, RATE_MAX),
    dir: values.dir,
    port: number('port', 22_480, 1_024, 65_535 - 2 * VALIDATORS_MAX),
    partitions: !values['no-partitions'],
    json: values.json,
    help: values.help,
  }
}

function parse(args: readonly string[]) {
  const text = { type: 'string' } as const
  const flag = { type: 'boolean', default: false } as const
  try {
    return parseArgs({
      args: [...args],
      options: {
        seconds: text,
        kills: text,
        nodes: text,
        seed: text,
        rate: text,
        dir: text,
        port: text,
        'no-partitions': flag,
        json: flag,
        help: flag,
      },
    })
  } catch (cause) {
    throw new OptionsError('usage', cause instanceof Error ? cause.message : String(cause), {}, { cause })
  }
}
