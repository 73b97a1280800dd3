/** The quantum part of the simulation against closed forms, against each other, and against the literature. */
import assert from 'node:assert/strict'
import fc from 'fast-check'
import { asymptoticRate } from '../../src/qkd/asymptotic-rate.ts'
import { binaryEntropy, errorRateUpperBound } from '../../src/qkd/entropy.ts'
import { photonProbability, secretLength } from '../../src/qkd/finite-key.ts'
import { pulseModel, transmittance } from '../../src/qkd/model.ts'
import { detectPerPulse } from '../../src/qkd/per-pulse.ts'
import { type ByIntensity, PROFILES, type Profile, QUIET_CHANNEL } from '../../src/qkd/profile.ts'
import { type Counts, countDetections, total } from '../../src/qkd/sifting.ts'
import { cells, chiSquareTail, transmit } from '../support/qkd.ts'

const at = (lengthKm: number, blockBits = 131_072): Profile => ({ ...PROFILES['5km'], lengthKm, blockBits })

/** Q and E as the literature writes them, to first order. */
function textbook(profile: Profile, intensity: number, intercepted = 0) {
  const { darkCount, misalignment } = profile
  const signal = 1 - Math.exp(-transmittance(profile, QUIET_CHANNEL) * intensity)
  const wrong = misalignment * (1 - intercepted / 2) + intercepted / 4
  const gain = 2 * darkCount + signal
  return { gain, error: (darkCount + wrong * signal) / gain }
}

/** Standard deviations between `found` of `trials` and a probability. */
function sigmas(found: number, trials: number, probability: number): number {
  return Math.abs(found - trials * probability) / Math.sqrt(trials * probability * (1 - probability))
}

describe('gain and error rate of a link', () => {
  for (const km of [5, 25, 50, 100, 125]) {
    it(`are those of theory at ${km} km, within four standard deviations`, () => {
      const profile = at(km, 60_000)
      const found = transmit({ profile, seed: `gain ${km}` })
      const counted = cells(found)
      for (const [k, intensity] of profile.intensities.entries()) {
        const { gain, error } = textbook(profile, intensity)
        const mine = pulseModel(profile, QUIET_CHANNEL, intensity)
        assert.ok(Math.abs(mine.gain / gain - 1) < 1e-5 && Math.abs(mine.error / error - 1) < 0.06)
        const seen = counted.slice(8 * k, 8 * k + 8).reduce((a, b) => a + b)
        assert.ok(sigmas(seen, found.pulses, gain * profile.intensityProbabilities[k]!) < 4, `gain ${k}`)
        const [right, wrong] = [
          counted[8 * k]! + counted[8 * k + 6]!,
          counted[8 * k + 1]! + counted[8 * k + 7]!,
        ]
        assert.ok(sigmas(wrong, right + wrong, mine.error) < 4, `error rate ${k}`)
      }
    })
  }

  it('grow as they should when someone intercepts and sends again', () => {
    for (const eavesdropped of [0, 0.1, 0.25, 0.4, 0.5, 1]) {
      const profile = at(25, 60_000)
      const { error } = textbook(profile, 0.5, eavesdropped)
      for (const engine of [undefined, detectPerPulse]) {
        const keyBits = engine ? 6_000 : 60_000
        const seed = `eve ${eavesdropped}`
        const given = { profile, channel: { eavesdropped }, keyBits, seed }
        const counted = cells(transmit(engine ? { ...given, engine } : given))
        const [right, wrong] = [counted[0]! + counted[6]!, counted[1]! + counted[7]!]
        assert.ok(sigmas(wrong, right + wrong, error) < 4, `${eavesdropped}: ${wrong / (right + wrong)}`)
        if (eavesdropped === 1 && !engine) {
          assert.ok(wrong / (right + wrong) > 0.245 && wrong / (right + wrong) < 0.265)
        }
      }
    }
  })

  it('are the same pulse by pulse as by events: chi-square over all cells, p > 0.001', () => {
    for (const channel of [{}, { eavesdropped: 0.3 }, { extraLossDb: 3 }]) {
      const profile = at(5)
      const given = { profile, channel, pulsesMax: 1_500_000, keyBits: 1e9 }
      const slow = cells(transmit({ ...given, seed: 'slow', engine: detectPerPulse }))
      const fast = cells(transmit({ ...given, seed: 'fast', pulsesMax: 30_000_000 }))
      const both = (counts: readonly number[], pulses: number) => [
        ...counts,
        pulses - counts.reduce((a, b) => a + b),
      ]
      const [a, b] = [both(slow, 1_500_000), both(fast, 30_000_000)]
      let chiSquare = 0
      let degrees = -1
      for (const [i, x] of a.entries()) {
        const expected = ((x + b[i]!) * 1.5) / 31.5
        // Cells with next to nothing in them are not normal.
        if (expected < 5) continue
        degrees++
        chiSquare += (x - expected) ** 2 / expected + (b[i]! - 20 * expected) ** 2 / (20 * expected)
      }
      assert.ok(degrees > 12)
      assert.ok(chiSquareTail(chiSquare, degrees) > 0.001, `chi-square ${chiSquare} of ${degrees}`)
    }
  })

  it('are those of darkness when the fibre is cut', () => {
    const found = transmit({ profile: at(5), channel: { cut: true }, seed: 'cut', pulsesMax: 50_000_000 })
    assert.ok(sigmas(found.count, found.pulses, 2e-6) < 4)
  })
})

describe('the asymptotic rate', () => {
  /** Gobby, Yuan, Shields 2004, as in Ma, Qi, Zhao, Lo. */
  const gys = (km: number) =>
    asymptoticRate({
      transmittance: 0.045 * 10 ** (-0.021 * km),
      background: 1.7e-6,
      misalignment: 0.033,
      signal: 0.48,
      decoy: 0.05,
      efficiency: 1.22,
      sifted: 0.5,
    })

  it('is that of the literature, and ends where it does', () => {
    const golden = [
      [0, 2.41424546638805e-3],
      [100, 1.60200452682133e-5],
      [140, 7.377906324337e-8],
    ] as const
    for (const [km, rate] of golden) assert.ok(Math.abs(gys(km) / rate - 1) < 1e-9, `${km} km: ${gys(km)}`)
    assert.equal(gys(142), 0)
  })
})

/** Counts as expected, not drawn, and what a code with f = 1.16 discloses, in whole bits. */
function expected(profile: Profile, intercepted = 0): { readonly counts: Counts; readonly leak: number } {
  const { intensities, intensityProbabilities: weights, keyBasis, blockBits } = profile
  const models = intensities.map((intensity) => textbook(profile, intensity, intercepted))
  const seen = models.reduce((sum, { gain }, k) => sum + gain * weights[k]!, 0)
  const pulses = blockBits / (keyBasis ** 2 * seen)
  const three = (of: (k: number) => number) => [of(0), of(1), of(2)] as ByIntensity
  const clicks = (k: number) => pulses * weights[k]! * models[k]!.gain
  const test = three((k) => (1 - keyBasis) ** 2 * clicks(k))
  const testErrors = three((k) => test[k]! * models[k]!.error)
  const qber = total(testErrors) / total(test)
  const leak = Math.ceil(1.16 * blockBits * binaryEntropy(qber))
  return { counts: { key: three((k) => keyBasis ** 2 * clicks(k)), test, testErrors }, leak }
}

describe('the Lim-2014 bound', () => {
  const lengths = [
    [131_072, 5, 22_674],
    [131_072, 25, 21_529],
    [131_072, 50, 20_566],
    [131_072, 100, 14_127],
    [131_072, 125, 1_460],
    [262_144, 50, 67_053],
    [100_000, 125, 0],
  ] as const
  for (const [bits, km, length] of lengths) {
    it(`gives ${length} bits of ${bits} at ${km} km`, () => {
      const profile = at(km, bits)
      const { counts, leak } = expected(profile)
      assert.equal(secretLength(profile, counts, leak).bits, length)
    })
  }

  it('holds whatever the detectors do with pulses of any photon number', () => {
    // Counts of infinitely many pulses, for yields and error rates by photon number that nobody has chosen wisely.
    const anything = fc.array(
      fc.tuple(fc.double({ min: 0, max: 1, noNaN: true }), fc.double({ min: 0, max: 0.5, noNaN: true })),
      {
        minLength: 12,
        maxLength: 12,
      },
    )
    fc.assert(
      fc.property(anything, (yields) => {
        const profile = at(5)
        const pulses = 1e15
        const sent = (k: number, n: number) =>
          profile.intensityProbabilities[k]! *
          Math.exp(-profile.intensities[k]!) *
          (profile.intensities[k]! ** n / factorial(n))
        const counted = (of: (n: number) => number) =>
          [0, 1, 2].map((k) => yields.reduce((sum, _, n) => sum + pulses * sent(k, n) * of(n), 0))
        const clicks = counted((n) => yields[n]![0]) as unknown as ByIntensity
        const errors = counted((n) => yields[n]![0] * yields[n]![1]) as unknown as ByIntensity
        const bound = secretLength(profile, { key: clicks, test: clicks, testErrors: errors }, 0)
        const truly = (n: 0 | 1) => pulses * photonProbability(profile, n) * yields[n]![0]
        assert.ok(bound.vacuum <= truly(0) * (1 + 1e-6) + 1, `vacuum ${bound.vacuum} of ${truly(0)}`)
        assert.ok(bound.single <= truly(1) * (1 + 1e-6) + 1, `single ${bound.single} of ${truly(1)}`)
        if (bound.bits > 0) assert.ok(bound.phaseError >= yields[1]![1] - 1e-6)
      }),
      { numRuns: 300 },
    )
  })

  it('leaves half at 25 km when one pulse in fifty is intercepted, and nothing when one in twenty is', () => {
    for (const [intercepted, length] of [
      [0.02, 11_745],
      [0.05, 0],
    ] as const) {
      const { counts, leak } = expected(at(25), intercepted)
      assert.equal(secretLength(at(25), counts, leak).bits, length)
    }
  })

  it('leaves nothing of a block that was drawn with one pulse in ten intercepted, whatever the code', () => {
    const profile = at(25)
    const counts = countDetections(transmit({ profile, channel: { eavesdropped: 0.1 }, seed: 'tenth' }))
    const qber = total(counts.testErrors) / total(counts.test)
    assert.equal(secretLength(profile, counts, 131_072 * binaryEntropy(qber)).bits, 0)
  })
})

describe('the upper bound on an error rate', () => {
  it('covers the truth as often as it says', () => {
    const profile = at(5, 400)
    let missed = 0
    for (let run = 0; run < 300; run++) {
      const counted = cells(transmit({ profile, channel: { eavesdropped: 0.2 }, seed: `bound ${run}` }))
      const [right, wrong] = [counted[0]!, counted[1]!]
      const truth = pulseModel(profile, { ...QUIET_CHANNEL, eavesdropped: 0.2 }, 0.5).error
      if (errorRateUpperBound(wrong, right + wrong, 0.05) < truth) missed++
    }
    assert.ok(missed <= 300 * 0.05, `${missed} of 300`)
  })
})

function factorial(n: number): number {
  return n <= 1 ? 1 : n * factorial(n - 1)
}
