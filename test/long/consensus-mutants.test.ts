/** Each mistake in the ordering rules (test/consensus/sim/mutants.ts) is found by simulated clusters of some hundred seeds. */
import { equal, ok } from 'node:assert/strict'
import { cpSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'
import { MUTANTS, type Mutant } from '../consensus/sim/mutants.ts'
import type * as Simulation from '../consensus/sim/simulation.ts'

const ROOT = fileURLToPath(new URL('../..', import.meta.url))
const SEEDS = Number(process.env.SEEDS ?? 300)

/** A copy of the sources with the mistake in it. */
function mutated({ file, from, to }: Mutant): string {
  const folder = mkdtempSync(join(tmpdir(), 'mutant-'))
  for (const part of ['src', 'consensus', 'test/consensus', 'package.json']) {
    cpSync(join(ROOT, part), join(folder, part), { recursive: true })
  }
  symlinkSync(join(ROOT, 'node_modules'), join(folder, 'node_modules'))
  const path = join(folder, 'consensus', file)
  const source = readFileSync(path, 'utf8')
  equal(source.split(from).length, 2, `the place to change in ${file} is not there, or more than once`)
  writeFileSync(path, source.replace(from, to))
  return folder
}

describe('simulated clusters', () => {
  for (const mutant of MUTANTS) {
    it(`notice that ${mutant.name}`, async function () {
      this.timeout(600_000)
      const folder = mutated(mutant)
      try {
        const url = pathToFileURL(join(folder, 'test/consensus/sim/simulation.ts')).href
        const { simulate } = (await import(url)) as typeof Simulation
        let found: string | undefined
        for (let seed = 0; seed < SEEDS && found === undefined; seed++) {
          const { violation } = await simulate(seed, { liars: seed % 3 !== 0 })
          if (violation) found = `seed ${seed}: ${violation.message.split('\n')[0]}`
        }
        ok(found, `no violation in ${SEEDS} seeds`)
        if (process.env.SHOW === '1') console.log(`${mutant.name}: ${found}`)
      } finally {
        rmSync(folder, { recursive: true })
      }
    })
  }
})
