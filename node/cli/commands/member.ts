/** `qat member`: who may order, sign and administer, and the signed changes by which that becomes otherwise. */
import type { Command } from 'commander'
import { addAddCommand } from './member/add.ts'
import { addListCommand } from './member/list.ts'
import { addPromoteCommand } from './member/promote.ts'
import { addRecordCommand } from './member/record.ts'
import { addRemoveCommand } from './member/remove.ts'
import { addReplaceCommand } from './member/replace.ts'
import { addSignCommand } from './member/sign.ts'
import { addSubmitCommand } from './member/submit.ts'

const EXAMPLES = `
Examples:
  qat member list
  qat member add n5/member.json --admin-key admin.key     a node: as a learner, then as a validator
  qat member remove n2 --admin-key admin.key

Every change is an entry that the admin quorum signs, and is proved like any other. Where several admins must
sign:
  qat member remove n2 --admin-key alice.key --out change.json
  qat member sign change.json --admin-key bella.key
  qat member submit change.json
`

export function addMemberCommand(program: Command): void {
  const member = program
    .command('member')
    .description('see and change the members')
    .helpCommand(false)
    .addHelpText('after', EXAMPLES)
  addListCommand(member)
  addAddCommand(member)
  addPromoteCommand(member)
  addRemoveCommand(member)
  addReplaceCommand(member)
  addRecordCommand(member)
  addSignCommand(member)
  addSubmitCommand(member)
}
