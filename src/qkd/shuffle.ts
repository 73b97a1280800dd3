/**
 * Permutations that two sides make alike from a public seed: Fisher–Yates driven by xoshiro128** (Blackman, Vigna,
 * ACM TOMS 47, 36). Nothing here is secret; the order only has to have nothing to do with where the errors are.
 */

export const SHUFFLE_SEED_BYTES = 16

/** The permutation number `pass` of 0 … n − 1; number 0 is the identity. */
export function shuffled(n: number, seed: Uint8Array, pass: number): Uint32Array {
  const order = Uint32Array.from({ length: n }, (_, i) => i)
  if (pass === 0) return order
  const next = xoshiro128(seed, pass)
  for (let i = n - 1; i > 0; i--) {
    // The bias of taking 32 random bits modulo i + 1 is below 2^-12 for blocks of up to 2^20 bits.
    const j = next() % (i + 1)
    const moved = order[i]!
    order[i] = order[j]!
    order[j] = moved
  }
  return order
}

/** Numbers of 32 bits. The pass goes into the last word of the state. */
function xoshiro128(seed: Uint8Array, pass: number): () => number {
  const view = new DataView(seed.buffer, seed.byteOffset, SHUFFLE_SEED_BYTES)
  const state = Uint32Array.from([0, 4, 8, 12], (at) => view.getUint32(at))
  state[3]! ^= Math.imul(pass, 0x9e3779b9)
  // The one state that never leaves itself.
  if (state.every((word) => word === 0)) state[0] = 1
  const rotate = (word: number, by: number) => ((word << by) | (word >>> (32 - by))) >>> 0
  const step = () => {
    const [, s1, , s3] = state as unknown as [number, number, number, number]
    const out = Math.imul(rotate(Math.imul(s1, 5) >>> 0, 7), 9) >>> 0
    const t = s1 << 9
    state[2]! ^= state[0]!
    state[3]! ^= s1
    state[1]! ^= state[2]!
    state[0]! ^= state[3]!
    state[2]! ^= t
    state[3] = rotate((s3 ^ s1) >>> 0, 11)
    return out
  }
  for (let i = 0; i < 16; i++) step()
  return step
}
