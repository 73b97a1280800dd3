/**
 * Watches for a validator that votes twice in one term, that acknowledges two blocks of one term at one height, or
 * that seals in a term for which it has stood with another base. It remembers what each key has signed, within bounds.
 */
import { compareRanks } from '../../consensus/core.ts'
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
/**
 * Votes of terms further from the one that a node is in are kept apart: a liar that votes in many must not push out what
 * convicts it where votes count. A vote of a later term moves a node there as soon as its base is judged too.
 */
const TERMS_AHEAD_MAX = 8
const TERMS_BACK_MAX = 2

interface SignedVote {
  readonly vote: Vote
  readonly envelope: Envelope
}

interface Kept {
  /** The first vote of each term near the one that this node is in, and of each far from it. */
  readonly votes: Map<number, SignedVote>
  readonly farVotes: Map<number, SignedVote>
  /** The lowest seal of each term: the first to leave the base. */
  readonly seals: Map<number, { readonly seal: Seal; readonly envelope: Envelope }>
  /** By term and height: the first one. */
  readonly acknowledgements: Map<string, Envelope>
  /** Of the latest term, and the highest block of it. An old one may be shown late, so it need not be the last one seen. */
  newestVote?: SignedVote
  newestAcknowledgement?: { readonly said: Acknowledgement; readonly envelope: Envelope }
}

export class StatementWatch {
  /** By key id; there are as many as validators. */
  readonly #kept = new Map<string, Kept>()

  /**
   * Takes a vote whose signature is verified to be by `key`, and answers what it contradicts.
   * @param present the term that this node is in
   */
  sawVote(key: PublicKey, vote: Vote, signature: Uint8Array, present: number): TwoStatements[] {
    const kept = this.#of(key)
    comeNear(kept, present)
    const envelope = voteEnvelope(key, vote, signature)
    const found: TwoStatements[] = []
    const other = voteOf(kept, vote.term)
    const kind = isNear(vote.term, present) ? kept.votes : kept.farVotes
    if (!other) remember(kind, vote.term, { vote, envelope }, TERMS_MAX)
    else if (!equalBytes(other.envelope.payload, envelope.payload)) {
      found.push(twoStatements('two-votes', key, other.envelope, envelope))
    }
    if (vote.term > (kept.newestVote?.vote.term ?? 0)) kept.newestVote = { vote, envelope }
    const sealed = kept.seals.get(vote.term)
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
    const kept = this.#of(key)
    const { seals } = kept
    const envelope = envelopeBy(key, payloadType, payload, signatures[0]!.sig)
    const { term, height } = seal
    const lowest = seals.get(term)
    if (!lowest) remember(seals, term, { seal, envelope }, TERMS_MAX)
    else if (height < lowest.seal.height) seals.set(term, { seal, envelope })
    const stood = voteOf(kept, term)
    if (!stood || whyHonest(stood.vote, seal) !== undefined) return undefined
    return twoStatements('broken-candidacy', key, stood.envelope, envelope)
  }

  /** Takes an acknowledgement whose signature is verified to be by `key`, and answers what it contradicts. */
  sawAcknowledgement(
    key: PublicKey,
    acknowledgement: Acknowledgement,
    signature: Uint8Array,
  ): TwoStatements | undefined {
    const kept = this.#of(key)
    const { acknowledgements, newestAcknowledgement: newest } = kept
    const envelope = acknowledgementEnvelope(key, acknowledgement, signature)
    if (!newest || compareRanks(acknowledgement, newest.said) > 0)
      kept.newestAcknowledgement = { said: acknowledgement, envelope }
    const place = `${acknowledgement.term} ${acknowledgement.height}`
    const other = acknowledgements.get(place)
    if (!other) remember(acknowledgements, place, envelope, ACKNOWLEDGEMENTS_MAX)
    else if (!equalBytes(other.payload, envelope.payload)) {
      return twoStatements('two-acknowledgements', key, other, envelope)
    }
    return undefined
  }

  /** By this key: the vote of the latest term, and the acknowledgement of the highest block of the latest term. */
  newestBy(key: PublicKey): Envelope[] {
    const { newestVote, newestAcknowledgement } = this.#kept.get(keyId(key)) ?? {}
    return [newestVote, newestAcknowledgement].flatMap((newest) => (newest ? [newest.envelope] : []))
  }

  #of(key: PublicKey): Kept {
    const keyid = keyId(key)
    const none = { votes: new Map(), farVotes: new Map(), seals: new Map(), acknowledgements: new Map() }
    const kept = this.#kept.get(keyid) ?? none
    this.#kept.set(keyid, kept)
    return kept
  }
}

function isNear(term: number, present: number): boolean {
  return term >= present - TERMS_BACK_MAX && term <= present + TERMS_AHEAD_MAX
}

function voteOf({ votes, farVotes }: Kept, term: number): SignedVote | undefined {
  return votes.get(term) ?? farVotes.get(term)
}

/** This node has come to terms that were far before. */
function comeNear({ votes, farVotes }: Kept, present: number): void {
  for (const [term, vote] of farVotes) {
    if (!isNear(term, present)) continue
    farVotes.delete(term)
    remember(votes, term, vote, TERMS_MAX)
  }
}

/** The oldest one gives way when there are more than `max`. */
function remember<K, V>(all: Map<K, V>, place: K, what: V, max: number): void {
  all.set(place, what)
  const [oldest] = all.keys()
  if (all.size > max && oldest !== undefined) all.delete(oldest)
}
