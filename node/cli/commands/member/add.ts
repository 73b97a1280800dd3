/** `qat member add`: admits a member; a node first as a learner, then, once it has caught up, as a validator. */
import type { Command } from 'commander'
import { equalBytes } from '../../../../src/bytes.ts'
import { RefusedError } from '../../../../src/errors.ts'
import { encodeMember, type Member } from '../../../../src/ledger/member.ts'
import { isNode } from '../../../../src/ledger/membership.ts'
import { type ChangeOptions, putRecord, withChangeOptions } from '../../member/carry-out.ts'
import { untilCaughtUp } from '../../member/catch-up.ts'
import { readRecord } from '../../member/change-file.ts'
import { withKind } from '../../member/plan.ts'
import { presentMembers } from '../../member/present.ts'

interface Options extends ChangeOptions {
  readonly learnerOnly?: true
}

const EXAMPLES = `
Examples:
  qat member add n5/member.json --admin-key admin.key
  qat member add ci.json --admin-key admin.key
  qat member add bella.json --admin-key admin.key --admin-quorum 2

FILE is a member record: "qat join" makes that of a node, "qat member record" all others. A node is admitted as
a learner; start it, and this command waits until it has caught up and makes it a validator. That is a second
change: with --learner-only or --out, "qat member promote" makes it. Interrupted, the command goes on where it was;
where all is done, it says so and ends with 0.
`

/** A learner may have years to fetch. */
const TIMEOUT_SECONDS = 600

export function addAddCommand(member: Command): void {
  const command = member
    .command('add')
    .argument('<file>', 'the member record')
    .description('admit a node, a submitter or an admin')
  withChangeOptions(command, { timeoutSeconds: TIMEOUT_SECONDS })
    .option('--learner-only', 'leave a node a learner')
    .addHelpText('after', EXAMPLES)
    .action(async (file: string, _options, self: Command) => add(file, self.optsWithGlobals<Options>()))
}

async function add(file: string, options: Options): Promise<void> {
  const endMs = performance.now() + 1_000 * options.timeout
  const record = withKind(await readRecord(file), 'learner')
  const present = await presentMembers(options, endMs - performance.now())
  const before = present.membership.members.find(({ name }) => name === record.name)
  const becomesValidator = isNode(record) && !options.learnerOnly && options.out === undefined
  const whole: Member = becomesValidator ? { ...record, kind: 'validator' } : record
  if (before && !isSame(before, record) && !isSame(before, whole)) throw taken(before)
  const { adminQuorum, cosigners } = options
  // Cosigners that are asked for count from the promotion on: the learner does not change who cosigns.
  const wanted = { ...(adminQuorum && { adminQuorum }), ...(!becomesValidator && cosigners && { cosigners }) }
  const admitted = before !== undefined && becomesValidator
  if (!admitted) await putRecord(present, record, options, wanted, endMs)
  if (!becomesValidator || options.dryRun) return
  // Who has agreed to the first change has agreed to what it was for.
  const agreed: Options = admitted ? options : { ...options, yes: true }
  if (before?.kind !== 'validator') await untilCaughtUp(options, record.name, options.timeout, endMs)
  const later = await presentMembers(options, endMs - performance.now())
  await putRecord(later, whole, agreed, { ...(cosigners && { cosigners }) }, endMs)
}

function isSame(one: Member, other: Member): boolean {
  return equalBytes(encodeMember(one), encodeMember(other))
}

function taken({ name, kind }: Member): RefusedError {
  const article = kind === 'admin' ? 'an' : 'a'
  return new RefusedError(
    'bad-change',
    `${name} is ${article} ${kind} already. To change its record: qat member replace FILE`,
  )
}
