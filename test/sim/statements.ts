/** What a signed message says, if it is one of the statements by which a validator binds itself with its node key. */
import type { BlockRef } from '../../consensus/types.ts'
import { fromUtf8, toHex } from '../../src/bytes.ts'
import { PAYLOAD_TYPES } from '../../src/ledger/payload-types.ts'
import { decodeSeal, type Seal } from '../../src/ledger/seal.ts'
import { decodeVote, type Vote } from '../../src/ledger/vote.ts'

export type Signed =
  | { readonly kind: 'vote'; readonly place: string; readonly content: string; readonly vote: Vote }
  | {
      readonly kind: 'acknowledgement'
      readonly place: string
      readonly content: string
      readonly block: BlockRef
    }
  | { readonly kind: 'seal'; readonly place: string; readonly content: string; readonly seal: Seal }

/** `DSSEv1 SP len(type) SP type SP len(body) SP body`: as long as the head of any of these is. */
const HEAD = /^DSSEv1 \d+ (\S+) \d+ /
const HEAD_BYTES_MAX = 120

/** Of one place, a term or a height of it, an honest key signs one content. */
export function statementIn(message: Uint8Array): Signed | undefined {
  const head = HEAD.exec(Buffer.from(message.subarray(0, HEAD_BYTES_MAX)).toString('latin1'))
  if (head === null) return undefined
  const payload = message.subarray(head[0].length)
  const content = () => fromUtf8(payload)
  switch (head[1]) {
    case PAYLOAD_TYPES.vote: {
      const vote = decodeVote(payload)
      return { kind: 'vote', place: `${vote.term}`, content: content(), vote }
    }
    case PAYLOAD_TYPES.acknowledgement: {
      const block = JSON.parse(content()) as BlockRef
      return { kind: 'acknowledgement', place: `${block.term} ${block.height}`, content: content(), block }
    }
    case PAYLOAD_TYPES.seal: {
      const seal = decodeSeal(payload)
      return { kind: 'seal', place: `${seal.term} ${seal.height}`, content: content(), seal }
    }
    default:
      return undefined
  }
}

/** Whether no honest validator both stands so and seals so: a leader begins its term on the base that it stood with. */
export function breaks({ term, candidate, base }: Vote, seal: Seal): boolean {
  if (candidate !== seal.proposer || term !== seal.term || seal.height > base.height + 1) return false
  return seal.height <= base.height || toHex(seal.previous) !== base.hash
}
