/** What the store keeps of an applied block beside its bytes, in fixed positions. */
import { concat, fromHex, fromU64, toHex, u64 } from '../../src/bytes.ts'
import { damaged } from './store-error.ts'

export interface BlockFacts {
  readonly height: number
  readonly term: number
  /** Block hash in hex. */
  readonly hash: string
  readonly firstIndex: number
  /** Tree size after the block: the size of its checkpoint. */
  readonly size: number
  /** Tree root after the block: the root of its checkpoint. */
  readonly root: Uint8Array
  /** Milliseconds since 1970. */
  readonly time: number
}

const BYTES = 8 + 32 + 8 + 8 + 32 + 8

/** term u64, hash, first index u64, size u64, root, time u64. */
export function encodeFacts(facts: BlockFacts): Uint8Array {
  const { term, hash, firstIndex, size, root, time } = facts
  return concat(u64(term), fromHex(hash, 32), u64(firstIndex), u64(size), root, u64(time))
}

export function decodeFacts(height: number, bytes: Uint8Array): BlockFacts {
  if (bytes.length !== BYTES) throw damaged('The facts of a block have the wrong length.', { height })
  return {
    height,
    term: fromU64(bytes, 0),
    hash: toHex(bytes.subarray(8, 40)),
    firstIndex: fromU64(bytes, 40),
    size: fromU64(bytes, 48),
    root: bytes.slice(56, 88),
    time: fromU64(bytes, 88),
  }
}
