/**
 * Certificates: a checkpoint whose note carries a line by the log itself and cosignatures that satisfy the
 * policy. From then on the entries below it are final.
 */
import type { SignatureSuite } from '../crypto/suite.ts'
import { FormatError, ProofError } from '../errors.ts'
import { type Checkpoint, parseCheckpoint, printCheckpoint } from './checkpoint.ts'
import { verifyCosignature } from './cosignature.ts'
import { type NoteSignature, parseNote, printNote } from './note.ts'
import { type Policy, satisfied } from './policy.ts'
import { spellTime, YEAR_10000 } from './time.ts'
import { COSIGNATURE_TYPE, type VerifierKey } from './vkey.ts'

export interface Cosigner {
  /** The witness's name in the policy. */
  readonly name: string
  /** Seconds since 1970, by the cosigner's own clock; a liar may have signed any number. */
  readonly timestamp: number
}

export interface Certificate {
  readonly checkpoint: Checkpoint
  /** The witnesses of the policy that cosigned, in the order of the note's lines, each once. */
  readonly cosigners: readonly Cosigner[]
  /** Seconds since 1970, one for each line of the log: the word of the validator that made it. */
  readonly logTimes: readonly number[]
}

/**
 * Verifies a certificate. Lines by keys that the policy does not name are ignored, as signed-note demands;
 * one bad signature by a key that it does name refuses the whole note. Throws ProofError wrong-origin,
 * bad-signature, no-log-signature or quorum-not-met, and FormatError for a malformed note.
 */
export async function verifyCertificate(
  suite: SignatureSuite,
  policy: Policy,
  noteText: string,
): Promise<Certificate> {
  const certificate = await verifyCheckpointNote(suite, policy, noteText)
  const names = certificate.cosigners.map(({ name }) => name)
  if (!satisfied(policy, new Set(names))) {
    throw quorumNotMet(policy, names)
  }
  return certificate
}

/** In seconds since 1970: outside of it no honest cosigner's clock can have been. */
export interface PossibleTimes {
  readonly earliest?: number
  readonly latest?: number
}

/**
 * The certificate without cosignatures whose time cannot be, which count as little as ones that are not there. Throws
 * ProofError bad-time if without them it has no line of the log or no quorum.
 */
export function withPossibleTimes(
  policy: Policy,
  certificate: Certificate,
  { earliest = 0, latest = YEAR_10000 }: PossibleTimes,
): Certificate {
  const can = (time: number) => time >= earliest && time <= latest && time < YEAR_10000
  const logTimes = certificate.logTimes.filter(can)
  const cosigners = certificate.cosigners.filter(({ timestamp }) => can(timestamp))
  if (logTimes.length > 0 && satisfied(policy, new Set(cosigners.map(({ name }) => name)))) {
    return { ...certificate, cosigners, logTimes }
  }
  const { checkpoint, cosigners: all, logTimes: log } = certificate
  const signed = [...all, ...log.map((timestamp) => ({ name: checkpoint.origin, timestamp }))]
  const { name, timestamp } = signed.find(({ timestamp }) => !can(timestamp))!
  const order = timestamp < earliest ? 'before the block was sealed' : 'after now'
  throw new ProofError(
    'bad-time',
    `It does not hold without the signature of ${name}, whose time cannot be: ${spellTime(timestamp)} is ${order}.`,
    { name, seconds: timestamp, earliest, latest },
  )
}

/** As `verifyCertificate`, without asking for the quorum: what a witness checks before it cosigns. */
export async function verifyCheckpointNote(
  suite: SignatureSuite,
  policy: Policy,
  noteText: string,
): Promise<Certificate> {
  const { text, signatures } = parseNote(noteText)
  const { extensions, ...checkpoint } = parseCheckpoint(text)
  if (extensions.length > 0) {
    throw new FormatError(
      'bad-checkpoint',
      'The checkpoint has extension lines, which no cosignature covers.',
    )
  }
  const logs = policy.logs.filter(({ key }) => key.name === checkpoint.origin)
  if (logs.length === 0) {
    const { origin } = checkpoint
    throw new ProofError(
      'wrong-origin',
      `It is about the ledger ${origin}, which the policy does not name.`,
      {
        origin,
      },
    )
  }
  const [logLines, cosignatures] = await allInOrder([
    verifyLines(suite, logs, checkpoint, signatures),
    verifyLines(suite, policy.witnesses, checkpoint, signatures),
  ])
  if (logLines.length === 0) {
    const { origin } = checkpoint
    const message = `No key that the policy lists for the ledger ${origin} has signed it: another ledger uses that name, or the members have other keys than when the policy was written.`
    throw new ProofError('no-log-signature', message, { origin })
  }
  const cosigners = new Map<string, Cosigner>()
  for (const { by, timestamp } of cosignatures) {
    if (!cosigners.has(by.name)) cosigners.set(by.name, { name: by.name, timestamp })
  }
  return {
    checkpoint,
    cosigners: [...cosigners.values()],
    logTimes: logLines.map(({ timestamp }) => timestamp),
  }
}

function quorumNotMet(policy: Policy, cosigners: readonly string[]): ProofError {
  const who = cosigners.length === 0 ? 'None' : `Only ${cosigners.join(', ')}`
  const facts = { quorum: policy.quorum, cosigners }
  const message = `${who} of those whom the policy knows cosigned it, which does not satisfy its quorum "${policy.quorum}".`
  return new ProofError('quorum-not-met', message, facts)
}

/** As Promise.all, but of several failures always the first in the list: one bundle gets one verdict everywhere. */
async function allInOrder<T extends readonly unknown[]>(
  work: readonly [...{ [K in keyof T]: Promise<T[K]> }],
): Promise<T> {
  const results = await Promise.allSettled(work)
  return results.map((result) => {
    if (result.status === 'rejected') throw result.reason
    return result.value
  }) as unknown as T
}

/** The lines that claim to be by one of `signers`, every one of them verified, in the order of the note. */
function verifyLines<S extends { readonly key: VerifierKey }>(
  suite: SignatureSuite,
  signers: readonly S[],
  checkpoint: Checkpoint,
  lines: readonly NoteSignature[],
): Promise<{ by: S; timestamp: number }[]> {
  const claims = lines.flatMap((line) =>
    signers
      .filter(({ key }) => key.type === COSIGNATURE_TYPE && key.name === line.name && key.id === line.keyId)
      .map((by) => ({ by, line })),
  )
  return allInOrder(
    claims.map(async ({ by, line }) => ({
      by,
      timestamp: await verifyCosignature(suite, by.key, checkpoint, line),
    })),
  )
}

/**
 * The note of a checkpoint with these lines, in the one order that we write: lines named as the origin first,
 * the others by name. Lines are not verified; two by the same key are FormatError bad-note.
 */
export function assembleCertificate(checkpoint: Checkpoint, lines: readonly NoteSignature[]): string {
  const rank = ({ name, keyId }: NoteSignature) => `${name === checkpoint.origin ? 0 : 1} ${name} ${keyId}`
  const ranked = new Map(lines.map((line) => [rank(line), line]))
  if (ranked.size < lines.length) throw new FormatError('bad-note', 'One key has two lines in the note.')
  const signatures = [...ranked.keys()].sort().map((key) => ranked.get(key)!)
  return printNote({ text: printCheckpoint(checkpoint), signatures })
}
