/** `qat member sign`: a further admin's signature on a change that another one made. */
import type { Command } from 'commander'
import { keyId } from '../../../../src/crypto/keys.ts'
import { confirm } from '../../confirm.ts'
import { adminKeyOption, openAdmins, tell } from '../../member/carry-out.ts'
import { addSignature, readChangeFile, writeChangeFile } from '../../member/change-file.ts'
import { checkPeer } from '../../member/peer-check.ts'
import { presentMembers } from '../../member/present.ts'
import { changeText } from '../../member/words.ts'
import { type RpcOptions, rpcOption } from '../../options.ts'
import { counted, printJson, printText } from '../../output.ts'
import { openSigner } from '../../sign-input.ts'

interface Options extends RpcOptions {
  readonly adminKey: readonly string[]
  readonly yes?: true
}

const EXAMPLES = `
Examples:
  qat member sign change.json --admin-key bella.key --rpc http://n1.example:8480
  qat member sign change.json --admin-key bella.key

Says in plain words what the change does, and adds the signature to the file. With --rpc (or QAT_RPC) it is held
against the members in force; without, it says only what the change itself says, and needs no network.
`

export function addSignCommand(member: Command): void {
  member
    .command('sign')
    .argument('<file>', 'the change, as --out wrote it')
    .description("add an admin's signature to a change")
    .addOption(rpcOption())
    .addOption(adminKeyOption().makeOptionMandatory())
    .option('--yes', 'do not ask; only a terminal is asked')
    .addHelpText('after', EXAMPLES)
    .action(async (file: string, _options, self: Command) => {
      const online = self.getOptionValueSource('rpc') !== 'default'
      await sign(file, self.optsWithGlobals<Options>(), online)
    })
}

const QUESTION_MS = 10_000

async function sign(file: string, options: Options, online: boolean): Promise<void> {
  const { adminKey, json, yes } = options
  const { entry, change } = await readChangeFile(file)
  await checkPeer(change.what)
  const membership = online ? (await presentMembers(options, QUESTION_MS)).membership : undefined
  const signers = membership
    ? await openAdmins(adminKey, membership)
    : await Promise.all(adminKey.map((path) => openSigner(path)))
  tell(changeText(change, membership))
  if (!membership) tell('\nIt was not held against the members in force: that takes --rpc.')
  if (!yes) await confirm('\nSign this change?')
  let signed = entry
  for (const signer of signers) signed = await addSignature(signed, signer)
  await writeChangeFile(file, signed, true)
  const signatures = signed.envelope.signatures.length
  const keyids = signers.map(({ publicKey }) => keyId(publicKey))
  if (json) printJson({ file, sequence: change.sequence, keyids, signatures })
  else {
    printText(
      `\nSigned by ${keyids.join(', ')}; ${file} has ${counted(signatures, 'signature')} now.\n` +
        `When there are enough: qat member submit ${file}`,
    )
  }
}
