/**
 * Changes of membership: one member record put or removed, and the quorums from then on, signed by the admin
 * quorum that was in force before. A change is an entry, at most one of them in a block, and counts from the
 * next block on. Each names its place in the order of changes, so that an old one cannot be used again and of
 * two made at the same time only one takes effect.
 */
import { equalBytes } from '../bytes.ts'
import { keyId } from '../crypto/keys.ts'
import { errorMessage, FormatError, RefusedError } from '../errors.ts'
import { canonicalJson, count, fields, parseJson, text } from '../json.ts'
import { ENTRY_BYTES_MAX } from '../limits.ts'
import type { Envelope } from './dsse.ts'
import { encodeMember, type Member, memberFromJson, memberToJson } from './member.ts'
import { isNode, type Membership, membershipOf, type Quorums } from './membership.ts'
import { checkMemberName, checkOrigin, MEMBER_NAME_BYTES_MAX, ORIGIN_BYTES_MAX } from './names.ts'

/** Both quorums are those in force afterwards. */
export interface Change extends Quorums {
  readonly ledger: string
  /** 1 for the first change of a ledger. */
  readonly sequence: number
  readonly what: { readonly put: Member } | { readonly remove: string }
}

/** The canonical payload of a change. */
export function encodeChange({ ledger, sequence, cosigners, adminQuorum, what }: Change): Uint8Array {
  const act = 'put' in what ? { put: memberToJson(what.put) } : { remove: what.remove }
  return canonicalJson({ ledger, sequence, cosigners, adminQuorum, ...act })
}

/** Reads what `encodeChange` writes and nothing else. Throws FormatError. */
export function decodeChange(payload: Uint8Array): Change {
  const names = ['ledger', 'sequence', 'cosigners', 'adminQuorum']
  const found = fields(parseJson(payload, ENTRY_BYTES_MAX), 'The change', names, ['put', 'remove'])
  if ((found.put === undefined) === (found.remove === undefined)) {
    throw new FormatError('bad-field', 'A change either puts a member record or removes a member by name.')
  }
  const what =
    found.put === undefined
      ? { remove: checkMemberName(text(found.remove, '"remove"', MEMBER_NAME_BYTES_MAX)) }
      : { put: memberFromJson(found.put) }
  const change: Change = {
    ledger: checkOrigin(text(found.ledger, '"ledger"', ORIGIN_BYTES_MAX)),
    sequence: count(found.sequence, '"sequence"'),
    cosigners: count(found.cosigners, '"cosigners"'),
    adminQuorum: count(found.adminQuorum, '"adminQuorum"'),
    what,
  }
  // Besides other JSON for the same values: a JWK with a `kid` would be a second spelling of the change.
  if (!equalBytes(encodeChange(change), payload)) {
    throw new FormatError(
      'json-not-canonical',
      'The change is not in canonical form (RFC 8785), or its key has a "kid".',
    )
  }
  return change
}

/**
 * The membership after `change`. Throws RefusedError stale-change if its turn is over or has not come, and
 * bad-change if it makes no sense for these members.
 */
export function applyChange(membership: Membership, change: Change): Membership {
  const { sequence, cosigners, adminQuorum, what } = change
  if (sequence !== membership.sequence + 1) {
    throw new RefusedError(
      'stale-change',
      `This is change ${sequence}, but the next one must be ${membership.sequence + 1}. Make and sign it anew.`,
      { sequence, next: membership.sequence + 1 },
    )
  }
  const name = 'put' in what ? what.put.name : what.remove
  const before = membership.members.find((member) => member.name === name)
  const rest = membership.members.filter((member) => member !== before)
  const quorums = { cosigners, adminQuorum }
  if ('put' in what) checkPut(membership, before, what.put, quorums)
  else if (!before) throw bad(`No member has the name ${name}.`)
  const after = 'put' in what ? what.put : undefined
  const former = new Map(membership.former)
  if (before && isNode(before)) former.set(before.peerId, before.name)
  if (after && isNode(after)) former.delete(after.peerId)
  const leaving = before && isNode(before) && !after ? name : undefined
  try {
    return membershipOf(after ? [...rest, after] : rest, quorums, { sequence, leaving, former })
  } catch (error) {
    if (error instanceof FormatError) throw bad(errorMessage(error))
    throw error
  }
}

function checkPut(membership: Membership, before: Member | undefined, put: Member, quorums: Quorums): void {
  if (!before) {
    if (put.kind === 'validator') {
      throw bad(`Add ${put.name} as a learner first; it becomes a validator once it has caught up.`)
    }
    // Votes and acknowledgements were given under this name. Only the node that gave them knows of them.
    const { former } = membership
    if (isNode(put) && [...former.values()].includes(put.name) && former.get(put.peerId) !== put.name) {
      throw bad(`The name ${put.name} belonged to another node. Give this one a name of its own.`)
    }
    return
  }
  if (before.kind !== put.kind) {
    if (before.kind !== 'learner' || put.kind !== 'validator') {
      throw bad(`${put.name} is a ${before.kind} and cannot become a ${put.kind}. Remove it first.`)
    }
    const same =
      keyId(before.nodeKey) === keyId(put.nodeKey) && keyId(before.cosignerKey) === keyId(put.cosignerKey)
    if (!same) throw bad(`${put.name} caught up under other keys. Promote it with the keys it has.`)
    return
  }
  const idle =
    equalBytes(encodeMember(before), encodeMember(put)) &&
    quorums.cosigners === membership.cosigners &&
    quorums.adminQuorum === membership.adminQuorum
  if (idle) throw bad(`The record of ${put.name} is in force already.`)
}

/**
 * The admins who signed a change, in the order of the envelope's signatures: each a member now, each once, and
 * enough of them. Their signatures are still to be verified. Throws RefusedError.
 */
export function adminsOf(membership: Membership, envelope: Envelope) {
  const byKeyId = new Map(membership.admins.map((admin) => [keyId(admin.key), admin]))
  const admins = envelope.signatures.map(({ keyid }) => {
    const admin = byKeyId.get(keyid)
    if (!admin)
      throw new RefusedError('unknown-key', `No admin of this ledger has the key ${keyid}.`, { keyid })
    return admin
  })
  if (new Set(admins).size < admins.length) throw bad('One admin has signed the change twice.')
  if (admins.length < membership.adminQuorum) {
    throw new RefusedError(
      'not-permitted',
      `A change needs the signatures of ${membership.adminQuorum} admins; this one has ${admins.length}.`,
    )
  }
  return admins
}

function bad(message: string): RefusedError {
  return new RefusedError('bad-change', message)
}
