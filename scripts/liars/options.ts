/** The command line of `npm run liars`. */
import { randomInt } from 'node:crypto'
import { VALIDATORS_MAX } from '../../src/limits.ts'
import { FLAG, OptionsError, parseCommandLine, wholeNumber } from '../support/command-line.ts'
import { ACTS } from './acts/all.ts'
import { RSS_MIB_MAX, UNAVAILABLE_MS_MAX, WAIT_MS_MAX } from './judge.ts'

export const HELP = `npm run liars -- [--nodes N] [--seconds S] [--json] [--qkd] [--act NAME]... [--seed X] [--rate R]

Runs N real nodes. One of them is replaced by a hostile process that holds its keys and goes through all its acts, again
and again, for S seconds, while three clients submit through the honest nodes. Then judges what became of the promises.

  --nodes N      4 to ${VALIDATORS_MAX} (4)
  --seconds S    how long the acts and the load last (60; all acts take three to four minutes); the act that is being
                 told is told to its end
  --act NAME     only this act; may be given again
  --qkd          links are keyed by QKD, from a simulated KME in each node
  --seed X       draws with which act it begins, and the load (random)
  --rate R       entries a second, of three clients together (30)
  --dir D        new folder for nodes and logs, kept afterwards (a temporary one, kept if the run failed)
  --port P       ports from P upwards on 127.0.0.1 (23480)
  --json         one line of JSON at the end, on standard output

Exit code 1 if honest nodes have different blocks, ended, were accused or cut off, if an acknowledged entry is lost, if
one that a node took never became final, if the liar is not accused of what it signed twice, if nothing became final for
${UNAVAILABLE_MS_MAX / 1_000} s, during the acts or after them, if one entry waited ${WAIT_MS_MAX / 1_000} s, or if an honest process held more than ${RSS_MIB_MAX} MiB.

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
  const values = parseCommandLine(args, {
    seconds: { type: 'string', default: '60' },
    nodes: { type: 'string', default: '4' },
    act: { type: 'string', multiple: true, default: [] },
    qkd: FLAG,
    seed: { type: 'string', default: `${randomInt(SEED_MAX)}` },
    rate: { type: 'string', default: '30' },
    dir: { type: 'string' },
    port: { type: 'string', default: '23480' },
  })
  const unknown = values.act.find((name) => !ACTS.some((act) => act.name === name))
  if (unknown !== undefined) throw new OptionsError('usage', `There is no act "${unknown}": see --help.`)
  return {
    seconds: wholeNumber('--seconds', values.seconds, 5, SECONDS_MAX),
    nodes: wholeNumber('--nodes', values.nodes, NODES_MIN, VALIDATORS_MAX),
    acts: values.act,
    qkd: values.qkd,
    seed: wholeNumber('--seed', values.seed, 0, SEED_MAX),
    rate: wholeNumber('--rate', values.rate, 1, RATE_MAX),
    dir: values.dir,
    port: wholeNumber('--port', values.port, 1_024, 60_000),
    json: values.json,
    help: values.help,
  }
}
