/** `qat get`: one entry, by its id or its place. */
import type { Command } from 'commander'
import type { Json } from '../../../src/json.ts'
import { entryJson, entrySheet } from '../entry-text.ts'
import { CliError } from '../exit.ts'
import { linearizableOption, type RpcOptions, rpcOption } from '../options.ts'
import { printJson, printText } from '../output.ts'
import { entryView, isEntryId, readReply } from '../replies.ts'
import { ask, LINEARIZABLE_MS } from '../rpc.ts'

interface Options extends RpcOptions {
  readonly linearizable?: true
}

const EXAMPLES = `
Examples:
  qat get 42
  qat get 9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08 --json

What a node answers is its word only; "qat prove" and "qat verify" give certainty.
`

export function addGetCommand(program: Command): void {
  program
    .command('get')
    .argument('<id>', 'id of the entry (64 hex digits) or its index')
    .description('show one entry')
    .addOption(rpcOption())
    .addOption(linearizableOption())
    .addHelpText('after', EXAMPLES)
    .action(async (id: string, _options, command: Command) => get(id, command.optsWithGlobals<Options>()))
}

async function get(id: string, options: Options): Promise<void> {
  const { linearizable } = options
  const params = { ...entryName(id), ...(linearizable && { linearizable }) }
  const reply = await ask(options, 'entry.get', params, linearizable ? LINEARIZABLE_MS : undefined)
  const view = readReply(reply, entryView)
  if (options.json) printJson(entryJson(view))
  else printText(entrySheet(view))
}

/** The parameters that name an entry. Throws CliError `usage` for what is neither id nor index. */
export function entryName(spelled: string): Record<string, Json> {
  if (isEntryId(spelled)) return { id: spelled }
  if (/^(?:0|[1-9]\d{0,14})$/.test(spelled)) return { index: Number(spelled) }
  throw new CliError('usage', `"${spelled}" is no entry: give 64 lower-case hex digits, or an index.`)
}
