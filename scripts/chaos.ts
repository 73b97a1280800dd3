/**
 * `npm run chaos`: real processes on real disks, under load, killed, stopped and cut off at random; then
 * all that was acknowledged is proved. Exit code 1 if a promise was broken, 2 for a wrong command line.
 */
import { mkdir, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { factSheet } from '../node/cli/output.ts'
import { stopRequest } from '../node/cli/stop-request.ts'
import { useNativeCode } from '../node/crypto/native.ts'
import { errorMessage } from '../src/errors.ts'
import { HELP, type Options, OptionsError, readOptions } from './chaos/options.ts'
import { canIsolate, isInside, rerunInside } from './chaos/private-network.ts'
import { Reporter } from './chaos/reporter.ts'
import { type Result, run } from './chaos/run.ts'

const INTERRUPTED = 130

process.exit(await main())

async function main(): Promise<number> {
  let options: Options
  try {
    options = readOptions(process.argv.slice(2))
  } catch (error) {
    if (!(error instanceof OptionsError)) throw error
    process.stderr.write(`${error.message}\n\n${HELP}`)
    return 2
  }
  if (options.help) {
    process.stdout.write(HELP)
    return 0
  }
  if (options.partitions && !isInside()) {
    if (await canIsolate()) return rerunInside()
    process.stderr.write(
      'No network namespaces here (they take root): processes are struck, links are not.\n',
    )
  }
  return storm(options, options.partitions && isInside())
}

async function storm(options: Options, isolated: boolean): Promise<number> {
  useNativeCode()
  const interrupt = new AbortController()
  void stopRequest().then(() => interrupt.abort())
  const given = options.dir
  if (given !== undefined) await mkdir(given, { recursive: true })
  const folder = given ?? (await mkdtemp(join(tmpdir(), 'qat-chaos-')))
  // Nodes start again and again: what was compiled once is kept, which takes most of the time off a start.
  process.env.NODE_COMPILE_CACHE ??= join(folder, 'compile-cache')
  const reporter = new Reporter(join(folder, 'chaos.log'))
  reporter.say(`seed ${options.seed}; nodes and logs are in ${folder}`)
  let keep = given !== undefined
  try {
    const dir = join(folder, 'nodes')
    const result = await run({ ...options, dir, isolated, interrupted: interrupt.signal, reporter })
    if (result === undefined) return INTERRUPTED
    keep ||= result.faults.length > 0
    print(result, options)
    return result.faults.length > 0 ? 1 : 0
  } catch (error) {
    keep = true
    reporter.say(`The run could not be carried out: ${errorMessage(error)}`)
    return 1
  } finally {
    if (keep) process.stderr.write(`Nodes, their logs and chaos.log are kept in ${folder}\n`)
    else await rm(folder, { recursive: true, force: true })
  }
}

function print(result: Result, { seconds, seed, json }: Options): void {
  const { submitted, acknowledged, final, proved, kills, stops, partitions, recoveries, faults } = result
  const { longestUnavailableMs, longestUnavailableAt } = result
  const table = factSheet([
    ['submitted', submitted],
    ['acknowledged', `${acknowledged}, ${final} of them as final`],
    ['without an answer', submitted - acknowledged],
    ['proved by another node', proved],
    ['lost', result.lost],
    ['duplicated', result.duplicated],
    ['proofs that do not hold', result.unproved],
    ['faults', `${kills} kills, ${stops} stops, ${partitions} partitions`],
    ['recoveries', recoveries],
    ['nodes that ended by themselves', result.crashes],
    ['longest without service', `${longestUnavailableMs} ms, until ${longestUnavailableAt} s`],
    ['leaves on every node', result.treeSize],
  ])
  const verdict =
    faults.length === 0 ? 'Every promise was kept.' : `NOT everything held:\n  ${faults.join('\n  ')}`
  const out = json ? process.stderr : process.stdout
  out.write(`\n${table}\n\n${verdict}\n`)
  if (!json) return
  const line = {
    submitted,
    final,
    lost: result.lost,
    duplicated: result.duplicated,
    longestUnavailableMs,
    recoveries,
    seconds,
    kills,
    stops,
    partitions,
    seed,
    acknowledged,
    proved,
    unproved: result.unproved,
    crashes: result.crashes,
  }
  process.stdout.write(`${JSON.stringify(line)}\n`)
}
