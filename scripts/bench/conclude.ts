/** How every bench ends: its figures are printed, kept if that was asked for, and given as JSON. */

import { say } from './figures.ts'
import { machineOf, ownVersions } from './machine.ts'
import { type Figures, markdownTable, printed, type Result, type Table, writeResult } from './result.ts'

export interface Conclusion {
  readonly name: string
  /** Kept in a file of its own, beside that of the bench as it runs by itself. */
  readonly variant?: string | undefined
  readonly figures: Figures
  readonly tables: readonly Table[]
  /** Of what was measured beside ourselves. */
  readonly versions?: Readonly<Record<string, string>>
  readonly out: string | undefined
  readonly json: boolean
}

export async function conclude(conclusion: Conclusion): Promise<void> {
  const { name, variant, tables, versions, out, json } = conclusion
  const machine = await machineOf()
  const own = ownVersions()
  const { cores, cpu } = machine
  const figures: Figures = { ...conclusion.figures, cores, cpu, node: `v${own.node}` }
  const width = Math.max(...Object.keys(figures).map((key) => key.length))
  for (const table of tables) say(`\n${markdownTable(table)}`)
  say('')
  for (const [key, value] of Object.entries(figures)) say(`${key.padEnd(width)}  ${printed(value)}`)
  if (out !== undefined) {
    const args = process.argv.slice(2).filter((argument) => argument !== '--json')
    const script = name.replace('bench-', 'bench:')
    const command = ['npm run', script, ...(args.length > 0 ? ['--', ...args] : [])].join(' ')
    const result: Result = {
      name: variant === undefined ? name : `${name}-${variant}`,
      command,
      date: new Date().toISOString(),
      machine,
      versions: { ...own, ...versions },
      figures,
      tables,
    }
    await writeResult(out, result)
    say(`written to ${out}`)
  }
  if (json) process.stdout.write(`${JSON.stringify(figures)}\n`)
}
