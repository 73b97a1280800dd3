/** What tests of the QKD simulation share. */
import { type Detect, type Detections, detect } from '../../src/qkd/detections.ts'
import { type Channel, type Profile, QUIET_CHANNEL } from '../../src/qkd/profile.ts'
import { RandomStream } from '../../src/qkd/random.ts'
import { seededRandom } from './seeded-random.ts'

interface Run {
  readonly profile: Profile
  readonly channel?: Partial<Channel>
  readonly seed: string
  readonly keyBits?: number
  readonly pulsesMax?: number
  readonly engine?: Detect
}

/** The quantum part of one block, Bob choosing bases as Alice does. */
export function transmit(run: Run): Detections {
  const { profile, channel, seed, keyBits = profile.blockBits, pulsesMax = 1e12, engine = detect } = run
  const bob = new RandomStream(seededRandom(`${seed} bob`))
  return engine({
    profile,
    channel: { ...QUIET_CHANNEL, ...channel },
    random: seededRandom(seed),
    basisB: () => (bob.uniform() < profile.keyBasis ? 0 : 1),
    keyBits,
    pulsesMax,
  })
}

/** Detections by (intensity, basis A, basis B, error), 24 numbers. */
export function cells(found: Detections): number[] {
  const counts = new Array<number>(24).fill(0)
  for (let i = 0; i < found.count; i++) {
    const error = found.bitA[i]! ^ found.bitB[i]!
    const cell = ((found.intensity[i]! * 2 + found.basisA[i]!) * 2 + found.basisB[i]!) * 2 + error
    counts[cell]!++
  }
  return counts
}

/** Probability that a chi-square of so many degrees of freedom is at least x (Wilson, Hilferty 1931). */
export function chiSquareTail(x: number, degrees: number): number {
  const spread = 2 / (9 * degrees)
  return normalTail((Math.cbrt(x / degrees) - (1 - spread)) / Math.sqrt(spread))
}

/** That a normal deviate is at least z (Abramowitz, Stegun 26.2.17). */
function normalTail(z: number): number {
  const t = 1 / (1 + 0.2316419 * Math.abs(z))
  const series =
    ((((1.330274429 * t - 1.821255978) * t + 1.781477937) * t - 0.356563782) * t + 0.31938153) * t
  const tail = (Math.exp((-z * z) / 2) / Math.sqrt(2 * Math.PI)) * series
  return z >= 0 ? tail : 1 - tail
}
