/**
 * Raft messages as bytes: version, kind, term, then the fields of the kind in the order of messages.ts.
 * Numbers are u64 (at most 2^53 − 1), hashes 32 raw bytes, flags one byte. The blocks of an append name
 * neither height nor predecessor: both follow from `prev`, so a run with a gap cannot even be written. Nor do
 * they name a configuration: it follows from the body, and only the ledger can tell.
 */
import { fromHex, toHex } from '../src/bytes.ts'
import { Reader } from '../src/codec/reader.ts'
import { Writer } from '../src/codec/writer.ts'
import { FormatError } from '../src/errors.ts'
import { BLOCK_BYTES_MAX, HASH_BYTES, INDEX_MAX } from '../src/limits.ts'
import { chains } from './log.ts'
import type { Append, Message, MessageKind } from './messages.ts'
import type { Block, BlockRef } from './types.ts'

export const WIRE_VERSION = 2
export const APPEND_BLOCKS_MAX = 1024
/** Version, kind, term, prev (term, height, hash), commit, count. */
const APPEND_HEAD_BYTES = 2 + 8 + 16 + HASH_BYTES + 8 + 2
/** Term, hash and length before each body. */
const BLOCK_HEAD_BYTES = 8 + HASH_BYTES + 4
/** The longest message: an append of one full block, or of many that together are no larger. */
export const MESSAGE_BYTES_MAX = APPEND_HEAD_BYTES + APPEND_BLOCKS_MAX * BLOCK_HEAD_BYTES + BLOCK_BYTES_MAX

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
]

/** Throws a FormatError if a number, hash or size is out of bounds. */
export function encodeMessage(message: Message): Uint8Array {
  const out = new Writer().u8(WIRE_VERSION).u8(KINDS.indexOf(message.kind)).u53(message.term)
  switch (message.kind) {
    case 'pre-vote':
      writePosition(out, message.tail)
      break
    case 'vote':
      writePosition(out, message.tail)
      out.u8(message.transfer ? 1 : 0)
      break
    case 'pre-vote-reply':
    case 'vote-reply':
      out.u8(message.granted ? 1 : 0)
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
      return { kind, term, tail: readPosition(from) }
    case 'vote':
      return { kind, term, tail: readPosition(from), transfer: from.flag() }
    case 'pre-vote-reply':
    case 'vote-reply':
      return { kind, term, granted: from.flag() }
    case 'append':
      return readAppend(from, term)
    case 'append-reply':
      return { kind, term, match: from.u53() }
    case 'append-reject':
      return { kind, term, rejected: from.u53(), hint: readPosition(from) }
    case 'heartbeat':
      return { kind, term, round: from.u53() }
    case 'heartbeat-reply':
      return { kind, term, commit: from.u53(), round: from.u53() }
    case 'behind':
      return { kind, term, commit: from.u53() }
    case 'timeout-now':
      return { kind, term }
  }
}

function writePosition(out: Writer, position: { height: number; term: number }): void {
  out.u53(position.height).u53(position.term)
}

function readPosition(from: Reader): { height: number; term: number } {
  return { height: from.u53(), term: from.u53() }
}

function writeAppend(out: Writer, { prev, blocks, commit, term }: Append): void {
  if (!chains(prev, blocks, term)) throw new FormatError('bad-block', 'The blocks of an append do not chain.')
  if (blocks.length > APPEND_BLOCKS_MAX) throw new FormatError('too-large', 'Too many blocks in one append.')
  writePosition(out, prev)
  out.bytes(fromHex(prev.hash, HASH_BYTES)).u53(commit).u16(blocks.length)
  for (const block of blocks) out.u53(block.term).bytes(fromHex(block.hash, HASH_BYTES)).blob(block.body)
}

function readAppend(from: Reader, term: number): Append {
  const prev = { ...readPosition(from), hash: toHex(from.bytes(HASH_BYTES)) }
  const commit = from.u53()
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
  return { kind: 'append', term, prev, blocks, commit }
}
