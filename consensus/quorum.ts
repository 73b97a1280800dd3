/** Majorities. Kept apart from the state machine so that they can be compared with a naive twin. */
import type { NodeId } from './types.ts'

/** How many of `voters` make a majority. */
export function majority(voters: number): number {
  return Math.floor(voters / 2) + 1
}

/** The greatest height that a majority of the voters has reached. `heights` holds one number per voter. */
export function majorityHeight(heights: readonly number[]): number {
  const descending = [...heights].sort((a, b) => b - a)
  return descending[majority(descending.length) - 1] ?? 0
}

/** Has a majority said yes, can it no longer be reached, or is it still open? Votes of non-voters do not count. */
export function tally(
  voters: readonly NodeId[],
  votes: ReadonlyMap<NodeId, boolean>,
): 'won' | 'lost' | 'open' {
  let yes = 0
  let no = 0
  for (const voter of voters) {
    const vote = votes.get(voter)
    if (vote === true) yes++
    if (vote === false) no++
  }
  const needed = majority(voters.length)
  if (yes >= needed) return 'won'
  return voters.length - no < needed ? 'lost' : 'open'
}
