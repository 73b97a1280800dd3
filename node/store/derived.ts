/**
 * What the store keeps of an applied block beside its bytes so that it can be found: all of it follows from the
 * block, so it can be checked, and made again.
 */
import { u64 } from '../../src/bytes.ts'
import type { Block } from '../../src/ledger/block.ts'
import { changeIn } from '../../src/ledger/chain.ts'
import type { Entry } from '../../src/ledger/entry.ts'
import { type BlockFacts, encodeFacts } from './block-facts.ts'
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

const NOTHING = new Uint8Array(0)

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
    writes.push(...indexWrites(entry, firstIndex + i))
    const change = changeIn(entry)
    if (change) writes.push({ key: changeKey(change.sequence), value: u64(firstIndex + i) })
  }
  return writes
}

function indexWrites(entry: Entry, index: number): KvWrite[] {
  const writes: KvWrite[] = []
  for (const [i, claim] of entry.claims.entries()) {
    const { source, id } = claim
    if (id !== undefined) writes.push({ key: eventKey(source, id), value: u64(index) })
    for (const attribute of Object.keys(INDEXED) as IndexedAttribute[]) {
      // The events of a batch mostly share their source and type.
      if (i > 0 && claim[attribute] === entry.claims[i - 1]![attribute]) continue
      writes.push({ key: indexKey(attribute, claim[attribute], index), value: NOTHING })
    }
  }
  return writes
}
