/**
 * The same as detections.ts, pulse by pulse and photon by photon: slow, and plainly what the physics says. Tests hold
 * the event-driven engine against it.
 */
import { type Detect, DetectionList, X, Z } from './detections.ts'
import { transmittance } from './model.ts'
import { RandomStream } from './random.ts'

export const detectPerPulse: Detect = ({ profile, channel, random, basisB, keyBits, pulsesMax }) => {
  const { intensities, intensityProbabilities, keyBasis, darkCount, misalignment } = profile
  const eta = transmittance(profile, channel)
  const none = intensities.map((intensity) => Math.exp(-intensity))
  const stream = new RandomStream(random)
  const found = new DetectionList()
  let pulses = 0
  for (let sifted = 0; sifted < keyBits && pulses < pulsesMax; ) {
    pulses++
    let k = 0
    for (let u = stream.uniform() - intensityProbabilities[0]; u >= 0 && k < 2; )
      u -= intensityProbabilities[++k]!
    const clicks = [0, 0]
    // Photons of the pulse that Alice prepares: Poisson, by inversion.
    let photons = 0
    for (let u = stream.uniform(), p = none[k]!; u >= p && photons < 40; photons++) {
      u -= p
      p *= intensities[k]! / (photons + 1)
    }
    let arrived = 0
    for (let i = 0; i < photons; i++) if (stream.uniform() < eta) arrived++
    const dark = [stream.uniform() < darkCount, stream.uniform() < darkCount]
    if (arrived === 0 && !dark[0] && !dark[1]) continue
    const b = basisB()
    if (b === undefined) break
    const a = stream.uniform() < keyBasis ? X : Z
    const bit = stream.bit()
    // The eavesdropper stands at Alice's door. She counts the photons, measures in a basis of her own, and sends as
    // many again in the state that she found: so losses and intensities look as before.
    let [basis, value] = [a, bit] as [number, number]
    if (stream.uniform() < channel.eavesdropped) {
      basis = stream.bit() === 0 ? X : Z
      if (basis !== a) value = stream.bit()
    }
    for (let i = 0; i < arrived; i++) {
      const detector = basis !== b ? stream.bit() : value ^ Number(stream.uniform() < misalignment)
      clicks[detector] = 1
    }
    if (dark[0]) clicks[0] = 1
    if (dark[1]) clicks[1] = 1
    const read = clicks[0] === clicks[1] ? stream.bit() : clicks[1]!
    found.push(k, a, b, bit, read)
    if (a === X && b === X) sifted++
  }
  return found.finish(pulses)
}
