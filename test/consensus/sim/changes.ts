/** An operator who keeps changing the cluster. */
import type { Configuration, NodeId } from '../../../consensus/types.ts'
import type { Random } from './random.ts'

/** How large the quorum of so many voters is: it tolerates crashes alone, or liars too. */
export const QUORUMS = {
  majority: (voters: number) => Math.floor(voters / 2) + 1,
  tolerant: (voters: number) => voters - Math.floor((voters - 1) / 3),
} as const

/**
 * The next configuration: one server, picked at random, goes one step further. Whoever is outside becomes a
 * learner or, rarely, a voter at once; a learner is promoted or let go; a voter is removed, most times into the
 * learners, so that it hears of it, and sometimes without a word.
 */
export function randomChange(
  random: Random,
  servers: readonly NodeId[],
  { voters, learners, quorum }: Configuration,
  quorumOf: (voters: number) => number,
): Configuration {
  const one = random.pick(servers)
  const others = (ids: readonly NodeId[]) => ids.filter((id) => id !== one)
  const sized = (next: Omit<Configuration, 'quorum'>) => ({ ...next, quorum: quorumOf(next.voters.length) })
  const learner = () => sized({ voters: others(voters), learners: [...others(learners), one] })
  const voter = () => sized({ voters: [...others(voters), one], learners: others(learners) })
  const outside = () => sized({ voters: others(voters), learners: others(learners) })
  if (voters.includes(one)) {
    if (voters.length === 1) return { voters, learners: [], quorum }
    return random.chance(0.7) ? learner() : outside()
  }
  if (learners.includes(one)) return random.chance(0.7) ? voter() : outside()
  return random.chance(0.8) ? learner() : voter()
}
