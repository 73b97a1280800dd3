/** Does the simulator bite? Makes mistakes on purpose in a copy of the sources: `npm run sim:mutants -- --help`. */
import { execFile } from 'node:child_process'
import { cp, mkdtemp, readFile, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { MUTANTS, type Mutant } from '../test/sim/mutants.ts'
import { commandLine, FLAG } from './support/command-line.ts'

const ROOT = fileURLToPath(new URL('..', import.meta.url))
const COPIED = [
  'src',
  'consensus',
  'node',
  'test',
  'scripts',
  'package.json',
  'tsconfig.json',
  '.mocharc.json',
]
const TIMEOUT_MS = 120_000

const USAGE = `Usage: npm run sim:mutants -- [options]

Makes each mistake of test/sim/mutants.ts in a copy of the sources, and simulates until a seed notices it; or runs the
suite of tests that is to notice it, where seeds seldom can.

  --seeds N      how many seeds each mistake gets at most (200)
  --start S      the first seed (0)
  --only TEXT    only mistakes whose description or file has this text
  --jobs N       how many mistakes at a time (2)
  --json         on standard error only what survives

One JSON line at the end. Exit code 1 if a mistake goes unnoticed or cannot be made.
`

const { values, whole } = commandLine(USAGE, {
  json: FLAG,
  seeds: { type: 'string', default: '200' },
  start: { type: 'string', default: '0' },
  only: { type: 'string', default: '' },
  jobs: { type: 'string', default: '2' },
})

const chosen = MUTANTS.filter(({ why, file }) => `${why} ${file}`.includes(values.only))
const waiting = [...chosen]
let caught = 0
await Promise.all(Array.from({ length: whole('jobs', values.jobs, 1) }, work))
process.stdout.write(
  `${JSON.stringify({ mutants: chosen.length, caught, survived: chosen.length - caught })}\n`,
)
process.exitCode = caught === chosen.length ? 0 : 1

async function work(): Promise<void> {
  for (let mutant = waiting.shift(); mutant !== undefined; mutant = waiting.shift()) {
    const { caught: found, text } = await run(mutant)
    if (found) caught++
    if (values.json && found) continue
    const verdict = found ? 'caught  ' : 'SURVIVED'
    process.stderr.write(`${verdict} ${mutant.why} (${mutant.file})\n         ${text}\n`)
  }
}

async function run({ also = [], flags = [], suite, ...first }: Mutant): Promise<Verdict> {
  const copy = await mkdtemp(join(tmpdir(), 'qat-mutant-'))
  try {
    for (const name of COPIED) await cp(join(ROOT, name), join(copy, name), { recursive: true })
    await symlink(join(ROOT, 'node_modules'), join(copy, 'node_modules'))
    for (const { file, find, replace } of [first, ...also]) {
      const path = join(copy, file)
      const before = await readFile(path, 'utf8')
      const parts = before.split(find)
      if (parts.length !== 2)
        return { caught: false, text: `its place in ${file} was found ${parts.length - 1} times` }
      await writeFile(path, parts.join(replace))
    }
    return suite === undefined ? await simulated(copy, flags) : await tested(copy, suite)
  } finally {
    await rm(copy, { recursive: true, force: true })
  }
}

interface Verdict {
  readonly caught: boolean
  readonly text: string
}

/** What one command in the copy came to: `judge` is given its output if it failed by itself. */
function ran(
  copy: string,
  args: readonly string[],
  judge: (out: string, err: string) => string | undefined,
): Promise<Verdict> {
  return new Promise((resolve) => {
    const options = { cwd: copy, timeout: TIMEOUT_MS, maxBuffer: 1 << 26 }
    execFile(process.execPath, args, options, (error, out, err) => {
      const found = error === null ? undefined : judge(out, err)
      if (found !== undefined) resolve({ caught: true, text: found })
      else if (error?.killed === true)
        resolve({ caught: false, text: `not caught in ${TIMEOUT_MS / 1000} s` })
      else if (error !== null) resolve({ caught: false, text: `it could not be tried: ${err.slice(-500)}` })
      else resolve({ caught: false, text: `not caught: ${out.trim().slice(-500)}` })
    })
  })
}

function tested(copy: string, suite: string): Promise<Verdict> {
  const mocha = join(copy, 'node_modules', 'mocha', 'bin', 'mocha.js')
  return ran(copy, [mocha, '--reporter', 'dot', suite], (out) =>
    /^ {2}1\) [^\n]+\n +[^\n]+/m.exec(out)?.[0].replace(/\s+/g, ' '),
  )
}

function simulated(copy: string, flags: readonly string[]): Promise<Verdict> {
  const { seeds, start } = values
  const script = join(copy, 'scripts', 'sim.ts')
  const args = [script, '--seeds', seeds, '--start', start, '--until-violation', '--json', '--threads', '1']
  return ran(copy, [...args, ...flags], (_, err) => /^seed \d+: .*$/m.exec(err)?.[0])
}
