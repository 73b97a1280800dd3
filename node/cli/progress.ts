/** How far a long command is: a bar on a terminal, a line now and then elsewhere. Always on standard error. */
import { performance } from 'node:perf_hooks'

const BAR_CHARS = 30
const REDRAW_MS = 100
/** Between lines for those who read a log. */
const LINE_MS = 5_000

export interface Progress {
  /** `done` of `total` in `unit`s, such as blocks; a new label begins a new bar. */
  update(label: string, done: number, total: number, unit: string): void
  /** Leaves what was printed last as it is. Call it before anything else is printed. */
  end(): void
}

/** `quiet`: for programs that read JSON, and nothing else. */
export function createProgress(quiet: boolean): Progress {
  if (quiet) return { update: () => {}, end: () => {} }
  const terminal = process.stderr.isTTY === true
  let label = ''
  let printedMs = Number.NEGATIVE_INFINITY
  let open = false
  const end = () => {
    if (open) process.stderr.write('\n')
    open = false
  }
  return {
    update(newLabel, done, total, unit) {
      const nowMs = performance.now()
      if (newLabel !== label) {
        end()
        label = newLabel
        printedMs = Number.NEGATIVE_INFINITY
      }
      const last = done >= total
      if (!last && nowMs - printedMs < (terminal ? REDRAW_MS : LINE_MS)) return
      if (last && printedMs === Number.POSITIVE_INFINITY) return
      printedMs = last ? Number.POSITIVE_INFINITY : nowMs
      const text = line(label, done, total, unit)
      if (!terminal) process.stderr.write(`${text}\n`)
      else {
        process.stderr.write(`\r${bar(done, total)} ${text}\u001b[K`)
        open = true
        if (last) end()
      }
    },
    end,
  }
}

function line(label: string, done: number, total: number, unit: string): string {
  const percent = total === 0 ? 100 : Math.floor((100 * done) / total)
  return `${label}: ${done} of ${total} ${unit} (${percent} %)`
}

function bar(done: number, total: number): string {
  const filled = total === 0 ? BAR_CHARS : Math.floor((BAR_CHARS * Math.min(done, total)) / total)
  return `[${'='.repeat(filled)}${' '.repeat(BAR_CHARS - filled)}]`
}
