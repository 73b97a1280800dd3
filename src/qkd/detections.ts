/**
 * The quantum part of one block: what Alice sent and what Bob found, for the pulses that he detected.
 *
 * Event-driven: nine of ten pulses or more are never seen, and none of these is drawn. The number of pulses until
 * the next detection is geometric; given that there is one, its intensity is categorical with weights p_k Q_k, the
 * bases are as chosen, and the error is Bernoulli. All of this is exact, so the statistics are those of per-pulse.ts.
 */
import { pulseModel } from './model.ts'
import { type Channel, INTENSITIES, type Profile } from './profile.ts'
import { type Random, RandomStream } from './random.ts'

export const X = 0
export const Z = 1

/** One element for each detection, in the order of the pulses. */
export interface Detections {
  /** That were sent until the last of these. */
  readonly pulses: number
  readonly count: number
  /** Index into the profile's intensities. */
  readonly intensity: Uint8Array
  /** X or Z. */
  readonly basisA: Uint8Array
  readonly basisB: Uint8Array
  readonly bitA: Uint8Array
  readonly bitB: Uint8Array
}

export interface DetectOptions {
  readonly profile: Profile
  readonly channel: Channel
  /** Alice's choices, and what nature does. */
  readonly random: Random
  /** Bob's choice of a basis, for one detection after the other; undefined when he has no more. */
  readonly basisB: () => number | undefined
  /** Ends when so many detections have both bases X, */
  readonly keyBits: number
  /** or after so many pulses. */
  readonly pulsesMax: number
}

export type Detect = (options: DetectOptions) => Detections

export const detect: Detect = ({ profile, channel, random, basisB, keyBits, pulsesMax }) => {
  const { intensities, intensityProbabilities, keyBasis } = profile
  const models = intensities.map((intensity) => pulseModel(profile, channel, intensity))
  const weights = models.map(({ gain }, k) => gain * intensityProbabilities[k]!)
  const seen = weights.reduce((sum, weight) => sum + weight, 0)
  const stream = new RandomStream(random)
  const found = new DetectionList()
  let pulses = 0
  for (let sifted = 0; sifted < keyBits && seen > 0; ) {
    // 1 − u is above 0 and at most 1, so the gap is a whole number from 1 on.
    pulses += 1 + Math.floor(Math.log(1 - stream.uniform()) / Math.log1p(-seen))
    if (pulses > pulsesMax) break
    const b = basisB()
    if (b === undefined) break
    let k = 0
    for (let u = stream.uniform() * seen - weights[0]!; u >= 0 && k < INTENSITIES - 1; ) u -= weights[++k]!
    const a = stream.uniform() < keyBasis ? X : Z
    const bit = stream.bit()
    const wrong = a === b ? Number(stream.uniform() < models[k]!.error) : stream.bit()
    found.push(k, a, b, bit, bit ^ wrong)
    if (a === X && b === X) sifted++
  }
  return found.finish(Math.min(pulses, pulsesMax))
}

/** Grows as detections are found. */
export class DetectionList {
  #columns = Array.from({ length: 5 }, () => new Uint8Array(65_536))
  #count = 0

  push(...row: readonly [intensity: number, basisA: number, basisB: number, bitA: number, bitB: number]) {
    if (this.#count === this.#columns[0]!.length) {
      this.#columns = this.#columns.map((column) => {
        const grown = new Uint8Array(2 * column.length)
        grown.set(column)
        column.fill(0)
        return grown
      })
    }
    for (let i = 0; i < 5; i++) this.#columns[i]![this.#count] = row[i]!
    this.#count++
  }

  finish(pulses: number): Detections {
    const count = this.#count
    const [intensity, basisA, basisB, bitA, bitB] = this.#columns.map((column) => column.subarray(0, count))
    return {
      pulses,
      count,
      intensity: intensity!,
      basisA: basisA!,
      basisB: basisB!,
      bitA: bitA!,
      bitB: bitB!,
    }
  }
}
