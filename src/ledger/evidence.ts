/**
 * Evidence: two things signed by one key of which an honest holder signs one at most. It needs nothing beside
 * itself to be checked (`contradiction.ts`), and is never about who is right: only about who signed both sides.
 *
 * - `two-seals`: two different blocks that one proposer sealed for one term and height.
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
import { hash } from './seal.ts'

export const EVIDENCE_KINDS = ['two-seals', 'two-cosignatures'] as const
export type EvidenceKind = (typeof EVIDENCE_KINDS)[number]

export interface TwoSeals {
  readonly kind: 'two-seals'
  /** The key that signed both sides: a node key, ML-DSA-65. */
  readonly accused: PublicKey
  /** Seals as they stand in leaves, in the order of their payloads' bytes. */
  readonly seals: readonly [Envelope, Envelope]
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

export type Evidence = TwoSeals | TwoCosignatures

const ALG = { 'two-seals': 'ML-DSA-65', 'two-cosignatures': 'ML-DSA-44' } as const satisfies Record<
  EvidenceKind,
  MlDsaAlg
>

/** Puts two seals by one key into evidence; nothing is checked. */
export function twoSeals(accused: PublicKey, a: Envelope, b: Envelope): TwoSeals {
  return { kind: 'two-seals', accused, seals: compareBytes(a.payload, b.payload) <= 0 ? [a, b] : [b, a] }
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
  // A JWK with a `kid` or a checkpoint with further lines would be a second spelling of the same evidence.
  if (!equalBytes(encodeEvidence(evidence), bytes)) {
    throw new FormatError('json-not-canonical', 'The evidence holds more than its fields, such as a "kid".')
  }
  return evidence
}

export function evidenceToJson(evidence: Evidence): Json {
  const accused = { ...publicKeyToJwk(evidence.accused) }
  if (evidence.kind === 'two-seals') {
    return { accused, kind: evidence.kind, seals: evidence.seals.map(envelopeToJson) }
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
  if (kind === 'two-seals') {
    const found = fields(value, 'The evidence', ['accused', 'kind', 'seals'])
    const [a, b] = array(found.seals, '"seals"', 2, 2).map(envelopeFromJson) as [Envelope, Envelope]
    if (compareBytes(a.payload, b.payload) > 0) throw bad('The seals stand in the wrong order.')
    return { kind, accused: accusedKey(found.accused, ALG[kind]), seals: [a, b] }
  }
  const found = fields(value, 'The evidence', ['accused', 'kind', 'notes'], ['prefix'])
  const [a, b] = array(found.notes, '"notes"', 2, 2).map(cosignedFromJson) as [Cosigned, Cosigned]
  if (compareCheckpoints(a.checkpoint, b.checkpoint) > 0) throw bad('The notes stand in the wrong order.')
  const accused = accusedKey(found.accused, ALG[kind])
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
