/** Blocks as the simulated ledger makes them: the hash binds everything, as a seal's does. */

import type { Block, BlockRef, Configuration, NodeId } from '../../../consensus/types.ts'
import { fromUtf8, toHex, u64, utf8 } from '../../../src/bytes.ts'
import { sha256 } from '../../../src/crypto/hash.ts'
import { fakeProposal } from '../fakes.ts'

export function hashOf(block: Omit<Block, 'hash'>): string {
  return toHex(sha256(u64(block.height), u64(block.term), utf8(block.prev), block.body))
}

export function blockOn(parent: BlockRef, term: number, by: NodeId, text: string): Block {
  const unsealed = { height: parent.height + 1, term, prev: parent.hash, body: utf8(`${by}|${text}`) }
  return checked({ ...unsealed, hash: hashOf(unsealed) })
}

/** The text of a block that changes the cluster: `change VOTERS;LEARNERS;QUORUM`. */
export function changeTo({ voters, learners, quorum }: Configuration): string {
  return `change ${voters.join(',')};${learners.join(',')};${quorum}`
}

/** What the ledger does when it checks a block: proposer and configuration are read from the body and nowhere else. */
export function checked(block: Block): Block {
  const [by, text] = fromUtf8(block.body).split('|') as [string, string]
  const bare = { ...unchecked(block), proposal: fakeProposal(by, block) }
  const change = /^change (.*);(.*);(.*)$/.exec(text)
  if (change === null) return bare
  const [voters, learners] = [change[1]!, change[2]!].map((names) => names.split(',').filter(Boolean))
  return { ...bare, configuration: { voters: voters!, learners: learners!, quorum: Number(change[3]) } }
}

/** The block as it travels. */
export function unchecked({ height, term, hash, prev, body }: Block): Block {
  return { height, term, hash, prev, body }
}

/** What stands in the block besides its proposer. */
export function textOf({ body }: Block): string {
  return fromUtf8(body).split('|')[1] ?? ''
}

const unsealedGenesis = { height: 0, term: 0, prev: '00'.repeat(32), body: utf8('genesis') }
export const GENESIS: Block = { ...unsealedGenesis, hash: hashOf(unsealedGenesis) }
