/**
 * Everything about a block that can be found out without the rest of the store: the rules of the chain on a place
 * that is given, all signatures, and the records that follow from it. It may run in another thread
 * (inspector-threads.ts), so what goes in and out is plain values and few arrays.
 */
import { toHex } from '../../src/bytes.ts'
import type { SignatureSuite } from '../../src/crypto/suite.ts'
import { errorMessage } from '../../src/errors.ts'
import { decodeBlock } from '../../src/ledger/block.ts'
import { type ChainState, changeIn, checkBlock, genesisState } from '../../src/ledger/chain.ts'
import { applyChange, decodeChange } from '../../src/ledger/change.ts'
import { decodeEnvelope } from '../../src/ledger/dsse.ts'
import { type SignatureCheck, verifyAll } from '../../src/ledger/entry.ts'
import type { Genesis } from '../../src/ledger/genesis.ts'
import { decodeSeal } from '../../src/ledger/seal.ts'
import { BLOCK_ENTRIES_MAX, HASH_BYTES } from '../../src/limits.ts'
import { leafHash } from '../../src/merkle/hash.ts'
import { decodeEntryBundle } from '../../src/merkle/tiles.ts'
import { derivedWrites, factsOf } from './derived.ts'
import { factsKey } from './keys.ts'
import type { KvWrite } from './kv.ts'

/** Where a block attaches: what the chain is like behind its predecessor, but for who its members are. */
export type Place = Omit<ChainState, 'parameters' | 'membership'>

/** What was found out; `problem` if it is not the next block at its place. */
export type Inspection = { readonly problem: string } | Inspected

export interface Inspected {
  readonly problem?: never
  /** What is wrong with its signatures. */
  readonly unsigned?: string
  readonly firstIndex: number
  readonly entries: number
  /** That were verified: the seal's and those of the entries. */
  readonly signatures: number
  /** Behind the block. */
  readonly place: Place
  /** 32 bytes each, the seal's last. */
  readonly leafHashes: Uint8Array
  /** All that follow from the block but its facts, which name a root of the tree. */
  readonly records: PackedRecords
  /** Payload of the change of membership in it. */
  readonly change?: Uint8Array
}

/** Keys and values in turn, one behind the other. */
interface PackedRecords {
  readonly bytes: Uint8Array
  readonly lengths: Uint32Array
}

/** Looks at blocks one by one or many at a time, under the membership it was told last. */
export interface Inspector {
  /** Bytes of blocks it should be given at a time, so that it never waits; one block if that is larger. */
  readonly appetite: number
  inspect(place: Place, bytes: Uint8Array): Promise<Inspection>
  /** Whatever is inspected from now on comes behind this change of membership. */
  change(payload: Uint8Array): void
}

/** Bytes for one thread: a few blocks, so that the next is there when one is done. */
export const BLOCK_APPETITE = 4 * 2 ** 20

export class BlockInspector implements Inspector {
  readonly appetite = BLOCK_APPETITE
  readonly #suite: SignatureSuite
  readonly #parameters: ChainState['parameters']
  #membership: ChainState['membership']

  constructor(suite: SignatureSuite, genesis: Genesis) {
    this.#suite = suite
    const { parameters, membership } = genesisState(genesis)
    this.#parameters = parameters
    this.#membership = membership
  }

  change(payload: Uint8Array): void {
    this.#membership = applyChange(this.#membership, decodeChange(payload))
  }

  async inspect(place: Place, bytes: Uint8Array): Promise<Inspection> {
    const state = { ...place, parameters: this.#parameters, membership: this.#membership }
    let signatures: SignatureCheck[]
    let found: Inspected
    try {
      const block = decodeBlock(bytes)
      const { entries, sealSignature, entrySignatures } = checkBlock(
        state,
        block,
        Number.POSITIVE_INFINITY,
        () => false,
      )
      signatures = [sealSignature, ...entrySignatures.flat()]
      const { height, term, firstIndex, time } = block.seal
      const change = entries.find((entry) => changeIn(entry) !== undefined)
      found = {
        firstIndex,
        entries: entries.length,
        signatures: signatures.length,
        place: { height, term, hash: block.id, size: firstIndex + block.leaves.length, time },
        leafHashes: joined(block.leafHashes),
        records: packRecords(height, derivedWrites({ block, entries }, factsOf(block, NO_ROOT))),
        // Copied, because the thread that asked for it is not given the bytes of the block back.
        ...(change && { change: change.envelope.payload.slice() }),
      }
    } catch (error) {
      return { problem: errorMessage(error) }
    }
    try {
      if (await verifyAll(this.#suite, signatures)) return found
      return { ...found, unsigned: `A signature of block ${found.place.height} does not verify.` }
    } catch (error) {
      return { ...found, unsigned: errorMessage(error) }
    }
  }
}

/** Genesis, which was verified, as if it had been inspected. It has no entries that could be queried. */
export function inspectedGenesis({ block }: Genesis): Inspected {
  const { height, term, firstIndex, time } = block.seal
  return {
    firstIndex,
    entries: 0,
    signatures: 0,
    place: { height, term, hash: block.id, size: block.leaves.length, time },
    leafHashes: joined(block.leafHashes),
    records: packRecords(height, derivedWrites({ block, entries: [] }, factsOf(block, NO_ROOT))),
  }
}

/** Behind which place a block leaves the chain, by what its seal claims; undefined if that cannot be read. */
export function claimedPlace(bytes: Uint8Array): Place | undefined {
  try {
    const seal = decodeEntryBundle(bytes, BLOCK_ENTRIES_MAX + 1).at(-1)!
    const { height, term, firstIndex, count, time } = decodeSeal(decodeEnvelope(seal).payload)
    return { height, term, hash: toHex(leafHash(seal)), size: firstIndex + count + 1, time }
  } catch {
    return undefined
  }
}

export function leafHashesIn({ leafHashes }: Inspected): Uint8Array[] {
  return Array.from({ length: leafHashes.length / HASH_BYTES }, (_, i) =>
    leafHashes.subarray(i * HASH_BYTES, (i + 1) * HASH_BYTES),
  )
}

const NO_ROOT = new Uint8Array(HASH_BYTES)

/** Of an event that two entries of the block carry, the later one's record stays. */
function packRecords(height: number, writes: readonly KvWrite[]): PackedRecords {
  const last = new Map(writes.map((write) => [nameOf(write.key), write]))
  last.delete(nameOf(factsKey(height)))
  const parts = [...last.values()].flatMap(({ key, value }) => [key, value!])
  return { bytes: joined(parts), lengths: Uint32Array.from(parts, ({ length }) => length) }
}

export function recordsIn({ records: { bytes, lengths } }: Inspected): KvWrite[] {
  const writes: KvWrite[] = []
  let at = 0
  const next = (i: number) => {
    const from = at
    at += lengths[i]!
    return bytes.subarray(from, at)
  }
  for (let i = 0; i < lengths.length; i += 2) writes.push({ key: next(i), value: next(i + 1) })
  return writes
}

/** As `concat`, of any number. */
function joined(parts: readonly Uint8Array[]): Uint8Array {
  const whole = new Uint8Array(parts.reduce((sum, { length }) => sum + length, 0))
  let at = 0
  for (const part of parts) {
    whole.set(part, at)
    at += part.length
  }
  return whole
}

function nameOf(key: Uint8Array): string {
  return Buffer.from(key.buffer, key.byteOffset, key.length).toString('latin1')
}
