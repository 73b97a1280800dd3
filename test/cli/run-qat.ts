/** Runs the real command as its users do: a child process, judged by what it prints and how it ends. */
import { type ChildProcess, spawn } from 'node:child_process'
import { rmSync } from 'node:fs'
import { mkdtemp } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { JsonObject } from '../../src/json.ts'

export const BIN = fileURLToPath(new URL('../../node/bin/', import.meta.url))
export const QAT = join(BIN, 'qat.js')

export interface Ended {
  readonly code: number | null
  readonly signal: NodeJS.Signals | null
  readonly stdout: string
  readonly stderr: string
  /** Each line of standard output, parsed. */
  json(): JsonObject[]
  /** The code of the error that it reported as JSON. */
  errorCode(): string | undefined
}

export interface RunOptions {
  readonly stdin?: string
  readonly env?: Record<string, string>
  readonly cwd?: string
  readonly node?: string
  /** Arguments of Node itself. */
  readonly nodeArgs?: readonly string[]
  /** Given the child once it runs. */
  readonly during?: (child: ChildProcess) => void
}

/** `qat <args>` until it ends. Nothing of the caller's QAT_ environment comes along. */
export function qat(args: readonly string[], options: RunOptions = {}): Promise<Ended> {
  return run([QAT, ...args], options)
}

export function run(args: readonly string[], options: RunOptions = {}): Promise<Ended> {
  const inherited = Object.entries(process.env).filter(([name]) => !/^(QAT_|UV_|FORCE_COLOR)/.test(name))
  const child = spawn(options.node ?? process.execPath, [...(options.nodeArgs ?? []), ...args], {
    env: { ...Object.fromEntries(inherited), ...options.env },
    cwd: options.cwd,
  })
  const out = { stdout: '', stderr: '' }
  for (const name of ['stdout', 'stderr'] as const) {
    child[name].setEncoding('utf8').on('data', (text: string) => {
      out[name] += text
    })
  }
  child.stdin.on('error', () => undefined) // a command that has ended does not read
  child.stdin.end(options.stdin ?? '')
  options.during?.(child)
  running.add(child)
  return new Promise((resolve, reject) => {
    child.once('error', reject)
    child.once('close', (code, signal) => {
      running.delete(child)
      const json = () =>
        out.stdout
          .split('\n')
          .filter((line) => line !== '')
          .map((line) => JSON.parse(line))
      resolve({ code, signal, ...out, json, errorCode: () => json()[0]?.error?.code })
    })
  })
}

/** Resolves with everything that `child` has printed, once `pattern` is in it. */
export function untilPrinted(child: ChildProcess, pattern: RegExp): Promise<string> {
  let printed = ''
  return new Promise((resolve, reject) => {
    for (const stream of [child.stdout, child.stderr]) {
      stream?.on('data', (text: string) => {
        printed += text
        if (pattern.test(printed)) resolve(printed)
      })
    }
    child.once('close', () => reject(new Error(`It ended without printing ${pattern}:\n${printed}`)))
  })
}

/** What a test that failed has left running ends with its suite. */
const running = new Set<ChildProcess>()
afterEach(function () {
  if (this.currentTest?.isFailed()) for (const child of running) child.kill('SIGTERM')
})

const scratched: string[] = []
process.once('exit', () => {
  for (const dir of scratched) rmSync(dir, { recursive: true, force: true })
})

/** A folder that is gone after the run: what a suite stops in a later hook may still be writing to it. */
export function scratch(): { path(...names: string[]): string } {
  let dir: string
  before(async () => {
    dir = await mkdtemp(join(tmpdir(), 'qat-cli-'))
    scratched.push(dir)
  })
  return { path: (...names) => join(dir, ...names) }
}

export function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch {
    return false
  }
}
