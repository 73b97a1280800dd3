/**
 * How many secret bits one block holds: the "Lim-2014 bound" for decoy-state BB84 with two decoys and blocks of finite
 * length (Lim, Curty, Walenta, Xu, Zbinden, PRA 89, 022307, arXiv:1311.7129, equations 1 to 5).
 *
 * Counts of each intensity are widened by Hoeffding's inequality; from these follow, by linear combination, the
 * fewest detections of pulses without a photon (s0) and with one (s1), and the most errors among the latter (v1). The
 * phase error rate of the key is that of the test basis plus what random sampling may hide.
 */
import { binaryEntropy } from './entropy.ts'
import type { ByIntensity, Profile } from './profile.ts'
import { type Counts, total } from './sifting.ts'

export interface SecretLength {
  /** ℓ, a whole number, 0 if nothing can be kept. */
  readonly bits: number
  /** Lower bounds on detections in X of pulses with no photon and with one. */
  readonly vacuum: number
  readonly single: number
  /** φ_X: upper bound on the phase error rate of the latter, at most 1/2. */
  readonly phaseError: number
}

/** Terms of the security proof that share ε_sec. */
const EPSILONS = 21

/** @param leakedBits all that was disclosed about the key: parities and the verification tag */
export function secretLength(profile: Profile, counts: Counts, leakedBits: number): SecretLength {
  const { epsSecrecy, epsCorrectness } = profile
  const key = photons(profile, counts.key)
  const test = photons(profile, counts.test)
  const wrong = singleAtMost(profile, counts.testErrors)
  const nothing = { bits: 0, vacuum: key.vacuum, single: key.single, phaseError: 0.5 }
  if (key.single <= 0 || test.single <= 0) return nothing
  const observed = wrong / test.single
  if (observed >= 0.5) return nothing
  const phaseError = Math.min(0.5, observed + hidden(epsSecrecy, observed, test.single, key.single))
  const bits =
    key.vacuum +
    key.single * (1 - binaryEntropy(phaseError)) -
    leakedBits -
    6 * Math.log2(EPSILONS / epsSecrecy) -
    Math.log2(2 / epsCorrectness)
  return { ...nothing, bits: Math.max(0, Math.floor(bits)), phaseError }
}

/** τ_n: that a pulse of any intensity has n photons. */
export function photonProbability({ intensities, intensityProbabilities }: Profile, n: 0 | 1): number {
  return intensities.reduce(
    (sum, mean, k) => sum + intensityProbabilities[k]! * Math.exp(-mean) * mean ** n,
    0,
  )
}

/** e^k / p_k (n_k ± δ): the counts as if every pulse had been of intensity k, without the factor e^−k. */
function widened({ intensities, intensityProbabilities, epsSecrecy }: Profile, counts: ByIntensity) {
  const delta = Math.sqrt((total(counts) / 2) * Math.log(EPSILONS / epsSecrecy))
  const scaled = (sign: number) =>
    intensities.map((mean, k) => (Math.exp(mean) / intensityProbabilities[k]!) * (counts[k]! + sign * delta))
  return { least: scaled(-1), most: scaled(1) }
}

/** Lower bounds on detections of pulses with no photon and with one; not below 0. */
function photons(
  profile: Profile,
  counts: ByIntensity,
): { readonly vacuum: number; readonly single: number } {
  const [mu1, mu2, mu3] = profile.intensities
  const { least, most } = widened(profile, counts)
  const tau0 = photonProbability(profile, 0)
  const vacuum = Math.max(0, (tau0 * (mu2 * least[2]! - mu3 * most[1]!)) / (mu2 - mu3))
  const single =
    (photonProbability(profile, 1) *
      mu1 *
      (least[1]! - most[2]! - ((mu2 ** 2 - mu3 ** 2) / mu1 ** 2) * (most[0]! - vacuum / tau0))) /
    (mu1 * (mu2 - mu3) - mu2 ** 2 + mu3 ** 2)
  return { vacuum, single: Math.max(0, single) }
}

/** Upper bound on those of single photons among counts; not below 0. */
function singleAtMost(profile: Profile, counts: ByIntensity): number {
  const [, mu2, mu3] = profile.intensities
  const { least, most } = widened(profile, counts)
  return Math.max(0, (photonProbability(profile, 1) * (most[1]! - least[2]!)) / (mu2 - mu3))
}

/** γ(a, b, c, d): by how much the rate among d may exceed the rate b among c, but for a probability a. */
function hidden(a: number, b: number, c: number, d: number): number {
  // At 0 the formula has no value; one error fewer than one says as much.
  const rate = Math.max(b, 1 / c)
  const spread = ((c + d) * (1 - rate) * rate) / (c * d * Math.LN2)
  const tail = Math.log2(((c + d) / (c * d * (1 - rate) * rate)) * (EPSILONS ** 2 / a ** 2))
  return Math.sqrt(spread * tail)
}
