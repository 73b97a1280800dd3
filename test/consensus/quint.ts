/** Runs Quint on consensus/spec/ordering.qnt: random samples, and traces of what nodes did. */
import { spawn } from 'node:child_process'
import { closeSync, existsSync, mkdtempSync, openSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { type TraceLine, toQuint } from '../../consensus/spec/trace.ts'

export const SPEC = fileURLToPath(new URL('../../consensus/spec/ordering.qnt', import.meta.url))
const QUINT = fileURLToPath(
  new URL('../../node_modules/@informalsystems/quint/dist/src/cli.js', import.meta.url),
)

/** The definitions of ordering.qnt that must always hold. */
export const INVARIANTS = [
  'agreement',
  'oneCertificate',
  'oneLeader',
  'bases',
  'oneVote',
  'oneAcknowledgement',
  'candidacies',
  'locks',
] as const

export const quintIsThere = (): boolean => existsSync(QUINT)

export type Sampling = {
  readonly samples: number
  readonly steps: number
  /** Hexadecimal or decimal; the same seed gives the same samples. */
  readonly seed: string
  readonly main?: string
}

/** `seed` reproduces the violation with one sample. `text` is all that Quint said. */
export type Sampled = { readonly violated: readonly string[]; readonly seed: string; readonly text: string }

/** Random samples of a specification, given as text. Throws if Quint cannot read it. */
export async function sample(
  spec: string,
  { samples, steps, seed, main = 'four' }: Sampling,
): Promise<Sampled> {
  const text = await inFolder({ 'ordering.qnt': spec }, (folder) =>
    quint(folder, [
      'ordering.qnt',
      `--main=${main}`,
      '--init=begin',
      `--max-samples=${samples}`,
      `--max-steps=${steps}`,
      `--seed=${seed}`,
      '--verbosity=1',
      '--invariants',
      ...INVARIANTS,
    ]),
  )
  const violated = [...text.matchAll(/❌ (\w+)/g)].map(([, name]) => name!)
  if (violated.length === 0 && !text.includes('[ok]')) throw new Error(`Quint has failed: ${text}`)
  return { violated, seed: /--seed=(\w+)/.exec(text)?.[1] ?? seed, text }
}

/** `refused` are the lines, from 0, at which traces broke a rule; a trace ends there. `safe`: every invariant held. */
export type Judgement = { readonly refused: readonly number[]; readonly safe: boolean }

/** What the specification says of traces, each of which begins with a line `begin`. */
export async function judge(trace: readonly TraceLine[]): Promise<Judgement> {
  const { module, lines } = toQuint(trace, './ordering')
  const text = await inFolder(
    { 'ordering.qnt': readFileSync(SPEC, 'utf8'), 'replay.qnt': module },
    (folder) =>
      quint(folder, [
        'replay.qnt',
        '--main=replay',
        '--init=first',
        '--step=play',
        '--max-samples=1',
        `--max-steps=${lines.length}`,
        '--invariant=safe',
        '--verbosity=2',
        '--hide',
        'replay::ordering::state',
      ]),
  )
  const places = [...text.matchAll(/refused: \[([\d, ]*)\]/g)].at(-1)?.[1]
  if (places === undefined) throw new Error(`Quint has failed: ${text}`)
  const refused = places.split(',').filter((place) => place.trim() !== '')
  return { refused: refused.map((place) => lines[Number(place)]!), safe: text.includes('[ok]') }
}

async function inFolder<T>(
  files: Readonly<Record<string, string>>,
  use: (folder: string) => Promise<T>,
): Promise<T> {
  const folder = mkdtempSync(join(tmpdir(), 'qat-spec-'))
  try {
    for (const [name, text] of Object.entries(files)) writeFileSync(join(folder, name), text)
    return await use(folder)
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

/**
 * Both outputs together, by way of a file: Quint exits without waiting for a pipe to take them. It ends with an exit
 * code when an invariant is violated, which is no failure here.
 */
function quint(cwd: string, args: readonly string[]): Promise<string> {
  const path = join(cwd, 'output')
  const output = openSync(path, 'w')
  const child = spawn(process.execPath, [QUINT, 'run', ...args, '--backend=typescript'], {
    cwd,
    stdio: ['ignore', output, output],
  })
  closeSync(output)
  return new Promise((resolve, reject) => {
    child.once('error', reject)
    child.once('close', () => resolve(readFileSync(path, 'utf8')))
  })
}
