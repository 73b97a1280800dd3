/** `qat policy`: keeps a policy that someone trusts at the ledger's newest membership. */
import type { Command } from 'commander'
import { utf8 } from '../../../src/bytes.ts'
import { validatorsOf } from '../../../src/light/next-policy.ts'
import { provenChange } from '../../../src/light/verify.ts'
import { printPolicy } from '../../../src/notes/policy.ts'
import { replaceFile } from '../../durable-file.ts'
import { CliError } from '../exit.ts'
import { reasonOf } from '../files.ts'
import { changeDeedBetween, quorumText } from '../member/words.ts'
import { type RpcOptions, rpcOption } from '../options.ts'
import { factSheet, printJson, printText } from '../output.ts'
import { readFollowingPolicy, type Walk, walkPolicy } from '../policy-walk.ts'

interface Options extends RpcOptions {
  readonly policy: string
  readonly out?: string
}

const EXAMPLES = `
Examples:
  qat policy update --policy policy
  qat policy update --policy policy --out policy.new --json

A policy holds the validators' keys, and members change. The node hands out the changes since the policy was
written; each is verified by the validators before it, so the node need not be trusted. Witnesses and groups that
you have added stay, comments do not. A policy that nobody updates goes on trusting keys that have been retired.
`

export function addPolicyCommand(program: Command): void {
  const policy = program
    .command('policy')
    .description('follow changes of the members')
    .helpCommand(false)
    .addHelpText('after', EXAMPLES)
  policy
    .command('update')
    .description('bring a policy up to date, verifying every change of the members')
    .requiredOption('--policy <file>', 'the policy that you trust')
    .option('--out <file>', 'write the new policy here, instead of over the old one')
    .addOption(rpcOption())
    .addHelpText('after', EXAMPLES)
    .action(async (_options, command: Command) => update(command.optsWithGlobals<Options>()))
}

async function update(options: Options): Promise<void> {
  const { policy: file, out = file } = options
  const trusted = await readFollowingPolicy(file)
  const walk = await walkPolicy(options, trusted)
  const { policy, steps, from } = walk
  if (steps.length > 0 || out !== file) await save(out, utf8(printPolicy(policy)))
  if (options.json) {
    const { threshold: cosigners, members: validators } = validatorsOf(policy)
    printJson({
      from,
      to: from + steps.length,
      changes: steps.map(provenChange),
      cosigners,
      validators,
      file: out,
    })
  } else printText(walkText(trusted, walk, out))
}

function walkText(trusted: Walk['policy'], { policy, steps, from }: Walk, out: string): string {
  const [before, after] = [quorumText(trusted), quorumText(policy)]
  const changes = steps.map((step, i) => {
    const said = changeDeedBetween(steps[i - 1]?.policy ?? trusted, step)
    return [`Change ${step.change.sequence}`, `${said} (certified in a tree of ${step.size})`] as const
  })
  return factSheet([
    [
      'Policy',
      steps.length === 0
        ? `up to date, at change ${from}`
        : `from change ${from} to change ${from + steps.length}`,
    ],
    ...changes,
    ['Quorum', before === after ? after : `${after}, before ${before}`],
    ['File', out],
  ])
}

async function save(path: string, bytes: Uint8Array): Promise<void> {
  try {
    await replaceFile(path, bytes)
  } catch (cause) {
    throw new CliError('file', `${path} could not be written: ${reasonOf(cause)}.`, { path }, { cause })
  }
}
