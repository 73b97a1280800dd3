/**
 * Raft messages as bytes: version, kind, term, then the fields of the kind in the order of messages.ts.
 * Numbers are u64 (at most 2^53 − 1), hashes 32 raw bytes, flags one byte. The blocks of an append name
 * neither height nor predecessor: both follow from `prev`, so a run with a gap cannot even be written. Nor do
 * they name a configuration or a proposer: these follow from the body, and only the ledger can tell.
 */
import { fromHex, toHex } from '../src/bytes.ts'
import { Reader } from '../src/codec/reader.ts'
import { Writer } from '../src/codec/writer.ts'
import { FormatError } from '../src/errors.ts'
import {
  BLOCK_BYTES_MAX,
  ENTRY_BYTES_MAX,
  HASH_BYTES,
  INDEX_MAX,
  NOTE_BYTES_MAX,
  VALIDATORS_MAX,
} from '../src/limits.ts'
import { chains } from './log.ts'
import type { Append, Message, MessageKind } from './messages.ts'
import type { Block, BlockRef, Certified, Proof, Signed } from './types.ts'

export const WIRE_VERSION = 3
export const APPEND_BLOCKS_MAX = 1024
/** One full block, or all that is not committed: with it the small blocks that open terms, a hundred of them. */
export const APPEND_BYTES_MAX = BLOCK_BYTES_MAX + 1_048_576
/** Version, kind, term, prev (term, height, hash), count. */
const APPEND_HEAD_BYTES = 2 + 8 + 16 + HASH_BYTES + 2
/** Term, hash and length before each body. */
const BLOCK_HEAD_BYTES = 8 + HASH_BYTES + 4
/** The longest message: an append. */
export const MESSAGE_BYTES_MAX = APPEND_HEAD_BYTES + APPEND_BLOCKS_MAX * BLOCK_HEAD_BYTES + APPEND_BYTES_MAX
/** ML-DSA-65 has 3,309; the layer does not know the algorithm. */
const SIGNATURE_BYTES_MAX = 8_192
/** A certificate of the ledger, the path of a seal and the seal. */
const PROOF_BYTES_MAX = 2 * NOTE_BYTES_MAX
const NAME_BYTES_MAX = 255

/** The second byte. Numbers are never used again for another kind. */
const KINDS: readonly (MessageKind | undefined)[] = [
  undefined,
  'pre-vote',
  'pre-vote-reply',
  'vote',
  'vote-reply',
  'append',
  'append-reply',
  'append-reject',
  'heartbeat',
  'heartbeat-reply',
  'behind',
  'timeout-now',
  'lead',
  'acknowledge',
  'locked',
  'ask',
  'complaint',
]

/** Of a proof: its first byte. */
const PROOFS: readonly (Proof['kind'] | undefined)[] = [undefined, 'acknowledgements', 'ledger', 'genesis']

/** Throws a FormatError if a number, hash or size is out of bounds. */
export function encodeMessage(message: Message): Uint8Array {
  const out = new Writer().u8(WIRE_VERSION).u8(KINDS.indexOf(message.kind)).u53(message.term)
  switch (message.kind) {
    case 'pre-vote':
      writePosition(out, message.base)
      break
    case 'pre-vote-reply':
      out.u8(message.granted ? 1 : 0)
      break
    case 'vote':
      writeCertified(out, message.base)
      out.blob(message.signature)
      break
    case 'vote-reply':
      out.blob(message.signature ?? new Uint8Array(0))
      break
    case 'lead':
      out.string(message.leader)
      writeCertified(out, message.base)
      writeSigned(out, message.votes)
      break
    case 'append':
      writeAppend(out, message)
      break
    case 'append-reply':
      out.u53(message.match)
      break
    case 'append-reject':
      out.u53(message.rejected)
      writePosition(out, message.hint)
      break
    case 'acknowledge':
      out.u53(message.height).bytes(fromHex(message.hash, HASH_BYTES)).blob(message.signature)
      break
    case 'locked':
      out.u53(message.height).bytes(fromHex(message.hash, HASH_BYTES))
      break
    case 'ask':
      out.u8(message.knowsLeader ? 1 : 0)
      break
    case 'heartbeat':
      out.u53(message.round)
      break
    case 'heartbeat-reply':
      out.u53(message.commit).u53(message.round)
      break
    case 'behind':
      out.u53(message.commit)
      break
    case 'timeout-now':
      out.string(message.to)
      break
    case 'complaint':
      break
  }
  const bytes = out.finish()
  if (bytes.length > MESSAGE_BYTES_MAX)
    throw new FormatError('too-large', 'The message is too large to send.')
  return bytes
}

/** Throws a FormatError for whatever `encodeMessage` would not have written. Bodies are views on `bytes`. */
export function decodeMessage(bytes: Uint8Array): Message {
  if (bytes.length > MESSAGE_BYTES_MAX) throw new FormatError('too-large', 'The message is too large.')
  const from = new Reader(bytes)
  const version = from.u8()
  if (version !== WIRE_VERSION) throw new FormatError('bad-field', 'Unknown message version.', { version })
  const code = from.u8()
  const kind = KINDS[code]
  if (kind === undefined) throw new FormatError('bad-field', 'Unknown message kind.', { kind: code })
  const message = readFields(from, kind, from.u53())
  from.end()
  return message
}

function readFields(from: Reader, kind: MessageKind, term: number): Message {
  switch (kind) {
    case 'pre-vote':
      return { kind, term, base: readPosition(from) }
    case 'pre-vote-reply':
      return { kind, term, granted: from.flag() }
    case 'vote':
      return { kind, term, base: readCertified(from), signature: from.blob(SIGNATURE_BYTES_MAX) }
    case 'vote-reply': {
      const signature = from.blob(SIGNATURE_BYTES_MAX)
      return { kind, term, signature: signature.length > 0 ? signature : undefined }
    }
    case 'lead':
      return {
        kind,
        term,
        leader: from.string(NAME_BYTES_MAX),
        base: readCertified(from),
        votes: readSigned(from),
      }
    case 'append':
      return readAppend(from, term)
    case 'append-reply':
      return { kind, term, match: from.u53() }
    case 'append-reject':
      return { kind, term, rejected: from.u53(), hint: readPosition(from) }
    case 'acknowledge':
      return {
        kind,
        term,
        height: from.u53(),
        hash: toHex(from.bytes(HASH_BYTES)),
        signature: from.blob(SIGNATURE_BYTES_MAX),
      }
    case 'locked':
      return { kind, term, height: from.u53(), hash: toHex(from.bytes(HASH_BYTES)) }
    case 'ask':
      return { kind, term, knowsLeader: from.flag() }
    case 'heartbeat':
      return { kind, term, round: from.u53() }
    case 'heartbeat-reply':
      return { kind, term, commit: from.u53(), round: from.u53() }
    case 'behind':
      return { kind, term, commit: from.u53() }
    case 'timeout-now':
      return { kind, term, to: from.string(NAME_BYTES_MAX) }
    case 'complaint':
      return { kind, term }
  }
}

/** Reference of the block, kind of the proof, and the proof. */
function writeCertified(out: Writer, { block, proof }: Certified): void {
  writePosition(out, block)
  out.bytes(fromHex(block.hash, HASH_BYTES)).u8(PROOFS.indexOf(proof.kind))
  if (proof.kind === 'ledger') out.blob(proof.bytes)
  if (proof.kind !== 'acknowledgements') return
  out.blob(proof.seal)
  writeSigned(out, proof.acknowledgements)
}

function readCertified(from: Reader): Certified {
  const block = { ...readPosition(from), hash: toHex(from.bytes(HASH_BYTES)) }
  const code = from.u8()
  switch (PROOFS[code]) {
    case 'acknowledgements': {
      const seal = from.blob(ENTRY_BYTES_MAX)
      return { block, proof: { kind: 'acknowledgements', seal, acknowledgements: readSigned(from) } }
    }
    case 'ledger':
      return { block, proof: { kind: 'ledger', bytes: from.blob(PROOF_BYTES_MAX) } }
    case 'genesis':
      return { block, proof: { kind: 'genesis' } }
    default:
      throw new FormatError('bad-field', 'Unknown kind of proof.', { kind: code })
  }
}

/** As it stands on the disk: the same bytes as within messages. */
export function encodeCertified(certified: Certified): Uint8Array {
  const out = new Writer()
  writeCertified(out, certified)
  return out.finish()
}

/** Throws a FormatError. Everything in it is a copy. */
export function decodeCertified(bytes: Uint8Array): Certified {
  const from = new Reader(bytes.slice())
  const certified = readCertified(from)
  from.end()
  return certified
}

function writeSigned(out: Writer, all: readonly Signed[]): void {
  out.u16(all.length)
  for (const { from, signature } of all) out.string(from).blob(signature)
}

function readSigned(from: Reader): Signed[] {
  const count = from.count(VALIDATORS_MAX)
  return Array.from({ length: count }, () => ({
    from: from.string(NAME_BYTES_MAX),
    signature: from.blob(SIGNATURE_BYTES_MAX),
  }))
}

function writePosition(out: Writer, position: { height: number; term: number }): void {
  out.u53(position.height).u53(position.term)
}

function readPosition(from: Reader): { height: number; term: number } {
  return { height: from.u53(), term: from.u53() }
}

function writeAppend(out: Writer, { prev, blocks, term }: Append): void {
  if (!chains(prev, blocks, term)) throw new FormatError('bad-block', 'The blocks of an append do not chain.')
  if (blocks.length > APPEND_BLOCKS_MAX) throw new FormatError('too-large', 'Too many blocks in one append.')
  writePosition(out, prev)
  out.bytes(fromHex(prev.hash, HASH_BYTES)).u16(blocks.length)
  for (const block of blocks) out.u53(block.term).bytes(fromHex(block.hash, HASH_BYTES)).blob(block.body)
}

function readAppend(from: Reader, term: number): Append {
  const prev = { ...readPosition(from), hash: toHex(from.bytes(HASH_BYTES)) }
  const blocks: Block[] = []
  let before: BlockRef = prev
  const count = from.count(APPEND_BLOCKS_MAX)
  if (prev.height + count > INDEX_MAX) throw new FormatError('bad-integer', 'Heights exceed 2^53 - 1.')
  while (blocks.length < count) {
    const block = {
      height: before.height + 1,
      term: from.u53(),
      hash: toHex(from.bytes(HASH_BYTES)),
      prev: before.hash,
      body: from.blob(BLOCK_BYTES_MAX),
    }
    blocks.push(block)
    before = block
  }
  if (!chains(prev, blocks, term)) throw new FormatError('bad-block', 'The terms of an append run backwards.')
  return { kind: 'append', term, prev, blocks }
}
