/** A transcript as a sequence diagram in plain text, for a terminal 120 columns wide. */
import type { Line } from './transcript.ts'

const WIDTH = 120
const TIME = 8

/** Nodes are columns, time runs down; an arrow that ends in `x` never arrived. */
export function diagram(nodes: readonly string[], lines: readonly Line[]): string {
  const gap = Math.max(5, Math.min(9, Math.floor(50 / nodes.length)))
  const place = (name: string) => TIME + 2 + nodes.indexOf(name) * gap
  const end = TIME + 2 + nodes.length * gap
  const rails = () => {
    const row = [...' '.repeat(end)]
    for (const name of nodes) row[place(name)] = '│'
    return row
  }
  const head = [...' '.repeat(end)]
  for (const name of nodes) head[place(name)] = name[0]!
  const out = [head.join('').trimEnd()]
  for (const { at, from, to, arrives, text } of lines) {
    const row = rails()
    if (to !== undefined && nodes.includes(to)) draw(row, place(from), place(to), arrives ?? true)
    else if (nodes.includes(from)) row[place(from)] = '●'
    const time = (at / 1000).toFixed(3).padStart(TIME)
    for (const [i, character] of [...time].entries()) row[i] = character
    const label = to === undefined ? `${from}: ${text()}` : `${from}→${to} ${text()}`
    out.push(`${row.join('')}${label}`.slice(0, WIDTH))
  }
  return out.join('\n')
}

function draw(row: string[], from: number, to: number, arrives: boolean): void {
  const [low, high] = from < to ? [from, to] : [to, from]
  for (let i = low + 1; i < high; i++) row[i] = row[i] === '│' ? '┼' : '─'
  row[from] = from < to ? '├' : '┤'
  row[to] = arrives ? (from < to ? '▶' : '◀') : 'x'
}
