/** The set of members at one height, with the look-ups that checking needs. A value: changes make a new one. */
import { keyId } from '../crypto/keys.ts'
import type { PublicKey } from '../crypto/suite.ts'
import { FormatError } from '../errors.ts'
import { ENVELOPE_SIGNATURES_MAX, VALIDATORS_MAX } from '../limits.ts'
import { cosignatureKey } from '../notes/cosignature.ts'
import type { Policy } from '../notes/policy.ts'
import type { Admin, Learner, Member, NodeMember, Submitter, Validator } from './member.ts'
import { validatorsGroup } from './names.ts'

export interface Quorums {
  /** Cosignatures that make a certificate. */
  readonly cosigners: number
  /** Admin signatures that a change needs. */
  readonly adminQuorum: number
}

/** What a membership remembers of those before it. */
interface Past {
  /** How many changes have made it; that of genesis is 0. */
  readonly sequence: number
  /** The node that the latest change removed. It is still told of that change, and of nothing after the next. */
  readonly leaving: string | undefined
  /** Names by the peer ids of nodes that have left or have another one now: they may still ask what is final. */
  readonly former: ReadonlyMap<string, string>
}

export interface Membership extends Quorums, Past {
  readonly members: readonly Member[]
  /** Sorted by name, as are the other lists. */
  readonly validators: readonly Validator[]
  readonly learners: readonly Learner[]
  readonly admins: readonly Admin[]
  readonly submitters: readonly Submitter[]
  /** Submitters by the key id that stands in envelopes. */
  readonly submitterByKeyId: ReadonlyMap<string, Submitter>
  readonly validatorByName: ReadonlyMap<string, Validator>
  /** Validators and learners. */
  readonly nodeByName: ReadonlyMap<string, NodeMember>
  readonly nodeByPeerId: ReadonlyMap<string, NodeMember>
}

const GENESIS_PAST: Past = { sequence: 0, leaving: undefined, former: new Map() }

/**
 * Builds the look-ups. Refuses two members with one name, key or peer id, too few or too many validators, and
 * quorums that they could not meet: FormatError bad-genesis.
 */
export function membershipOf(
  members: readonly Member[],
  { cosigners, adminQuorum }: Quorums,
  past: Past = GENESIS_PAST,
): Membership {
  const names = new Set<string>()
  const keys = new Set<string>()
  const claim = (set: Set<string>, value: string, what: string) => {
    if (set.has(value)) throw bad(`Two members share the ${what} ${value}.`)
    set.add(value)
  }
  for (const member of members) {
    claim(names, member.name, 'name')
    for (const key of keysOf(member)) claim(keys, keyId(key), 'key')
    if (isNode(member)) claim(keys, member.peerId, 'peer id')
  }
  const ofKind = <K extends Member['kind']>(kind: K) =>
    members
      .filter((member): member is Extract<Member, { kind: K }> => member.kind === kind)
      .sort((a, b) => (a.name < b.name ? -1 : 1))
  const validators = ofKind('validator')
  const learners = ofKind('learner')
  const admins = ofKind('admin')
  const submitters = ofKind('submitter')
  const nodes: readonly NodeMember[] = [...validators, ...learners]
  if (validators.length === 0 || nodes.length > VALIDATORS_MAX) {
    throw bad(`A ledger has at least one validator, and at most ${VALIDATORS_MAX} with its learners.`)
  }
  if (cosigners > validators.length) throw bad('More cosigners are asked for than exist.')
  // They elect and decide as well: two halves could each go a way of its own.
  if (2 * cosigners <= validators.length) throw bad('More than half of the validators must cosign.')
  if (adminQuorum < 1 || adminQuorum > admins.length) throw bad('More admins are asked for than exist.')
  // Nobody could ever change anything again.
  if (adminQuorum > ENVELOPE_SIGNATURES_MAX) {
    throw bad(`At most ${ENVELOPE_SIGNATURES_MAX} admins can sign one change.`)
  }
  return {
    ...past,
    cosigners,
    adminQuorum,
    members,
    validators,
    learners,
    admins,
    submitters,
    submitterByKeyId: new Map(submitters.map((member) => [keyId(member.key), member])),
    validatorByName: new Map(validators.map((member) => [member.name, member])),
    nodeByName: new Map(nodes.map((member) => [member.name, member])),
    nodeByPeerId: new Map(nodes.map((member) => [member.peerId, member])),
  }
}

export function isNode(member: Member): member is NodeMember {
  return member.kind === 'validator' || member.kind === 'learner'
}

/** How many cosignatures make a certificate by default: n − ⌊(n−1)/3⌋ of n validators. */
export function defaultCosigners(validators: number): number {
  return validators - Math.floor((validators - 1) / 3)
}

/** The key name of a validator's cosignature; the log's own line uses the bare origin. */
export function cosignerName(origin: string, validator: string): string {
  return `${origin}/${validator}`
}

/**
 * The C2SP tlog-policy by which anyone verifies this ledger: each validator's ML-DSA-44 key once as the log
 * (under the origin) and once as a witness (under its own name), and the threshold.
 */
export function policyOf(origin: string, membership: Membership): Policy {
  const { validators, cosigners, sequence } = membership
  const group = validatorsGroup(sequence)
  return {
    logs: validators.map(({ cosignerKey, url }) => ({ key: cosignatureKey(origin, cosignerKey), url })),
    witnesses: validators.map(({ name, cosignerKey, url }) => ({
      name,
      key: cosignatureKey(cosignerName(origin, name), cosignerKey),
      url,
    })),
    groups: [{ name: group, threshold: cosigners, members: validators.map(({ name }) => name) }],
    quorum: group,
  }
}

function keysOf(member: Member): PublicKey[] {
  return isNode(member) ? [member.nodeKey, member.cosignerKey] : [member.key]
}

function bad(message: string): FormatError {
  return new FormatError('bad-genesis', message)
}
