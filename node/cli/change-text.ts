/** Changes of membership in plain words, as far as a policy or a proof shows them. */
import { equalBytes } from '../../src/bytes.ts'
import { cosignerName } from '../../src/ledger/membership.ts'
import { validatorsOf } from '../../src/light/next-policy.ts'
import type { FollowedChange } from '../../src/light/updates.ts'
import type { ProvenChange } from '../../src/light/verify.ts'
import type { Policy, PolicyWitness } from '../../src/notes/policy.ts'

/** What a change did, for someone who has the policies before and after it. */
export function changeSentence(
  before: Policy,
  { change: { ledger, what }, policy: after }: FollowedChange,
): string {
  const name = 'put' in what ? what.put.name : what.remove
  const witness = ({ witnesses }: Policy): PolicyWitness | undefined =>
    witnesses.find(({ key }) => key.name === cosignerName(ledger, name))
  const [was, is] = [witness(before), witness(after)]
  if ('remove' in what) return was ? `the validator ${name} left` : `${name}, who was no validator, left`
  if (!is) return `the ${what.put.kind} ${name} came or got a new record`
  if (!was) return `${name} became a validator`
  if (equalBytes(was.key.bytes, is.key.bytes))
    return `the validator ${name} got a new record, with its cosigner key`
  return `the validator ${name} changed its cosigner key`
}

/** The same for someone who has only the change. */
export function provenSentence({ what }: ProvenChange): string {
  if ('remove' in what) return `${what.remove} left`
  return `the ${what.put.kind} ${what.put.name} came or got a new record`
}

/** How many of how many validators make a certificate. */
export function quorumText(policy: Policy): string {
  const { threshold, members } = validatorsOf(policy)
  return `${threshold} of ${members.length} validators`
}
