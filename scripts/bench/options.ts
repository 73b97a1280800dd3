/** The command line of `npm run bench`, and how long each part of it takes. */
import { VALIDATORS_MAX } from '../../src/limits.ts'
import { FLAG, OptionsError, parseCommandLine, wholeNumber } from '../support/command-line.ts'
import type { LinksPlan } from './links.ts'
import { BATCH32, NODES, SINGLE, type Workload } from './workload.ts'

export const PARTS = {
  limits: 'raw verification, fsync',
  links: 'a link between two nodes, beside one of plain Noise',
  etcd: 'three nodes of etcd on the same disk, if it is installed',
  hypercore: 'a writer and a replica, if it is installed',
  one: 'one client: submit → ordered, submit → final',
  closed: 'as many clients as give the highest throughput, by workload',
  open: 'fixed rates below it: the latency that users meet',
  overload: 'three times as much as can be done',
  proofs: 'proofs made and verified',
} as const

export type Part = keyof typeof PARTS

export const HELP = `npm run bench -- [--quick] [--only PART,…] [--json] [--out DIR] [--clients N] [--nodes N] [--qkd] [--port P]

Measures four nodes on this machine, beside its physical limit, etcd and hypercore in the same run.

  --quick       under two minutes instead of some twenty
  --only a,b    some parts only
  --json        one line of JSON at the end, on standard output; all else goes to standard error
  --out DIR     keep the result in DIR: bench.json, and README.md over all results there (docs/bench)
  --clients N   clients of a closed loop, for each node (256)
  --qkd         with a simulated KME in each node, and links that require its keys
  --nodes N     another number of nodes: what each more costs (4)
  --port P      ports from P upwards, and from P + 1000 (18480)

Parts:
${Object.entries(PARTS)
  .map(([name, what]) => `  ${name.padEnd(12)}${what}`)
  .join('\n')}
`

/** Seconds, unless said otherwise. */
export interface Plan {
  readonly verify: number
  readonly fsync: number
  readonly links: LinksPlan
  /** Each number of clients. */
  readonly etcd: number
  readonly hypercore: number
  /** Submissions of the one client, for each stage. */
  readonly oneCalls: number
  readonly ramp: number
  /** The workload SINGLE; the others. */
  readonly single: number
  readonly others: number
  readonly workloads: readonly Workload[]
  /** Of the throughput of the closed loop. */
  readonly openShares: readonly number[]
  readonly open: number
  readonly overload: number
}

const QUICK: Plan = {
  verify: 3,
  fsync: 1,
  links: { mib: 128, rounds: 3, dials: 10 },
  etcd: 1.5,
  hypercore: 3,
  oneCalls: 80,
  ramp: 2,
  single: 8,
  others: 5,
  workloads: [SINGLE, BATCH32],
  openShares: [0.5],
  open: 4,
  overload: 3,
}

const FULL: Plan = {
  verify: 10,
  fsync: 5,
  links: { mib: 512, rounds: 5, dials: 40 },
  etcd: 15,
  hypercore: 20,
  oneCalls: 500,
  ramp: 5,
  single: 60,
  others: 20,
  workloads: [1, 8, 32, 64].flatMap((events) =>
    [256, 1_024, 4_096].map((dataBytes) => ({ events, dataBytes })),
  ),
  openShares: [0.25, 0.5, 0.75],
  open: 20,
  overload: 15,
}

export interface Options {
  readonly plan: Plan
  readonly parts: ReadonlySet<Part>
  readonly json: boolean
  readonly out: string | undefined
  readonly clients: number
  readonly nodes: number
  readonly port: number
  readonly qkd: boolean
  readonly help: boolean
}

/** Reads the command line. Throws OptionsError with a sentence that says what is wrong. */
export function readOptions(args: readonly string[]): Options {
  const values = parseCommandLine(args, {
    quick: FLAG,
    qkd: FLAG,
    only: { type: 'string' },
    out: { type: 'string' },
    clients: { type: 'string', default: '256' },
    nodes: { type: 'string', default: `${NODES}` },
    port: { type: 'string', default: '18480' },
  })
  return {
    plan: values.quick ? QUICK : FULL,
    parts: new Set(values.only === undefined ? partNames() : values.only.split(',').map(partOf)),
    json: values.json,
    out: values.out,
    clients: wholeNumber('--clients', values.clients, 1, 1_000),
    nodes: wholeNumber('--nodes', values.nodes, 1, VALIDATORS_MAX),
    port: wholeNumber('--port', values.port, 1_024, 64_000),
    qkd: values.qkd,
    help: values.help,
  }
}

function partNames(): Part[] {
  return Object.keys(PARTS) as Part[]
}

function partOf(name: string): Part {
  const found = partNames().find((part) => part === name)
  if (found !== undefined) return found
  throw new OptionsError('usage', `--only knows ${partNames().join(', ')}, not "${name}".`)
}
