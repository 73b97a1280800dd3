/**
 * What administrators and operators must not bring about: that fewer honest validators are able to sign than a quorum
 * takes. A validator that has lost its disk signs again when a change has given it new keys, which takes a quorum of the
 * others; so what is to come counts as well, as long as it is not known what becomes of it.
 */

import { memberFromJson } from '../../src/ledger/member.ts'
import { isNode } from '../../src/ledger/membership.ts'
import type { SimNode } from './node.ts'

/** The validators after some change, and how many of them a quorum takes. */
export interface Voters {
  readonly names: readonly string[]
  readonly cosigners: number
}

export class Possible {
  readonly #nodes: readonly SimNode[]
  /** Changes that were submitted: one of each place in their order may take effect. */
  readonly #underWay = new Map<number, Voters[]>()

  constructor(nodes: readonly SimNode[]) {
    this.#nodes = nodes
  }

  /** A change of this place in the order of changes, with enough signatures, is on its way. */
  submitted(sequence: number, after: Voters): void {
    this.#underWay.set(sequence, [...(this.#underWay.get(sequence) ?? []), after])
  }

  /** May there be these validators? One of them may be missing then, beside the liars, unless the ledger is too small. */
  allows(_sequence: number, after: Voters): boolean {
    const spare = after.names.length > after.cosigners ? 1 : 0
    const liars = this.#nodes.filter(({ name, honest }) => !honest && after.names.includes(name)).length
    const least = after.cosigners + (liars > 0 ? 0 : spare)
    return this.#able(after, undefined) >= least && liars <= 2 * after.cosigners - after.names.length - 1
  }

  /** May this disk be lost now? Whether liars help to make good for it is theirs to say: without them all may stand still. */
  canSpare(lost: SimNode): boolean {
    return this.#ahead().every(
      (voters) => !voters.names.includes(lost.name) || this.#able(voters, lost, true) >= voters.cosigners,
    )
  }

  #able({ names }: Voters, lost: SimNode | undefined, withLiars = false): number {
    return this.#nodes.filter(
      (node) => names.includes(node.name) && node !== lost && !node.recovering && (node.honest || withLiars),
    ).length
  }

  /** The memberships in force somewhere, and those that may come. */
  #ahead(): Voters[] {
    let reached = 0
    const found: Voters[] = []
    for (const { ledger } of this.#nodes) {
      if (ledger === undefined) continue
      const { members, cosigners, sequence } = ledger.membership()
      reached = Math.max(reached, sequence)
      const nodes = members.map(memberFromJson).filter(isNode)
      const names = nodes.filter(({ kind }) => kind === 'validator').map(({ name }) => name)
      found.push({ names, cosigners })
      const { validators, cosigners: inForce } = ledger.replica.membership
      found.push({ names: validators.map(({ name }) => name), cosigners: inForce })
    }
    for (const [sequence, voters] of this.#underWay) {
      if (sequence <= reached) this.#underWay.delete(sequence)
      else found.push(...voters)
    }
    return found
  }
}
