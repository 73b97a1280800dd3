/** `qat prove`: the evidence for one entry, checked before it is handed over. */
import type { Command } from 'commander'
import { utf8 } from '../../../src/bytes.ts'
import { BUNDLE_FILES, type Bundle, bundleFromTexts } from '../../../src/light/bundle.ts'
import { policySequence } from '../../../src/light/next-policy.ts'
import { encodePolicyUpdates } from '../../../src/light/updates.ts'
import { type Proven, verifyBundle } from '../../../src/light/verify.ts'
import { parseCheckpoint } from '../../../src/notes/checkpoint.ts'
import { parseNote } from '../../../src/notes/note.ts'
import { printPolicy } from '../../../src/notes/policy.ts'
import { parseTlogProof } from '../../../src/notes/tlog-proof.ts'
import { opensslSuite } from '../../crypto/openssl.ts'
import { filesOf, refuseFilled, writeBundleFolder } from '../bundle-folder.ts'
import { CliError } from '../exit.ts'
import { type RpcOptions, rpcOption, timeoutOption } from '../options.ts'
import { factSheet, printJson, printText } from '../output.ts'
import { readFollowingPolicy, walkPolicy } from '../policy-walk.ts'
import { bundleTexts, entryView, readReply } from '../replies.ts'
import { ask, follow } from '../rpc.ts'
import { entryName } from './get.ts'

interface Options extends RpcOptions {
  readonly out: string
  readonly policy?: string
  readonly timeout: number
}

const EXAMPLES = `
Examples:
  qat prove 42 --out evidence
  qat prove 42 --out evidence --policy policy
  qat verify evidence --policy policy

Writes ${BUNDLE_FILES.entry}, ${BUNDLE_FILES.proof}, ${BUNDLE_FILES.records} (when it was recorded, and who sent it)
and ${BUNDLE_FILES.policy}. They verify offline, for ever. If members have changed since the verifier's policy was
written, give that policy by --policy: ${BUNDLE_FILES.updates} then holds what leads from it to the policy of the proof.
`

export function addProveCommand(program: Command): void {
  program
    .command('prove')
    .argument('<id>', 'id of the entry (64 hex digits) or its index')
    .description('fetch the proof of one entry')
    .addOption(rpcOption())
    .requiredOption('--out <dir>', 'a new folder for the proof')
    .option('--policy <file>', 'prove it to whoever trusts this policy, also if members have changed since')
    .addOption(timeoutOption(30))
    .addHelpText('after', EXAMPLES)
    .action(async (id: string, _options, command: Command) => prove(id, command.optsWithGlobals<Options>()))
}

async function prove(spelled: string, options: Options): Promise<void> {
  const name = entryName(spelled)
  await refuseFilled(options.out)
  const trusted = options.policy === undefined ? undefined : await readFollowingPolicy(options.policy)
  const { id } = readReply(await ask(options, 'entry.get', name), entryView)
  await untilFinal(id, options)
  const since = trusted && policySequence(trusted)
  const asked = { id, ...(since !== undefined && { since }) }
  const files = readReply(await ask(options, 'entry.prove', asked), bundleTexts)
  // Asked for after the proof, so that no change is missing.
  const walk = trusted && (await walkPolicy(options, trusted))
  const updates = walk?.updates.filter(({ size }) => size < treeOf(files.proof)) ?? []
  const bundle = {
    ...bundleFromTexts(files),
    ...(updates.length > 0 && { updates: encodePolicyUpdates(updates) }),
  }
  let proven: Proven | undefined
  await writeBundleFolder(options.out, bundle, async (written) => {
    proven = await check(id, written)
    if (trusted) await check(id, { ...written, policy: utf8(printPolicy(trusted)) })
  })
  if (options.json) {
    printJson({ id, dir: options.out, files: filesOf(bundle), index: proven?.index })
  } else {
    const files = filesOf(bundle).join(', ')
    const sheet = factSheet([
      ['Ledger', proven?.origin],
      ['Entry', id],
      ['Index', proven?.index],
      ['Proof', `${options.out} (${files})`],
    ])
    printText(`${sheet}\n\n${nextStep(options)}`)
  }
}

/** How many leaves the tree of a proof has. What cannot be read is refused when it is verified. */
function treeOf(proof: string): number {
  try {
    return parseCheckpoint(parseNote(parseTlogProof(proof).checkpoint).text).size
  } catch {
    return 0
  }
}

/** The node's own policy vouches for nothing: a verifier needs one from somebody it trusts. */
function nextStep({ out, policy }: Options): string {
  if (policy !== undefined) {
    return `It was verified as written, by ${policy}. To verify it again, offline: qat verify ${out} --policy ${policy}`
  }
  return `The files agree with each other. Only a policy that you have from somebody you trust shows that they are this ledger's;
the one beside the proof vouches for nothing. To verify it, offline: qat verify ${out} --policy FILE`
}

async function untilFinal(id: string, options: Options): Promise<void> {
  const endMs = performance.now() + 1_000 * options.timeout
  const latest = await follow(options, { id, status: 'pending' }, 'final', endMs)
  if (latest.status === 'final') return
  const message = `Entry ${id} is ${latest.status}, not yet final, after ${options.timeout} s: there is no proof yet.`
  throw new CliError('timed-out', message, { ...latest })
}

async function check(id: string, bundle: Bundle): Promise<Proven> {
  const verdict = await verifyBundle(opensslSuite, bundle, { now: Date.now() })
  const why = verdict.ok ? 'It proves another entry.' : verdict.reason
  if (verdict.ok && verdict.proves.leafHash === id) return verdict.proves
  throw new CliError('verification-failed', `The node's proof does not verify: ${why}`, { id })
}
