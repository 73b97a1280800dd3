/** Copies of the sources with a mistake in the ordering rules. */
import { equal } from 'node:assert/strict'
import { cpSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'
import type { Mutant } from './sim/mutants.ts'

const ROOT = fileURLToPath(new URL('../..', import.meta.url))

/** Hands over the module at `path` of a copy of the sources with the mistake, and removes the copy afterwards. */
export async function withMutant<Module, T>(
  { file, from, to }: Mutant,
  path: string,
  use: (module: Module) => Promise<T>,
): Promise<T> {
  const folder = mkdtempSync(join(tmpdir(), 'mutant-'))
  try {
    for (const part of ['src', 'consensus', 'test/consensus', 'package.json']) {
      cpSync(join(ROOT, part), join(folder, part), { recursive: true })
    }
    symlinkSync(join(ROOT, 'node_modules'), join(folder, 'node_modules'))
    const changed = join(folder, 'consensus', file)
    const source = readFileSync(changed, 'utf8')
    equal(source.split(from).length, 2, `the place to change in ${file} is not there, or more than once`)
    writeFileSync(changed, source.replace(from, to))
    return await use((await import(pathToFileURL(join(folder, path)).href)) as Module)
  } finally {
    rmSync(folder, { recursive: true })
  }
}
