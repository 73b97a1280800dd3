/** What the command lines of benches and trials have in common. */
import { type ParseArgsOptionsConfig, parseArgs } from 'node:util'
import { parseDecimal } from '../../src/bytes.ts'
import { errorMessage, QatError } from '../../src/errors.ts'

export class OptionsError extends QatError<'usage'> {}

export const FLAG = { type: 'boolean', default: false } as const

const HELP = { ...FLAG, short: 'h' } as const
const COMMON = { json: FLAG, help: HELP } as const

/** Reads the options of one script and those that all have. Throws OptionsError. */
export function parseCommandLine<const T extends ParseArgsOptionsConfig>(args: readonly string[], own: T) {
  return parse(args, { ...COMMON, ...own })
}

function parse<const T extends ParseArgsOptionsConfig>(args: readonly string[], options: T) {
  try {
    return parseArgs({ args: [...args], options }).values
  } catch (cause) {
    throw new OptionsError('usage', errorMessage(cause), {}, { cause })
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

/**
 * The command line of a script that runs as it is loaded. `whole` reads a number among its values. Ends the process
 * with the help that was asked for, or with a complaint, the help and exit code 2.
 */
export function commandLine<const T extends ParseArgsOptionsConfig>(help: string, own: T) {
  const orComplain = <R>(read: () => R): R => {
    try {
      return read()
    } catch (error) {
      if (!(error instanceof OptionsError)) throw error
      process.stderr.write(`${error.message}\n\n${help}`)
      process.exit(2)
    }
  }
  const values = orComplain(() => parse(process.argv.slice(2), { help: HELP, ...own }))
  if ((values as { help?: boolean }).help) {
    process.stdout.write(help)
    process.exit(0)
  }
  const whole = (name: keyof T & string, text: string, min = 0, max = Number.MAX_SAFE_INTEGER) =>
    orComplain(() => wholeNumber(`--${name}`, text, min, max))
  return { values, whole }
}
