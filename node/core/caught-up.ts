/** When a learner may be made a voter. */
import type { ProgressState } from '../../consensus/types.ts'

/** How far a learner may lag behind the leader and still be made a voter: a moment's worth of blocks. */
const PROMOTION_LAG_BLOCKS = 32

/**
 * Whether the leader knows that the learner holds what is in its log, up to the height `tail`. One that is not there, or
 * does not know yet that it has been admitted, lags behind however short the chain is. In a ledger in which nothing
 * happens, a learner that has pulled everything from others is sent nothing that it could acknowledge: then it counts
 * that what it has applied is all there is.
 */
export function hasCaughtUp(
  known: { readonly active: boolean; readonly state: ProgressState; readonly match: number } | undefined,
  tail: number,
): boolean {
  if (known === undefined || !known.active || known.state === 'catching-up') return false
  return tail - known.match <= (known.state === 'replicate' ? PROMOTION_LAG_BLOCKS : 0)
}
