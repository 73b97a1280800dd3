/**
 * Watches for a validator that votes twice in one term, that acknowledges two blocks of one term at one height, or
 * that seals in a term for which it has stood with another base. It remembers what each key has signed last.
 */
import { equalBytes } from '../../src/bytes.ts'
import { keyId } from '../../src/crypto/keys.ts'
import type { PublicKey } from '../../src/crypto/suite.ts'
import { type Acknowledgement, acknowledgementEnvelope } from '../../src/ledger/acknowledgement.ts'
import { whyHonest } from '../../src/ledger/contradiction.ts'
import { type Envelope, envelopeBy } from '../../src/ledger/dsse.ts'
import { type TwoStatements, twoStatements } from '../../src/ledger/evidence.ts'
import type { Seal } from '../../src/ledger/seal.ts'
import { type Vote, voteEnvelope } from '../../src/ledger/vote.ts'

/** Of each key and sort; about 4 kB each. A liar that signs more pushes out no statements but its own. */
const TERMS_MAX = 32
const ACKNOWLEDGEMENTS_MAX = 512

interface Kept {
  /** The first vote of each term. */
  readonly votes: Map<number, { readonly vote: Vote; readonly envelope: Envelope }>
  /** The lowest seal of each term: the first to leave the base. */
  readonly seals: Map<number, { readonly seal: Seal; readonly envelope: Envelope }>
  /** By term and height: the first one. */
  readonly acknowledgements: Map<string, Envelope>
}

export class StatementWatch {
  /** By key id; there are as many as validators. */
  readonly #kept = new Map<string, Kept>()

  /** Takes a vote whose signature is verified to be by `key`, and answers what it contradicts. */
  sawVote(key: PublicKey, vote: Vote, signature: Uint8Array): TwoStatements[] {
    const { votes, seals } = this.#of(key)
    const envelope = voteEnvelope(key, vote, signature)
    const found: TwoStatements[] = []
    const other = votes.get(vote.term)
    if (!other) remember(votes, vote.term, { vote, envelope }, TERMS_MAX)
    else if (!equalBytes(other.envelope.payload, envelope.payload)) {
      found.push(twoStatements('two-votes', key, other.envelope, envelope))
    }
    const sealed = seals.get(vote.term)
    if (sealed && whyHonest(vote, sealed.seal) === undefined) {
      found.push(twoStatements('broken-candidacy', key, envelope, sealed.envelope))
    }
    return found
  }

  /** Takes a seal whose first signature is verified to be by `key`: it may break the candidacy of its proposer. */
  sawSeal(
    key: PublicKey,
    { payloadType, payload, signatures }: Envelope,
    seal: Seal,
  ): TwoStatements | undefined {
    const { votes, seals } = this.#of(key)
    const envelope = envelopeBy(key, payloadType, payload, signatures[0]!.sig)
    const { term, height } = seal
    const lowest = seals.get(term)
    if (!lowest) remember(seals, term, { seal, envelope }, TERMS_MAX)
    else if (height < lowest.seal.height) seals.set(term, { seal, envelope })
    const stood = votes.get(term)
    if (!stood || whyHonest(stood.vote, seal) !== undefined) return undefined
    return twoStatements('broken-candidacy', key, stood.envelope, envelope)
  }

  /** Takes an acknowledgement whose signature is verified to be by `key`, and answers what it contradicts. */
  sawAcknowledgement(
    key: PublicKey,
    acknowledgement: Acknowledgement,
    signature: Uint8Array,
  ): TwoStatements | undefined {
    const { acknowledgements } = this.#of(key)
    const envelope = acknowledgementEnvelope(key, acknowledgement, signature)
    const place = `${acknowledgement.term} ${acknowledgement.height}`
    const other = acknowledgements.get(place)
    if (!other) remember(acknowledgements, place, envelope, ACKNOWLEDGEMENTS_MAX)
    else if (!equalBytes(other.payload, envelope.payload)) {
      return twoStatements('two-acknowledgements', key, other, envelope)
    }
    return undefined
  }

  /** The last vote and acknowledgement by this key that were seen first of their place. */
  newestBy(key: PublicKey): Envelope[] {
    const kept = this.#kept.get(keyId(key))
    const vote = kept && [...kept.votes.values()].at(-1)?.envelope
    const acknowledgement = kept && [...kept.acknowledgements.values()].at(-1)
    return [vote, acknowledgement].filter((envelope) => envelope !== undefined)
  }

  #of(key: PublicKey): Kept {
    const keyid = keyId(key)
    const kept = this.#kept.get(keyid) ?? { votes: new Map(), seals: new Map(), acknowledgements: new Map() }
    this.#kept.set(keyid, kept)
    return kept
  }
}

/** The oldest one gives way when there are more than `max`. */
function remember<K, V>(all: Map<K, V>, place: K, what: V, max: number): void {
  all.set(place, what)
  const [oldest] = all.keys()
  if (all.size > max && oldest !== undefined) all.delete(oldest)
}
