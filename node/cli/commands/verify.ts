/** `qat verify`: whether a proof convinces, and of what. Needs no node and no network. */
import { join } from 'node:path'
import type { Command } from 'commander'
import { BUNDLE_FILES, type Bundle } from '../../../src/light/bundle.ts'
import { type Proven, verifyBundle } from '../../../src/light/verify.ts'
import { opensslSuite } from '../../crypto/openssl.ts'
import { readBundleFolder } from '../bundle-folder.ts'
import { claimLines, type EntrySummary, summarizeBytes } from '../entry-text.ts'
import { CliError } from '../exit.ts'
import type { GlobalOptions } from '../options.ts'
import { factSheet, printJson, printText } from '../output.ts'
import { checkSubmitter, readKeys } from '../submitter-keys.ts'

interface Options extends GlobalOptions {
  readonly policy?: string
  readonly keys?: string
}

const EXAMPLES = `
Examples:
  qat verify evidence --policy policy
  qat verify evidence --policy policy --keys team.jwk --json

DIR holds ${Object.values(BUNDLE_FILES).join(', ')}, as "qat prove" wrote them.
Give by --policy the policy file that you have from whom you trust: a policy that came with the proof says only
that the proof agrees with itself. --keys takes the submitters' public keys (a JWK, a list or set of JWKs, or
PEM); the submitter's signature is then checked as well.
`

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

async function verify(dir: string, { policy, keys, json }: Options): Promise<void> {
  const known = keys === undefined ? undefined : await readKeys(keys)
  const bundle = await readBundleFolder(dir, policy)
  const verdict = await verifyBundle(opensslSuite, bundle)
  if (!verdict.ok) {
    const { code: step, reason } = verdict
    throw new CliError('verification-failed', `The proof in ${dir} does not hold. ${reason}`, { step })
  }
  const summary = summarize(bundle)
  const signed = known && (await checkSubmitter(bundle.entry, known))
  const trust = { policy: policy ?? join(dir, BUNDLE_FILES.policy), policyFromBundle: policy === undefined }
  if (json) {
    const { origin: ledger, leafHash: id, ...proven } = verdict.proves
    const { keyids, claims: events } = summary
    printJson({
      ok: true,
      ledger,
      id,
      ...proven,
      keyids,
      signatureChecked: signed === true,
      events,
      ...trust,
    })
  } else printText(verdictText(verdict.proves, summary, signed === true, trust))
}

function summarize({ entry }: Bundle): EntrySummary {
  return summarizeBytes(entry)
}

function verdictText(
  proven: Proven,
  summary: EntrySummary,
  signed: boolean,
  { policy, policyFromBundle }: { policy: string; policyFromBundle: boolean },
): string {
  const cosigners = proven.cosigners.map(({ name, timestamp }) => `${name} at ${utc(timestamp)}`)
  const keys = summary.keyids.join(', ')
  const facts = factSheet([
    ['Ledger', proven.origin],
    ['Entry', proven.leafHash],
    ['Index', `${proven.index}, in a tree of ${proven.size}`],
    ['Recorded', `by ${utc(proven.recordedBy)}`],
    ...cosigners.map((cosigner) => ['Cosigned', cosigner] as const),
    ['Submitter', `key ${keys} (signature ${signed ? 'verified' : 'not checked: give --keys'})`],
    ...claimLines(summary).map((line) => ['Event', line] as const),
  ])
  const proves = [
    'exactly this entry stands at this index of this ledger, and nothing before it can be changed;',
    'the cosigners above vouched for that by the times above, in signatures that are quantum-safe (ML-DSA).',
    ...(signed ? ['the holder of the key named above signed the entry.'] : []),
  ]
  const open = [
    'that what the event says is true: only that it was said.',
    ...(signed
      ? []
      : ["that the named key signed it: the ledger's validators checked that, this command did not."]),
    ...(policyFromBundle
      ? [
          `that ${policy} is the ledger's policy: it came with the proof. Give one that you trust by --policy.`,
        ]
      : []),
  ]
  return `VERIFIED\n\n${facts}\n\nIt proves:\n${bullets(proves)}\n\nIt does not prove:\n${bullets(open)}`
}

const bullets = (lines: readonly string[]) => lines.map((line) => `  - ${line}`).join('\n')

/** Seconds since 1970, as people write them. */
function utc(seconds: number): string {
  return `${new Date(1_000 * seconds).toISOString().slice(0, 19)}Z`
}
