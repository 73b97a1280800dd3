/** What the scripts show while they work: one line that is rewritten in a terminal, plain lines elsewhere. */

export interface Line {
  /** Replaces the line; in a log file it is printed at most every few seconds. */
  update(text: string): void
  /** Ends the line with its last text. */
  done(text: string): void
}

const PLAIN_EVERY_MS = 5_000

export function statusLine(out: NodeJS.WriteStream = process.stderr): Line {
  let printed = -PLAIN_EVERY_MS
  return {
    update(text) {
      if (out.isTTY) out.write(`\r\u001b[2K${text}`)
      else if (performance.now() - printed >= PLAIN_EVERY_MS) {
        printed = performance.now()
        out.write(`${text}\n`)
      }
    },
    done(text) {
      out.write(out.isTTY ? `\r\u001b[2K${text}\n` : `${text}\n`)
    },
  }
}

const WIDTH = 24

/** `████░░░░ 12/24`, for work whose end is known. */
export function bar(done: number, total: number): string {
  const filled = total === 0 ? WIDTH : Math.floor((WIDTH * Math.min(done, total)) / total)
  return `${'█'.repeat(filled)}${'░'.repeat(WIDTH - filled)} ${done}/${total}`
}
