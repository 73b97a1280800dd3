/**
 * Why a node that does its part gets nowhere, in a sentence for its operator: nobody leads, or too few of those whose
 * cosignatures it takes are there. A change of membership is the hard case, because its own checkpoint is certified
 * by the validators before it.
 */
import type { Configuration } from '../../consensus/types.ts'
import type { Clock } from '../clock.ts'
import type { Logger } from '../logger.ts'
import type { Network } from '../net/network.ts'
import type { Certifier, Uncertified } from './certifier.ts'
import type { ValidatorClocks } from './validator-clocks.ts'

/** Longer than any election or round of cosignatures takes when enough of the nodes are there. */
const PATIENCE_MS = 10_000

export interface StandstillPorts {
  readonly name: string
  readonly certifier: Pick<Certifier, 'size' | 'uncertified'>
  readonly network: Pick<Network, 'peers'>
  readonly clock: Pick<Clock, 'elapsed'>
  readonly logger: Logger
  readonly leader: () => string | undefined
  /** Those who elect a leader, and how many of them that takes. */
  readonly configuration: () => Pick<Configuration, 'voters' | 'quorum'>
  /** Whose clock is wrong, which may be why. */
  readonly clocks: Pick<ValidatorClocks, 'note'>
}

export class Standstill {
  readonly #ports: StandstillPorts
  /** Since when there has been no leader, and nothing new final though something is ordered. */
  #leaderlessSince: number | undefined
  #waiting: { readonly size: number; readonly since: number } | undefined
  #note: string | undefined
  #stands = false

  constructor(ports: StandstillPorts) {
    this.#ports = ports
  }

  /** What the operator should know, if anything. */
  get note(): string | undefined {
    return this.#note
  }

  /** Whether nothing is ordered, or nothing becomes final, for longer than that should take. */
  get stands(): boolean {
    return this.#stands
  }

  /** Called every now and then: a standstill is noticed by its length. */
  look(): void {
    const { certifier, clock, clocks, logger, leader } = this.#ports
    const now = clock.elapsed()
    this.#leaderlessSince = leader() === undefined ? (this.#leaderlessSince ?? now) : undefined
    const uncertified = certifier.uncertified
    if (!uncertified) this.#waiting = undefined
    else if (this.#waiting?.size !== certifier.size) this.#waiting = { size: certifier.size, since: now }
    const isOld = (since: number | undefined) => since !== undefined && now - since >= PATIENCE_MS
    let why: string | undefined
    if (isOld(this.#leaderlessSince)) why = this.#leaderless()
    else if (uncertified && isOld(this.#waiting?.since)) why = notFinal(uncertified)
    this.#stands = why !== undefined
    const note = [clocks.note, why].filter((found) => found !== undefined).join(' ') || undefined
    if (note !== undefined && note !== this.#note) logger.warn({ kind: 'standstill' }, note)
    this.#note = note
  }

  #leaderless(): string {
    const { name, network } = this.#ports
    const { voters, quorum: needed } = this.#ports.configuration()
    const reached = network.peers().filter((peer) => voters.includes(peer))
    const count = reached.length + (voters.includes(name) ? 1 : 0)
    const who = `this node reaches ${reached.length > 0 ? reached.join(', ') : 'none of the others'}`
    const advice = count < needed ? 'Start those that are down, or mend the network.' : 'See their logs.'
    return `Nobody leads, so nothing is ordered. That takes ${needed} of ${voters.length} validators; ${who}. ${advice}`
  }
}

function notFinal(uncertified: Uncertified): string {
  const { size, quorum, signed, missing, boundary, elsewhere } = uncertified
  if (elsewhere.length > 0 && signed.length + missing.length < quorum) {
    return (
      `What is ordered here differs from what ${elsewhere.join(', ')} signed, and is final on neither side: more ` +
      'validators have lied, or lost what they had signed, than this ledger tolerates. Nothing final is lost. Keep ' +
      'the folders of all nodes, and see "qat evidence list".'
    )
  }
  const who = signed.length > 0 ? `${signed.join(', ')} signed` : 'nobody signed'
  const absent = missing.join(', ')
  return boundary
    ? `The change of membership up to size ${size} is not certified, and until then nothing newer is final. That ` +
        `takes ${quorum} of the validators from before the change; ${who}. Start others of them: ${absent}.`
    : `What is ordered does not become final. That takes ${quorum} cosignatures; ${who}. Missing: ${absent}.`
}
