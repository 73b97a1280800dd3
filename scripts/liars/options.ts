/** The command line of `npm run liars`. */
import { randomInt } from 'node:crypto'
import { parseArgs } from 'node:util'
import { parseDecimal } from '../../src/bytes.ts'
import { VALIDATORS_MAX } from '../../src/limits.ts'
import { OptionsError } from '../chaos/options.ts'
import { ACTS } from './acts/all.ts'
import { RSS_MIB_MAX, UNAVAILABLE_MS_MAX } from './judge.ts'

export const HELP = `npm run liars -- [--nodes N] [--seconds S] [--json] [--qkd] [--act NAME]... [--seed X] [--rate R]

Runs N real nodes. One of them is replaced by a hostile process that holds its keys and goes through all its acts, again
and again, for S seconds, while three clients submit through the honest nodes. Then judges what became of the promises.

  --nodes N      4 to ${VALIDATORS_MAX} (4)
  --seconds S    how long the acts and the load last (60); the act that is being told is told to its end
  --act NAME     only this act; may be given again
  --qkd          links are keyed by QKD, from a simulated KME in each node
  --seed X       draws with which act it begins, and the load (random)
  --rate R       entries a second, of three clients together (30)
  --dir D        new folder for nodes and logs, kept afterwards (a temporary one, kept if the run failed)
  --port P       ports from P upwards on 127.0.0.1 (23480)
  --json         one line of JSON at the end, on standard output

Exit code 1 if honest nodes have different blocks, ended, were accused or cut off, if an acknowledged entry is lost, if
one that a node took never became final, if the liar is not accused of what it signed twice, if nothing became final for
${UNAVAILABLE_MS_MAX / 1_000} s, during the acts or after them, or if an honest process held more than ${RSS_MIB_MAX} MiB.

Acts:
${ACTS.map(({ name, says }) => `  ${name.padEnd(24)} ${says}`).join('\n')}
`

export interface Options {
  readonly seconds: number
  readonly nodes: number
  /** Names of acts; all if it is empty. */
  readonly acts: readonly string[]
  readonly qkd: boolean
  readonly seed: number
  readonly rate: number
  readonly dir: string | undefined
  readonly port: number
  readonly json: boolean
  readonly help: boolean
}

const SEED_MAX = 2 ** 32 - 1
const SECONDS_MAX = 86_400
const RATE_MAX = 2_000
/** Three cannot do without any of them, so that a liar could stop them. */
const NODES_MIN = 4

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
  const acts = values.act ?? []
  const unknown = acts.find((name) => !ACTS.some((act) => act.name === name))
  if (unknown !== undefined) throw new OptionsError('usage', `There is no act "${unknown}": see --help.`)
  return {
    seconds: number('seconds', 60, 5, SECONDS_MAX),
    nodes: number('nodes', 4, NODES_MIN, VALIDATORS_MAX),
    acts,
    qkd: values.qkd,
    seed: number('seed', randomInt(SEED_MAX), 0, SEED_MAX),
    rate: number('rate', 30, 1, RATE_MAX),
    dir: values.dir,
    port: number('port', 23_480, 1_024, 60_000),
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
        nodes: text,
        act: { type: 'string', multiple: true },
        qkd: flag,
        seed: text,
        rate: text,
        dir: text,
        port: text,
        json: flag,
        help: flag,
      },
    })
  } catch (cause) {
    throw new OptionsError('usage', cause instanceof Error ? cause.message : String(cause), {}, { cause })
  }
}
