/** What commands print: JSON lines for programs, short texts and tables for people. */
import { EXIT } from './exit.ts'

let needed = true

/**
 * Ends the process with a sentence if the results cannot be written, as on a full disk. The reader may have read
 * enough: `qat query | head` is no error. What is lost of standard error is lost.
 */
export function watchOutput(): void {
  process.stderr.on('error', () => undefined)
  process.stdout.on('error', (error: NodeJS.ErrnoException) => {
    if (!needed) return
    if (error.code === 'EPIPE') process.exit(EXIT.ok)
    process.stderr.write(`qat: The result could not be written to standard output: ${error.message}\n`)
    process.exit(EXIT.refused)
  })
}

/** For commands that do something else than answer: they go on, also if nobody can read what they print. */
export function goOnWithoutOutput(): void {
  needed = false
}

/** Characters that nobody sees, or that move a cursor or turn the order of others: Unicode's Cc, Cf, Cs, Zl and Zp. */
const UNSEEN = /[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}]/gu
const UNSEEN_IN_JSON = /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu

/** One result as one line of JSON on standard output, without characters by which its strings could deceive. */
export function printJson(value: unknown): void {
  process.stdout.write(`${JSON.stringify(value).replace(UNSEEN_IN_JSON, escaped)}\n`)
}

export function printText(text: string): void {
  process.stdout.write(`${text}\n`)
}

/** Something to mind, beside the result. */
export function printWarning(text: string): void {
  process.stderr.write(`Warning: ${printable(text)}\n`)
}

/**
 * Text from events, keys and nodes may hold terminal escape sequences, by which a submitter could repaint what
 * an auditor sees. Everything that moves a cursor or is not seen is spelled out instead.
 */
export function printable(text: string): string {
  return text.replace(UNSEEN, escaped)
}

/** As JSON spells it: `\u` and four digits for each UTF-16 unit. */
function escaped(character: string): string {
  return character
    .split('')
    .map((unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`)
    .join('')
}

/** Columns as wide as their widest cell, two spaces apart; without a header for the pages that continue one. */
export function table(header: readonly string[], rows: readonly (readonly string[])[]): string {
  const lines = [...(header.length > 0 ? [header] : []), ...rows.map((row) => row.map(printable))]
  const widths = (lines[0] ?? []).map((_, column) => {
    return Math.max(...lines.map((line) => line[column]?.length ?? 0))
  })
  return lines
    .map((line) =>
      line
        .map((cell, column) => cell.padEnd(widths[column] ?? 0))
        .join('  ')
        .trimEnd(),
    )
    .join('\n')
}

/** `name  value` lines, aligned; undefined values are left out. */
export function factSheet(facts: readonly (readonly [string, string | number | undefined])[]): string {
  const known = facts.filter(([, value]) => value !== undefined)
  const width = Math.max(...known.map(([name]) => name.length))
  return known.map(([name, value]) => `${name.padEnd(width)}  ${printable(String(value))}`).join('\n')
}

/** A number with its noun. */
export function counted(count: number, one: string, many = `${one}s`): string {
  return `${count} ${count === 1 ? one : many}`
}
