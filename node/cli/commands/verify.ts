/** `qat verify`: whether a proof convinces, and of what. Needs no node and no network. */
import { join } from 'node:path'
import type { Command } from 'commander'
import { parseExactJson } from '../../../src/exact-json.ts'
import { formatInstant, type Json } from '../../../src/json.ts'
import { decodeEnvelope } from '../../../src/ledger/dsse.ts'
import { PAYLOAD_TYPES } from '../../../src/ledger/payload-types.ts'
import { BUNDLE_FILES } from '../../../src/light/bundle.ts'
import { type Proven, verifyBundle } from '../../../src/light/verify.ts'
import { ENTRY_BYTES_MAX } from '../../../src/limits.ts'
import type { Cosigner } from '../../../src/notes/certificate.ts'
import { spellTime } from '../../../src/notes/time.ts'
import { opensslSuite } from '../../crypto/openssl.ts'
import { bundlePaths, readBundleFolder } from '../bundle-folder.ts'
import { claimLines, payloadText, senderLines, sendersIn } from '../entry-text.ts'
import { CliError } from '../exit.ts'
import { isAbsent, isSameFile } from '../files.ts'
import { changeDeed } from '../member/words.ts'
import type { GlobalOptions } from '../options.ts'
import { counted, factSheet, printJson, printText } from '../output.ts'
import { recordText } from '../record-text.ts'
import { readKeys } from '../submitter-keys.ts'

interface Options extends GlobalOptions {
  readonly policy?: string
  readonly keys?: string
}

const EXAMPLES = `
Examples:
  qat verify evidence --policy policy
  qat verify evidence --policy policy --keys team.jwk --json

DIR is the folder that "qat prove" wrote. What the event says, when it was recorded, who submitted it and who sent it
are shown; the payload whole with --json.
Give by --policy the ledger's policy file that you have from somebody you trust. Anybody can make a ledger of any name,
and a folder in which all files agree: without --policy, or with the policy that lies in DIR, nothing is verified.
The submitter's signature is checked by the ledger's record of its key, which is a part of the proof. To accept only
submitters that you know, give their public keys by --keys: a JWK, a list or set of JWKs, PEM, or what
"qat member list --json" prints.

Exit codes: 0 verified; 1 the proof is false; 5 a file is missing, damaged or not in its format, and nothing was judged;
6 no policy that you trust was given, and nothing is verified.
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
    .option('--policy <file>', "the ledger's policy, from somebody you trust; not the one in DIR")
    .option('--keys <file>', 'accept only an entry that one of these public keys has signed')
    .addHelpText('after', EXAMPLES)
    .action(async (dir: string, _options, command: Command) =>
      verify(dir, command.optsWithGlobals<Options>()),
    )
}

async function verify(dir: string, { policy, keys: keysPath, json }: Options): Promise<void> {
  const keys = keysPath === undefined ? undefined : await readKeys(keysPath)
  const own = join(dir, BUNDLE_FILES.policy)
  const isTrusted = policy !== undefined && !(await isSameFile(policy, own))
  const files = { ...bundlePaths(dir), policy: policy ?? own }
  const bundle = await readBundleFolder(dir, files.policy).catch((error: unknown) => {
    const isAway = error instanceof CliError && error.facts.path === own && isAbsent(error.cause)
    throw isAway ? notTrusted(dir, 'No policy was given, and none lies beside the proof.') : error
  })
  const verdict = await verifyBundle(opensslSuite, bundle, {
    now: Date.now(),
    ...(keys && { keys, requireKnownKey: true }),
  })
  if (!verdict.ok) {
    const { code: step, reason, part } = verdict
    if (part) {
      const path = files[part]
      throw new CliError('file', `${path} is not usable: ${reason} Nothing was judged.`, { path, step })
    }
    const hint = OF_ANOTHER_POLICY.has(step) && isTrusted && !bundle.updates ? NO_UPDATES : ''
    throw new CliError('verification-failed', `The proof in ${dir} does not hold. ${reason}${hint}`, { step })
  }
  const { origin: ledger, leafHash: id, claims, ...proven } = verdict.proves
  if (!isTrusted) {
    const agree = 'The files agree with each other, but the policy among them came with the proof.'
    throw notTrusted(dir, agree, ledger)
  }
  const { payload: bytes } = decodeEnvelope(bundle.entry)
  const payload = parseExactJson(bytes, ENTRY_BYTES_MAX)
  if (json) {
    const { recorded } = proven
    const senders = sendersIn(payload)
    printJson({
      ok: true,
      ledger,
      id,
      ...proven,
      ...(recorded && { recorded: { ...recorded, time: formatInstant(recorded.time) } }),
      events: claims.map((claim, i) => ({
        ...claim,
        ...(proven.payloadType === PAYLOAD_TYPES.inToto ? {} : senders[i]),
      })),
      payload,
      policy: files.policy,
    })
  } else printText(verdictText(verdict.proves, payload, recordText(decodeEnvelope(bundle.entry))?.line))
}

/** Whether a policy vouches for the proof is not for the proof to say. */
function notTrusted(dir: string, why: string, ledger?: string): CliError {
  const whose = ledger === undefined ? 'of the ledger' : `of the ledger ${ledger}`
  const message = `Nothing is verified. ${why} Anybody can make such a folder. Take the policy ${whose} from somebody you trust, and run: qat verify ${dir} --policy FILE`
  return new CliError('no-trusted-policy', message, { dir, ...(ledger !== undefined && { ledger }) })
}

/** `record` says what the leaf is if it is one of the ledger's own. */
function verdictText(proven: Proven, payload: Json, record: string | undefined): string {
  const signed = proven.entrySignature === 'verified'
  const timed = ({ name, timestamp }: Cosigner) => `${name} at ${spellTime(timestamp)}`
  const isEntry = proven.kind === 'entry'
  const facts = factSheet([
    ['Ledger', proven.origin],
    ['Entry', proven.leafHash],
    ['Index', `${proven.index}, in a tree of ${proven.size}`],
    ['Recorded', recordedText(proven)],
    ...proven.cosigners.map((cosigner) => ['Cosigned', timed(cosigner)] as const),
    ...proven.misdated.map((line) => ['Left out', `${timed(line)}, which cannot be`] as const),
    [isEntry ? 'Submitter' : 'Signed by', signerText(proven)],
    ...(isEntry
      ? senderLines(payload).map((line) => ['Sent by', `${line}, as the submitter says`] as const)
      : []),
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
  ]
  return [
    `VERIFIED\n\n${facts}`,
    `What was signed (${proven.payloadType}):\n${payloadText(payload)}`,
    `It proves:\n${bullets(proves)}\n\nIt does not prove:\n${bullets(open)}`,
  ].join('\n\n')
}

/** By the seal, which says the same in every proof; without records by the certificate alone, which may be a late one. */
function recordedText({ recorded, recordedBy, cosigners }: Proven): string {
  if (!recorded) return `by ${spellTime(recordedBy)}`
  const { time, height, withinMs } = recorded
  const clocks = cosigners.map(({ name }) => name).join(', ')
  return `at ${formatInstant(time)}, in block ${height}, within ${spellDuration(withinMs)} of the clocks of ${clocks}`
}

/** Rounded up. */
function spellDuration(ms: number): string {
  const seconds = Math.ceil(ms / 1_000)
  if (seconds <= 600) return `${seconds} s`
  const hours = Math.ceil(seconds / 3_600)
  return hours <= 48 ? counted(hours, 'hour') : counted(Math.ceil(hours / 24), 'day')
}

function signerText({ submitter, keyids, entrySignature }: Proven): string {
  const key = `key ${keyids.join(', ')}`
  if (submitter)
    return `${submitter.name}, team ${submitter.team}, by the ledger's record: ${key} (signature verified)`
  return `${key} (signature ${entrySignature === 'verified' ? 'verified' : 'not checked: give --keys'})`
}

const bullets = (lines: readonly string[]) => lines.map((line) => `  - ${line}`).join('\n')
