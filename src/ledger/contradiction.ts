/**
 * Whether evidence convicts: both sides are signed by the accused key, and they exclude each other. It holds
 * for everyone, with no policy, no ledger and no clock; whose key it is, is a second question (`accusedName`).
 *
 * The rules are such that nobody can make evidence against a key without its holder having signed both sides:
 * a leader seals one block a term and height, and a validator cosigns one growing tree, across restarts.
 */
import { equalBytes, toHex } from '../bytes.ts'
import { keyId } from '../crypto/keys.ts'
import type { PublicKey, SignatureSuite } from '../crypto/suite.ts'
import { ProofError } from '../errors.ts'
import { leafHash } from '../merkle/hash.ts'
import { verifyConsistency } from '../merkle/verify.ts'
import { cosignatureKey, verifyCosignature } from '../notes/cosignature.ts'
import type { Policy } from '../notes/policy.ts'
import { type Envelope, encodeEnvelope } from './dsse.ts'
import { signatureCheck } from './entry.ts'
import type { Cosigned, Evidence, TwoCosignatures, TwoSeals } from './evidence.ts'
import type { Validator } from './member.ts'
import { cosignerName } from './membership.ts'
import { checkMemberName, GENESIS_PROPOSER } from './names.ts'
import { PAYLOAD_TYPES } from './payload-types.ts'
import { decodeSeal, type Seal } from './seal.ts'

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
  return evidence.kind === 'two-seals' ? verifySeals(suite, evidence) : verifyCosignatures(suite, evidence)
}

async function verifySeals(suite: SignatureSuite, { accused, seals }: TwoSeals): Promise<Contradiction> {
  const keyid = keyId(accused)
  const [a, b] = [readSeal(seals[0], keyid), readSeal(seals[1], keyid)]
  for (const name of ['ledger', 'height', 'term', 'proposer'] as const) {
    if (a[name] !== b[name]) throw none(`The seals differ in their ${name}: both may be honest.`)
  }
  // Genesis is signed by admins, who may make as many as they like.
  if (a.height === 0 || a.proposer === GENESIS_PROPOSER) throw none('Genesis is not proposed by a validator.')
  // The same seal signed twice is harmless: ML-DSA signatures are randomised.
  if (equalBytes(seals[0].payload, seals[1].payload)) throw none('Both sides are the same seal.')
  for (const envelope of seals) {
    const { message, signature } = signatureCheck(envelope, 0, accused)
    if (!(await suite.verify(accused, message, signature))) throw badSignature()
  }
  return { kind: 'two-seals', ledger: a.ledger, keyid, seals: [a, b] }
}

function readSeal(envelope: Envelope, keyid: string): SignedSeal {
  if (envelope.payloadType !== PAYLOAD_TYPES.seal) throw none('A side is not a seal.')
  if (envelope.signatures.length !== 1 || envelope.signatures[0]!.keyid !== keyid) {
    throw new ProofError('wrong-accused', 'A seal is not signed by the accused key alone.', { keyid })
  }
  return { ...decodeSeal(envelope.payload), hash: toHex(leafHash(encodeEnvelope(envelope))) }
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
  /** Names cosigner keys only; node keys, which seal, do not stand in a policy. */
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
      bytes: kind === 'two-seals' ? nodeKey.bytes : cosignerKey.bytes,
    })),
    ...(policy?.witnesses ?? []).map(({ name, key }) => ({ name, bytes: key.bytes })),
  ]
  return known.find(({ bytes }) => equalBytes(bytes, accused.bytes))?.name
}

/** The name by which the evidence itself calls its accused. Nothing but the accused's own word vouches for it. */
export function claimedName(contradiction: Contradiction): string {
  if (contradiction.kind === 'two-seals') return contradiction.seals[0].proposer
  const { checkpoints, ledger, keyid } = contradiction
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
