/**
 * One block from raw detections to secret bits, as a conversation of Alice and Bob over a classical channel that anyone
 * may read and change. Each message is one of messages.ts; both sides come to the same result or to none.
 *
 *     Bob                                      Alice
 *      ├── bases ─────────────────────────────▶│  sifting
 *      │◀───────────── sift (her bits in Z too) ┤
 *      ├── estimate (his bits in Z), tag ─────▶│  parameter estimation
 *      │◀───────────────────────────────── tag ─┤  from here on both know QBER and counts: abort or go on
 *      ├── ask, ask, … ───────────────────────▶│  Cascade
 *      │◀────────────────────────────  parities ┤
 *      ├── corrected ─────────────────────────▶│
 *      │◀────────────────────────────── verify ─┤
 *      ├── verified, tag ─────────────────────▶│
 *      │◀───────────────────────── amplify, tag ┤  privacy amplification
 *      ├── done ──────────────────────────────▶│  keys
 *
 * Only if `done` is lost has Bob keys that Alice has not: someone always speaks last. Their inventories show it.
 * What authentication has used is paid back first: the first PADS_BYTES of the secret bits are pads of a later block.
 */
import { QatError } from '../errors.ts'
import { pick } from './bits.ts'
import { type AskParities, correct, Parities } from './cascade.ts'
import { Z } from './detections.ts'
import { binaryEntropy, errorRateUpperBound } from './entropy.ts'
import { secretLength } from './finite-key.ts'
import { KEY_BYTES } from './key-ids.ts'
import { decodeMessage, encodeMessage, type Message, type MessageKind } from './messages.ts'
import type { Profile } from './profile.ts'
import type { Random } from './random.ts'
import { SHUFFLE_SEED_BYTES } from './shuffle.ts'
import { type Counts, countDetections, keyIndices, total } from './sifting.ts'
import { toeplitz, toeplitzSeedBits } from './toeplitz.ts'
import { VERIFICATION_BITS, verificationTag } from './verification.ts'
import { type AuthenticationKeys, PADS_BYTES, POINT_BYTES, Transcript } from './wegman-carter.ts'

/** The peer broke the protocol: nothing of the block is kept. */
export class BlockError extends QatError<'auth-failed' | 'bad-message'> {}

/** Ordered and reliable, or it fails; not secret, not authentic. */
export interface ClassicalChannel {
  send(message: Uint8Array): void
  receive(): Promise<Uint8Array>
}

/** What the links of a KME count (blocks by result). */
export const BLOCK_RESULTS = ['ok', 'qber_abort', 'no_key', 'verify_fail', 'auth_fail', 'pool_full'] as const
export type BlockResult = (typeof BLOCK_RESULTS)[number]

export interface BlockReport {
  readonly result: Exclude<BlockResult, 'auth_fail'>
  readonly counts: Counts
  /** Error rate in Z, and what it is at most but for one case in 10^10. */
  readonly qber: number
  readonly qberUpperBound: number
  /** Error rate in X, which is known once errors are corrected. */
  readonly keyQber?: number
  /** Bits disclosed about the key: parities, the number of errors, the verification tag. */
  readonly leakedBits: number
  /** f: parities over n h(Q). */
  readonly efficiency?: number
  /** Secret bits, pads included. */
  readonly secretBits: number
}

export interface Block {
  readonly report: BlockReport
  /** With the result `ok` alone: keys of KEY_BYTES, and pads for a later block. */
  readonly keys: readonly Uint8Array[]
  readonly pads?: Uint8Array
}

interface Setup {
  readonly profile: Profile
  readonly channel: ClassicalChannel
  readonly authentication: AuthenticationKeys
  readonly random: Random
  /** Nobody has room for keys: look for errors, and no further. */
  readonly estimateOnly: boolean
}

export interface AliceSetup extends Setup {
  /** Of the pulses that Bob detected. */
  readonly sent: { readonly intensity: Uint8Array; readonly basisA: Uint8Array; readonly bitA: Uint8Array }
}

export interface BobSetup extends Setup {
  readonly found: { readonly basisB: Uint8Array; readonly bitB: Uint8Array }
}

/** Above it no key is possible, whatever the post-processing; and someone listens. */
export const QBER_ABORT = 0.11
const QBER_EPS = 1e-10
/** The number of errors, as it is sent. */
const ERRORS_BITS = 32

/** Throws BlockError, FormatError, or what the channel throws; nothing of the block is kept then. */
export async function runAlice(setup: AliceSetup): Promise<Block> {
  const { profile, sent, random } = setup
  const talk = new Talk(setup, 'fromAlice')
  let key: Uint8Array = new Uint8Array(0)
  let parities: Parities | undefined
  try {
    const { basisB } = await talk.hear('bases')
    talk.demand(basisB.length === sent.basisA.length, 'Bob announced another number of bases.')
    const tested = testIndices(sent.basisA, basisB)
    const seed = random(SHUFFLE_SEED_BYTES)
    const { intensity, basisA } = sent
    talk.say({ kind: 'sift', basisA, intensity, testBits: pick(sent.bitA, tested), seed })
    const { testBits } = await talk.hear('estimate')
    talk.demand(testBits.length === tested.length, 'Bob announced another number of bits.')
    await talk.hearTag()
    talk.sayTag()
    const bitB = spread(testBits, tested, basisB.length)
    const estimate = estimated(profile, countDetections({ ...sent, basisB, bitB }), setup.estimateOnly)
    if ('result' in estimate) return { report: estimate, keys: [] }

    key = pick(sent.bitA, keyIndices(basisA, basisB))
    parities = new Parities(key, seed)
    let disclosed = 0
    let heard = await talk.hear('ask', 'corrected')
    for (; heard.kind === 'ask'; heard = await talk.hear('ask', 'corrected')) {
      disclosed += heard.ranges.length
      talk.demand(disclosed <= key.length, 'Bob asks for more than the key holds.')
      const told = parities
      talk.say({ kind: 'parities', parities: Uint8Array.from(heard.ranges, (range) => told.parity(range)) })
    }
    const point = random(POINT_BYTES)
    talk.say({ kind: 'verify', point, tag: verificationTag(key, point) })
    const { same } = await talk.hear('verified')
    await talk.hearTag()
    const report = reconciled(profile, estimate, disclosed, heard.errors, same)
    if (report.result === 'ok') {
      const matrix = random(Math.ceil(toeplitzSeedBits(key.length, report.secretBits) / 8))
      talk.say({ kind: 'amplify', bits: report.secretBits, seed: matrix })
      talk.sayTag()
      await talk.hear('done')
      return { report, ...cut(toeplitz(key, matrix, report.secretBits), report.secretBits) }
    }
    talk.sayTag()
    return { report, keys: [] }
  } finally {
    key.fill(0)
    sent.bitA.fill(0)
    parities?.wipe()
    talk.wipe()
  }
}

/** Throws BlockError, FormatError, or what the channel throws; nothing of the block is kept then. */
export async function runBob(setup: BobSetup): Promise<Block> {
  const { profile, found } = setup
  const talk = new Talk(setup, 'fromBob')
  let key: Uint8Array = new Uint8Array(0)
  try {
    const { basisB, bitB } = found
    talk.say({ kind: 'bases', basisB })
    const { basisA, intensity, testBits, seed } = await talk.hear('sift')
    const count = basisB.length
    talk.demand(basisA.length === count && intensity.length === count, 'Alice announced another number.')
    const tested = testIndices(basisA, basisB)
    talk.demand(testBits.length === tested.length, 'Alice announced another number of bits.')
    talk.say({ kind: 'estimate', testBits: pick(bitB, tested) })
    talk.sayTag()
    await talk.hearTag()
    const bitA = spread(testBits, tested, count)
    const counts = countDetections({ intensity, basisA, basisB, bitA, bitB })
    const estimate = estimated(profile, counts, setup.estimateOnly)
    if ('result' in estimate) return { report: estimate, keys: [] }

    key = pick(bitB, keyIndices(basisA, basisB))
    const ask: AskParities = async (ranges) => {
      talk.say({ kind: 'ask', ranges })
      return (await talk.hear('parities')).parities
    }
    const { disclosed, errors } = await correct(key, estimate.qber, seed, ask)
    talk.say({ kind: 'corrected', errors })
    const { point, tag } = await talk.hear('verify')
    const same = verificationTag(key, point).every((byte, i) => byte === tag[i])
    talk.say({ kind: 'verified', same })
    talk.sayTag()
    const report = reconciled(profile, estimate, disclosed, errors, same)
    if (report.result === 'ok') {
      const { bits, seed: matrix } = await talk.hear('amplify')
      talk.demand(bits === report.secretBits, 'Alice wants a key of another length.')
      await talk.hearTag()
      const secret = toeplitz(key, matrix, bits)
      talk.say({ kind: 'done' })
      return { report, ...cut(secret, bits) }
    }
    await talk.hearTag()
    return { report, keys: [] }
  } finally {
    key.fill(0)
    found.bitB.fill(0)
    talk.wipe()
  }
}

/** One side of the conversation: what it says and hears, and the transcripts of both directions. */
class Talk {
  readonly #channel: ClassicalChannel
  readonly #said: Transcript
  readonly #heard: Transcript

  constructor({ channel, authentication }: Setup, self: 'fromAlice' | 'fromBob') {
    this.#channel = channel
    this.#said = new Transcript(authentication, self)
    this.#heard = new Transcript(authentication, self === 'fromAlice' ? 'fromBob' : 'fromAlice')
  }

  say(message: Message): void {
    const bytes = encodeMessage(message)
    this.#said.add(bytes)
    this.#channel.send(bytes)
  }

  sayTag(): void {
    this.#channel.send(encodeMessage({ kind: 'tag', tag: this.#said.tag() }))
  }

  /** The next message, which must be one of these. */
  async hear<K extends MessageKind>(...kinds: readonly K[]): Promise<Extract<Message, { kind: K }>> {
    const bytes = await this.#channel.receive()
    const message = decodeMessage(bytes)
    this.demand(
      kinds.some((kind) => kind === message.kind),
      `Expected ${kinds.join(' or ')}, heard ${message.kind}.`,
    )
    if (message.kind !== 'tag') this.#heard.add(bytes)
    return message as Extract<Message, { kind: K }>
  }

  async hearTag(): Promise<void> {
    const { tag } = await this.hear('tag')
    if (!this.#heard.matches(tag)) {
      throw new BlockError(
        'auth-failed',
        'A message of this block was changed on its way. The block is dropped.',
      )
    }
  }

  demand(condition: boolean, what: string): void {
    if (!condition) throw new BlockError('bad-message', `${what} The block is dropped.`)
  }

  wipe(): void {
    this.#said.wipe()
    this.#heard.wipe()
  }
}

type Estimate = Omit<BlockReport, 'result'>

/** What both sides know when bits in Z have been compared: a report if the block ends here. */
function estimated(profile: Profile, counts: Counts, estimateOnly: boolean): BlockReport | Estimate {
  const [sample, errors, keyBits] = [total(counts.test), total(counts.testErrors), total(counts.key)]
  const qber = sample === 0 ? 0.5 : errors / sample
  const estimate: Estimate = {
    counts,
    qber,
    qberUpperBound: errorRateUpperBound(errors, sample, QBER_EPS),
    leakedBits: 0,
    secretBits: 0,
  }
  // Too little light: few clicks and many of them dark. That is no sign of an eavesdropper, and gives no key.
  if (keyBits < profile.blockBits) return { ...estimate, result: 'no_key' }
  if (estimate.qberUpperBound > QBER_ABORT) return { ...estimate, result: 'qber_abort' }
  if (estimateOnly) return { ...estimate, result: 'pool_full' }
  // No code discloses less than n h(Q), so what is not enough now never will be.
  const least = keyBits * binaryEntropy(Math.min(0.5, qber)) * 0.9
  if (secretLength(profile, counts, least).bits === 0) return { ...estimate, result: 'no_key' }
  return estimate
}

function reconciled(
  profile: Profile,
  estimate: Estimate,
  disclosed: number,
  errors: number,
  same: boolean,
): BlockReport {
  const keyBits = total(estimate.counts.key)
  const keyQber = errors / keyBits
  const leakedBits = disclosed + ERRORS_BITS + VERIFICATION_BITS
  const ideal = keyBits * binaryEntropy(Math.min(0.5, keyQber))
  const known = { ...estimate, keyQber, leakedBits, efficiency: ideal === 0 ? 1 : disclosed / ideal }
  if (!same) return { ...known, result: 'verify_fail' }
  const { bits } = secretLength(profile, estimate.counts, leakedBits)
  // Less than what authentication has used, and a key, is not worth keeping.
  if (bits < 8 * (PADS_BYTES + KEY_BYTES)) return { ...known, result: 'no_key' }
  return { ...known, result: 'ok', secretBits: bits }
}

/** The secret bits as pads and keys; what is left over is dropped. */
function cut(secret: Uint8Array, bits: number): Pick<Block, 'keys' | 'pads'> {
  const pads = secret.slice(0, PADS_BYTES)
  const keys: Uint8Array[] = []
  const end = Math.floor(bits / 8)
  for (let at = PADS_BYTES; at + KEY_BYTES <= end; at += KEY_BYTES)
    keys.push(secret.slice(at, at + KEY_BYTES))
  secret.fill(0)
  return { keys, pads }
}

function testIndices(basisA: Uint8Array, basisB: Uint8Array): Uint32Array {
  const indices: number[] = []
  for (let i = 0; i < basisA.length; i++) if (basisA[i] === Z && basisB[i] === Z) indices.push(i)
  return Uint32Array.from(indices)
}

/** Bits put back where they came from; the others are 0. */
function spread(bits: Uint8Array, indices: Uint32Array, length: number): Uint8Array {
  const out = new Uint8Array(length)
  for (let i = 0; i < indices.length; i++) out[indices[i]!] = bits[i]!
  return out
}
