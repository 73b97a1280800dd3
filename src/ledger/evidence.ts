/**
 * Evidence: two things signed by one key of which an honest holder signs one at most. It needs nothing beside
 * itself to be checked (`contradiction.ts`), and is never about who is right: only about who signed both sides.
 *
 * - `two-seals`: two different blocks that one proposer sealed for one term and height.
 * - `two-votes`: two different votes in one term.
 * - `two-acknowledgements`: two different blocks of one term and height, both said to be on one disk.
 * - `broken-candidacy`: a vote for oneself, and a block of that term that does not stand on the vote's base.
 * - `two-cosignatures`: two checkpoints of which neither is a tree that the other grew from.
 *
 * The format is one canonical JSON text (FORMATS.md section 11): one pair of statements, one spelling.
 */
import { equalBytes, toHex } from '../bytes.ts'
import { publicKeyFromJwk, publicKeyToJwk } from '../crypto/keys.ts'
import { ML_DSA, type MlDsaAlg, type PublicKey } from '../crypto/suite.ts'
import { FormatError } from '../errors.ts'
import { array, canonicalJson, fields, type Json, oneOf, parseCanonicalJson } from '../json.ts'
import { EVIDENCE_BYTES_MAX, NOTE_BYTES_MAX, PROOF_HASHES_MAX } from '../limits.ts'
import { type Checkpoint, parseCheckpoint, printCheckpoint } from '../notes/checkpoint.ts'
import { type NoteSignature, parseNote, printNote } from '../notes/note.ts'
import { type Envelope, envelopeFromJson, envelopeToJson } from './dsse.ts'
import { PAYLOAD_TYPES } from './payload-types.ts'
import { hash } from './seal.ts'

/** Both sides are statements in envelopes, by a node key. */
export const STATEMENT_KINDS = ['two-seals', 'two-votes', 'two-acknowledgements', 'broken-candidacy'] as const
export type StatementKind = (typeof STATEMENT_KINDS)[number]

export const EVIDENCE_KINDS = [...STATEMENT_KINDS, 'two-cosignatures'] as const
export type EvidenceKind = (typeof EVIDENCE_KINDS)[number]

export interface TwoStatements {
  readonly kind: StatementKind
  /** The key that signed both sides: a node key, ML-DSA-65. */
  readonly accused: PublicKey
  /**
   * Seals as they stand in leaves, votes, acknowledgements: in the order of their payloads' bytes. Of a broken
   * candidacy: the vote, then the seal.
   */
  readonly statements: readonly [Envelope, Envelope]
}

/** A checkpoint and one line of its note. */
export interface Cosigned {
  readonly checkpoint: Checkpoint
  readonly line: NoteSignature
}

export interface TwoCosignatures {
  readonly kind: 'two-cosignatures'
  /** The key that signed both sides: a cosigner key, ML-DSA-44. */
  readonly accused: PublicKey
  /** The smaller tree first; of one size, in the order of their roots' bytes. */
  readonly sides: readonly [Cosigned, Cosigned]
  /** If the sizes differ: how the larger tree really begins, and the RFC 6962 proof that it does. */
  readonly prefix?: Prefix
}

export interface Prefix {
  /** Root of the larger tree at the smaller size. */
  readonly root: Uint8Array
  /** Consistency proof from that root to the root of the larger tree. */
  readonly path: readonly Uint8Array[]
}

export type Evidence = TwoStatements | TwoCosignatures

/** Puts two statements by one key into evidence, each in its place; nothing is checked. */
export function twoStatements(
  kind: StatementKind,
  accused: PublicKey,
  a: Envelope,
  b: Envelope,
): TwoStatements {
  return { kind, accused, statements: compareStatements(kind, a, b) <= 0 ? [a, b] : [b, a] }
}

/** As `twoStatements`, of seals. */
export function twoSeals(accused: PublicKey, a: Envelope, b: Envelope): TwoStatements {
  return twoStatements('two-seals', accused, a, b)
}

/** Puts two cosignatures by one key into evidence; nothing is checked. `prefix` is needed if the sizes differ. */
export function twoCosignatures(
  accused: PublicKey,
  a: Cosigned,
  b: Cosigned,
  prefix?: Prefix,
): TwoCosignatures {
  const sides: [Cosigned, Cosigned] = compareCheckpoints(a.checkpoint, b.checkpoint) <= 0 ? [a, b] : [b, a]
  return { kind: 'two-cosignatures', accused, sides, ...(prefix && { prefix }) }
}

/** The canonical bytes. */
export function encodeEvidence(evidence: Evidence): Uint8Array {
  return canonicalJson(evidenceToJson(evidence))
}

/** Reads what `encodeEvidence` writes and nothing else. Nothing is verified. Throws FormatError. */
export function decodeEvidence(bytes: Uint8Array): Evidence {
  const evidence = evidenceFromJson(parseCanonicalJson(bytes, EVIDENCE_BYTES_MAX))
  // A JWK with further members or a checkpoint with further lines would be a second spelling of the same evidence.
  if (!equalBytes(encodeEvidence(evidence), bytes)) {
    throw new FormatError(
      'json-not-canonical',
      'The evidence holds more than its fields, such as a "kid" of a key.',
    )
  }
  return evidence
}

export function evidenceToJson(evidence: Evidence): Json {
  const accused = { ...publicKeyToJwk(evidence.accused) }
  if (evidence.kind !== 'two-cosignatures') {
    const { kind, statements } = evidence
    return { accused, kind, [statementsField(kind)]: statements.map(envelopeToJson) }
  }
  const { kind, sides, prefix } = evidence
  const notes = sides.map(({ checkpoint, line }) =>
    printNote({ text: printCheckpoint(checkpoint), signatures: [line] }),
  )
  const { root, path } = prefix ?? {}
  return {
    accused,
    kind,
    notes,
    ...(root && path && { prefix: { root: toHex(root), path: path.map(toHex) } }),
  }
}

function evidenceFromJson(value: Json): Evidence {
  const kind = oneOf((value as { kind?: Json } | null)?.kind, 'The "kind" of evidence', EVIDENCE_KINDS)
  if (kind !== 'two-cosignatures') {
    const name = statementsField(kind)
    const found = fields(value, 'The evidence', ['accused', 'kind', name])
    const [a, b] = array(found[name], `"${name}"`, 2, 2).map(envelopeFromJson) as [Envelope, Envelope]
    if (compareStatements(kind, a, b) > 0) throw bad('The statements stand in the wrong order.')
    return { kind, accused: accusedKey(found.accused, 'ML-DSA-65'), statements: [a, b] }
  }
  const found = fields(value, 'The evidence', ['accused', 'kind', 'notes'], ['prefix'])
  const [a, b] = array(found.notes, '"notes"', 2, 2).map(cosignedFromJson) as [Cosigned, Cosigned]
  if (compareCheckpoints(a.checkpoint, b.checkpoint) > 0) throw bad('The notes stand in the wrong order.')
  const accused = accusedKey(found.accused, 'ML-DSA-44')
  if ((a.checkpoint.size === b.checkpoint.size) !== (found.prefix === undefined)) {
    throw bad('"prefix" is given if the two trees differ in size, and only then.')
  }
  return {
    kind,
    accused,
    sides: [a, b],
    ...(found.prefix !== undefined && { prefix: prefixFromJson(found.prefix) }),
  }
}

/** Seals were the first statements to be evidence, and their pieces keep the name that they have. */
function statementsField(kind: StatementKind): string {
  return kind === 'two-seals' ? 'seals' : 'statements'
}

function accusedKey(value: Json | undefined, alg: MlDsaAlg): PublicKey {
  const key = publicKeyFromJwk(value)
  if (key.alg !== alg) throw bad(`The accused key must be ${alg}, of ${ML_DSA[alg].publicKey} bytes.`)
  return key
}

function cosignedFromJson(value: Json): Cosigned {
  if (typeof value !== 'string' || value.length > NOTE_BYTES_MAX) throw bad('A note must be a text.')
  const { text, signatures } = parseNote(value)
  const [line, ...others] = signatures
  const { extensions, ...checkpoint } = parseCheckpoint(text)
  if (line === undefined || others.length > 0 || extensions.length > 0) {
    throw bad('A note must be a checkpoint of three lines and one signature line.')
  }
  return { checkpoint, line }
}

function prefixFromJson(value: Json): Prefix {
  const { root, path } = fields(value, '"prefix"', ['root', 'path'])
  const hashes = array(path, '"path"', 1, PROOF_HASHES_MAX).map((item) => hash(item, 'A hash of the path'))
  return { root: hash(root, '"root"'), path: hashes }
}

function compareStatements(kind: StatementKind, a: Envelope, b: Envelope): number {
  if (kind !== 'broken-candidacy') {
    // Two signatures of one seal are two blocks.
    return compareBytes(a.payload, b.payload) || compareBytes(a.signatures[0]!.sig, b.signatures[0]!.sig)
  }
  const place = ({ payloadType }: Envelope) => (payloadType === PAYLOAD_TYPES.vote ? 0 : 1)
  return place(a) - place(b)
}

function compareCheckpoints(a: Checkpoint, b: Checkpoint): number {
  return a.size - b.size || compareBytes(a.root, b.root)
}

/** As bytes, and then the shorter first; unequal lengths stand only in what cannot be valid. */
function compareBytes(a: Uint8Array, b: Uint8Array): number {
  const at = a.findIndex((byte, i) => byte !== b[i])
  return at < 0 ? a.length - b.length : a[at]! - (b[at] ?? -1)
}

function bad(why: string): FormatError {
  return new FormatError('bad-evidence', `This is no evidence. ${why}`)
}
