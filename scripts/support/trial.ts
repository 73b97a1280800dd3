/**
 * What the trials of real processes, `npm run chaos` and `npm run liars`, have in common: a folder that is kept if
 * something went wrong, a log, an end on request, a report, and the exit code.
 */
import { mkdir, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { factSheet } from '../../node/cli/output.ts'
import { stopRequest } from '../../node/cli/stop-request.ts'
import { useNativeCode } from '../../node/crypto/native.ts'
import { errorMessage } from '../../src/errors.ts'
import { Reporter } from '../chaos/reporter.ts'

export interface TrialOptions {
  readonly dir: string | undefined
  readonly seed: number
  readonly json: boolean
}

export interface Trial<O extends TrialOptions, R extends { readonly faults: readonly string[] }> {
  readonly name: string
  /** Undefined if interrupted. */
  readonly run: (
    options: O & { readonly dir: string; readonly interrupted: AbortSignal; readonly reporter: Reporter },
  ) => Promise<R | undefined>
  /** The facts for a reader, a verdict if there are no faults, and the line of JSON. */
  readonly report: (result: R, options: O) => Report
}

export interface Report {
  readonly table: readonly (readonly [string, string | number])[]
  readonly verdict: string
  readonly json: object
}

const INTERRUPTED = 130

/** Carries the trial out. Exit code 1 if a promise was broken, or if it could not be carried out. */
export async function carryOut<O extends TrialOptions, R extends { readonly faults: readonly string[] }>(
  { name, run, report }: Trial<O, R>,
  options: O,
): Promise<number> {
  useNativeCode()
  const interrupt = new AbortController()
  void stopRequest().then(() => interrupt.abort())
  const given = options.dir
  if (given !== undefined) await mkdir(given, { recursive: true })
  const folder = given ?? (await mkdtemp(join(tmpdir(), `qat-${name}-`)))
  // Nodes start again and again: what was compiled once is kept, which takes most of the time off a start.
  process.env.NODE_COMPILE_CACHE ??= join(folder, 'compile-cache')
  const reporter = new Reporter(join(folder, `${name}.log`))
  reporter.say(`seed ${options.seed}; nodes and logs are in ${folder}`)
  let keep = given !== undefined
  try {
    const dir = join(folder, 'nodes')
    const result = await run({ ...options, dir, interrupted: interrupt.signal, reporter })
    if (result === undefined) return INTERRUPTED
    keep ||= result.faults.length > 0
    print(report(result, options), result.faults, options.json)
    return result.faults.length > 0 ? 1 : 0
  } catch (error) {
    keep = true
    reporter.say(`The run could not be carried out: ${errorMessage(error)}`)
    return 1
  } finally {
    if (keep) process.stderr.write(`Nodes, their logs and ${name}.log are kept in ${folder}\n`)
    else await rm(folder, { recursive: true, force: true })
  }
}

function print({ table, verdict, json }: Report, faults: readonly string[], asJson: boolean): void {
  const end = faults.length === 0 ? verdict : `NOT everything held:\n  ${faults.join('\n  ')}`
  const out = asJson ? process.stderr : process.stdout
  out.write(`\n${factSheet(table)}\n\n${end}\n`)
  if (asJson) process.stdout.write(`${JSON.stringify(json)}\n`)
}
