/** The command `qat`: runs one command line and ends the process with its exit code. */
import { type Command, CommanderError } from 'commander'
import { dropEmptyVariables, useProxies } from './connection.ts'
import { EXIT } from './exit.ts'
import { failureOf, report } from './failure.ts'
import { watchOutput } from './output.ts'
import { createProgram } from './program.ts'

/** `args` is the command line behind `qat`. Does not return: the process ends, whatever a library keeps open. */
export async function main(args: readonly string[]): Promise<never> {
  watchOutput()
  const code = await run(args)
  await new Promise((resolve) => process.stdout.write('', resolve))
  process.exit(code)
}

async function run(args: readonly string[]): Promise<number> {
  const program = createProgram()
  try {
    dropEmptyVariables(process.env)
    useProxies(process.env)
    await program.parseAsync(args, { from: 'user' })
    // A command that has answered may still have bad news.
    return typeof process.exitCode === 'number' ? process.exitCode : EXIT.ok
  } catch (error) {
    // Help and version are thrown, too. Bare `qat` asks for help by mistake: commander shows it, as an error.
    if (error instanceof CommanderError && error.exitCode === 0) return EXIT.ok
    if (error instanceof CommanderError && error.code === 'commander.help') return EXIT.usage
    const failure = failureOf(error)
    const json = args.includes('--json')
    report(failure, error, json)
    if (failure.exit === EXIT.usage && !json) process.stderr.write(`${helpHint(program, args)}\n`)
    return failure.exit
  }
}

/** Names the command, and the command within it, that the line got to. */
function helpHint(program: Command, args: readonly string[]): string {
  const path = ['qat']
  let command = program
  for (const arg of args) {
    const next = command.commands.find((candidate) => candidate.name() === arg)
    if (!next) continue
    path.push(arg)
    command = next
  }
  return `     See: ${path.join(' ')} --help`
}
