/** A result as it is kept: JSON for programs, and one Markdown page over all results in a folder. */
import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { Machine } from './machine.ts'

/** What cannot be measured, because something is not installed or was not asked for, is null. */
export type Figure = number | string | null
export type Figures = Readonly<Record<string, Figure>>

export interface Table {
  readonly title: string
  /** A sentence below it. */
  readonly note?: string
  readonly columns: readonly string[]
  readonly rows: readonly (readonly Figure[])[]
}

export interface Result {
  /** File name without its end, such as `bench`. */
  readonly name: string
  /** As it was started. */
  readonly command: string
  /** RFC 3339. */
  readonly date: string
  readonly machine: Machine
  readonly versions: Readonly<Record<string, string>>
  readonly figures: Figures
  readonly tables: readonly Table[]
}

/** Writes `name`.json into the folder, and README.md anew over all results that are there. */
export async function writeResult(dir: string, result: Result): Promise<void> {
  await mkdir(dir, { recursive: true })
  await writeFile(join(dir, `${result.name}.json`), `${JSON.stringify(result, undefined, 2)}\n`)
  const names = (await readdir(dir)).filter((file) => file.endsWith('.json')).map((file) => file.slice(0, -5))
  const results = await Promise.all(
    names
      .toSorted()
      .map(async (name) => JSON.parse(await readFile(join(dir, `${name}.json`), 'utf8')) as Result),
  )
  await writeFile(join(dir, 'README.md'), page(results))
}

/** The page: figures first, then the tables, of one result after the other. */
export function page(results: readonly Result[]): string {
  const head =
    '# Measured\n\nWritten by the benches themselves (`--out`); how each figure is to be read is in ' +
    '[scripts/README.md](../../scripts/README.md). `-`: not measured.\n'
  return [head, ...results.map(section)].join('\n')
}

function section({ command, date, machine, versions, figures, tables }: Result): string {
  const { cpu, cores, memoryGiB, system, fileSystem } = machine
  const used = Object.entries(versions).map(([name, version]) => `${name} ${version}`)
  const facts = [
    `${date}, ${cpu}, ${cores} cores, ${memoryGiB} GiB of memory, ${system}, ${fileSystem};`,
    `${used.join(', ')}.`,
  ]
  const all = { title: 'Figures', columns: ['figure', 'value'], rows: Object.entries(figures) }
  return [`## \`${command}\``, facts.join(' '), ...[all, ...tables].map(markdownTable)]
    .join('\n\n')
    .concat('\n')
}

/** Aligned, so that it reads as well without a renderer. */
export function markdownTable({ title, note, columns, rows }: Table): string {
  const lines = [columns, ...rows.map((row) => row.map(printed))]
  const widths = columns.map((_, i) => Math.max(3, ...lines.map((line) => line[i]?.length ?? 0)))
  const line = (cells: readonly string[]) =>
    `| ${cells.map((cell, i) => cell.padEnd(widths[i]!)).join(' | ')} |`
  const rule = line(widths.map((width) => '-'.repeat(width)))
  const [header, ...body] = lines.map(line)
  const table = [header, rule, ...body].join('\n')
  return [`### ${title}`, table, ...(note === undefined ? [] : [note])].join('\n\n')
}

/** Thousands apart, so that sizes are read at a glance. */
export function printed(value: Figure): string {
  if (value === null || Number.isNaN(value)) return '-'
  if (typeof value === 'string') return value
  return value.toLocaleString('en', { maximumFractionDigits: 3 })
}

/** What one part of a bench has to say. */
export interface Findings {
  readonly figures: Figures
  readonly tables?: readonly Table[]
  readonly versions?: Readonly<Record<string, string>>
}
