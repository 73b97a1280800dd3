/** What the command lines of benches and trials have in common. */
import { type ParseArgsOptionsConfig, parseArgs } from 'node:util'
import { parseDecimal } from '../../src/bytes.ts'
import { QatError } from '../../src/errors.ts'

export class OptionsError extends QatError<'usage'> {}

export const FLAG = { type: 'boolean', default: false } as const

const COMMON = { json: FLAG, help: { ...FLAG, short: 'h' } } as const

/** Reads the options of one script and those that all have. Throws OptionsError. */
export function parseCommandLine<const T extends ParseArgsOptionsConfig>(args: readonly string[], own: T) {
  try {
    return parseArgs({ args: [...args], options: { ...COMMON, ...own } }).values
  } catch (cause) {
    throw new OptionsError('usage', cause instanceof Error ? cause.message : String(cause), {}, { cause })
  }
}

/** The number that an option says. Throws OptionsError. */
export function wholeNumber(name: string, text: string, min: number, max: number): number {
  const value = /^\d{1,15}$/.test(text) ? parseDecimal(text) : Number.NaN
  if (value >= min && value <= max) return value
  throw new OptionsError('usage', `${name} must be a whole number from ${min} to ${max}, not "${text}".`)
}

/**
 * Runs a script by its command line: prints the help that was asked for, says what is wrong with the options, and
 * sets the exit code for that.
 */
export async function main<T extends { readonly help: boolean }>(
  help: string,
  read: (args: readonly string[]) => T,
  run: (options: T) => Promise<void>,
): Promise<void> {
  let options: T
  try {
    options = read(process.argv.slice(2))
  } catch (error) {
    if (!(error instanceof OptionsError)) throw error
    process.stderr.write(`${error.message}\n\n${help}`)
    process.exitCode = 2
    return
  }
  if (options.help) process.stdout.write(help)
  else await run(options)
}
