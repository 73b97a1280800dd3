/** From what an admin wants to the change that says so, judged by the ledger's own rules before it is signed. */

import { equalBytes } from '../../../src/bytes.ts'
import { RefusedError } from '../../../src/errors.ts'
import { applyChange, type Change } from '../../../src/ledger/change.ts'
import { encodeMember, type Member } from '../../../src/ledger/member.ts'
import { defaultCosigners, isNode, type Membership, type Quorums } from '../../../src/ledger/membership.ts'
import { counted } from '../output.ts'
import type { Present } from './present.ts'

export interface Plan {
  readonly change: Change
  readonly before: Membership
  readonly after: Membership
}

/** Whether the members and quorums are already as the change would leave them. */
export function isInForce({ what, cosigners, adminQuorum }: Change, membership: Membership): boolean {
  if (cosigners !== membership.cosigners || adminQuorum !== membership.adminQuorum) return false
  const name = 'put' in what ? what.put.name : what.remove
  const found = membership.members.find((member) => member.name === name)
  if (!('put' in what)) return found === undefined
  return found !== undefined && equalBytes(encodeMember(found), encodeMember(what.put))
}

/** The change that puts a record in place, or that would if it were not in force already: then it is not to be made. */
export function planPut(
  present: Present,
  put: Member,
  wanted: Partial<Quorums> = {},
): { readonly plan: Plan } | { readonly done: Change } {
  const { ledger, membership } = present
  const { sequence, cosigners, adminQuorum } = membership
  const same: Change = {
    ...{ ledger, sequence, what: { put } },
    cosigners: wanted.cosigners ?? cosigners,
    adminQuorum: wanted.adminQuorum ?? adminQuorum,
  }
  return isInForce(same, membership) ? { done: same } : { plan: planChange(present, { put }, wanted) }
}

/** Quorums that are not given follow from those in force. Throws RefusedError bad-change. */
export function planChange(
  { ledger, membership }: Present,
  what: Change['what'],
  wanted: Partial<Quorums> = {},
): Plan {
  const change: Change = {
    ledger,
    sequence: membership.sequence + 1,
    cosigners: wanted.cosigners ?? cosignersAfter(membership, what),
    adminQuorum: wanted.adminQuorum ?? membership.adminQuorum,
    what,
  }
  if ('remove' in what) checkAdminsLeft(membership, what.remove, change.adminQuorum)
  return { change, before: membership, after: applyChange(membership, change) }
}

/** Whoever kept the default keeps it as validators come and go; another number stays as long as it can be met. */
function cosignersAfter({ validators, cosigners }: Membership, what: Change['what']): number {
  const names = new Set(validators.map(({ name }) => name))
  if ('remove' in what) names.delete(what.remove)
  else if (what.put.kind === 'validator') names.add(what.put.name)
  if (names.size === validators.length) return cosigners
  const wasDefault = cosigners === defaultCosigners(validators.length)
  return wasDefault ? defaultCosigners(names.size) : Math.min(cosigners, names.size)
}

/** To ask for fewer admins from now on is a decision of its own: it never follows from another. */
function checkAdminsLeft({ admins }: Membership, name: string, adminQuorum: number): void {
  const left = admins.filter((admin) => admin.name !== name).length
  if (left === admins.length || (left > 0 && adminQuorum <= left)) return
  if (left === 0) {
    throw new RefusedError('bad-change', `${name} is the last admin. Add another one first: qat member add`)
  }
  throw new RefusedError(
    'bad-change',
    `Without ${name} there ${left === 1 ? 'is' : 'are'} ${counted(left, 'admin')}, and changes need ` +
      `${adminQuorum}. Say by --admin-quorum how many they need from then on.`,
  )
}

/** The record of a member that is there. Throws RefusedError bad-change. */
export function memberNamed({ members }: Membership, name: string): Member {
  const found = members.find((member) => member.name === name)
  if (found) return found
  throw new RefusedError('bad-change', `No member has the name ${name}. See: qat member list`)
}

/** How many validators may be down while entries still become final. */
export function crashesTolerated({ validators, cosigners }: Membership): number {
  const { length } = validators
  return length - cosigners
}

/** What somebody who asks for so many cosigners of n validators should know. */
export function quorumWarnings(n: number, cosigners: number): string[] {
  const usual = defaultCosigners(n)
  if (cosigners === n && n > 1)
    return ['No validator may fail: while one of them is down, nothing becomes final.']
  if (cosigners >= usual) return []
  const fewer = 'fewer lying validators can divide the ledger.'
  return [`${cosigners} of ${n} cosigners is less than the default of ${usual}: ${fewer}`]
}

/** What the admin should have thought of; empty for a change that touches neither validators nor quorums. */
export function warningsOf({ before, after }: Plan): string[] {
  const warnings: string[] = []
  const n = after.validators.length
  const { cosigners, adminQuorum, admins } = after
  const votes = n !== before.validators.length || cosigners !== before.cosigners
  if (votes) warnings.push(...quorumWarnings(n, cosigners))
  const signatures = adminQuorum !== before.adminQuorum || admins.length !== before.admins.length
  if (signatures && adminQuorum === admins.length && admins.length > 1) {
    warnings.push('Every admin must sign: once one of their keys is lost, nothing can be changed any more.')
  }
  return warnings
}

/**
 * Why the cluster would stand still after the change, as long as the nodes that are offline now stay so.
 * Undefined if it goes on, and for changes that do not touch who counts.
 */
export function standstill({ before, after }: Plan, online: ReadonlySet<string>): string | undefined {
  const names = after.validators.map(({ name }) => name)
  const same = names.length === before.validators.length && after.cosigners === before.cosigners
  if (same && names.every((name) => before.validatorByName.has(name))) return undefined
  const up = names.filter((name) => online.has(name)).length
  const down = names.filter((name) => !online.has(name))
  const left = `Of ${counted(names.length, 'validator')} only ${up} would be online (not ${down.join(', ')})`
  return up < after.cosigners ? `${left}, and the ledger needs ${after.cosigners} to go on.` : undefined
}

/** A node keeps the kind it has: only a promotion makes a validator. */
export function withKind(member: Member, kind: 'learner' | 'validator'): Member {
  return isNode(member) ? { ...member, kind } : member
}
