/**
 * The ledger's own records about an entry, as part of its proof: genesis, the seal of its block, which says when, and
 * the record of its submitter, which says who. Each is a leaf of the tree that the proof's certificate is about, so
 * that nobody need be asked and nothing else trusted.
 */
import { toHex } from '../bytes.ts'
import { keyId } from '../crypto/keys.ts'
import type { SignatureSuite } from '../crypto/suite.ts'
import { FormatError, ProofError, RefusedError } from '../errors.ts'
import { array, canonicalJson, count, fields, type Json, parseCanonicalJson } from '../json.ts'
import { checkPermission } from '../ledger/chain.ts'
import { decodeChange } from '../ledger/change.ts'
import { decodeEnvelope, type Envelope, envelopeToJson, respell } from '../ledger/dsse.ts'
import type { Claim } from '../ledger/event.ts'
import { type GenesisParameters, readParameters } from '../ledger/genesis.ts'
import { decodeMember, type Submitter } from '../ledger/member.ts'
import { PAYLOAD_TYPES } from '../ledger/payload-types.ts'
import { decodeSeal, hash, type Seal } from '../ledger/seal.ts'
import { PROOF_HASHES_MAX, RECORDS_BYTES_MAX } from '../limits.ts'
import { leafHash } from '../merkle/hash.ts'
import { verifyInclusion } from '../merkle/verify.ts'
import { checkSignatures } from './leaf.ts'

/** A leaf and its place in the tree of a proof. */
export interface PlacedLeaf {
  readonly index: number
  /** The leaf, byte for byte. */
  readonly leaf: Uint8Array
  /** RFC 6962 inclusion path, the leaf's sibling first. */
  readonly path: readonly Uint8Array[]
}

/** As a node collects them. */
export interface RecordLeaves {
  /** The first leaf of the tree: the ledger's parameters. */
  readonly genesis: PlacedLeaf
  /** The last leaf of the entry's block. */
  readonly seal: PlacedLeaf
  /** The founding record of the entry's submitter, or the change that put it; none for the ledger's own records. */
  readonly submitter?: PlacedLeaf
}

/** As `decodeRecords` reads them; nothing is verified. */
export interface Records {
  readonly genesis: PlacedLeaf & { readonly parameters: GenesisParameters }
  readonly seal: PlacedLeaf & { readonly seal: Seal }
  /** `ledger` is the one that a change was signed for. */
  readonly submitter?: PlacedLeaf & { readonly record: Submitter; readonly ledger?: string }
}

/** The file of records: canonical JSON. Throws FormatError for leaves that are none of these. */
export function encodeRecords({ genesis, seal, submitter }: RecordLeaves): Uint8Array {
  const bytes = canonicalJson({
    genesis: placedToJson(genesis),
    seal: placedToJson(seal),
    ...(submitter && { submitter: placedToJson(submitter) }),
  })
  decodeRecords(bytes)
  return bytes
}

function placedToJson({ index, leaf, path }: PlacedLeaf): Json {
  return { index, leaf: envelopeToJson(decodeEnvelope(leaf)), path: path.map(toHex) }
}

/** Reads what `encodeRecords` writes and nothing else, and verifies nothing. Throws FormatError. */
export function decodeRecords(bytes: Uint8Array): Records {
  const found = fields(
    parseCanonicalJson(bytes, RECORDS_BYTES_MAX),
    'The records',
    ['genesis', 'seal'],
    ['submitter'],
  )
  const genesis = placed(found.genesis, '"genesis"', [PAYLOAD_TYPES.genesis])
  const seal = placed(found.seal, '"seal"', [PAYLOAD_TYPES.seal])
  const { parameters } = readParameters(genesis.envelope)
  const records = {
    genesis: { ...genesis.placed, parameters },
    seal: { ...seal.placed, seal: decodeSeal(seal.envelope.payload) },
  }
  if (found.submitter === undefined) return records
  const submitter = placed(found.submitter, '"submitter"', [PAYLOAD_TYPES.member, PAYLOAD_TYPES.change])
  return { ...records, submitter: { ...submitter.placed, ...submitterIn(submitter.envelope) } }
}

function placed(
  value: Json | undefined,
  what: string,
  types: readonly string[],
): { placed: PlacedLeaf; envelope: Envelope } {
  const found = fields(value, what, ['index', 'leaf', 'path'])
  const { envelope, bytes } = respell(found.leaf as Json)
  if (!types.includes(envelope.payloadType)) {
    throw new FormatError('unknown-payload-type', `${what} holds a leaf of another kind.`)
  }
  const path = array(found.path, `The path of ${what}`, 0, PROOF_HASHES_MAX)
  const index = count(found.index, `The index of ${what}`)
  return { placed: { index, leaf: bytes, path: path.map((item) => hash(item, 'A hash')) }, envelope }
}

/** The submitter that a founding record or a change puts. */
function submitterIn({ payloadType, payload }: Envelope): { record: Submitter; ledger?: string } {
  if (payloadType === PAYLOAD_TYPES.member) return { record: checkSubmitter(decodeMember(payload)) }
  const { ledger, what } = decodeChange(payload)
  return { record: checkSubmitter('put' in what ? what.put : undefined), ledger }
}

function checkSubmitter(member: ReturnType<typeof decodeMember> | undefined): Submitter {
  if (member?.kind === 'submitter') return member
  throw new FormatError('bad-field', '"submitter" holds no record of a submitter.')
}

/** What a verified proof has settled, and the records are held against. */
export interface ProvenPlace {
  readonly origin: string
  readonly index: number
  readonly size: number
  readonly root: Uint8Array
  readonly envelope: Envelope
  /** Empty for a record of the ledger's own. */
  readonly claims: readonly Claim[]
}

/**
 * Verifies that the records are leaves of the certified tree and are about this entry, that its submitter could log it,
 * and the submitter's signature. What it rests on the validators for: that they took the seal for true, and that no
 * later change had taken the submitter's record back. Throws ProofError and RefusedError.
 */
export async function verifyRecords(
  suite: SignatureSuite,
  records: Records,
  place: ProvenPlace,
): Promise<void> {
  const { genesis, seal, submitter } = records
  const { origin, index, envelope, claims } = place
  verifyPlaced(genesis, 'genesis', place)
  verifyPlaced(seal, 'seal', place)
  const { firstIndex, count, ledger } = seal.seal
  if (ledger !== origin || genesis.parameters.ledger !== origin) throw otherLedger()
  const isLast = seal.index === firstIndex + count
  if (genesis.index !== 0 || !isLast || index < firstIndex || index > seal.index) {
    throw new ProofError('out-of-range', "The records are not those of the entry's block.", { index })
  }
  if (claims.length > 0 !== (submitter !== undefined)) {
    throw new ProofError('wrong-submitter', 'The records name a submitter where none is, or name none.')
  }
  if (!submitter) return
  verifyPlaced(submitter, "submitter's record", place)
  const { record } = submitter
  if (submitter.ledger !== undefined && submitter.ledger !== origin) throw otherLedger()
  const [signature, ...others] = envelope.signatures
  const isOwn = others.length === 0 && signature?.keyid === keyId(record.key)
  if (!isOwn || submitter.index >= firstIndex) {
    throw new ProofError(
      'wrong-submitter',
      `The record of ${record.name} is not that of the entry's submitter.`,
    )
  }
  checkPermission(record, claims, origin)
  await checkSignatures(suite, envelope, [record.key])
}

function verifyPlaced({ index, leaf, path }: PlacedLeaf, what: string, { size, root }: ProvenPlace): void {
  try {
    verifyInclusion({ index, size, leafHash: leafHash(leaf), path, root })
  } catch (cause) {
    if (!(cause instanceof ProofError)) throw cause
    throw new ProofError(
      cause.code,
      `The ${what} is not a leaf of this ledger. ${cause.message}`,
      cause.facts,
      {
        cause,
      },
    )
  }
}

function otherLedger(): RefusedError {
  return new RefusedError('wrong-ledger', 'The records are those of another ledger.')
}
