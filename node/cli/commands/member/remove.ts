/** `qat member remove`: ends a membership. */
import type { Command } from 'commander'
import { object } from '../../../../src/json.ts'
import type { Membership } from '../../../../src/ledger/membership.ts'
import { isNode } from '../../../../src/ledger/membership.ts'
import { gatewayName } from '../../../core/gateway.ts'
import { CliError } from '../../exit.ts'
import {
  type ChangeOptions,
  carryOut,
  printOutcome,
  tell,
  withChangeOptions,
} from '../../member/carry-out.ts'
import { memberNamed, planChange } from '../../member/plan.ts'
import { presentMembers } from '../../member/present.ts'
import { readReply, shortText } from '../../replies.ts'
import { askUntil } from '../../rpc.ts'

const EXAMPLES = `
Examples:
  qat member remove n2 --admin-key admin.key --rpc http://n1.example:8480
  qat member remove ci --admin-key admin.key

A removed node learns of it and stops by itself. Unless --cosigners says otherwise, a quorum that was the default
becomes the default for the validators that are left, and another one is kept as far as they can meet it.
`

export function addRemoveCommand(member: Command): void {
  const command = member
    .command('remove')
    .argument('<name>', 'name of the member')
    .description('remove a node, a submitter or an admin')
  withChangeOptions(command)
    .addHelpText('after', EXAMPLES)
    .action(async (name: string, _options, self: Command) =>
      remove(name, self.optsWithGlobals<ChangeOptions>()),
    )
}

async function remove(name: string, options: ChangeOptions): Promise<void> {
  const endMs = performance.now() + 1_000 * options.timeout
  const present = await presentMembers(options, endMs - performance.now())
  const record = memberNamed(present.membership, name)
  if (isNode(record)) await refuseAskingItself(name, options, endMs)
  const plan = planChange(present, { remove: name }, options)
  const outcome = await carryOut(plan, options, endMs)
  printOutcome(plan, outcome, options.json)
  if (isNode(record)) hintAtGateway(name, plan.after)
}

/** It stops as soon as it knows, and could not say whether the change became final. */
async function refuseAskingItself(name: string, options: ChangeOptions, endMs: number): Promise<void> {
  const reply = await askUntil(options, 'node.status', () => ({}), endMs - performance.now())
  const asked = readReply(reply, (value) => shortText(object(value, 'The status').name, '"name"'))
  if (asked !== name) return
  throw new CliError(
    'usage',
    `${options.rpc} is ${name} itself, which will stop. Give --rpc of another node.`,
  )
}

function hintAtGateway(name: string, { members }: Membership): void {
  const gateway = gatewayName(name)
  if (!members.some((member) => member.name === gateway)) return
  tell(`\nThe key of its gateway may still sign entries. To end that: qat member remove ${gateway}`)
}
