/**
 * What the store keeps of an applied block beside its bytes so that it can be found: all of it follows from the
 * block, so it can be checked, and made again.
 */
import { u64 } from '../../src/bytes.ts'
import type { Block } from '../../src/ledger/block.ts'
import { changeIn } from '../../src/ledger/chain.ts'
import type { Entry } from '../../src/ledger/entry.ts'
import { type BlockFacts, encodeFacts } from './block-facts.ts'
import { encodeOffsets } from './index-record.ts'
import {
  changeKey,
  eventKey,
  factsKey,
  firstIndexKey,
  INDEXED,
  type IndexedAttribute,
  indexKey,
  leafKey,
} from './keys.ts'
import type { KvWrite } from './kv.ts'

/** A block with its entries read, ready to be applied. Genesis has none that could be queried. */
export interface AppliedBlock {
  readonly block: Block
  readonly entries: readonly Entry[]
}

const ATTRIBUTES = Object.keys(INDEXED) as IndexedAttribute[]

/** The facts of `block` when the tree has `root` after it. */
export function factsOf(block: Block, root: Uint8Array): BlockFacts {
  const { height, term, firstIndex, time } = block.seal
  return { height, term, hash: block.id, firstIndex, size: firstIndex + block.leaves.length, root, time }
}

/** Facts, first index, leaf index, and the indexes of events and changes: everything but the tiles. */
export function derivedWrites({ block, entries }: AppliedBlock, facts: BlockFacts): KvWrite[] {
  const { height, firstIndex } = facts
  const writes: KvWrite[] = [
    { key: factsKey(height), value: encodeFacts(facts) },
    { key: firstIndexKey(firstIndex), value: u64(height) },
  ]
  for (const [i, hash] of block.leafHashes.entries()) {
    writes.push({ key: leafKey(hash), value: u64(firstIndex + i) })
  }
  for (const [i, entry] of entries.entries()) {
    const index = u64(firstIndex + i)
    for (const { source, id } of entry.claims) {
      if (id !== undefined) writes.push({ key: eventKey(source, id), value: index })
    }
    const change = changeIn(entry)
    if (change) writes.push({ key: changeKey(change.sequence), value: index })
  }
  for (const attribute of ATTRIBUTES) writes.push(...indexWrites(attribute, entries, firstIndex))
  return writes
}

/** One record for each value that entries of the block have. */
function indexWrites(attribute: IndexedAttribute, entries: readonly Entry[], firstIndex: number): KvWrite[] {
  const offsetsByValue = new Map<string, number[]>()
  for (const [offset, { claims }] of entries.entries()) {
    for (const claim of claims) {
      const value = claim[attribute]
      const offsets = offsetsByValue.get(value)
      if (!offsets) offsetsByValue.set(value, [offset])
      // The events of a batch may share it, and are found as one entry.
      else if (offsets.at(-1) !== offset) offsets.push(offset)
    }
  }
  return Array.from(offsetsByValue, ([value, offsets]) => ({
    key: indexKey(attribute, value, firstIndex),
    value: encodeOffsets(offsets),
  }))
}
