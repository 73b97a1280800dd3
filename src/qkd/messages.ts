/** The classical messages of one block: u8 kind, then fields in the order of their types (src/codec, big-endian). */
import { Reader } from '../codec/reader.ts'
import { Writer } from '../codec/writer.ts'
import { FormatError } from '../errors.ts'
import { packBits, unpackBits } from './bits.ts'
import { PASSES_MAX, type ParityRange } from './cascade.ts'
import { SHUFFLE_SEED_BYTES } from './shuffle.ts'
import { VERIFICATION_BYTES } from './verification.ts'
import { POINT_BYTES, TAG_BYTES } from './wegman-carter.ts'

/** Detections of one block: those of 2^18 sifted bits with a basis chosen at random, and as many again. */
export const DETECTIONS_MAX = 1_048_576
/** Questions in one message of Cascade. */
export const RANGES_MAX = 65_536

export type Message =
  /** B → A: in which basis Bob measured each detection (one bit each). */
  | { readonly kind: 'bases'; readonly basisB: Uint8Array }
  /** A → B: Alice's bases and intensities, her bits where both chose Z, and the seed of Cascade's orders. */
  | {
      readonly kind: 'sift'
      readonly basisA: Uint8Array
      readonly intensity: Uint8Array
      readonly testBits: Uint8Array
      readonly seed: Uint8Array
    }
  /** B → A: Bob's bits where both chose Z. */
  | { readonly kind: 'estimate'; readonly testBits: Uint8Array }
  /** Either way: a tag over all messages in its direction. */
  | { readonly kind: 'tag'; readonly tag: Uint8Array }
  /** B → A: whose parities are asked for. */
  | { readonly kind: 'ask'; readonly ranges: readonly ParityRange[] }
  /** A → B: these parities. */
  | { readonly kind: 'parities'; readonly parities: Uint8Array }
  /** B → A: nothing more to ask; how many bits were wrong. */
  | { readonly kind: 'corrected'; readonly errors: number }
  /** A → B: what her key hashes to. */
  | { readonly kind: 'verify'; readonly point: Uint8Array; readonly tag: Uint8Array }
  /** B → A: whether his does as well. */
  | { readonly kind: 'verified'; readonly same: boolean }
  /** A → B: length of the key, and the Toeplitz matrix. */
  | { readonly kind: 'amplify'; readonly bits: number; readonly seed: Uint8Array }
  /** B → A: he has the key. */
  | { readonly kind: 'done' }

export type MessageKind = Message['kind']

const KINDS = [
  'bases',
  'sift',
  'estimate',
  'tag',
  'ask',
  'parities',
  'corrected',
  'verify',
  'verified',
  'amplify',
  'done',
] as const satisfies readonly MessageKind[]

export function encodeMessage(message: Message): Uint8Array {
  const out = new Writer().u8(KINDS.indexOf(message.kind))
  switch (message.kind) {
    case 'bases':
      return bits(out, message.basisB).finish()
    case 'sift':
      bits(out, message.basisA)
      bits(out, message.intensity, 0)
      bits(out, message.intensity, 1)
      return bits(out, message.testBits).bytes(message.seed).finish()
    case 'estimate':
      return bits(out, message.testBits).finish()
    case 'tag':
      return out.bytes(message.tag).finish()
    case 'ask':
      out.u32(message.ranges.length)
      for (const { pass, from, to } of message.ranges) out.u8(pass).u32(from).u32(to)
      return out.finish()
    case 'parities':
      return bits(out, message.parities).finish()
    case 'corrected':
      return out.u32(message.errors).finish()
    case 'verify':
      return out.bytes(message.point).bytes(message.tag).finish()
    case 'verified':
      return out.u8(Number(message.same)).finish()
    case 'amplify':
      return out.u32(message.bits).blob(message.seed).finish()
    case 'done':
      return out.finish()
  }
}

/** Throws FormatError for anything that `encodeMessage` would not have written. */
export function decodeMessage(bytes: Uint8Array): Message {
  const reader = new Reader(bytes)
  const kind = KINDS[reader.u8()]
  if (kind === undefined) throw new FormatError('bad-field', 'There is no message of this kind.')
  const message = read(reader, kind)
  reader.end()
  return message
}

function read(reader: Reader, kind: MessageKind): Message {
  switch (kind) {
    case 'bases':
      return { kind, basisB: readBits(reader) }
    case 'sift': {
      const basisA = readBits(reader)
      const [low, high] = [readBits(reader), readBits(reader)]
      const testBits = readBits(reader)
      const seed = reader.bytes(SHUFFLE_SEED_BYTES).slice()
      return { kind, basisA, intensity: intensities(low, high), testBits, seed }
    }
    case 'estimate':
      return { kind, testBits: readBits(reader) }
    case 'tag':
      return { kind, tag: reader.bytes(TAG_BYTES).slice() }
    case 'ask':
      return { kind, ranges: readRanges(reader) }
    case 'parities':
      return { kind, parities: readBits(reader) }
    case 'corrected':
      return { kind, errors: reader.u32() }
    case 'verify': {
      const point = reader.bytes(POINT_BYTES).slice()
      return { kind, point, tag: reader.bytes(VERIFICATION_BYTES).slice() }
    }
    case 'verified':
      return { kind, same: reader.flag() }
    case 'amplify': {
      const length = reader.u32()
      return { kind, bits: length, seed: reader.blob(DETECTIONS_MAX / 4).slice() }
    }
    case 'done':
      return { kind }
  }
}

function bits(out: Writer, values: Uint8Array, bit = 0): Writer {
  out.u32(values.length)
  return out.bytes(packBits(bit === 0 ? values : values.map((value) => value >> bit)))
}

function readBits(reader: Reader): Uint8Array {
  const count = reader.u32()
  if (count > DETECTIONS_MAX)
    throw new FormatError('too-large', `At most ${DETECTIONS_MAX} bits are allowed.`)
  return unpackBits(reader.bytes(Math.ceil(count / 8)), count)
}

/** Two bits each; there is no intensity 3. */
function intensities(low: Uint8Array, high: Uint8Array): Uint8Array {
  if (low.length !== high.length) throw new FormatError('bad-field', 'An intensity has two bits.')
  return low.map((bit, i) => {
    if (bit === 1 && high[i] === 1) throw new FormatError('bad-field', 'There is no such intensity.')
    return bit + 2 * high[i]!
  })
}

function readRanges(reader: Reader): ParityRange[] {
  const count = reader.u32()
  if (count > RANGES_MAX)
    throw new FormatError('too-large', `At most ${RANGES_MAX} parities are told at once.`)
  return Array.from({ length: count }, () => {
    const pass = reader.u8()
    if (pass >= PASSES_MAX) throw new FormatError('bad-field', 'There is no such pass.')
    return { pass, from: reader.u32(), to: reader.u32() }
  })
}
