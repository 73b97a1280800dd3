/** `qat member promote`: makes a learner that has caught up a validator. */
import type { Command } from 'commander'
import { RefusedError } from '../../../../src/errors.ts'
import { isNode } from '../../../../src/ledger/membership.ts'
import { type ChangeOptions, putRecord, withChangeOptions } from '../../member/carry-out.ts'
import { memberNamed } from '../../member/plan.ts'
import { presentMembers } from '../../member/present.ts'

const EXAMPLES = `
Examples:
  qat member promote n5 --admin-key admin.key
  qat member promote n5 --admin-key admin.key --cosigners 4

The cluster refuses a learner that has not caught up; the command tries again until --timeout.
`

export function addPromoteCommand(member: Command): void {
  const command = member
    .command('promote')
    .argument('<name>', 'name of the learner')
    .description('make a learner a validator')
  withChangeOptions(command)
    .addHelpText('after', EXAMPLES)
    .action(async (name: string, _options, self: Command) =>
      promote(name, self.optsWithGlobals<ChangeOptions>()),
    )
}

async function promote(name: string, options: ChangeOptions): Promise<void> {
  const endMs = performance.now() + 1_000 * options.timeout
  const present = await presentMembers(options, endMs - performance.now())
  const record = memberNamed(present.membership, name)
  if (!isNode(record)) {
    const article = record.kind === 'admin' ? 'an' : 'a'
    throw new RefusedError(
      'bad-change',
      `${name} is ${article} ${record.kind}; only a learner can be promoted.`,
    )
  }
  await putRecord(present, { ...record, kind: 'validator' }, options, options, endMs)
}
