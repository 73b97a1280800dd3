/**
 * When a node that is no member any more may believe that: peers say that they hold nothing beyond the membership
 * without it, and one of them may keep back the change that has taken it in again.
 */
import { oneHonest } from '../../consensus/quorum.ts'
import type { Membership } from '../../src/ledger/membership.ts'
import { configurationOf } from './unapplied.ts'

export class NothingBeyond {
  #sequence = -1
  readonly #peers = new Set<string>()

  /**
   * `peer` says so of this membership. True once so many have that one of them is honest, if no more lie than the ledger
   * can go on with (consensus/README.md): of others it cannot be asked that they reach a node which has left.
   */
  isCertain(peer: string, membership: Membership): boolean {
    if (this.#sequence !== membership.sequence) this.#peers.clear()
    this.#sequence = membership.sequence
    if (membership.validatorByName.has(peer)) this.#peers.add(peer)
    const configuration = configurationOf(membership)
    const liars = Math.min(oneHonest(configuration) - 1, configuration.voters.length - configuration.quorum)
    return this.#peers.size > liars
  }
}
