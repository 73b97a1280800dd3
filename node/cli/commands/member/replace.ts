/** `qat member replace`: another record for a member: new keys, addresses, patterns, team. */
import type { Command } from 'commander'
import { isNode } from '../../../../src/ledger/membership.ts'
import { type ChangeOptions, putRecord, withChangeOptions } from '../../member/carry-out.ts'
import { readRecord } from '../../member/change-file.ts'
import { memberNamed, withKind } from '../../member/plan.ts'
import { presentMembers } from '../../member/present.ts'

const EXAMPLES = `
Examples:
  qat member replace n4.json --admin-key admin.key       a node that moved: see "qat member record"
  qat member replace ci.json --admin-key admin.key       a submitter's new key or patterns

FILE is the whole new record under the same name. A validator stays a validator and a learner a learner. For new
keys of a node, "qat rotate" makes the keys and the record.
`

export function addReplaceCommand(member: Command): void {
  const command = member
    .command('replace')
    .argument('<file>', 'the new member record')
    .description("change a member's keys, addresses or patterns")
  withChangeOptions(command)
    .addHelpText('after', EXAMPLES)
    .action(async (file: string, _options, self: Command) =>
      replace(file, self.optsWithGlobals<ChangeOptions>()),
    )
}

async function replace(file: string, options: ChangeOptions): Promise<void> {
  const endMs = performance.now() + 1_000 * options.timeout
  const record = await readRecord(file)
  const present = await presentMembers(options, endMs - performance.now())
  const before = memberNamed(present.membership, record.name)
  const put = isNode(before) ? withKind(record, before.kind) : record
  await putRecord(present, put, options, options, endMs)
}
