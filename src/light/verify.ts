/** The light client: what a bundle proves, by its bytes and the policy alone. Runs unchanged in a browser. */
import { toHex } from '../bytes.ts'
import type { PublicKey, SignatureSuite } from '../crypto/suite.ts'
import { errorCode, errorMessage, FormatError, ProofError, RefusedError } from '../errors.ts'
import { formatInstant } from '../json.ts'
import type { Claim } from '../ledger/event.ts'
import type { Member } from '../ledger/member.ts'
import { CLOCK_SKEWS_MAX, VERIFIER_SKEW_MS } from '../limits.ts'
import { leafHash } from '../merkle/hash.ts'
import { verifyInclusion } from '../merkle/verify.ts'
import {
  type Certificate,
  type Cosigner,
  type PossibleTimes,
  verifyCertificate,
  withPossibleTimes,
} from '../notes/certificate.ts'
import { type Policy, quorumWitnesses } from '../notes/policy.ts'
import { BUNDLE_PARTS, type Bundle, ofPart, readBundle } from './bundle.ts'
import { checkSignatures, type EntrySignature, type LeafKind, readLeaf } from './leaf.ts'
import { policySequence } from './next-policy.ts'
import { type Records, verifyRecords } from './records.ts'
import { type FollowedChange, followChanges, type PolicyUpdate } from './updates.ts'

/** What holds if the policy's quorum is honest: this entry stands at this place of this ledger, for ever. */
export interface Proven {
  readonly origin: string
  /** The entry's place, from 0, and the number of leaves of the certified tree. */
  readonly index: number
  readonly size: number
  /** The root of the certified tree, 64 hex digits. */
  readonly root: string
  /** The entry's id: its RFC 6962 leaf hash, 64 hex digits. */
  readonly leafHash: string
  /** The witnesses of the policy that cosigned, and when by their own clocks. */
  readonly cosigners: readonly Cosigner[]
  /** Witnesses whose cosignatures were left out, because their times cannot be. */
  readonly misdated: readonly Cosigner[]
  /**
   * Seconds since 1970: by then more than half of the cosigners of the quorum had vouched for the entry, each by its
   * own clock. While at least half of them do not lie about it, neither earlier nor later than an honest one said.
   * It may have been recorded earlier.
   */
  readonly recordedBy: number
  /** When it was recorded, by the seal of its block; the same in every proof. Absent without the bundle's records. */
  readonly recorded?: Recorded
  /** Who sent it, by the ledger's record. Absent without the bundle's records, and for the ledger's own records. */
  readonly submitter?: ProvenSubmitter
  /** What stands there: a submitted entry, or a record of the ledger's own. */
  readonly kind: LeafKind
  readonly payloadType: string
  /** The key ids of the leaf's signatures: the submitter's, or for the ledger's own records its signers'. */
  readonly keyids: readonly string[]
  /** What the entry claims happened: one for each event or subject. Empty for the ledger's own records. */
  readonly claims: readonly Claim[]
  /** `verified` by the submitter's record or by `keys`; without both `not-checked`; `unknown-key` if no key is the leaf's. */
  readonly entrySignature: EntrySignature
  /** How many changes of membership the given policy had followed; absent if it does not say. */
  readonly policySequence?: number
  /** Those that were followed from there, in order, to the policy that the certificate satisfies. */
  readonly changes: readonly ProvenChange[]
}

/** A block's seal, as far as it tells the time. */
export interface Recorded {
  readonly height: number
  /** The validator that sealed it. */
  readonly proposer: string
  /** Milliseconds since 1970, by the proposer's clock. */
  readonly time: number
  /**
   * No honest validator's clock showed a time further from it, in milliseconds, when it took the entry in: each refused
   * a seal further ahead than the ledger allows, and by `recordedBy` more than half of the cosigners had signed.
   */
  readonly withinMs: number
}

/** A submitter whose record stood in the ledger before the entry, and whose signature on it was verified. */
export interface ProvenSubmitter {
  readonly name: string
  readonly team: string
  /** Leaf hash of the founding record or change that admitted the key, 64 hex digits. */
  readonly record: string
}

/** A change of membership that a quorum of the validators before it certified. */
export interface ProvenChange {
  readonly sequence: number
  /** Its entry id, 64 hex digits. */
  readonly id: string
  readonly what:
    | { readonly put: { readonly kind: Member['kind']; readonly name: string } }
    | { readonly remove: string }
}

export interface VerifyOptions {
  /** Public keys that the caller knows: the leaf's own signatures by these are verified as well. */
  readonly keys?: readonly PublicKey[]
  /** Refuse with unknown-key a leaf that none of `keys` signed. */
  readonly requireKnownKey?: boolean
  /**
   * The caller's clock, ms since 1970: cosignatures of more than VERIFIER_SKEW_MS later do not count. Without it, only
   * those that no calendar has do not.
   */
  readonly now?: number
}

export type Verdict = { readonly ok: true; readonly proves: Proven } | Refusal

/**
 * `code` is that of a QatError; `reason` is a sentence for people. With `part`, that file is not in its format and
 * nothing was judged: it is damaged, or none of its kind. Without, the proof is false.
 */
export interface Refusal {
  readonly ok: false
  readonly code: string
  readonly reason: string
  readonly part?: keyof Bundle
}

/**
 * Verifies a bundle. Every failure is a verdict, whatever the bytes: this never throws. Its place in the ledger
 * is proved first, and then the leaf is read as strictly as the validators read it. That its submitter signed
 * it, the validators checked; with `keys` this does so too, and rests on no validator for it.
 */
export async function verifyBundle(
  suite: SignatureSuite,
  bundle: Bundle,
  options: VerifyOptions = {},
): Promise<Verdict> {
  try {
    return { ok: true, proves: await prove(suite, bundle, options) }
  } catch (error) {
    const part = BUNDLE_PARTS.find((name) => error instanceof FormatError && error.facts.part === name)
    return { ok: false, code: errorCode(error), reason: errorMessage(error), ...(part && { part }) }
  }
}

async function prove(suite: SignatureSuite, bundle: Bundle, options: VerifyOptions): Promise<Proven> {
  const { policy: trusted, proof, size, records, updates } = readBundle(bundle)
  const sequence = policySequence(trusted)
  const followed = await followChanges(suite, trusted, due(sequence, updates, size)).catch(
    (error: unknown) => {
      throw ofPart(errorCode(error) === 'bad-policy' ? 'policy' : 'updates', error)
    },
  )
  const policy = followed.at(-1)?.policy ?? trusted
  const given = await verifyCertificate(suite, policy, proof.checkpoint).catch((error: unknown) => {
    throw ofPart('proof', error)
  })
  const { origin, root } = given.checkpoint
  const leaf = leafHash(bundle.entry)
  verifyInclusion({ index: proof.index, size, leafHash: leaf, path: proof.path, root })

  const { kind, envelope, claims } = readLeaf(bundle.entry)
  if (records)
    await verifyRecords(suite, records, { origin, index: proof.index, size, root, envelope, claims })
  const certificate = withPossibleTimes(policy, given, possibleTimes(records, options.now))
  const recordedBy = quorumTime(policy, certificate)

  const keyids = envelope.signatures.map(({ keyid }) => keyid)
  const { keys, requireKnownKey = false } = options
  const byKeys = keys ? await checkSignatures(suite, envelope, keys) : 'not-checked'
  if (requireKnownKey && byKeys !== 'verified') {
    throw new RefusedError('unknown-key', 'None of the keys that are known here signed the entry.', {
      keyids,
    })
  }

  return {
    origin,
    index: proof.index,
    size,
    root: toHex(root),
    leafHash: toHex(leaf),
    cosigners: certificate.cosigners,
    misdated: given.cosigners.filter(({ name }) =>
      certificate.cosigners.every((other) => other.name !== name),
    ),
    recordedBy,
    ...(records && told(records, recordedBy)),
    kind,
    payloadType: envelope.payloadType,
    keyids,
    claims,
    entrySignature: records?.submitter ? 'verified' : byKeys,
    ...(sequence !== undefined && { policySequence: sequence }),
    changes: followed.map(provenChange),
  }
}

/** What the records say, once they are verified. */
function told(
  { genesis, seal, submitter }: Records,
  recordedBy: number,
): Pick<Proven, 'recorded' | 'submitter'> {
  const { height, proposer, time } = seal.seal
  const { clockSkewMs } = genesis.parameters.limits
  // A cosigner that signed within a second says its beginning.
  const withinMs = Math.max(clockSkewMs, 1_000 * (recordedBy + 1) - time, time - 1_000 * recordedBy)
  const recorded = { height, proposer, time, withinMs }
  if (!submitter) return { recorded }
  const { name, team } = submitter.record
  return { recorded, submitter: { name, team, record: toHex(leafHash(submitter.leaf)) } }
}

/**
 * No cosignature is older than the seal of the entry's block, nor of the verifier's future. Throws ProofError bad-time
 * for a seal of the future.
 */
function possibleTimes(records: Records | undefined, now: number | undefined): PossibleTimes {
  const latestMs = now === undefined ? Number.POSITIVE_INFINITY : now + VERIFIER_SKEW_MS
  const latest = now === undefined ? {} : { latest: Math.floor(latestMs / 1_000) }
  if (!records) return latest
  const { time } = records.seal.seal
  if (time > latestMs) {
    const message = `Its block was sealed at ${formatInstant(time)}, which is after now by this machine's clock.`
    throw new ProofError('bad-time', message, { time, now })
  }
  const slackMs = CLOCK_SKEWS_MAX * records.genesis.parameters.limits.clockSkewMs
  return { ...latest, earliest: Math.floor((time - slackMs) / 1_000) }
}

/**
 * The updates that are still to be followed from a policy of this sequence, for a proof in a tree of this size.
 * One bundle serves verifiers of older and newer policies, so it may hold updates that a policy has followed
 * already. Later ones than the proof's tree do not count for it. What is chosen here is only claimed;
 * `followChanges` verifies it, in full and in order.
 */
function due(sequence: number | undefined, updates: readonly PolicyUpdate[], size: number): PolicyUpdate[] {
  if (sequence === undefined) return []
  return updates.filter((update) => update.change.sequence > sequence && update.size < size)
}

/** A change as plain data, without keys. */
export function provenChange({ id, change: { sequence, what } }: FollowedChange): ProvenChange {
  if ('remove' in what) return { sequence, id, what }
  const { kind, name } = what.put
  return { sequence, id, what: { put: { kind, name } } }
}

/**
 * The time by which more than half of the quorum's cosigners that the certificate names had signed. Of c cosigners it is
 * that of place ⌊c/2⌋ + 1 when they are sorted: as long as fewer than half lie, an honest one had signed by then, and
 * an honest one signed no earlier. Of the default quorums k = 2ℓ + 1 or more stand there, of which ℓ may lie. What
 * the log's line says is not asked: one validator made it, and its own cosignature says as much.
 */
function quorumTime(policy: Policy, { cosigners, logTimes }: Certificate): number {
  const counting = quorumWitnesses(policy)
  const times = cosigners.filter(({ name }) => counting.has(name)).map(({ timestamp }) => timestamp)
  // Under the quorum `none` there is nobody else to ask.
  if (times.length === 0) return logTimes[0]!
  return times.toSorted((a, b) => a - b)[Math.floor(times.length / 2)]!
}
