/** `qat qkd`: how the links of a node are keyed, and what can be done to simulated fibres. */
import { type Command, InvalidArgumentError } from 'commander'
import { array, count, type Json, object } from '../../../src/json.ts'
import { type RpcOptions, rpcOption, tokenOption } from '../options.ts'
import { printJson, printText, table } from '../output.ts'
import { readReply, shortText } from '../replies.ts'
import { ask } from '../rpc.ts'

interface Options extends RpcOptions {
  readonly token?: string
}

const EXAMPLES = `
Examples:
  qat qkd status
  qat qkd eve alpha-bravo --fraction 0.5 --token ...
  qat qkd cut alpha-bravo --token ...
  qat qkd restore alpha-bravo --token ...

A fibre shows what was done to it when its present block is over: 14 seconds at 5 km. FRESH: the newest keys of the
link hold a QKD key. AGED: earlier ones did, and ML-KEM-768 renews them. NONE: none did. To change a fibre, the token
must be one that may log events of the type "qkd.disturb".
`
const LINKS_MAX = 64
const COLUMNS = ['LINK', 'STATE', 'FIBRE', 'QBER', 'BIT/S', 'KEYS', 'KEY AGE', 'BLOCKS', 'KIND'] as const

export function addQkdCommand(program: Command): void {
  const qkd = program
    .command('qkd')
    .description('show how links are keyed by QKD; disturb simulated fibres')
    .addHelpText('after', EXAMPLES)
  const add = (name: string, description: string, example: string) =>
    qkd
      .command(name)
      .description(description)
      .addOption(rpcOption())
      .addOption(tokenOption())
      .addHelpText('after', `\nExamples:\n  qat qkd ${name} ${example}\n`)
  add('status', 'list the links of a node', '--rpc http://127.0.0.1:8481 --json').action(
    async (_options, command: Command) => status(command.optsWithGlobals<Options>()),
  )
  add('eve', 'let an eavesdropper intercept and resend (simulated)', 'alpha-bravo --fraction 0.5 --token ...')
    .argument('<link>', 'as the status lists it')
    .requiredOption('--fraction <share>', 'of the pulses, from 0 to 1', fraction)
    .action(async (link: string, options: { fraction: number }, command: Command) =>
      disturb(command.optsWithGlobals<Options>(), link, { change: 'eve', fraction: options.fraction }),
    )
  add('cut', 'cut a fibre (simulated)', 'alpha-bravo --token ...')
    .argument('<link>', 'as the status lists it')
    .action(async (link: string, _options, command: Command) =>
      disturb(command.optsWithGlobals<Options>(), link, { change: 'cut' }),
    )
  add('restore', 'undo what was done to a fibre (simulated)', 'alpha-bravo --token ...')
    .argument('<link>', 'as the status lists it')
    .action(async (link: string, _options, command: Command) =>
      disturb(command.optsWithGlobals<Options>(), link, { change: 'restore' }),
    )
}

async function status(options: Options): Promise<void> {
  const reply = object(await ask(options, 'qkd.status'), 'The answer')
  const text = readReply(reply, linksText)
  if (options.json) printJson(reply.links!)
  else printText(text)
}

async function disturb(options: Options, link: string, change: Record<string, Json>): Promise<void> {
  const reply = await ask(options, 'qkd.disturb', { link, ...change })
  if (options.json) printJson(reply)
  else printText(`${link}: done. "qat qkd status" shows it when the present block is over.`)
}

function linksText(reply: Json): string {
  const links = array(object(reply, 'The answer').links, '"links"', 0, LINKS_MAX).map((item) =>
    object(item, 'A link'),
  )
  if (links.length === 0) return 'This node has no links.'
  const rows = links.map((link) => {
    const blocks = link.blocks === undefined ? {} : object(link.blocks, '"blocks"')
    const number = (name: string) => (typeof link[name] === 'number' ? (link[name] as number) : undefined)
    const [qber, age] = [number('qber'), number('keyAgeSeconds')]
    return [
      shortText(link.link, '"link"'),
      shortText(link.state, '"state"'),
      shortText(link.fibre, '"fibre"'),
      qber === undefined ? '-' : `${(100 * qber).toFixed(2)} %`,
      String(Math.round(number('secretKeyRate') ?? 0)),
      `${count(link.keysStored, '"keysStored"')} of ${count(link.keysMax, '"keysMax"')}`,
      age === undefined ? '-' : `${age} s`,
      Object.entries(blocks)
        .map(([result, times]) => `${String(times)} ${result}`)
        .join(', ') || '-',
      link.simulated === true ? 'simulated' : link.fibre === 'NONE' ? '-' : 'device',
    ]
  })
  return table(COLUMNS, rows)
}

function fraction(value: string): number {
  const share = /^(?:[01]|[01]?\.\d+)$/.test(value) ? Number(value) : Number.NaN
  if (!(share >= 0 && share <= 1))
    throw new InvalidArgumentError('Expected a share from 0 to 1, such as 0.5.')
  return share
}
