/** Asks somebody at a terminal before something is done that cannot be taken back. */
import { createInterface } from 'node:readline/promises'
import { CliError } from './exit.ts'

/**
 * Resolves once the answer is yes, and at once where nobody is there to ask: a script that gives a key means it.
 * Throws CliError `declined` for every other answer.
 */
export async function confirm(question: string): Promise<void> {
  if (process.stdin.isTTY !== true || process.stderr.isTTY !== true) return
  const lines = createInterface({ input: process.stdin, output: process.stderr })
  const ended = new Promise<string>((resolve) => lines.once('close', () => resolve('')))
  try {
    const answer = await Promise.race([lines.question(`${question} [y/N] `), ended])
    if (/^y(es)?$/i.test(answer.trim())) return
  } finally {
    lines.close()
  }
  throw new CliError('declined', 'Nothing was signed and nothing was sent.')
}
