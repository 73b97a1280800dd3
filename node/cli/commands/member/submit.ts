/** `qat member submit`: brings a change that enough admins have signed to the ledger. */
import type { Command } from 'commander'
import { RefusedError } from '../../../../src/errors.ts'
import { adminsOf, applyChange } from '../../../../src/ledger/change.ts'
import { signatureCheck, verifyAll } from '../../../../src/ledger/entry.ts'
import { opensslSuite } from '../../../crypto/openssl.ts'
import { printOutcome, submitChange, tell } from '../../member/carry-out.ts'
import { readChangeFile, type SignedChange } from '../../member/change-file.ts'
import { type Present, presentMembers } from '../../member/present.ts'
import { changeText } from '../../member/words.ts'
import { type RpcOptions, rpcOption, timeoutOption } from '../../options.ts'

interface Options extends RpcOptions {
  readonly timeout: number
}

const EXAMPLES = `
Examples:
  qat member submit change.json
  qat member submit change.json --rpc http://10.0.0.7:8480 --json

Returns once the change is final. It is in force from the next block on.
`

export function addSubmitCommand(member: Command): void {
  member
    .command('submit')
    .argument('<file>', 'the change, signed by enough admins')
    .description('submit a signed change')
    .addOption(rpcOption())
    .addOption(timeoutOption(60))
    .addHelpText('after', EXAMPLES)
    .action(async (file: string, _options, self: Command) => submit(file, self.optsWithGlobals<Options>()))
}

async function submit(file: string, options: Options): Promise<void> {
  const endMs = performance.now() + 1_000 * options.timeout
  const signed = await readChangeFile(file)
  const present = await presentMembers(options, endMs - performance.now())
  // A change that is in force already is left to the node to recognise.
  if (signed.change.sequence > present.membership.sequence) {
    await check(signed, present)
    tell(changeText(signed.change, present.membership))
  }
  const submitted = await submitChange(options, signed.entry, options.timeout, endMs)
  printOutcome(signed, { submitted }, options.json)
}

/** What the node would refuse, said before it is asked. */
async function check({ entry, change }: SignedChange, { ledger, membership }: Present): Promise<void> {
  if (change.ledger !== ledger) {
    throw new RefusedError('wrong-ledger', `The change is for ${change.ledger}; this node serves ${ledger}.`)
  }
  applyChange(membership, change)
  for (const [i, admin] of adminsOf(membership, entry.envelope).entries()) {
    if (await verifyAll(opensslSuite, [signatureCheck(entry.envelope, i, admin.key)])) continue
    throw new RefusedError(
      'bad-signature',
      `The signature of ${admin.name} does not verify. Have it signed again.`,
    )
  }
}
