/** `qat query`: entries by what they say and when they were recorded. */
import { type Command, Option } from 'commander'
import { INDEX_MAX } from '../../../src/limits.ts'
import { QUERY_LIMIT_MAX } from '../../rpc/limits.ts'
import type { EntryView } from '../../service.ts'
import { ENTRY_COLUMNS, entryCells, entryJson } from '../entry-text.ts'
import { linearizableOption, type RpcOptions, rfc3339, rpcOption, wholeNumber } from '../options.ts'
import { printJson, printText, table } from '../output.ts'
import { queryPage, readReply } from '../replies.ts'
import { ask, LINEARIZABLE_MS } from '../rpc.ts'

interface Options extends RpcOptions {
  readonly source?: string
  readonly type?: string
  readonly subject?: string
  readonly from?: string
  readonly to?: string
  readonly order: string
  readonly limit: number
  readonly all?: true
  readonly linearizable?: true
}

const EXAMPLES = `
Examples:
  qat query --source //ci/build --limit 20
  qat query --subject app@1.2 --from 2026-01-01T00:00:00Z --order asc --all --json > evidence.jsonl

With --json, one line for each entry, its payload decoded beside the signed envelope.
`

export function addQueryCommand(program: Command): void {
  program
    .command('query')
    .description('list entries')
    .addOption(rpcOption())
    .option('--source <uri>', 'only of this source')
    .option('--type <name>', 'only of this type')
    .option('--subject <name>', 'only about this subject')
    .option('--from <time>', 'recorded at this RFC 3339 time or later', rfc3339)
    .option('--to <time>', 'recorded at this RFC 3339 time or earlier', rfc3339)
    .addOption(
      new Option('--order <order>', 'oldest or newest first').choices(['asc', 'desc']).default('desc'),
    )
    .option('--limit <count>', 'at most that many', wholeNumber(1, INDEX_MAX), 50)
    .option('--all', 'no limit')
    .addOption(linearizableOption())
    .addHelpText('after', EXAMPLES)
    .action(async (_options, command: Command) => query(command.optsWithGlobals<Options>()))
}

async function query(options: Options): Promise<void> {
  const wanted = options.all ? INDEX_MAX : options.limit
  let shown = 0
  for await (const entries of pages(options, wanted)) {
    if (options.json) for (const entry of entries) printJson(entryJson(entry))
    // Pages are printed as they come, so a long list starts at once and needs no memory.
    else if (entries.length > 0) printText(table(shown === 0 ? ENTRY_COLUMNS : [], entries.map(entryCells)))
    shown += entries.length
  }
  if (shown === 0 && !options.json) printText('No entry matches.')
}

async function* pages(options: Options, wanted: number): AsyncGenerator<readonly EntryView[]> {
  const { source, type, subject, from, to, order } = options
  const filter = Object.entries({ source, type, subject, from, to, order }).flatMap(([name, value]) =>
    value === undefined ? [] : [[name, value] as const],
  )
  let cursor: string | undefined
  let left = wanted
  do {
    // Once is enough: the node never forgets what it has applied.
    const linearizable = cursor === undefined && options.linearizable === true
    const params = {
      ...Object.fromEntries(filter),
      limit: Math.min(left, QUERY_LIMIT_MAX),
      ...(cursor !== undefined && { cursor }),
      ...(linearizable && { linearizable }),
    }
    const reply = await ask(options, 'entry.query', params, linearizable ? LINEARIZABLE_MS : undefined)
    const page = readReply(reply, queryPage)
    yield page.entries
    left -= page.entries.length
    cursor = page.next
  } while (cursor !== undefined && left > 0)
}
