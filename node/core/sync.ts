/**
 * Catching up: committed blocks pulled from any peer. What proves them committed is not the peer but the
 * certificate it sends: the seal of the last block is shown to stand in the certified tree, and every block
 * before it is named by its successor's hash.
 */
import { fromUtf8, toHex, utf8 } from '../../src/bytes.ts'
import { Reader } from '../../src/codec/reader.ts'
import { Writer } from '../../src/codec/writer.ts'
import { ProofError } from '../../src/errors.ts'
import { count, fields, parseJson } from '../../src/json.ts'
import { type Block, decodeBlock } from '../../src/ledger/block.ts'
import {
  BLOCK_BYTES_MAX,
  ENTRY_BYTES_MAX,
  HASH_BYTES,
  NOTE_BYTES_MAX,
  PROOF_HASHES_MAX,
} from '../../src/limits.ts'
import { verifyInclusion } from '../../src/merkle/verify.ts'
import type { Checkpoint } from '../../src/notes/checkpoint.ts'
import { parseCheckpoint } from '../../src/notes/checkpoint.ts'
import { parseNote } from '../../src/notes/note.ts'
import type { LedgerStore } from '../store/ledger-store.ts'

/** Blocks of one answer; their bytes are bounded by one full block, so an answer fits a frame. */
const ANSWER_BLOCKS_MAX = 256
/** What an answer can have in bytes: blocks, certificate, path and lengths. */
export const SYNC_ANSWER_BYTES_MAX = BLOCK_BYTES_MAX + 2 * NOTE_BYTES_MAX

export interface SyncRequest {
  /** The first height that the asker lacks. */
  readonly from: number
  /** Size of the newest certificate that the asker has; 0 if none. */
  readonly certified: number
}

/** Empty if the answerer has no certificate; without blocks if it has none to prove from that height on. */
export interface SyncAnswer {
  readonly certificate: string
  readonly path: readonly Uint8Array[]
  readonly blocks: readonly Uint8Array[]
}

export function encodeSyncRequest(request: SyncRequest): Uint8Array {
  return utf8(JSON.stringify(request))
}

export function decodeSyncRequest(bytes: Uint8Array): SyncRequest {
  const request = fields(parseJson(bytes, 1024), 'The request', ['from', 'certified'])
  return { from: count(request.from, '"from"'), certified: count(request.certified, '"certified"') }
}

/** Certificate (blob), audit path (count u16, hashes of 32 bytes), blocks (count u16, blobs). */
export function encodeSyncAnswer({ certificate, path, blocks }: SyncAnswer): Uint8Array {
  const writer = new Writer().blob(utf8(certificate)).u16(path.length)
  for (const hash of path) writer.bytes(hash)
  writer.u16(blocks.length)
  for (const block of blocks) writer.blob(block)
  return writer.finish()
}

export function decodeSyncAnswer(bytes: Uint8Array): SyncAnswer {
  const reader = new Reader(bytes)
  const certificate = fromUtf8(reader.blob(NOTE_BYTES_MAX))
  const path = Array.from({ length: reader.count(PROOF_HASHES_MAX) }, () => reader.bytes(HASH_BYTES).slice())
  const blocks = Array.from({ length: reader.count(ANSWER_BLOCKS_MAX) }, () => reader.blob(BLOCK_BYTES_MAX))
  reader.end()
  return { certificate, path, blocks }
}

/**
 * Answers from the store: blocks from a height on that a certificate covers, and the path of the last seal.
 * The certificate is the newest, or that of the first boundary which the asker has none for: beyond a change of
 * membership it could not judge another.
 * @param bytesMax of blocks, unless the first alone is larger
 */
export async function answerSync(
  store: LedgerStore,
  newest: string | undefined,
  { from, certified }: SyncRequest,
  bytesMax = BLOCK_BYTES_MAX - NOTE_BYTES_MAX / 4,
): Promise<SyncAnswer> {
  if (newest === undefined) return { certificate: '', path: [], blocks: [] }
  const boundary = store.members.boundaryAbove(certified)
  const certificate =
    (boundary === undefined ? undefined : await store.boundaryCertificate(boundary)) ?? newest
  const { size } = parseCheckpoint(parseNote(certificate).text)
  const blocks: Uint8Array[] = []
  let sealIndex: number | undefined
  let bytes = 0
  for (let height = Math.max(from, 1); blocks.length < ANSWER_BLOCKS_MAX; height++) {
    const facts = await store.facts(height)
    const block = facts && facts.size <= size ? await store.blockBytes(height) : undefined
    bytes += 4 + (block?.length ?? 0)
    if (!block || (blocks.length > 0 && bytes > bytesMax)) break
    blocks.push(block)
    sealIndex = facts!.size - 1
  }
  const path = sealIndex === undefined ? [] : await store.tree.inclusionPath(sealIndex, size)
  return { certificate, path, blocks }
}

/** As `answerSync`, to someone who holds all blocks below `from` with their certificates. */
export async function answerFrom(
  store: LedgerStore,
  newest: string | undefined,
  from: number,
  bytesMax?: number,
): Promise<SyncAnswer> {
  const before = await store.facts(Math.max(from, 1) - 1)
  return answerSync(store, newest, { from, certified: before?.size ?? 0 }, bytesMax)
}

/** What shows that a certificate of the ledger covers a block: the note, the block's seal, and the path of its leaf. */
export interface Covering {
  readonly certificate: string
  readonly seal: Uint8Array
  readonly path: readonly Uint8Array[]
}

/** Certificate (blob), seal (blob), audit path (count u16, hashes of 32 bytes): a proof of kind `ledger`. */
export function encodeCovering({ certificate, seal, path }: Covering): Uint8Array {
  const writer = new Writer().blob(utf8(certificate)).blob(seal).u16(path.length)
  for (const hash of path) writer.bytes(hash)
  return writer.finish()
}

export function decodeCovering(bytes: Uint8Array): Covering {
  const reader = new Reader(bytes)
  const certificate = fromUtf8(reader.blob(NOTE_BYTES_MAX))
  const seal = reader.blob(ENTRY_BYTES_MAX)
  const path = Array.from({ length: reader.count(PROOF_HASHES_MAX) }, () => reader.bytes(HASH_BYTES).slice())
  reader.end()
  return { certificate, seal, path }
}

/**
 * Checks that the blocks of an answer chain on to one another and end in the certified tree, whose certificate
 * has been verified. Throws ProofError or FormatError. That they follow the asker's chain is not checked here.
 */
export function proveCommitted(answer: SyncAnswer, checkpoint: Checkpoint): Block[] {
  const blocks = answer.blocks.map((bytes) => decodeBlock(bytes))
  for (const [i, block] of blocks.entries()) {
    const previous = blocks[i - 1]
    if (previous && toHex(block.seal.previous) !== previous.id) {
      throw new ProofError('bad-inclusion', 'The blocks of the answer do not chain.')
    }
  }
  const last = blocks.at(-1)
  if (last) {
    verifyInclusion({
      index: last.seal.firstIndex + last.seal.count,
      size: checkpoint.size,
      leafHash: last.leafHashes.at(-1)!,
      path: answer.path,
      root: checkpoint.root,
    })
  }
  return blocks
}
