/** Changes of membership in plain words: for whoever is about to sign one, and for whoever reads it later. */
import { equalBytes } from '../../../src/bytes.ts'
import { keyId } from '../../../src/crypto/keys.ts'
import { applyChange, type Change } from '../../../src/ledger/change.ts'
import type { Member } from '../../../src/ledger/member.ts'
import { cosignerName, isNode, type Membership, type Quorums } from '../../../src/ledger/membership.ts'
import { validatorsOf } from '../../../src/light/next-policy.ts'
import type { FollowedChange } from '../../../src/light/updates.ts'
import type { ProvenChange } from '../../../src/light/verify.ts'
import type { Policy } from '../../../src/notes/policy.ts'
import { counted, factSheet } from '../output.ts'
import { crashesTolerated } from './plan.ts'

export type Fact = readonly [string, string]

const MEANING = {
  learner: 'as a learner: it follows and serves, and neither votes nor cosigns yet',
  validator: 'as a validator: it votes and cosigns',
  admin: 'as an admin: it signs changes like this one',
  submitter: 'as a submitter: it signs entries',
} as const

/**
 * What the change does. With the members before it, also what was; without them, only what the change itself
 * says. Throws RefusedError if it does not fit them.
 */
export function changeText(change: Change, before?: Membership): string {
  const { ledger, sequence, what } = change
  const earlier = before?.members.find(({ name }) => name === ('put' in what ? what.put.name : what.remove))
  const facts = 'put' in what ? recordFacts(what.put, earlier) : earlier ? recordFacts(earlier) : []
  const quorums = before ? quorumFacts(before, applyChange(before, change)) : bareQuorumFacts(change)
  return `Change ${sequence} of ${ledger} ${deed(change, before, earlier)}.\n\n${factSheet([...facts, ...quorums])}`
}

function deed({ what }: Change, before: Membership | undefined, earlier: Member | undefined): string {
  if ('remove' in what) return `removes ${what.remove}${earlier ? `, ${described(earlier)}` : ''}`
  const { put } = what
  const who = `${put.name} of team ${put.team}`
  if (!before) return `puts ${who} ${MEANING[put.kind]}`
  if (!earlier) return `adds ${who} ${MEANING[put.kind]}`
  if (earlier.kind !== put.kind)
    return `makes the learner ${who} a validator: it votes and cosigns from then on`
  return `replaces the record of ${put.name}, ${described(earlier)}`
}

export function described({ kind, team }: Member): string {
  return `${kind === 'admin' ? 'an' : 'a'} ${kind} of team ${team}`
}

/** What the record says; where it differs from an earlier one, also what that said. */
export function recordFacts(member: Member, earlier?: Member): Fact[] {
  const was = new Map(earlier ? factsOf(earlier) : [])
  return factsOf(member).map(([name, value]) => {
    const old = was.get(name)
    return [name, old === undefined || old === value ? value : `${value} (before: ${old})`]
  })
}

function factsOf(member: Member): Fact[] {
  if (isNode(member)) {
    return [
      ['Node key', keyId(member.nodeKey)],
      ['Cosigner key', keyId(member.cosignerKey)],
      ['Peer id', member.peerId],
      ['Addresses', member.addresses.join(', ')],
      ['JSON-RPC', member.url],
    ]
  }
  const key: Fact = ['Key', `${keyId(member.key)} (${member.key.alg})`]
  if (member.kind === 'admin') return [key]
  return [key, ['Sources', member.sources.join(', ')], ['Types', member.types.join(', ')]]
}

function quorumFacts(before: Membership, after: Membership): Fact[] {
  const fact = (name: string, spelled: (members: Membership) => string): Fact => {
    const [was, is] = [spelled(before), spelled(after)]
    return [name, was === is ? `${is}, as before` : `${is} (before: ${was})`]
  }
  return [
    fact('Cosigners', cosignersText),
    fact('Admins', ({ adminQuorum, admins }) => `${adminQuorum} of ${admins.length} must sign a change`),
  ]
}

export function cosignersText(members: Membership): string {
  const { cosigners, validators } = members
  const down = crashesTolerated(members)
  return `${cosigners} of ${counted(validators.length, 'validator')} make an entry final; ${down} may be down`
}

export function bareQuorumFacts({ cosigners, adminQuorum }: Quorums): Fact[] {
  return [
    ['Cosigners', `${counted(cosigners, 'validator')} make an entry final from then on`],
    ['Admins', `${adminQuorum} must sign a change from then on`],
  ]
}

/** What a change does, in one line, for someone who has nothing but the change. */
export function changeDeed(what: ProvenChange['what']): string {
  if ('remove' in what) return `removes ${what.remove}`
  const { kind, name } = what.put
  return `adds the ${kind} ${name}, or replaces its record`
}

/** The same for someone who has the policies before and after it, which know the validators and their quorum. */
export function changeDeedBetween(
  before: Policy,
  { change: { ledger, what }, policy: after }: FollowedChange,
): string {
  const name = 'put' in what ? what.put.name : what.remove
  const keyIn = ({ witnesses }: Policy) =>
    witnesses.find(({ key }) => key.name === cosignerName(ledger, name))?.key
  const [was, is] = [keyIn(before), keyIn(after)]
  const deed = () => {
    if ('remove' in what) return was ? `removes the validator ${name}` : `removes ${name}, no validator`
    if (!is) return changeDeed(what)
    if (!was) return `makes ${name} a validator`
    if (equalBytes(was.bytes, is.bytes))
      return `replaces the record of the validator ${name}, not its cosigner key`
    return `gives the validator ${name} a new cosigner key`
  }
  const [old, now] = [quorumText(before), quorumText(after)]
  return old === now ? deed() : `${deed()}; from then on ${now} make a certificate`
}

/** How many of how many validators make a certificate. */
export function quorumText(policy: Policy): string {
  const { threshold, members } = validatorsOf(policy)
  return `${threshold} of ${members.length} validators`
}
