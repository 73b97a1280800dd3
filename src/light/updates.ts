/**
 * How a light client follows changes of membership. The checkpoint at the end of the block that carries a change
 * is certified under the policy before it, and every later one under the policy after it: so whoever trusts a
 * policy walks from change to change to the newest, and trusts nobody else on the way.
 */
import { fromUtf8, toHex, utf8 } from '../bytes.ts'
import { Reader } from '../codec/reader.ts'
import { Writer } from '../codec/writer.ts'
import type { SignatureSuite } from '../crypto/suite.ts'
import { FormatError, ProofError, RefusedError } from '../errors.ts'
import { adminsOf, applyChange, type Change, decodeChange } from '../ledger/change.ts'
import { decodeEnvelope, type Envelope } from '../ledger/dsse.ts'
import { signatureCheck, verifyAll } from '../ledger/entry.ts'
import type { Genesis } from '../ledger/genesis.ts'
import { type Membership, policyOf } from '../ledger/membership.ts'
import { PAYLOAD_TYPES } from '../ledger/payload-types.ts'
import { ENTRY_BYTES_MAX, NOTE_BYTES_MAX, POLICY_UPDATES_BYTES_MAX, POLICY_UPDATES_MAX } from '../limits.ts'
import { leafHash } from '../merkle/hash.ts'
import { verifyInclusion } from '../merkle/verify.ts'
import { verifyCertificate } from '../notes/certificate.ts'
import { parseCheckpoint } from '../notes/checkpoint.ts'
import { parseNote } from '../notes/note.ts'
import type { Policy } from '../notes/policy.ts'
import { parseTlogProof, printTlogProof, type TlogProof } from '../notes/tlog-proof.ts'
import { nextPolicy, policySequence, validatorsOf } from './next-policy.ts'

/** The proof that a change of membership is in force. `readPolicyUpdate` makes it, and verifies nothing. */
export interface PolicyUpdate {
  /** The leaf that holds the change, byte for byte. */
  readonly leaf: Uint8Array
  /** Its inclusion in the tree at the end of the change's block, and that tree's certificate. */
  readonly proof: TlogProof
  readonly envelope: Envelope
  readonly change: Change
  /** Leaves of that tree. */
  readonly size: number
}

/** A change that a policy has followed. */
export interface FollowedChange {
  readonly change: Change
  /** The change's entry id: its leaf hash, 64 hex digits. */
  readonly id: string
  /** Leaves of the tree at the end of the change's block: the policy counts for every larger tree. */
  readonly size: number
  /** The policy from then on. */
  readonly policy: Policy
}

/** Reads a change and its proof. Throws FormatError. */
export function readPolicyUpdate(leaf: Uint8Array, proof: TlogProof): PolicyUpdate {
  const envelope = decodeEnvelope(leaf)
  if (envelope.payloadType !== PAYLOAD_TYPES.change) {
    throw new FormatError('unknown-payload-type', 'A policy update holds a change of membership.')
  }
  const { size } = parseCheckpoint(parseNote(proof.checkpoint).text)
  return { leaf, proof, envelope, change: decodeChange(envelope.payload), size }
}

/** The file of updates, oldest first: u16 count, then for each u32 length ‖ leaf ‖ u32 length ‖ tlog-proof. */
export function encodePolicyUpdates(updates: readonly PolicyUpdate[]): Uint8Array {
  const writer = new Writer().u16(updates.length)
  for (const { leaf, proof } of updates) writer.blob(leaf).blob(utf8(printTlogProof(proof)))
  const bytes = writer.finish()
  checkSize(updates.length, bytes.length)
  return bytes
}

/** Reads what `encodePolicyUpdates` writes and nothing else, and verifies nothing. Throws FormatError. */
export function decodePolicyUpdates(bytes: Uint8Array): PolicyUpdate[] {
  checkSize(0, bytes.length)
  const reader = new Reader(bytes)
  const updates: PolicyUpdate[] = []
  for (let left = reader.count(POLICY_UPDATES_MAX); left > 0; left--) {
    const leaf = reader.blob(ENTRY_BYTES_MAX)
    updates.push(readPolicyUpdate(leaf, parseTlogProof(fromUtf8(reader.blob(NOTE_BYTES_MAX)))))
  }
  reader.end()
  return updates
}

/**
 * The newest policy to which `updates` lead from one that the caller trusts. They must be all changes since, in
 * order: nothing is skipped. Throws ProofError, RefusedError or FormatError at the first that does not convince.
 */
export async function followPolicy(
  suite: SignatureSuite,
  policy: Policy,
  updates: readonly PolicyUpdate[],
): Promise<Policy> {
  return (await followChanges(suite, policy, updates)).at(-1)?.policy ?? policy
}

/** As `followPolicy`, and tells every step. */
export async function followChanges(
  suite: SignatureSuite,
  policy: Policy,
  updates: readonly PolicyUpdate[],
): Promise<FollowedChange[]> {
  const followed: FollowedChange[] = []
  for (const update of updates) {
    const last = followed.at(-1)
    followed.push(await followOne(suite, last?.policy ?? policy, update, last?.size ?? 0))
  }
  return followed
}

async function followOne(
  suite: SignatureSuite,
  policy: Policy,
  update: PolicyUpdate,
  before: number,
): Promise<FollowedChange> {
  const { change, size } = update
  const validators = validatorsOf(policy)
  // The certificates of old changes stay valid for ever. Were one taken out of its turn, an old change could be
  // played back on a newer policy and bring retired keys back into it. So the policy says by its group's name
  // how many changes it has followed, and takes only the next.
  const next = policySequence(policy)! + 1
  if (change.sequence !== next) {
    throw new RefusedError(
      'stale-change',
      `The policy needs change ${next} next, and this is change ${change.sequence}.`,
      { sequence: change.sequence, next },
    )
  }
  // The validators certify their own succession. Outside witnesses that the policy asks for beside them have not
  // seen this checkpoint; they go on being asked for every entry's proof.
  await verifyUpdate(suite, { ...policy, quorum: validators.name }, update, before)
  return { change, id: toHex(leafHash(update.leaf)), size, policy: nextPolicy(policy, change) }
}

/**
 * The memberships to which `updates` lead from genesis, which the caller trusts (by its hash) and has verified: that of
 * genesis first, and one for each change, the newest last. Beside what `followPolicy` checks, each change must be one
 * that these members could make, signed by the admin quorum before it: no number of validators can invent a member.
 * Throws as `followPolicy` does.
 */
export async function followMemberships(
  suite: SignatureSuite,
  { parameters, membership: founders, block }: Genesis,
  updates: readonly PolicyUpdate[],
): Promise<Membership[]> {
  const followed = [founders]
  let before = block.leaves.length
  for (const update of updates) {
    const { envelope, change, size } = update
    const membership = followed.at(-1)!
    const after = applyChange(membership, change)
    await verifyUpdate(suite, policyOf(parameters.ledger, membership), update, before)
    const checks = adminsOf(membership, envelope).map(({ key }, i) => signatureCheck(envelope, i, key))
    if (!(await verifyAll(suite, checks))) {
      throw new RefusedError(
        'bad-signature',
        `An admin's signature on change ${change.sequence} is not valid.`,
      )
    }
    followed.push(after)
    before = size
  }
  return followed
}

/** That `policy` certifies the tree of the update, that the change is in it, and that it is a change of this log. */
async function verifyUpdate(
  suite: SignatureSuite,
  policy: Policy,
  { leaf, proof, change }: PolicyUpdate,
  before: number,
): Promise<void> {
  const { checkpoint } = await verifyCertificate(suite, policy, proof.checkpoint)
  const { origin, size, root } = checkpoint
  if (change.ledger !== origin) {
    throw new RefusedError('wrong-ledger', `The change was signed for ledger ${change.ledger}.`, {
      ledger: change.ledger,
    })
  }
  verifyInclusion({ index: proof.index, size, leafHash: leafHash(leaf), path: proof.path, root })
  if (size <= before) {
    throw new ProofError('out-of-range', `Change ${change.sequence} is not after the one before it.`, {
      size,
    })
  }
}

function checkSize(count: number, bytes: number): void {
  if (count > POLICY_UPDATES_MAX || bytes > POLICY_UPDATES_BYTES_MAX) {
    throw new FormatError('too-large', 'These are more policy updates than go into one file.', {
      count,
      bytes,
    })
  }
}
