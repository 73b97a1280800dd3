/**
 * A block: a run of leaves in tree order, the last of which is the seal. Its bytes are a C2SP entry bundle
 * of those leaves, so the block is nothing but a stretch of the log.
 */
import { toHex } from '../bytes.ts'
import type { Signer } from '../crypto/suite.ts'
import { FormatError } from '../errors.ts'
import { BLOCK_BYTES_MAX, BLOCK_ENTRIES_MAX } from '../limits.ts'
import { Frontier } from '../merkle/frontier.ts'
import { leafHash } from '../merkle/hash.ts'
import { decodeEntryBundle, encodeEntryBundle } from '../merkle/tiles.ts'
import { decodeEnvelope, type Envelope, encodeEnvelope, signEnvelope } from './dsse.ts'
import { PAYLOAD_TYPES } from './payload-types.ts'
import { decodeSeal, encodeSeal, type Seal } from './seal.ts'

export interface Block {
  readonly bytes: Uint8Array
  /** Every leaf, the seal last. */
  readonly leaves: readonly Uint8Array[]
  /** RFC 6962 leaf hash of every leaf. */
  readonly leafHashes: readonly Uint8Array[]
  readonly seal: Seal
  readonly sealEnvelope: Envelope
  /** Block hash = leaf hash of the seal, in hex. */
  readonly id: string
}

/** Reads block bytes: leaves within the limits, a well-formed seal that counts and roots them. No signatures. */
export function decodeBlock(bytes: Uint8Array): Block {
  if (bytes.length > BLOCK_BYTES_MAX) {
    throw new FormatError('too-large', `A block has at most ${BLOCK_BYTES_MAX} bytes.`, {
      bytes: bytes.length,
    })
  }
  const leaves = decodeEntryBundle(bytes, BLOCK_ENTRIES_MAX + 1)
  const sealBytes = leaves.at(-1)
  if (sealBytes === undefined) throw new FormatError('bad-block', 'A block without a seal.')
  const sealEnvelope = decodeEnvelope(sealBytes)
  if (sealEnvelope.payloadType !== PAYLOAD_TYPES.seal)
    throw new FormatError('bad-block', 'The last leaf is no seal.')
  const seal = decodeSeal(sealEnvelope.payload)
  if (seal.count !== leaves.length - 1) {
    throw new FormatError(
      'bad-block',
      `The seal counts ${seal.count} entries; the block holds ${leaves.length - 1}.`,
    )
  }
  const leafHashes = leaves.map((leaf) => leafHash(leaf))
  const root = entriesRoot(leafHashes.slice(0, -1))
  if (toHex(root) !== toHex(seal.entriesRoot)) {
    throw new FormatError('bad-block', "The entries do not hash to the seal's root.")
  }
  return { bytes, leaves, leafHashes, seal, sealEnvelope, id: toHex(leafHashes.at(-1)!) }
}

/** Where a new block attaches: what its seal takes from its predecessor. */
export type SealPlace = Omit<Seal, 'count' | 'entriesRoot'>

/** Closes `leaves` with a seal signed by `signers` (the proposer; for genesis the admins). */
export async function sealBlock(
  place: SealPlace,
  leaves: readonly { bytes: Uint8Array; hash: Uint8Array }[],
  signers: readonly { keyid: string; signer: Signer }[],
): Promise<Block> {
  const hashes = leaves.map(({ hash }) => hash)
  const seal: Seal = { ...place, count: leaves.length, entriesRoot: entriesRoot(hashes) }
  const sealEnvelope = await signEnvelope(PAYLOAD_TYPES.seal, encodeSeal(seal), signers)
  const sealBytes = encodeEnvelope(sealEnvelope)
  const sealHash = leafHash(sealBytes)
  const all = [...leaves.map(({ bytes }) => bytes), sealBytes]
  return {
    bytes: encodeEntryBundle(all),
    leaves: all,
    leafHashes: [...hashes, sealHash],
    seal,
    sealEnvelope,
    id: toHex(sealHash),
  }
}

function entriesRoot(hashes: readonly Uint8Array[]): Uint8Array {
  const tree = new Frontier()
  for (const hash of hashes) tree.append(hash)
  return tree.root()
}
