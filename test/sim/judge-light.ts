/**
 * A light client that trusts the policy of genesis, and asks one node for everything since. It must come to the
 * policy that the naive twin of the membership says, and each certificate must satisfy the policy of its turn.
 */
import type { LedgerNode } from '../../node/core/ledger-node.ts'
import type { SignatureSuite } from '../../src/crypto/suite.ts'
import { errorMessage } from '../../src/errors.ts'
import { policyOf } from '../../src/ledger/membership.ts'
import { decodePolicyUpdates, type FollowedChange, followChanges } from '../../src/light/updates.ts'
import { verifyCertificate } from '../../src/notes/certificate.ts'
import { type Policy, printPolicy } from '../../src/notes/policy.ts'
import { LEDGER } from './cast.ts'
import type { MembersTwin } from './members-twin.ts'

/**
 * The first thing that is wrong with what `ledger` tells a light client, as a sentence.
 * @param tip hash of the block at which the node's newest certified tree ends
 */
export async function checkLight(
  ledger: Pick<LedgerNode, 'policyUpdates' | 'checkpoint'>,
  suite: SignatureSuite,
  members: MembersTwin,
  genesis: string,
  tip: string,
): Promise<string | undefined> {
  const founding = policyOf(LEDGER, members.after(genesis))
  try {
    const followed = await followAll(ledger, suite, founding)
    const { size, note } = await ledger.checkpoint()
    const newest = followed.at(-1)?.policy ?? founding
    const due = policyOf(LEDGER, members.after(tip))
    if (printPolicy(newest) !== printPolicy(due))
      return 'a light client comes to another policy than is in force'
    const sizes = followed.map((step) => step.size).join()
    if (sizes !== members.boundaries(tip).join()) return `a light client sees changes at ${sizes}`
    await verifyCertificate(suite, policyAt(founding, followed, size), note)
  } catch (error) {
    return `a light client cannot follow: ${errorMessage(error)}`
  }
  return undefined
}

async function followAll(
  ledger: Pick<LedgerNode, 'policyUpdates'>,
  suite: SignatureSuite,
  founding: Policy,
): Promise<FollowedChange[]> {
  const followed: FollowedChange[] = []
  for (;;) {
    const updates = decodePolicyUpdates(await ledger.policyUpdates(followed.length))
    if (updates.length === 0) return followed
    followed.push(...(await followChanges(suite, followed.at(-1)?.policy ?? founding, updates)))
  }
}

/** The checkpoint of a change is certified under the policy before it. */
function policyAt(founding: Policy, followed: readonly FollowedChange[], size: number): Policy {
  return followed.findLast((step) => step.size < size)?.policy ?? founding
}
