/** Quorums. Kept apart from the state machine so that they can be compared with a naive twin. */
import type { Configuration, NodeId } from './types.ts'

/** The greatest height that `quorum` of the voters have reached. `heights` holds one number per voter. */
export function quorumHeight(heights: readonly number[], quorum: number): number {
  const descending = [...heights].sort((a, b) => b - a)
  return descending[quorum - 1] ?? 0
}

/** Are enough of the voters among `names`? Repeated names and others do not count. */
export function isQuorum({ voters, quorum }: Configuration, names: readonly NodeId[]): boolean {
  return voters.filter((voter) => names.includes(voter)).length >= quorum
}

/** Has a quorum said yes, can it no longer be reached, or is it still open? Votes of non-voters do not count. */
export function tally(
  { voters, quorum }: Configuration,
  says: (voter: NodeId) => boolean | undefined,
): 'won' | 'lost' | 'open' {
  let yes = 0
  let no = 0
  for (const voter of voters) {
    const vote = says(voter)
    if (vote === true) yes++
    if (vote === false) no++
  }
  if (yes >= quorum) return 'won'
  return voters.length - no < quorum ? 'lost' : 'open'
}

/** How many complaints end a lease: so many that one is honest, but never all, since a leader does not complain of itself. */
export function complaintsNeeded(configuration: Configuration): number {
  return Math.max(1, Math.min(oneHonest(configuration), configuration.voters.length - 1))
}

/** How many voters at least one honest one must be among: one more than the liars that a quorum tolerates. */
export function oneHonest({ voters, quorum }: Configuration): number {
  return 2 * quorum - voters.length
}
