/** `qat member list`: the members and quorums in force. */
import type { Command } from 'commander'
import { keyId } from '../../../../src/crypto/keys.ts'
import type { Member } from '../../../../src/ledger/member.ts'
import { isNode } from '../../../../src/ledger/membership.ts'
import { presentFromJson } from '../../member/present.ts'
import { cosignersText } from '../../member/words.ts'
import { type RpcOptions, rpcOption } from '../../options.ts'
import { factSheet, printJson, printText, table } from '../../output.ts'
import { readReply } from '../../replies.ts'
import { ask } from '../../rpc.ts'

const EXAMPLES = `
Examples:
  qat member list
  qat member list --rpc http://10.0.0.7:8480 --json

With --json, the whole member records. It is what the node says: what is proved stands in the policy.
`

export function addListCommand(member: Command): void {
  member
    .command('list')
    .description('show the members and quorums in force')
    .addOption(rpcOption())
    .addHelpText('after', EXAMPLES)
    .action(async (_options, command: Command) => list(command.optsWithGlobals<RpcOptions>()))
}

const COLUMNS = ['NAME', 'KIND', 'TEAM', 'KEY', 'REACHED AT, OR MAY LOG'] as const

async function list(options: RpcOptions): Promise<void> {
  const reply = await ask(options, 'membership.get')
  const { ledger, membership } = readReply(reply, presentFromJson)
  if (options.json) {
    printJson(reply)
    return
  }
  const { sequence, adminQuorum, validators, learners, admins, submitters } = membership
  const facts = factSheet([
    ['Ledger', ledger],
    ['Changes', sequence],
    ['Cosigners', cosignersText(membership)],
    ['Admins', `${adminQuorum} of ${admins.length} must sign a change`],
  ])
  const rows = [...validators, ...learners, ...admins, ...submitters].map(cells)
  printText(`${facts}\n\n${table(COLUMNS, rows)}`)
}

function cells(member: Member): string[] {
  const { name, kind, team } = member
  const key = keyId(isNode(member) ? member.nodeKey : member.key)
  return [name, kind, team, key, about(member)]
}

function about(member: Member): string {
  if (isNode(member)) return [...member.addresses, member.url].join(' ')
  if (member.kind === 'admin') return '-'
  return `${member.types.join(' ')} from ${member.sources.join(' ')}`
}
