/** `qat watch`: what is being recorded, as it happens. */
import { type Command, Option } from 'commander'
import { createClient } from '../../rpc/client.ts'
import type { Topic } from '../../rpc/context.ts'
import type { LedgerEvent } from '../../service.ts'
import { claimLines, summarizeJson } from '../entry-text.ts'
import { CliError } from '../exit.ts'
import { type RpcOptions, rpcOption } from '../options.ts'
import { counted, printable, printJson, printText } from '../output.ts'
import { stopRequest } from '../stop-request.ts'

interface Options extends RpcOptions {
  readonly topics: readonly Topic[]
  readonly source?: string
  readonly type?: string
  readonly subject?: string
}

const TOPICS = ['entries', 'blocks', 'checkpoints'] as const

const EXAMPLES = `
Examples:
  qat watch
  qat watch --source //ci/build --json
  qat watch --topics blocks checkpoints

Shows what is recorded from now on, one line each; "qat query" shows what was before. Ctrl-C ends it.
`

export function addWatchCommand(program: Command): void {
  program
    .command('watch')
    .description('follow new entries')
    .addOption(rpcOption())
    .addOption(new Option('--topics <topic...>', 'what to follow').choices(TOPICS).default(['entries']))
    .option('--source <uri>', 'only entries of this source')
    .option('--type <name>', 'only entries of this type')
    .option('--subject <name>', 'only entries about this subject')
    .addHelpText('after', EXAMPLES)
    .action(async (_options, command: Command) => watch(command.optsWithGlobals<Options>()))
}

async function watch(options: Options): Promise<void> {
  const { rpc, topics, source, type, subject, json } = options
  const filter = {
    ...(source !== undefined && { source }),
    ...(type !== undefined && { type }),
    ...(subject !== undefined && { subject }),
  }
  const stopped = stopRequest()
  const lost = Promise.withResolvers<never>()
  lost.promise.catch(() => undefined) // it may be lost while nobody waits yet
  const subscribing = createClient(rpc, { timeoutMs: 10_000 }).subscribe({
    topics: [...new Set(topics)],
    ...(Object.keys(filter).length > 0 && { filter }),
    onEvent: (event) => (json ? printJson(event) : printText(eventLine(event))),
    onEnd: (reason) => {
      const why = reason === '' ? '' : ` (${reason})`
      lost.reject(
        new CliError('connection-lost', `The connection to ${rpc} ended${why}. Watch again.`, { rpc }),
      )
    },
  })
  const subscription = await Promise.race([stopped, subscribing])
  if (typeof subscription === 'string') return
  if (!json) process.stderr.write(`Watching ${rpc}. Ctrl-C ends it.\n`)
  await Promise.race([stopped, lost.promise])
  subscription.close()
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
