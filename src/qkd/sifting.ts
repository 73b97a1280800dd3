/** What both sides count once bases, intensities and the bits in Z have been announced. */
import { X, Z } from './detections.ts'
import { type ByIntensity, INTENSITIES } from './profile.ts'

/** All by intensity. */
export interface Counts {
  /** n_X: detections where both chose X. */
  readonly key: ByIntensity
  /** n_Z: where both chose Z, */
  readonly test: ByIntensity
  /** m_Z: and found different bits. */
  readonly testErrors: ByIntensity
}

/** What of the detections goes into the key: those where both chose X. */
export function keyIndices(basisA: Uint8Array, basisB: Uint8Array): Uint32Array {
  const indices = new Uint32Array(basisA.length)
  let count = 0
  for (let i = 0; i < basisA.length; i++) if (basisA[i] === X && basisB[i] === X) indices[count++] = i
  return indices.subarray(0, count)
}

/** `bitA` and `bitB` are looked at only where both chose Z. */
export function countDetections(sifted: {
  readonly intensity: Uint8Array
  readonly basisA: Uint8Array
  readonly basisB: Uint8Array
  readonly bitA: Uint8Array
  readonly bitB: Uint8Array
}): Counts {
  const { intensity, basisA, basisB, bitA, bitB } = sifted
  const [key, test, testErrors] = [
    [0, 0, 0],
    [0, 0, 0],
    [0, 0, 0],
  ]
  for (let i = 0; i < intensity.length; i++) {
    if (basisA[i] !== basisB[i]) continue
    const k = intensity[i]!
    if (basisA[i] === X) key[k]!++
    else if (basisA[i] === Z) {
      test[k]!++
      if (bitA[i] !== bitB[i]) testErrors[k]!++
    }
  }
  return { key: three(key), test: three(test), testErrors: three(testErrors) }
}

export function total(counts: ByIntensity): number {
  let sum = 0
  for (let k = 0; k < INTENSITIES; k++) sum += counts[k]!
  return sum
}

function three([a = 0, b = 0, c = 0]: readonly number[]): ByIntensity {
  return [a, b, c]
}
