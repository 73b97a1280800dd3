/** `qat verify`: whether a proof convinces, and of what. Needs no node and no network. */
import { join } from 'node:path'
import type { Command } from 'commander'
import { decodeEnvelope } from '../../../src/ledger/dsse.ts'
import { BUNDLE_FILES } from '../../../src/light/bundle.ts'
import { type Proven, verifyBundle } from '../../../src/light/verify.ts'
import { opensslSuite } from '../../crypto/openssl.ts'
import { readBundleFolder } from '../bundle-folder.ts'
import { claimLines } from '../entry-text.ts'
import { CliError } from '../exit.ts'
import { changeDeed } from '../member/words.ts'
import type { GlobalOptions } from '../options.ts'
import { factSheet, printJson, printText } from '../output.ts'
import { recordText } from '../record-text.ts'
import { spellTime } from '../spell-time.ts'
import { readKeys } from '../submitter-keys.ts'

interface Options extends GlobalOptions {
  readonly policy?: string
  readonly keys?: string
}

const EXAMPLES = `
Examples:
  qat verify evidence --policy policy
  qat verify evidence --policy policy --keys team.jwk --json

DIR holds ${BUNDLE_FILES.entry}, ${BUNDLE_FILES.proof} and ${BUNDLE_FILES.policy}, as "qat prove" wrote them, and ${BUNDLE_FILES.updates} if
members have changed since the policy for which it was made.
Give by --policy the policy file that you have from whom you trust: a policy that came with the proof says only
that the proof agrees with itself. --keys takes the submitters' public keys (a JWK, a list or set of JWKs, or
PEM); the submitter's signature is then checked as well.
`

/** How a proof fails that was made under later members than the policy knows. */
const OF_ANOTHER_POLICY: ReadonlySet<string> = new Set(['quorum-not-met', 'no-log-signature'])
const NO_UPDATES =
  ' If members have changed since that policy was written, have the proof made for it: qat prove ID --policy FILE.'

export function addVerifyCommand(program: Command): void {
  program
    .command('verify')
    .argument('<dir>', 'folder of the proof')
    .description('verify a proof offline')
    .option('--policy <file>', 'the policy to trust, instead of the one in the folder')
    .option('--keys <file>', "check the submitter's signature against these public keys")
    .addHelpText('after', EXAMPLES)
    .action(async (dir: string, _options, command: Command) =>
      verify(dir, command.optsWithGlobals<Options>()),
    )
}

async function verify(dir: string, { policy, keys: keysPath, json }: Options): Promise<void> {
  const keys = keysPath === undefined ? undefined : await readKeys(keysPath)
  const bundle = await readBundleFolder(dir, policy)
  const verdict = await verifyBundle(opensslSuite, bundle, keys && { keys, requireKnownKey: true })
  if (!verdict.ok) {
    const { code: step, reason } = verdict
    const hint = OF_ANOTHER_POLICY.has(step) && policy !== undefined && !bundle.updates ? NO_UPDATES : ''
    throw new CliError('verification-failed', `The proof in ${dir} does not hold. ${reason}${hint}`, { step })
  }
  const { origin: ledger, leafHash: id, claims: events, ...proven } = verdict.proves
  const policyFile = policy ?? join(dir, BUNDLE_FILES.policy)
  const policyFromBundle = policy === undefined
  if (json) printJson({ ok: true, ledger, id, ...proven, events, policy: policyFile, policyFromBundle })
  else {
    const record = recordText(decodeEnvelope(bundle.entry))?.line
    printText(verdictText(verdict.proves, record, policyFromBundle ? policyFile : undefined))
  }
}

/**
 * `record` says what the leaf is if it is one of the ledger's own; `bundledPolicy` is the file of a policy that
 * came with the proof.
 */
function verdictText(proven: Proven, record: string | undefined, bundledPolicy: string | undefined): string {
  const signed = proven.entrySignature === 'verified'
  const cosigners = proven.cosigners.map(({ name, timestamp }) => `${name} at ${spellTime(timestamp)}`)
  const keys = proven.keyids.join(', ')
  const facts = factSheet([
    ['Ledger', proven.origin],
    ['Entry', proven.leafHash],
    ['Index', `${proven.index}, in a tree of ${proven.size}`],
    ['Recorded', `by ${spellTime(proven.recordedBy)}`],
    ...cosigners.map((cosigner) => ['Cosigned', cosigner] as const),
    [
      proven.kind === 'entry' ? 'Submitter' : 'Signed by',
      `key ${keys} (signature ${signed ? 'verified' : 'not checked: give --keys'})`,
    ],
    ...proven.changes.map((change) => [`Change ${change.sequence}`, changeDeed(change.what)] as const),
    ...(record === undefined ? [] : [['Record', record] as const]),
    ...claimLines(proven).map((line) => ['Event', line] as const),
  ])
  const proves = [
    'exactly this entry stands at this index of this ledger, and nothing before it can be changed;',
    'the cosigners above vouched for that by the times above, in signatures that are quantum-safe (ML-DSA).',
    ...(proven.changes.length > 0
      ? [
          `the members changed as above since the policy was written; each time the validators before certified it.`,
        ]
      : []),
    ...(signed ? ['the holder of the key named above signed the entry.'] : []),
  ]
  const open = [
    'that what the event says is true: only that it was said.',
    ...(signed
      ? []
      : ["that the named key signed it: the ledger's validators checked that, this command did not."]),
    ...(bundledPolicy !== undefined
      ? [
          `that ${bundledPolicy} is the ledger's policy: it came with the proof. Give one that you trust by --policy.`,
        ]
      : []),
  ]
  return `VERIFIED\n\n${facts}\n\nIt proves:\n${bullets(proves)}\n\nIt does not prove:\n${bullets(open)}`
}

const bullets = (lines: readonly string[]) => lines.map((line) => `  - ${line}`).join('\n')
