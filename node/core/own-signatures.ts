/**
 * What a node has signed, by what the others hold of it. A store cannot tell that it is an old copy of itself. So
 * before a validator signs anything after a start, it asks the others what they have seen of its signatures, and waits
 * for as many answers as make a quorum with itself: without these it could get nothing decided anyway. One signature
 * that its store does not know shows that the store has forgotten.
 */
import type { Raft } from '../../consensus/raft.ts'
import type { BlockRef, HardState } from '../../consensus/types.ts'
import { equalBytes, fromUtf8, utf8 } from '../../src/bytes.ts'
import { Reader } from '../../src/codec/reader.ts'
import { Writer } from '../../src/codec/writer.ts'
import { keyId } from '../../src/crypto/keys.ts'
import type { PublicKey, SignatureSuite } from '../../src/crypto/suite.ts'
import { FormatError } from '../../src/errors.ts'
import { acknowledgementEnvelope, decodeAcknowledgement } from '../../src/ledger/acknowledgement.ts'
import { decodeEnvelope, type Envelope, encodeEnvelope } from '../../src/ledger/dsse.ts'
import { signatureCheck } from '../../src/ledger/entry.ts'
import type { NodeMember } from '../../src/ledger/member.ts'
import { PAYLOAD_TYPES } from '../../src/ledger/payload-types.ts'
import { decodeVote, voteEnvelope } from '../../src/ledger/vote.ts'
import { ENTRY_BYTES_MAX, NOTE_BYTES_MAX } from '../../src/limits.ts'

/** Told apart from other requests by its bytes. */
const QUESTION = utf8('{"ask":"signatures"}')
const REQUEST_TIMEOUT_MS = 2_000
const STATEMENTS_MAX = 8
const NOTES_MAX = 4

export function isSignaturesRequest(bytes: Uint8Array): boolean {
  return equalBytes(bytes, QUESTION)
}

/** What one node holds of another's signatures: votes and acknowledgements, and notes with its cosignatures. */
export interface Held {
  readonly statements: readonly Envelope[]
  readonly notes: readonly string[]
}

/** Statements (count u16, blobs of canonical envelopes), notes (count u16, blobs of text). */
export function encodeHeld({ statements, notes }: Held): Uint8Array {
  const out = new Writer().u16(statements.length)
  for (const statement of statements) out.blob(encodeEnvelope(statement))
  out.u16(notes.length)
  for (const note of notes) out.blob(utf8(note))
  return out.finish()
}

export function decodeHeld(bytes: Uint8Array): Held {
  const from = new Reader(bytes)
  const statements = Array.from({ length: from.count(STATEMENTS_MAX) }, () =>
    decodeEnvelope(from.blob(ENTRY_BYTES_MAX)),
  )
  const notes = Array.from({ length: from.count(NOTES_MAX) }, () => fromUtf8(from.blob(NOTE_BYTES_MAX)))
  from.end()
  return { statements, notes }
}

/**
 * What this node holds of a member's signatures.
 * @param seen what it has seen since it started
 * @param raft keeps a vote and an acknowledgement in the certificates of its term and of its lock
 * @param certificate the newest of the ledger
 */
export function heldOf(
  { name, nodeKey }: Pick<NodeMember, 'name' | 'nodeKey'>,
  ledger: string,
  seen: Held,
  { certified, lead }: Pick<Raft, 'certified' | 'lead'>,
  certificate: string | undefined,
): Held {
  // One each: a liar may repeat a name, and the answer is bounded.
  const { height, term, hash } = certified.block
  const given = certified.proof.kind === 'acknowledgements' ? certified.proof.acknowledgements : []
  const acknowledged = given.find(({ from }) => from === name)
  const voted = lead?.votes.find(({ from }) => from === name)
  const statements: Envelope[] = []
  if (acknowledged) {
    const acknowledgement = { ledger, height, term, hash }
    statements.push(acknowledgementEnvelope(nodeKey, acknowledgement, acknowledged.signature))
  }
  if (lead && voted) {
    const vote = { ledger, term: lead.term, candidate: lead.leader, base: lead.base.block }
    statements.push(voteEnvelope(nodeKey, vote, voted.signature))
  }
  return {
    statements: [...seen.statements, ...statements],
    notes: certificate === undefined ? seen.notes : [...seen.notes, certificate],
  }
}

export interface OwnSignaturesPorts {
  readonly ledger: string
  readonly key: PublicKey
  readonly suite: SignatureSuite
  /** As the store had it when the node started: it has signed nothing since. */
  readonly hardState: HardState
  /** Whether the block is on this node's disk. */
  readonly holds: (block: BlockRef) => Promise<boolean>
  /** Whether a note bears a cosignature by this node of a tree beyond those that its store knows it has cosigned. */
  readonly cosignedBeyond: (note: string) => Promise<boolean>
  /** The validators; how many of them, this node among them, must have a say. */
  readonly quorum: () => { readonly others: readonly string[]; readonly count: number }
  readonly request: (to: string, bytes: Uint8Array, timeoutMs: number) => Promise<Uint8Array>
}

export class OwnSignatures {
  readonly #ports: OwnSignaturesPorts
  readonly #answered = new Set<string>()
  #asking = false

  constructor(ports: OwnSignaturesPorts) {
    this.#ports = ports
  }

  /** Asks those that have not answered. `open`: too few have; `sound`: enough, and nothing is forgotten. */
  async ask(): Promise<'open' | 'sound' | 'forgotten'> {
    if (this.#asking) return 'open'
    this.#asking = true
    try {
      const { others, count } = this.#ports.quorum()
      const missing = others.filter((name) => !this.#answered.has(name))
      const answers = await Promise.all(missing.map((name) => this.#askOne(name)))
      if (answers.includes(true)) return 'forgotten'
      return others.filter((name) => this.#answered.has(name)).length >= count - 1 ? 'sound' : 'open'
    } finally {
      this.#asking = false
    }
  }

  /** Whether the answer shows a signature that the store does not know; false also without an answer. */
  async #askOne(name: string): Promise<boolean> {
    let held: Held
    try {
      held = decodeHeld(await this.#ports.request(name, QUESTION, REQUEST_TIMEOUT_MS))
    } catch {
      // It is asked again.
      return false
    }
    let forgotten = false
    for (const statement of held.statements) forgotten ||= await this.#isForgotten(statement)
    for (const note of held.notes) forgotten ||= await this.#ports.cosignedBeyond(note).catch(() => false)
    this.#answered.add(name)
    return forgotten
  }

  async #isForgotten(statement: Envelope): Promise<boolean> {
    const { key, suite } = this.#ports
    if (statement.signatures[0]?.keyid !== keyId(key)) return false
    const { message, signature } = signatureCheck(statement, 0, key)
    if (!(await suite.verify(key, message, signature))) return false
    try {
      if (statement.payloadType === PAYLOAD_TYPES.vote) return this.#isForgottenVote(statement.payload)
      if (statement.payloadType !== PAYLOAD_TYPES.acknowledgement) return false
      return await this.#isForgottenAcknowledgement(statement.payload)
    } catch (error) {
      if (error instanceof FormatError) return false
      throw error
    }
  }

  #isForgottenVote(payload: Uint8Array): boolean {
    const { ledger, hardState } = this.#ports
    const { ledger: said, term, candidate, base } = decodeVote(payload)
    if (said !== ledger || term < hardState.term) return false
    const { vote } = hardState
    return term > hardState.term || vote?.candidate !== candidate || vote.base.hash !== base.hash
  }

  /** What it has acknowledged in its present term it still has, unless proven blocks have taken its place. */
  async #isForgottenAcknowledgement(payload: Uint8Array): Promise<boolean> {
    const { ledger, hardState, holds } = this.#ports
    const { ledger: said, ...block } = decodeAcknowledgement(payload)
    if (said !== ledger || block.term < hardState.term) return false
    return block.term > hardState.term || (!hardState.abstains && !(await holds(block)))
  }
}
