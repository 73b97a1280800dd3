/** The set of members at one height, with the look-ups that checking needs. A value: changes make a new one. */
import { keyId } from '../crypto/keys.ts'
import type { PublicKey } from '../crypto/suite.ts'
import { FormatError } from '../errors.ts'
import { VALIDATORS_MAX } from '../limits.ts'
import { cosignatureKey } from '../notes/cosignature.ts'
import type { Policy } from '../notes/policy.ts'
import type { Admin, Member, Submitter, Validator } from './member.ts'
import { VALIDATORS_GROUP } from './names.ts'

export interface Membership {
  /** Sorted by name. */
  readonly validators: readonly Validator[]
  readonly admins: readonly Admin[]
  readonly submitters: readonly Submitter[]
  /** Submitters by the key id that stands in envelopes. */
  readonly submitterByKeyId: ReadonlyMap<string, Submitter>
  readonly validatorByName: ReadonlyMap<string, Validator>
  readonly validatorByPeerId: ReadonlyMap<string, Validator>
}

/** Builds the look-ups; refuses two members with one name, key or peer id. */
export function membershipOf(members: readonly Member[]): Membership {
  const names = new Set<string>()
  const keys = new Set<string>()
  const claim = (set: Set<string>, value: string, what: string) => {
    if (set.has(value)) throw new FormatError('bad-genesis', `Two members share the ${what} ${value}.`)
    set.add(value)
  }
  for (const member of members) {
    claim(names, member.name, 'name')
    for (const key of keysOf(member)) claim(keys, keyId(key), 'key')
    if (member.kind === 'validator') claim(keys, member.peerId, 'peer id')
  }
  const ofKind = <K extends Member['kind']>(kind: K) =>
    members
      .filter((member): member is Extract<Member, { kind: K }> => member.kind === kind)
      .sort((a, b) => (a.name < b.name ? -1 : 1))
  const validators = ofKind('validator')
  const submitters = ofKind('submitter')
  if (validators.length === 0 || validators.length > VALIDATORS_MAX) {
    throw new FormatError('bad-genesis', `A ledger has 1 to ${VALIDATORS_MAX} validators.`)
  }
  return {
    validators,
    admins: ofKind('admin'),
    submitters,
    submitterByKeyId: new Map(submitters.map((member) => [keyId(member.key), member])),
    validatorByName: new Map(validators.map((member) => [member.name, member])),
    validatorByPeerId: new Map(validators.map((member) => [member.peerId, member])),
  }
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
export function policyOf(origin: string, membership: Membership, cosigners: number): Policy {
  const { validators } = membership
  return {
    logs: validators.map(({ cosignerKey, url }) => ({ key: cosignatureKey(origin, cosignerKey), url })),
    witnesses: validators.map(({ name, cosignerKey, url }) => ({
      name,
      key: cosignatureKey(cosignerName(origin, name), cosignerKey),
      url,
    })),
    groups: [{ name: VALIDATORS_GROUP, threshold: cosigners, members: validators.map(({ name }) => name) }],
    quorum: VALIDATORS_GROUP,
  }
}

function keysOf(member: Member): PublicKey[] {
  return member.kind === 'validator' ? [member.nodeKey, member.cosignerKey] : [member.key]
}
