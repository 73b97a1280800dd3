/**
 * Links as data. The numbers are those of an ordinary decoy-state BB84 system with gated InGaAs detectors; only the
 * pulse rate is a thousandth of a real one's, so that one processor keeps up with several links in real time.
 */

/** Indices into `intensities`: the signal, the decoy, and what is nearly vacuum. */
export const INTENSITIES = 3
export type ByIntensity = readonly [number, number, number]

export interface Profile {
  readonly name: ProfileName
  readonly lengthKm: number
  readonly attenuationDbPerKm: number
  /** That a photon which arrives is detected: 20 % of the detector behind a receiver that loses 3 dB. */
  readonly detection: number
  /** That a detector clicks without a photon, for each detector and pulse. */
  readonly darkCount: number
  /** That a photon goes to the wrong detector though the bases match. */
  readonly misalignment: number
  /** Mean photon numbers of a pulse, descending. */
  readonly intensities: ByIntensity
  readonly intensityProbabilities: ByIntensity
  /** That each side chooses the basis X, in which the key is; else Z, in which eavesdropping is measured. */
  readonly keyBasis: number
  readonly pulsesPerSecond: number
  /** n_X: detections in which both chose X, for one block. */
  readonly blockBits: number
  /** Secrecy and correctness of a block's key (Lim et al., PRA 89, 022307). */
  readonly epsSecrecy: number
  readonly epsCorrectness: number
}

export const PROFILE_NAMES = ['5km', '25km', '50km', '100km'] as const
export type ProfileName = (typeof PROFILE_NAMES)[number]

const COMMON = {
  attenuationDbPerKm: 0.2,
  detection: 0.1,
  darkCount: 1e-6,
  misalignment: 0.01,
  intensities: [0.5, 0.15, 2e-4],
  intensityProbabilities: [0.4, 0.35, 0.25],
  keyBasis: 0.7,
  pulsesPerSecond: 1e6,
  blockBits: 131_072,
  epsSecrecy: 1e-10,
  epsCorrectness: 1e-15,
} as const

export const PROFILES: Readonly<Record<ProfileName, Profile>> = {
  '5km': { name: '5km', lengthKm: 5, ...COMMON },
  '25km': { name: '25km', lengthKm: 25, ...COMMON },
  '50km': { name: '50km', lengthKm: 50, ...COMMON },
  '100km': { name: '100km', lengthKm: 100, ...COMMON },
}

/** What is done to a fibre beside its length. */
export interface Channel {
  /** Share of the pulses that an eavesdropper intercepts, measures in a basis of her own, and sends again. */
  readonly eavesdropped: number
  readonly extraLossDb: number
  /** No light arrives; dark counts stay. */
  readonly cut: boolean
}

export const QUIET_CHANNEL: Channel = { eavesdropped: 0, extraLossDb: 0, cut: false }
