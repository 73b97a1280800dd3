/** From a policy file that someone trusts to the newest policy, by what a node hands out. */

import { errorCode, errorMessage } from '../../src/errors.ts'
import { policySequence, validatorsOf } from '../../src/light/next-policy.ts'
import { type FollowedChange, followChanges, type PolicyUpdate } from '../../src/light/updates.ts'
import { POLICY_BYTES_MAX } from '../../src/limits.ts'
import { type Policy, parsePolicy } from '../../src/notes/policy.ts'
import { textOfFile } from '../../src/notes/text-file.ts'
import { opensslSuite } from '../crypto/openssl.ts'
import { CliError } from './exit.ts'
import { inFile, readInput } from './files.ts'
import { policyUpdates, readReply } from './replies.ts'
import { ask, type Target } from './rpc.ts'

/** An answer may hold a thousand changes. */
const UPDATES_MS = 60_000

export interface Walk {
  readonly updates: readonly PolicyUpdate[]
  readonly steps: readonly FollowedChange[]
  /** How many changes the policy had followed before. */
  readonly from: number
  readonly policy: Policy
}

/** Reads a policy that can follow changes of membership. */
export async function readFollowingPolicy(path: string): Promise<Policy> {
  const bytes = await readInput(path, POLICY_BYTES_MAX)
  return inFile(path, () => {
    const policy = parsePolicy(textOfFile(bytes))
    validatorsOf(policy)
    return policy
  })
}

/** Asks for the changes since, page by page, and verifies each. Throws CliError for one that does not convince. */
export async function walkPolicy(target: Target, trusted: Policy): Promise<Walk> {
  const from = policySequence(trusted)!
  const updates: PolicyUpdate[] = []
  const steps: FollowedChange[] = []
  for (let policy = trusted; ; policy = steps.at(-1)!.policy) {
    const since = policySequence(policy)!
    const reply = await ask(target, 'policy.updates', { since }, UPDATES_MS)
    const page = readReply(reply, policyUpdates)
    if (page.length === 0) return { updates, steps, from, policy }
    updates.push(...page)
    steps.push(...(await verified(policy, page)))
  }
}

async function verified(policy: Policy, updates: readonly PolicyUpdate[]): Promise<FollowedChange[]> {
  try {
    return await followChanges(opensslSuite, policy, updates)
  } catch (cause) {
    const message = `The changes of membership that the node answers do not hold. ${errorMessage(cause)}`
    throw new CliError('verification-failed', message, { step: errorCode(cause) }, { cause })
  }
}
