/** Carries a planned change out: says what it does, signs it, and submits it or writes it for others to sign. */
import { type Command, Option } from 'commander'
import { keyId } from '../../../src/crypto/keys.ts'
import type { Signer } from '../../../src/crypto/suite.ts'
import { errorCode, RefusedError } from '../../../src/errors.ts'
import { encodeChange } from '../../../src/ledger/change.ts'
import { type Entry, signEntry } from '../../../src/ledger/entry.ts'
import type { Member } from '../../../src/ledger/member.ts'
import type { Membership, Quorums } from '../../../src/ledger/membership.ts'
import { PAYLOAD_TYPES } from '../../../src/ledger/payload-types.ts'
import { ENVELOPE_SIGNATURES_MAX, VALIDATORS_MAX } from '../../../src/limits.ts'
import type { Submission } from '../../service.ts'
import { confirm } from '../confirm.ts'
import { CliError } from '../exit.ts'
import { type RpcOptions, rpcOption, timeoutOption, wholeNumber } from '../options.ts'
import { counted, factSheet, printJson, printText } from '../output.ts'
import { readReply, submission } from '../replies.ts'
import { ask, askUntil, follow, reached, type Target } from '../rpc.ts'
import { envelopeJson, openSigner } from '../sign-input.ts'
import { writeChangeFile } from './change-file.ts'
import { checkPeer } from './peer-check.ts'
import { isInForce, type Plan, planPut, standstill, warningsOf } from './plan.ts'
import { type Present, presentCluster, presentMembers } from './present.ts'
import { changeText } from './words.ts'

export interface ChangeOptions extends RpcOptions {
  readonly adminKey: readonly string[]
  readonly out?: string
  readonly cosigners?: number
  readonly adminQuorum?: number
  readonly force?: true
  readonly dryRun?: true
  readonly yes?: true
  readonly timeout: number
}

/** The options of every command that makes a change. */
export function withChangeOptions(
  command: Command,
  { timeoutSeconds = 60, keyNeeded = true }: { timeoutSeconds?: number; keyNeeded?: boolean } = {},
): Command {
  return command
    .addOption(rpcOption())
    .addOption(adminKeyOption().makeOptionMandatory(keyNeeded))
    .option('--out <file>', 'write the signed change there, for others to sign, instead of submitting it')
    .option(
      '--cosigners <count>',
      'cosignatures that make an entry final from then on',
      wholeNumber(1, VALIDATORS_MAX),
    )
    .option(
      '--admin-quorum <count>',
      'admins who must sign a change from then on',
      wholeNumber(1, ENVELOPE_SIGNATURES_MAX),
    )
    .option('--force', 'even if the cluster would stand still until offline nodes return')
    .option('--dry-run', 'say what the change does, and neither sign nor send anything')
    .option('--yes', 'do not ask; only a terminal is asked')
    .addOption(timeoutOption(timeoutSeconds))
}

export function adminKeyOption(): Option {
  return new Option('--admin-key <file>', "an admin's private key; repeat for each").argParser(
    (value: string, earlier: readonly string[] | undefined) => [...(earlier ?? []), value],
  )
}

/** Commands print results on standard output; what leads there is told here. */
export function tell(text: string): void {
  process.stderr.write(`${text}\n`)
}

/**
 * What became of a change: submitted, a file that waits for further signatures, nothing because it was only tried, or
 * nothing because what it asks for is in force.
 */
export type Outcome =
  | { readonly submitted: Submission }
  | { readonly dryRun: true }
  | { readonly unchanged: true }
  | { readonly file: string; readonly signatures: number; readonly needed: number }

/** `endMs` is by performance.now. Throws before anything is signed where the change could not be carried out. */
export async function carryOut(plan: Plan, options: ChangeOptions, endMs: number): Promise<Outcome> {
  const { change, before } = plan
  const { out, adminKey, dryRun, yes } = options
  await checkPeer(change.what)
  if (dryRun) {
    await say(plan, options, endMs)
    tell('\nThis was a dry run: nothing was signed and nothing was sent.')
    return { dryRun: true }
  }
  const signers = await openAdmins(adminKey, before)
  const needed = before.adminQuorum
  if (out === undefined && signers.length < needed) {
    throw new RefusedError(
      'not-permitted',
      `This ledger asks ${needed} admins to sign a change, and ${counted(signers.length, 'key')} was given. ` +
        'Write it with --out FILE, let the others "qat member sign" it, then "qat member submit" it.',
    )
  }
  await say(plan, options, endMs)
  const askedMs = performance.now()
  if (!yes) await confirm('\nSign this change?')
  const answeredMs = performance.now() - askedMs // nobody's time to think counts against --timeout
  const entry = await signEntry(PAYLOAD_TYPES.change, encodeChange(change), ...signers)
  if (out !== undefined) {
    await writeChangeFile(out, entry)
    return { file: out, signatures: signers.length, needed }
  }
  tell(
    `\nSigned by ${signers.map(({ publicKey }) => keyId(publicKey)).join(', ')}. Waiting until it is final.`,
  )
  const untilMs = endMs + answeredMs
  try {
    return { submitted: await submitChange(options, entry, options.timeout, untilMs) }
  } catch (error) {
    // Somebody, perhaps this command before it was interrupted, has asked for the same: then all is as it should be.
    if (errorCode(error) !== 'stale-change') throw error
    const { membership } = await presentMembers(options, untilMs - performance.now())
    if (!isInForce(change, membership)) throw error
    return { unchanged: true }
  }
}

/** Puts a record in place, unless it is there: so every command that does can be repeated. Prints what became of it. */
export async function putRecord(
  present: Present,
  put: Member,
  options: ChangeOptions,
  wanted: Partial<Quorums>,
  endMs: number,
): Promise<void> {
  const found = planPut(present, put, wanted)
  if ('done' in found) return printOutcome({ change: found.done }, { unchanged: true }, options.json)
  printOutcome(found.plan, await carryOut(found.plan, options, endMs), options.json)
}

/** In plain words, with what the admin should have thought of. Throws if the cluster would stand still. */
async function say(plan: Plan, options: ChangeOptions, endMs: number): Promise<void> {
  tell(changeText(plan.change, plan.before))
  for (const warning of warningsOf(plan)) tell(`\nWarning: ${warning}`)
  await refuseStandstill(plan, options, endMs)
}

export function printOutcome({ change }: Pick<Plan, 'change'>, outcome: Outcome, json = false): void {
  const { sequence, what, cosigners, adminQuorum } = change
  const deed = 'put' in what ? { put: what.put.name, kind: what.put.kind } : { remove: what.remove }
  if (json) {
    const rest = 'submitted' in outcome ? outcome.submitted : outcome
    printJson({ sequence, ...deed, cosigners, adminQuorum, ...rest })
  } else if ('unchanged' in outcome) {
    const how = 'put' in what ? `is a member with this record already` : 'is no member any more'
    printText(`${'put' in what ? what.put.name : what.remove} ${how}: there was nothing to change.`)
  } else if ('dryRun' in outcome) {
    // All of it was told.
  } else if ('submitted' in outcome) {
    const { id, status, index, height } = outcome.submitted
    const facts = [
      ['Change', `${sequence}, ${status}`],
      ['Entry', id],
      ['Index', index],
      ['Block', height],
    ] as const
    printText(`\n${factSheet(facts)}`)
  } else {
    const missing = outcome.needed - outcome.signatures
    const next =
      missing > 0
        ? `${counted(missing, 'more admin')} must sign it: qat member sign ${outcome.file} --admin-key KEY`
        : `It has the signatures it needs: qat member submit ${outcome.file}`
    printText(`\nWritten to ${outcome.file}. ${next}`)
  }
}

/** Opens the key files; each must be the key of another admin. */
export async function openAdmins(paths: readonly string[], { admins }: Membership): Promise<Signer[]> {
  const byKeyId = new Map(admins.map(({ key, name }) => [keyId(key), name]))
  const opened = new Map<string, Signer>()
  for (const path of paths) {
    const signer = await openSigner(path)
    const id = keyId(signer.publicKey)
    if (!byKeyId.has(id)) {
      throw new RefusedError('unknown-key', `${path} is not the key of an admin of this ledger.`, {
        keyid: id,
      })
    }
    if (opened.has(id)) throw new CliError('usage', `${path} was given twice: each admin signs once.`)
    opened.set(id, signer)
  }
  return [...opened.values()]
}

async function refuseStandstill(plan: Plan, options: ChangeOptions, endMs: number): Promise<void> {
  const { nodes } = await presentCluster(options, endMs - performance.now())
  const online = new Set(nodes.filter((node) => node.online).map(({ name }) => name))
  const why = standstill(plan, online)
  if (why === undefined) return
  if (options.force) return tell(`\nWarning: ${why}`)
  throw new CliError('would-stand-still', `${why} Start them first, or give --force.`)
}

/** Submits a change and waits until it is final. The same signed change may be submitted again. */
export async function submitChange(
  target: Target,
  entry: Entry,
  timeout: number,
  endMs: number,
): Promise<Submission> {
  const params = (timeoutMs: number) => ({ entry: envelopeJson(entry), wait: 'final', timeoutMs })
  const first = await askUntil(target, 'entry.submit', params, endMs - performance.now())
    .catch((error: unknown) => recordedBefore(target, entry, error))
    .then((reply) => readReply(reply, submission))
  const latest = await follow(target, first, 'final', endMs)
  if (reached(latest, 'final')) return latest
  const message = `The change is ${latest.status}, not yet final, after ${timeout} s. Ask again: qat get ${latest.id}`
  throw new CliError('timed-out', message, { ...latest })
}

/** A change in force is stale to itself: if the first answer was lost, the second try is refused as such. */
async function recordedBefore(target: Target, { id }: Entry, error: unknown) {
  if (!(error instanceof Error && 'code' in error && error.code === 'stale-change')) throw error
  return ask(target, 'submission.status', { id }).catch(() => {
    throw error
  })
}
