/**
 * What a link does to a pulse, in closed form. Phase-randomised weak pulses: the photon number is Poisson, so that
 * loss, and going to one detector or the other, leave independent Poisson numbers behind (thinning). The two detectors
 * therefore click independently, and each formula here is exact for that model.
 *
 * Ma, Qi, Zhao, Lo, PRA 72, 012326 give the same to first order in the dark count and second order in the signal:
 * Q = Y0 + 1 − exp(−η μ) and E Q = Y0 / 2 + e_d (1 − exp(−η μ)).
 */
import type { Channel, Profile } from './profile.ts'

/** Probabilities of one pulse of a given mean photon number. */
export interface PulseModel {
  /** Q: that Bob detects anything; the same in every basis. */
  readonly gain: number
  /** E: that his bit is wrong if he does, where both bases are the same. With different ones it is 1/2. */
  readonly error: number
}

/** η: that a photon which Alice sends is detected. */
export function transmittance(profile: Profile, channel: Channel): number {
  if (channel.cut) return 0
  const lossDb = profile.attenuationDbPerKm * profile.lengthKm + channel.extraLossDb
  return profile.detection * 10 ** (-lossDb / 10)
}

/** A double click is given a random bit, never discarded: discarding would let an attacker choose. */
export function pulseModel(profile: Profile, channel: Channel, intensity: number): PulseModel {
  const photons = transmittance(profile, channel) * intensity
  const quiet = 1 - profile.darkCount
  const right = 1 - quiet * Math.exp(-photons * (1 - profile.misalignment))
  const wrong = 1 - quiet * Math.exp(-photons * profile.misalignment)
  const gain = 1 - (1 - right) * (1 - wrong)
  const aligned = gain === 0 ? 0.5 : (wrong * (1 - right) + (wrong * right) / 2) / gain
  // Half of what is intercepted was measured in the wrong basis: whatever then arrives is right by chance only.
  const spoilt = channel.eavesdropped / 2
  return { gain, error: (1 - spoilt) * aligned + spoilt / 2 }
}
