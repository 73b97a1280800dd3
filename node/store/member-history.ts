/**
 * The memberships of a ledger from genesis on, each with the tree size from which it counts. A change counts
 * above the checkpoint of the block that carries it: that one is a boundary, certified under the policy before.
 */
import { invariant } from '../../src/errors.ts'
import { applyChange, type Change } from '../../src/ledger/change.ts'
import type { Submitter } from '../../src/ledger/member.ts'
import type { Membership } from '../../src/ledger/membership.ts'

interface Era {
  /** Tree size at the end of the block that carries the change; 0 for genesis. */
  readonly above: number
  readonly membership: Membership
}

export class MemberHistory {
  readonly #eras: Era[]

  constructor(genesis: Membership) {
    this.#eras = [{ above: 0, membership: genesis }]
  }

  /** In force for the next block. */
  get newest(): Membership {
    return this.#eras.at(-1)!.membership
  }

  /** Under which a checkpoint of `size` is certified, and leaf `size - 1` was judged. */
  at(size: number): Membership {
    return this.#eras.findLast(({ above }) => above < size)?.membership ?? this.#eras[0]!.membership
  }

  /** The first boundary above `size`. */
  boundaryAbove(size: number): number | undefined {
    return this.#eras.find(({ above }) => above > size)?.above
  }

  /** Whether a membership of the past or the present fits `test`. */
  some(test: (membership: Membership) => boolean): boolean {
    return this.#eras.some(({ membership }) => test(membership))
  }

  /** The boundary of change `sequence`. */
  boundaryOf(sequence: number): number | undefined {
    return sequence === 0 ? undefined : this.#eras[sequence]?.above
  }

  /**
   * The change, of those that count for leaf `size - 1`, that put the record of `submitter` as it is then; 0 if it is
   * the founding one.
   */
  putBy(submitter: Submitter, size: number): number {
    let { sequence } = this.at(size)
    const has = (era: Era) => era.membership.members.includes(submitter)
    while (sequence > 0 && has(this.#eras[sequence - 1]!)) sequence--
    return sequence
  }

  /** A block that ends at `size` carries the next change. */
  add(change: Change, size: number): void {
    invariant(size > this.#eras.at(-1)!.above, 'Changes of membership are out of order.', { size })
    this.#eras.push({ above: size, membership: applyChange(this.newest, change) })
  }
}
