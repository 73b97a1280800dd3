/**
 * How a node whose store may have forgotten promises comes to be trusted again. It had perhaps voted, and
 * acknowledged blocks, that its disk no longer knows. Every vote of a term was asked for by a candidate that knew
 * the term, and every acknowledged block is known to the leader that sent it; so this node asks every other
 * validator for its term and for the end of its log, listens to the leader in the meantime, and takes part again
 * when its own log is as up to date as any of them (Raft section 5.4.1), with the highest of the terms, in which
 * it votes for nobody else. Whoever cannot answer any more, or has forgotten as well, must be waived by name, by
 * the operator.
 */
import { TERM_LEAP_MAX } from '../../consensus/config.ts'
import type { BlockRef, HardState } from '../../consensus/types.ts'
import { utf8 } from '../../src/bytes.ts'
import { errorMessage } from '../../src/errors.ts'
import { count, fields, parseJson } from '../../src/json.ts'
import type { Membership } from '../../src/ledger/membership.ts'
import type { Logger } from '../logger.ts'
import type { Network } from '../net/network.ts'
import type { LedgerStore } from '../store/ledger-store.ts'

const REQUEST_TIMEOUT_MS = 5_000
const BYTES_MAX = 1024

/** What binds a validator: the term it has entered, and the last block of its log. */
export interface Promises {
  readonly term: number
  readonly tail: { readonly height: number; readonly term: number }
  /** It may have forgotten promises itself: its word does not stand for what it had promised. */
  readonly recovering: boolean
}

/** Told apart from a sync request by its field. */
const QUESTION = utf8('{"ask":"promises"}')

export function isPromisesRequest(bytes: Uint8Array): boolean {
  return bytes.length === QUESTION.length && bytes.every((byte, i) => byte === QUESTION[i])
}

export function encodePromises({ term, tail, recovering }: Promises): Uint8Array {
  return utf8(JSON.stringify({ term, tailHeight: tail.height, tailTerm: tail.term, recovering }))
}

export function decodePromises(bytes: Uint8Array): Promises {
  const names = ['term', 'tailHeight', 'tailTerm', 'recovering']
  const found = fields(parseJson(bytes, BYTES_MAX), 'The answer', names)
  const tail = { height: count(found.tailHeight, '"tailHeight"'), term: count(found.tailTerm, '"tailTerm"') }
  // Whatever is not plainly false is taken for a yes: then nothing is built on the answer.
  return { term: count(found.term, '"term"'), tail, recovering: found.recovering !== false }
}

export interface RecoveryPorts {
  readonly name: string
  /** Validators that are gone for good, by the operator's word. */
  readonly without: readonly string[]
  readonly network: Pick<Network, 'request'>
  readonly logger: Logger
  readonly membership: () => Membership
  /** The last block that is on this node's disk, and its term. */
  readonly own: () => { readonly term: number; readonly tail: BlockRef }
}

export class Recovery {
  readonly #ports: RecoveryPorts
  readonly #answers = new Map<string, Promises>()
  /** Who has said that it may have forgotten as well. */
  readonly #forgetful = new Set<string>()

  constructor(ports: RecoveryPorts) {
    this.#ports = ports
  }

  /** The other validators that have not answered yet. */
  get missing(): string[] {
    const { name, without, membership } = this.#ports
    return membership()
      .validators.map((validator) => validator.name)
      .filter((other) => other !== name && !without.includes(other) && !this.#answers.has(other))
  }

  /** What keeps the node from taking part, for its operator. */
  get note(): string {
    const { missing, ahead } = this
    const why = 'This store may have forgotten promises.'
    if (missing.length > 0) {
      const forgetful = missing.filter((name) => this.#forgetful.has(name))
      const advice = 'if its memory is lost for good, say so by "qat restore --without"'
      const also = forgetful.length > 0 ? ` ${forgetful.join(', ')} may have forgotten too: ${advice}.` : ''
      return `${why} Before the node votes again it must hear from ${missing.join(', ')}.${also}`
    }
    const what = ahead.map(({ name, height }) => `${name}'s (block ${height})`).join(' and ')
    return `${why} Before the node votes again its log must catch up${what && ` with ${what}`}.`
  }

  /** Those whose log this node's own has not caught up with, and the last block of each. */
  get ahead(): { readonly name: string; readonly height: number }[] {
    const { tail } = this.#ports.own()
    return [...this.#answers]
      .filter(([, answer]) => !isUpToDate(tail, answer.tail))
      .map(([name, answer]) => ({ name, height: answer.tail.height }))
  }

  /** Asks who has not answered; the state to go on with if all have, and this log is up to date; else undefined. */
  async attempt(): Promise<HardState | undefined> {
    await Promise.all(this.missing.map((peer) => this.#ask(peer)))
    if (this.missing.length > 0) return undefined
    const { name, own } = this.#ports
    const { term, tail } = own()
    if (this.ahead.length > 0) return undefined
    const answers = [...this.#answers.values()]
    return {
      term: Math.max(term, tail.term, ...answers.map((answer) => answer.term)),
      vote: { candidate: name, base: { ...tail, hash: '' } },
      abstains: true,
    }
  }

  async #ask(peer: string): Promise<void> {
    const { network, logger } = this.#ports
    try {
      const answer = decodePromises(await network.request(peer, QUESTION, REQUEST_TIMEOUT_MS))
      // Taking over such a term would leave this node none to take part in.
      if (answer.term - this.#ports.own().term > TERM_LEAP_MAX) {
        logger.warn(
          { peer, term: answer.term },
          'names a term that no election can have come to; asking again',
        )
        return
      }
      if (answer.recovering) {
        this.#forgetful.add(peer)
        return
      }
      this.#forgetful.delete(peer)
      this.#answers.set(peer, answer)
    } catch (error) {
      logger.debug({ peer, error: errorMessage(error) }, 'has not said yet what binds it')
    }
  }
}

/** Writes down what binds the node from now on. Nothing else may write to the store meanwhile. */
export async function endRecovery(store: LedgerStore, found: HardState, logger: Logger): Promise<void> {
  // A leader may have been heard of since, in a newer term.
  const { term } = await store.hardState()
  const hardState = term > found.term ? { ...found, term } : found
  // Whatever it had cosigned is below: it was committed, and all that is committed it holds by now.
  const { size, root } = store.tip
  if (size > ((await store.cosigned())?.size ?? 0)) await store.setCosigned({ size, root })
  await store.clearRecovering(hardState)
  logger.info({ term: hardState.term }, 'this node knows again what binds it, and takes part')
}

function isUpToDate(own: Promises['tail'], other: Promises['tail']): boolean {
  return own.term > other.term || (own.term === other.term && own.height >= other.height)
}
