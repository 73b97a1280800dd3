/** Blocks as the simulated ledger makes them: the hash binds everything, as a seal's does. */

import type { Block, BlockRef } from '../../../consensus/types.ts'
import { toHex, u64, utf8 } from '../../../src/bytes.ts'
import { sha256 } from '../../../src/crypto/hash.ts'

export function hashOf(block: Omit<Block, 'hash'>): string {
  return toHex(sha256(u64(block.height), u64(block.term), utf8(block.prev), block.body))
}

export function blockOn(parent: BlockRef, term: number, body: string): Block {
  const unsealed = { height: parent.height + 1, term, prev: parent.hash, body: utf8(body) }
  return { ...unsealed, hash: hashOf(unsealed) }
}

const unsealedGenesis = { height: 0, term: 0, prev: '00'.repeat(32), body: utf8('genesis') }
export const GENESIS: Block = { ...unsealedGenesis, hash: hashOf(unsealedGenesis) }
