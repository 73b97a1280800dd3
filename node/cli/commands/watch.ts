/** `qat watch`: what is being recorded, as it happens. */
import { type Command, Option } from 'commander'
import { INDEX_MAX } from '../../../src/limits.ts'
import { createClient } from '../../rpc/client.ts'
import type { Topic } from '../../rpc/context.ts'
import { QUERY_LIMIT_MAX } from '../../rpc/limits.ts'
import { encodeCursor } from '../../rpc/params.ts'
import type { LedgerEvent } from '../../service.ts'
import { claimLines, summarizeJson } from '../entry-text.ts'
import { CliError } from '../exit.ts'
import { type RpcOptions, rpcOption, wholeNumber } from '../options.ts'
import { counted, printable, printJson, printText } from '../output.ts'
import { queryPage, readReply } from '../replies.ts'
import { askUntil } from '../rpc.ts'
import { stopRequest } from '../stop-request.ts'

interface Options extends RpcOptions {
  readonly topics: readonly Topic[]
  readonly since?: number
  readonly source?: string
  readonly type?: string
  readonly subject?: string
}

const QUESTION_MS = 30_000
/** Events that are kept while the past is shown. */
const WAITING_MAX = 100_000
const TOPICS = ['entries', 'blocks', 'checkpoints'] as const

const EXAMPLES = `
Examples:
  qat watch
  qat watch --source //ci/build --json
  qat watch --topics blocks checkpoints
  qat watch --since 1042

Shows what is recorded from now on, one line each; with --since also what was before, without a gap. Where the node is
gone, or says nothing for 10 seconds although it was asked, it ends with 3 and names the index to go on from. Ctrl-C
ends it.
`

export function addWatchCommand(program: Command): void {
  program
    .command('watch')
    .description('follow new entries')
    .addOption(rpcOption())
    .addOption(new Option('--topics <topic...>', 'what to follow').choices(TOPICS).default(['entries']))
    .option('--since <index>', 'first the entries from this index on', wholeNumber(0, INDEX_MAX))
    .option('--source <uri>', 'only entries of this source')
    .option('--type <name>', 'only entries of this type')
    .option('--subject <name>', 'only entries about this subject')
    .addHelpText('after', EXAMPLES)
    .action(async (_options, command: Command) => watch(command.optsWithGlobals<Options>()))
}

async function watch(options: Options): Promise<void> {
  const { rpc, topics, since, source, type, subject, json } = options
  if (since !== undefined && !topics.includes('entries')) {
    throw new CliError('usage', '--since says from which entry on: it needs the topic entries.')
  }
  const filter = {
    ...(source !== undefined && { source }),
    ...(type !== undefined && { type }),
    ...(subject !== undefined && { subject }),
  }
  /** The index behind the last entry that was shown: where a later watch goes on without a gap. */
  let next = since
  const show = (event: LedgerEvent) => {
    if (event.topic === 'entries' && event.entry.index !== undefined) {
      if (next !== undefined && event.entry.index < next) return
      next = event.entry.index + 1
    }
    if (json) printJson(event)
    else printText(eventLine(event))
  }
  /** What happens while the past is still being shown. */
  let waiting: LedgerEvent[] | undefined = since === undefined ? undefined : []
  const stopped = stopRequest()
  const lost = Promise.withResolvers<never>()
  lost.promise.catch(() => undefined) // it may be lost while nobody waits yet
  const subscribing = createClient(rpc, { timeoutMs: 10_000 }).subscribe({
    topics: [...new Set(topics)],
    ...(Object.keys(filter).length > 0 && { filter }),
    onEvent: (event) => {
      if (waiting === undefined) show(event)
      else if (waiting.push(event) > WAITING_MAX) {
        lost.reject(
          new CliError('connection-lost', `More is recorded than can be shown. ${again(next)}`, { rpc }),
        )
      }
    },
    onEnd: (reason) => {
      const why = reason === '' ? '' : ` (${reason})`
      const facts = { rpc, ...(next !== undefined && { next }) }
      lost.reject(
        new CliError('connection-lost', `The connection to ${rpc} ended${why}. ${again(next)}`, facts),
      )
    },
  })
  const subscription = await Promise.race([stopped, subscribing])
  if (typeof subscription === 'string') return
  if (!json) process.stderr.write(`Watching ${rpc}. Ctrl-C ends it.\n`)
  const following = (async () => {
    if (since !== undefined) await past(rpc, filter, since, show)
    for (const event of waiting ?? []) show(event)
    waiting = undefined
    return lost.promise
  })()
  await Promise.race([stopped, lost.promise, following])
  subscription.close()
}

function again(next: number | undefined): string {
  return next === undefined ? 'Watch again.' : `Watch again with --since ${next}: then nothing is missing.`
}

/** Entries from an index on, as if they were recorded now. */
async function past(
  rpc: string,
  filter: Record<string, string>,
  since: number,
  show: (event: LedgerEvent) => void,
): Promise<void> {
  let cursor = since === 0 ? undefined : encodeCursor('asc', since - 1)
  do {
    const params = {
      ...filter,
      order: 'asc',
      limit: QUERY_LIMIT_MAX,
      ...(cursor !== undefined && { cursor }),
    }
    const page = readReply(await askUntil({ rpc }, 'entry.query', () => params, QUESTION_MS), queryPage)
    for (const entry of page.entries) show({ topic: 'entries', entry })
    cursor = page.next
  } while (cursor !== undefined)
}

function eventLine(event: LedgerEvent): string {
  switch (event.topic) {
    case 'entries': {
      const { entry, recorded, status, index, id } = event.entry
      const summary = summarizeJson(entry)
      const what = summary.record?.line ?? claimLines(summary, 1).join(', ')
      return printable(`${recorded ?? status}  ${index ?? '-'}  ${what}  ${id}`)
    }
    case 'blocks': {
      const { time, height, count, proposer, hash } = event.block
      return printable(
        `${time}  block ${height}  ${counted(count, 'entry', 'entries')}  by ${proposer}  ${hash}`,
      )
    }
    case 'checkpoints': {
      const { size, height, root } = event.checkpoint
      return printable(`final  ${counted(size, 'leaf', 'leaves')}, to block ${height}  root ${root}`)
    }
  }
}
