/** What commands print: JSON lines for programs, short texts and tables for people. */

/** One result as one line of JSON on standard output. */
export function printJson(value: unknown): void {
  process.stdout.write(`${JSON.stringify(value)}\n`)
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
 * an auditor sees. Everything that moves a cursor is spelled out instead.
 */
export function printable(text: string): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what is looked for
  return text.replace(/[\u0000-\u001f\u007f-\u009f\u2028-\u202e\u2066-\u2069]/g, (character) => {
    return `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`
  })
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
