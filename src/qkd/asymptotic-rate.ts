/**
 * The secret key rate of infinitely long blocks: GLLP with vacuum and weak decoy states. For comparison with the
 * literature only; what a block gives says finite-key.ts.
 *
 * Gottesman, Lo, Lütkenhaus, Preskill (2004); Ma, Qi, Zhao, Lo, PRA 72, 012326, equations 34 and 37.
 */
import { binaryEntropy } from './entropy.ts'

export interface DecoySetup {
  /** η of fibre and receiver. */
  readonly transmittance: number
  /** Y0: of both detectors together. */
  readonly background: number
  readonly misalignment: number
  /** Mean photon numbers μ > ν of signal and decoy. */
  readonly signal: number
  readonly decoy: number
  /** f: bits disclosed by error correction over n h(E). */
  readonly efficiency: number
  /** q: share of the pulses that is sifted; 1/2 for two bases chosen alike. */
  readonly sifted: number
}

/** Bits for each pulse, not below 0. */
export function asymptoticRate(setup: DecoySetup): number {
  const { background: y0, misalignment, signal: mu, decoy: nu } = setup
  const gain = (intensity: number) => y0 + 1 - Math.exp(-setup.transmittance * intensity)
  const errors = (intensity: number) =>
    y0 / 2 + misalignment * (1 - Math.exp(-setup.transmittance * intensity))
  const single =
    (mu / (mu * nu - nu * nu)) *
    (gain(nu) * Math.exp(nu) -
      (gain(mu) * Math.exp(mu) * nu * nu) / (mu * mu) -
      ((mu * mu - nu * nu) / (mu * mu)) * y0)
  if (single <= 0) return 0
  const singleError = (errors(nu) * Math.exp(nu) - y0 / 2) / (single * nu)
  const lost = gain(mu) * setup.efficiency * binaryEntropy(errors(mu) / gain(mu))
  // Beyond one half the bound says nothing more.
  const kept = single * mu * Math.exp(-mu) * (1 - binaryEntropy(Math.min(0.5, singleError)))
  return Math.max(0, setup.sifted * (kept - lost))
}
