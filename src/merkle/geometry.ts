/**
 * Where the nodes of the tree stand. Positions go up to 2^53 - 1, so nothing here uses the bitwise operators,
 * which cut to 32 bits; halving, remainders and powers of two are exact in that whole range.
 */
import { FormatError } from '../errors.ts'
import { INDEX_MAX } from '../limits.ts'

/** A perfect subtree: the `index`-th run of 2^level leaves, as tiles store it. Level 0 is the leaves. */
export interface NodeId {
  readonly level: number
  readonly index: number
}

/** Refuses what is no leaf index or tree size, 0 to 2^53 - 1, with FormatError bad-integer. */
export function checkIndex(value: number): void {
  if (!Number.isInteger(value) || value < 0 || value > INDEX_MAX) {
    throw new FormatError('bad-integer', 'A leaf index or tree size is a whole number from 0 to 2^53 - 1.', {
      value,
    })
  }
}

/** The largest level with 2^level <= n, for n from 1 to 2^53 - 1. */
function floorLog2(n: number): number {
  return n >= 2 ** 32 ? 63 - Math.clz32(Math.floor(n / 2 ** 32)) : 31 - Math.clz32(n)
}

/** k of RFC 6962 section 2.1: the largest power of two smaller than n, for n > 1. */
export function splitPoint(n: number): number {
  return 2 ** floorLog2(n - 1)
}

/**
 * The perfect subtrees that make up the leaves [start, end), largest first. The range must be one that the
 * splits of RFC 6962 lead to, so that `start` is a multiple of the largest power of two in its length.
 */
export function perfectNodes(start: number, end: number): NodeId[] {
  const nodes: NodeId[] = []
  for (let at = start; at < end; ) {
    const level = floorLog2(end - at)
    const width = 2 ** level
    nodes.push({ level, index: at / width })
    at += width
  }
  return nodes
}
