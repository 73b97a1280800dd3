/** Blocks as the simulated ledger makes them: the hash binds everything, as a seal's does. */

import type { Block, BlockRef, Configuration } from '../../../consensus/types.ts'
import { fromUtf8, toHex, u64, utf8 } from '../../../src/bytes.ts'
import { sha256 } from '../../../src/crypto/hash.ts'

export function hashOf(block: Omit<Block, 'hash'>): string {
  return toHex(sha256(u64(block.height), u64(block.term), utf8(block.prev), block.body))
}

export function blockOn(parent: BlockRef, term: number, body: string): Block {
  const unsealed = { height: parent.height + 1, term, prev: parent.hash, body: utf8(body) }
  return withConfiguration({ ...unsealed, hash: hashOf(unsealed) })
}

/** The body of a block that changes the cluster: `change VOTERS;LEARNERS`. */
export function changeTo({ voters, learners }: Configuration): string {
  return `change ${voters.join(',')};${learners.join(',')}`
}

/** What the ledger does when it checks a block: the configuration is read from the body and nowhere else. */
export function withConfiguration(block: Block): Block {
  const bare = withoutConfiguration(block)
  const change = /^change (.*);(.*)$/.exec(fromUtf8(block.body))
  if (change === null) return bare
  const [voters, learners] = [change[1]!, change[2]!].map((names) => names.split(',').filter(Boolean))
  return { ...bare, configuration: { voters: voters!, learners: learners! } }
}

/** The block as it travels. */
export function withoutConfiguration({ height, term, hash, prev, body }: Block): Block {
  return { height, term, hash, prev, body }
}

const unsealedGenesis = { height: 0, term: 0, prev: '00'.repeat(32), body: utf8('genesis') }
export const GENESIS: Block = { ...unsealedGenesis, hash: hashOf(unsealedGenesis) }
