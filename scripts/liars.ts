/**
 * `npm run liars`: a real cluster under load in which one process holds a validator's keys and lies in every way that is
 * known; then all that honest nodes promised is proved. Exit code 1 if it was not kept, 2 for a wrong command line.
 */
import { mkdir, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { factSheet } from '../node/cli/output.ts'
import { stopRequest } from '../node/cli/stop-request.ts'
import { useNativeCode } from '../node/crypto/native.ts'
import { errorMessage } from '../src/errors.ts'
import { OptionsError } from './chaos/options.ts'
import { Reporter } from './chaos/reporter.ts'
import { HELP, type Options, readOptions } from './liars/options.ts'
import { type Result, run } from './liars/run.ts'

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
  useNativeCode()
  const interrupt = new AbortController()
  void stopRequest().then(() => interrupt.abort())
  const given = options.dir
  if (given !== undefined) await mkdir(given, { recursive: true })
  const folder = given ?? (await mkdtemp(join(tmpdir(), 'qat-liars-')))
  process.env.NODE_COMPILE_CACHE ??= join(folder, 'compile-cache')
  const reporter = new Reporter(join(folder, 'liars.log'))
  reporter.say(`seed ${options.seed}; nodes and logs are in ${folder}`)
  let keep = given !== undefined
  try {
    const dir = join(folder, 'nodes')
    const result = await run({ ...options, dir, interrupted: interrupt.signal, reporter })
    if (result === undefined) return INTERRUPTED
    keep ||= result.faults.length > 0
    print(result, options)
    return result.faults.length > 0 ? 1 : 0
  } catch (error) {
    keep = true
    reporter.say(`The run could not be carried out: ${errorMessage(error)}`)
    return 1
  } finally {
    if (keep) process.stderr.write(`Nodes, their logs and liars.log are kept in ${folder}\n`)
    else await rm(folder, { recursive: true, force: true })
  }
}

function percent(part: number, whole: number): string {
  return `${((100 * part) / Math.max(1, whole)).toFixed(1)} %`
}

function print(result: Result, { seconds, seed, json }: Options): void {
  const { faults, named, liar, byAct, failed, ...counts } = result
  const table = factSheet([
    ['acts told', `${counts.acts}, of ${Object.keys(byAct).length} kinds`],
    ['submitted', counts.submitted],
    ['final', counts.final],
    ['proved by another node', counts.proved],
    ['lost', counts.lost],
    ['refused', counts.refused],
    ['taken and never final', counts.neverFinal],
    ['unanswered', `${counts.unanswered} (${percent(counts.unanswered, counts.submitted)})`],
    ['heights with different blocks', counts.splits],
    ['honest processes that ended', counts.ended],
    ['honest nodes accused', counts.framed],
    ["honest links cut as a liar's", counts.blamed],
    ['accused', named.join(', ') || 'nobody'],
    ['longest without service', `${counts.longestUnavailableMs} ms`],
    ['most memory of a node', `${counts.rssMaxMiB} MiB`],
    ['longest log of a node', `${counts.logMaxKiB} KiB`],
  ])
  const verdict =
    faults.length === 0
      ? `Every promise was kept; ${liar} lied.`
      : `NOT everything held:\n  ${faults.join('\n  ')}`
  const out = json ? process.stderr : process.stdout
  out.write(`\n${table}\n\n${verdict}\n`)
  if (!json) return
  const { acts, ...rest } = counts
  process.stdout.write(`${JSON.stringify({ acts, byAct, failed, ...rest, named, liar, seconds, seed })}\n`)
}
