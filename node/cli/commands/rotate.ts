/** `qat rotate`: new keys for a node, which goes on with the old ones until the change to the new is certified. */
import type { Command } from 'commander'
import { keyId } from '../../../src/crypto/keys.ts'
import { RefusedError } from '../../../src/errors.ts'
import type { NodeMember } from '../../../src/ledger/member.ts'
import { isNode } from '../../../src/ledger/membership.ts'
import { type ChangeOptions, carryOut, printOutcome, withChangeOptions } from '../member/carry-out.ts'
import { memberNamed, planChange } from '../member/plan.ts'
import { presentMembers } from '../member/present.ts'
import { factSheet, printJson, printText } from '../output.ts'
import { folderPassphrase } from '../passphrase.ts'

type Options = Omit<ChangeOptions, 'adminKey'> & {
  readonly dir: string
  readonly adminKey?: readonly string[]
}

const EXAMPLES = `
Examples:
  qat rotate --dir ledger/charlie --admin-key admin.key
  qat rotate --dir ledger/charlie                          makes the keys and the record for an admin

New keys go into DIR/next, and the record that names them into DIR/next/member.json. Once the change is certified,
the running node moves them into place and starts again with them; the old keys are gone then, or in DIR/spent if the
node's store may have forgotten what they signed. Make a copy of the folder afterwards, not before. A command that
was interrupted goes on with the keys it had made, as it does with those that a node, "qat restore" or "qat fsck
--repair" has prepared.
`

export function addRotateCommand(program: Command): void {
  const command = program
    .command('rotate')
    .description('give a node new keys')
    .requiredOption('--dir <dir>', 'folder of the node')
  withChangeOptions(command, { keyNeeded: false })
    .addHelpText('after', EXAMPLES)
    .action(async (_options, self: Command) => rotate(self.optsWithGlobals<Options>()))
}

async function rotate(options: Options): Promise<void> {
  const { dir, adminKey, json } = options
  const endMs = performance.now() + 1_000 * options.timeout
  const passphrase = await folderPassphrase(dir)
  const { readNodeFolder } = await import('../../folder.ts')
  const { prepareNewKeys } = await import('../../new-keys.ts') // large, and of no use to the others
  const { config } = await readNodeFolder(dir)
  const present = await presentMembers(options, endMs - performance.now())
  const before = memberNamed(present.membership, config.name)
  if (!isNode(before)) throw new RefusedError('bad-change', `${config.name} is a ${before.kind}, not a node.`)
  const { record: put, path } = await prepareNewKeys(dir, before, passphrase)
  if (adminKey === undefined) return printRecord(path, put, json)
  const plan = planChange(present, { put }, options)
  printOutcome(plan, await carryOut(plan, { ...options, adminKey }, endMs), json)
}

function printRecord(path: string, { name, nodeKey, cosignerKey }: NodeMember, json = false): void {
  const keys = { nodeKey: keyId(nodeKey), cosignerKey: keyId(cosignerKey) }
  if (json) {
    printJson({ name, record: path, ...keys })
    return
  }
  const facts = factSheet([
    ['Node key', keys.nodeKey],
    ['Cosigner key', keys.cosignerKey],
    ['Record', path],
  ])
  printText(`${facts}\n\nNext: an admin compares the keys, and: qat member replace ${path} --admin-key KEY`)
}
