/**
 * Whether evidence convicts: both sides are signed by the accused key, and they exclude each other. It holds
 * for everyone, with no policy, no ledger and no clock; whose key it is, is a second question (`accusedName`).
 *
 * The rules are such that nobody can make evidence against a key without its holder having signed both sides:
 * across restarts, a validator votes once a term; a leader seals one block a term and height, the first of them on the
 * base that it stood with; a validator acknowledges one block of a term at a height, and cosigns one growing tree.
 */
import { equalBytes, toHex } from '../bytes.ts'
import { keyId } from '../crypto/keys.ts'
import type { PublicKey, SignatureSuite } from '../crypto/suite.ts'
import { ProofError } from '../errors.ts'
import { leafHash } from '../merkle/hash.ts'
import { verifyConsistency } from '../merkle/verify.ts'
import { cosignatureKey, verifyCosignature } from '../notes/cosignature.ts'
import type { Policy } from '../notes/policy.ts'
import { type Acknowledgement, decodeAcknowledgement } from './acknowledgement.ts'
import { type Envelope, encodeEnvelope } from './dsse.ts'
import { signatureCheck } from './entry.ts'
import type { Cosigned, Evidence, StatementKind, TwoCosignatures, TwoStatements } from './evidence.ts'
import type { Validator } from './member.ts'
import { cosignerName } from './membership.ts'
import { checkMemberName, GENESIS_PROPOSER } from './names.ts'
import { PAYLOAD_TYPES } from './payload-types.ts'
import { decodeSeal, type Seal } from './seal.ts'
import { decodeVote, type Vote } from './vote.ts'

/** A seal by the accused, with the block hash that it gave its block, in hex. */
export type SignedSeal = Seal & { readonly hash: string }

export interface SignedCheckpoint {
  /** The key name of the line: the origin, or origin, slash and a validator's name. */
  readonly name: string
  /** Seconds since 1970, as the signer says. */
  readonly timestamp: number
  readonly size: number
  readonly root: Uint8Array
}

interface Common {
  /** The ledger's origin. */
  readonly ledger: string
  /** Of the key that signed both sides. */
  readonly keyid: string
}

/** What the holder of one key signed, both. */
export type Contradiction =
  | (Common & { readonly kind: 'two-seals'; readonly seals: readonly [SignedSeal, SignedSeal] })
  | (Common & { readonly kind: 'two-votes'; readonly votes: readonly [Vote, Vote] })
  | (Common & {
      readonly kind: 'two-acknowledgements'
      readonly acknowledgements: readonly [Acknowledgement, Acknowledgement]
    })
  | (Common & { readonly kind: 'broken-candidacy'; readonly vote: Vote; readonly seal: SignedSeal })
  | (Common & {
      readonly kind: 'two-cosignatures'
      readonly checkpoints: readonly [SignedCheckpoint, SignedCheckpoint]
      /** If the sizes differ: the root at the smaller size of the larger tree, proven. */
      readonly prefixRoot?: Uint8Array
    })

/**
 * Verifies evidence. Throws ProofError: `no-contradiction` if both sides may be signed by an honest holder,
 * `wrong-accused` if a side names another key, `bad-signature`, `bad-consistency`; and FormatError.
 */
export function verifyEvidence(suite: SignatureSuite, evidence: Evidence): Promise<Contradiction> {
  return evidence.kind === 'two-cosignatures'
    ? verifyCosignatures(suite, evidence)
    : verifyStatements(suite, evidence)
}

/** What two statements by one key say that exclude each other. Throws ProofError no-contradiction, and FormatError. */
type Rule = (keyid: string, a: Envelope, b: Envelope) => Contradiction

const RULES: Readonly<Record<StatementKind, Rule>> = {
  'two-seals': twoSeals,
  'two-votes': twoVotes,
  'two-acknowledgements': twoAcknowledgements,
  'broken-candidacy': brokenCandidacy,
}

async function verifyStatements(
  suite: SignatureSuite,
  { kind, accused, statements }: TwoStatements,
): Promise<Contradiction> {
  const keyid = keyId(accused)
  for (const { signatures } of statements) {
    if (signatures.length !== 1 || signatures[0]!.keyid !== keyid) {
      throw new ProofError('wrong-accused', 'A side is not signed by the accused key alone.', { keyid })
    }
  }
  const found = RULES[kind](keyid, ...statements)
  for (const envelope of statements) {
    const { message, signature } = signatureCheck(envelope, 0, accused)
    if (!(await suite.verify(accused, message, signature))) throw badSignature()
  }
  return found
}

function twoSeals(keyid: string, a: Envelope, b: Envelope): Contradiction {
  const seals = [readSeal(a), readSeal(b)] as const
  mustAgree('seals', ...seals, ['ledger', 'height', 'term', 'proposer'])
  const { ledger, height, proposer } = seals[0]
  // Genesis is signed by admins, who may make as many as they like.
  if (height === 0 || proposer === GENESIS_PROPOSER) throw none('Genesis is not proposed by a validator.')
  // The hash of a block covers the signature of its seal: one payload signed twice makes two blocks in one place.
  if (seals[0].hash === seals[1].hash) throw none('Both sides are the same seal.')
  return { kind: 'two-seals', ledger, keyid, seals }
}

function twoVotes(keyid: string, a: Envelope, b: Envelope): Contradiction {
  const votes = [readVote(a), readVote(b)] as const
  mustAgree('votes', ...votes, ['ledger', 'term'])
  mustDiffer('vote', a, b)
  return { kind: 'two-votes', ledger: votes[0].ledger, keyid, votes }
}

function twoAcknowledgements(keyid: string, a: Envelope, b: Envelope): Contradiction {
  const acknowledgements = [readAcknowledgement(a), readAcknowledgement(b)] as const
  mustAgree('acknowledgements', ...acknowledgements, ['ledger', 'term', 'height'])
  mustDiffer('acknowledgement', a, b)
  return { kind: 'two-acknowledgements', ledger: acknowledgements[0].ledger, keyid, acknowledgements }
}

function brokenCandidacy(keyid: string, a: Envelope, b: Envelope): Contradiction {
  const [vote, seal] = [readVote(a), readSeal(b)]
  const why = whyHonest(vote, seal)
  if (why !== undefined) throw none(why)
  return { kind: 'broken-candidacy', ledger: vote.ledger, keyid, vote, seal }
}

/**
 * Why an honest validator may have signed both, the vote and the seal; undefined if it may not. A leader begins
 * its term with a block on the base that it stood with, and seals in that term only above that block.
 */
export function whyHonest(
  { ledger, term, candidate, base }: Vote,
  seal: Pick<Seal, 'ledger' | 'term' | 'proposer' | 'height' | 'previous'>,
): string | undefined {
  if (ledger !== seal.ledger) return 'The vote and the seal are of two ledgers.'
  if (term !== seal.term) return 'The vote and the seal are of two terms.'
  // One key has one name: a proposer of the candidate's name is the candidate.
  if (candidate !== seal.proposer) return 'The vote is for somebody else than the proposer.'
  const above = seal.height - base.height
  if (above > 1) return 'The block lies higher than the first one on the base.'
  if (above === 1 && toHex(seal.previous) === base.hash) return 'The block stands on the base.'
  return undefined
}

function readSeal(envelope: Envelope): SignedSeal {
  mustBe('seal', envelope)
  return { ...decodeSeal(envelope.payload), hash: toHex(leafHash(encodeEnvelope(envelope))) }
}

function readVote(envelope: Envelope): Vote {
  mustBe('vote', envelope)
  return decodeVote(envelope.payload)
}

function readAcknowledgement(envelope: Envelope): Acknowledgement {
  mustBe('acknowledgement', envelope)
  return decodeAcknowledgement(envelope.payload)
}

type Statement = 'seal' | 'vote' | 'acknowledgement'

function mustBe(statement: Statement, { payloadType }: Envelope): void {
  if (payloadType !== PAYLOAD_TYPES[statement]) throw none(`A side that should be a ${statement} is none.`)
}

function mustAgree<T>(what: string, a: T, b: T, names: readonly (keyof T & string)[]): void {
  for (const name of names) {
    if (a[name] !== b[name]) throw none(`The ${what} differ in their ${name}: both may be honest.`)
  }
}

/** The same vote or acknowledgement signed twice is harmless: ML-DSA signatures are randomised. */
function mustDiffer(statement: 'vote' | 'acknowledgement', a: Envelope, b: Envelope): void {
  if (equalBytes(a.payload, b.payload)) throw none(`Both sides are the same ${statement}.`)
}

async function verifyCosignatures(
  suite: SignatureSuite,
  { accused, sides, prefix }: TwoCosignatures,
): Promise<Contradiction> {
  const [{ checkpoint: a }, { checkpoint: b }] = sides
  if (a.origin !== b.origin) throw none('The checkpoints are of two ledgers.')
  if (a.size === 0) throw none('A tree without leaves says nothing.')
  if (a.size > b.size) throw none('The smaller tree stands first.')
  if ((a.size === b.size) === (prefix !== undefined)) {
    throw none('The larger tree needs a proof of how it begins, and trees of one size need none.')
  }
  if (equalBytes(a.root, prefix?.root ?? b.root)) throw none('The trees agree.')
  if (prefix) {
    verifyConsistency({
      size1: a.size,
      root1: prefix.root,
      size2: b.size,
      root2: b.root,
      path: prefix.path,
    })
  }
  const checkpoints: [SignedCheckpoint, SignedCheckpoint] = [
    await verifyLine(suite, accused, sides[0]),
    await verifyLine(suite, accused, sides[1]),
  ]
  const common = { ledger: a.origin, keyid: keyId(accused), checkpoints }
  return { kind: 'two-cosignatures', ...common, ...(prefix && { prefixRoot: prefix.root }) }
}

async function verifyLine(
  suite: SignatureSuite,
  accused: PublicKey,
  { checkpoint, line }: Cosigned,
): Promise<SignedCheckpoint> {
  const { origin, size, root } = checkpoint
  checkLineName(origin, line.name)
  const key = cosignatureKey(line.name, accused)
  if (key.id !== line.keyId) {
    throw new ProofError('wrong-accused', 'A line is not by the accused key.', { name: line.name })
  }
  const timestamp = await verifyCosignature(suite, key, checkpoint, line)
  return { name: line.name, timestamp, size, root }
}

/** A validator signs its own ledger under two names, and makes no line under any other. */
function checkLineName(origin: string, name: string): void {
  if (name === origin) return
  const prefix = cosignerName(origin, '')
  if (!name.startsWith(prefix)) throw none('A line is not under a name of this ledger.')
  checkMemberName(name.slice(prefix.length))
}

export interface Known {
  /** Validators of the ledger, now or at any time. */
  readonly validators?: readonly Pick<Validator, 'name' | 'nodeKey' | 'cosignerKey'>[]
  /** Names cosigner keys only; node keys, which sign seals, votes and acknowledgements, do not stand in a policy. */
  readonly policy?: Policy
}

/** The name of the accused among those known, if they know the key. */
export function accusedName(
  { kind, accused }: Evidence,
  { validators = [], policy }: Known,
): string | undefined {
  const known = [
    ...validators.map(({ name, nodeKey, cosignerKey }) => ({
      name,
      bytes: kind === 'two-cosignatures' ? cosignerKey.bytes : nodeKey.bytes,
    })),
    ...(policy?.witnesses ?? []).map(({ name, key }) => ({ name, bytes: key.bytes })),
  ]
  return known.find(({ bytes }) => equalBytes(bytes, accused.bytes))?.name
}

/**
 * The name by which the evidence itself calls its accused, the key id if by none. Nothing but the accused's own word
 * vouches for it.
 */
export function claimedName(contradiction: Contradiction): string {
  const { kind, ledger, keyid } = contradiction
  if (kind === 'two-seals') return contradiction.seals[0].proposer
  if (kind === 'broken-candidacy') return contradiction.seal.proposer
  // Votes and acknowledgements do not say whose they are.
  if (kind !== 'two-cosignatures') return keyid
  const { checkpoints } = contradiction
  const line = checkpoints.find(({ name }) => name !== ledger)
  return line?.name.slice(cosignerName(ledger, '').length) ?? keyid
}

function none(why: string): ProofError {
  return new ProofError('no-contradiction', `The two sides do not contradict each other. ${why}`)
}

function badSignature(): ProofError {
  return new ProofError(
    'bad-signature',
    'A side is not signed by the accused key: its signature does not verify.',
  )
}
