/**
 * What one change of membership makes of a policy. The policy may have been written by its owner: lines that
 * are not about this ledger's validators stay, outside witnesses and further groups among them.
 */
import { equalBytes } from '../bytes.ts'
import { FormatError } from '../errors.ts'
import type { Change } from '../ledger/change.ts'
import type { NodeMember } from '../ledger/member.ts'
import { cosignerName } from '../ledger/membership.ts'
import { sequenceOfGroup, validatorsGroup } from '../ledger/names.ts'
import { cosignatureKey } from '../notes/cosignature.ts'
import {
  type Policy,
  type PolicyGroup,
  type PolicyLog,
  type PolicyWitness,
  readBack,
} from '../notes/policy.ts'

/** How many changes of membership the policy has followed; undefined if it has no group that says so. */
export function policySequence(policy: Policy): number | undefined {
  const sequences = policy.groups.flatMap(({ name }) => sequenceOfGroup(name) ?? [])
  return sequences.length === 1 ? sequences[0] : undefined
}

/** The policy's group of all validators, by which it says which change it follows. Throws FormatError bad-policy. */
export function validatorsOf(policy: Policy): PolicyGroup {
  const sequence = policySequence(policy)
  const group = policy.groups.find(({ name }) => sequenceOfGroup(name) === sequence)
  if (sequence === undefined || !group) {
    throw bad('It needs one group "validators" or "validators/<n>", which says how many changes it follows.')
  }
  return group
}

/** A validator as a policy shows it. */
interface Lines {
  readonly log: PolicyLog
  readonly witness: PolicyWitness
}

/**
 * The policy after `change`, which must be the next one: its lines for the validator that changed, the
 * validators' group under its new name and with the new threshold, and whatever named that group. A policy that
 * nobody has edited becomes the one that `policyOf` makes of the membership after the change, byte for byte.
 * Throws FormatError bad-policy if the policy is not of a form in which that can be done.
 */
export function nextPolicy(policy: Policy, change: Change): Policy {
  const { ledger, sequence, cosigners, what } = change
  const group = validatorsOf(policy)
  const before = linesOf(policy, group, ledger)
  const changed = 'put' in what ? what.put.name : what.remove
  const keyName = cosignerName(ledger, changed)
  const validators = before.filter(({ witness }) => witness.key.name !== keyName)
  if ('put' in what && what.put.kind === 'validator') {
    // Who edits a policy may call a validator something else in it. The key's name is the ledger's.
    const label = before.find(({ witness }) => witness.key.name === keyName)?.witness.name ?? changed
    validators.push(linesFor(ledger, label, what.put))
  }
  validators.sort((a, b) => (a.witness.name < b.witness.name ? -1 : 1))

  const ours = new Set<PolicyLog | PolicyWitness>(before.flatMap(({ log, witness }) => [log, witness]))
  const name = validatorsGroup(sequence)
  const renamed = (member: string) => (member === group.name ? name : member)
  const next: Policy = {
    logs: [...validators.map(({ log }) => log), ...policy.logs.filter((log) => !ours.has(log))],
    witnesses: [
      ...validators.map(({ witness }) => witness),
      ...policy.witnesses.filter((witness) => !ours.has(witness)),
    ],
    groups: policy.groups.map((other) =>
      other === group
        ? { name, threshold: cosigners, members: validators.map(({ witness }) => witness.name) }
        : { ...other, members: other.members.map(renamed) },
    ),
    quorum: renamed(policy.quorum),
  }
  // A validator may come whose name or key the owner has given to something else.
  return readBack(next)
}

/** The lines of each validator. */
function linesOf(policy: Policy, { name: groupName, members }: PolicyGroup, ledger: string): Lines[] {
  return members.map((member) => {
    const witness = policy.witnesses.find(({ name }) => name === member)
    const log =
      witness?.key.name.startsWith(cosignerName(ledger, '')) &&
      policy.logs.find(({ key }) => key.name === ledger && equalBytes(key.bytes, witness.key.bytes))
    if (!witness || !log) {
      throw bad(
        `In its group ${groupName}, ${member} is no validator of ${ledger} with a log and a witness line. ` +
          'Other witnesses belong in a group of their own.',
      )
    }
    return { log, witness }
  })
}

function linesFor(ledger: string, label: string, { name, cosignerKey, url }: NodeMember): Lines {
  return {
    log: { key: cosignatureKey(ledger, cosignerKey), url },
    witness: { name: label, key: cosignatureKey(cosignerName(ledger, name), cosignerKey), url },
  }
}

function bad(why: string): FormatError {
  return new FormatError('bad-policy', `This policy cannot follow changes of membership. ${why}`)
}
