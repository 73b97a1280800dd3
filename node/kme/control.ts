/** What two KMEs tell each other about their link beside blocks: JSON in frames of the kind `keys`. */
import { fromBase64, toBase64, utf8 } from '../../src/bytes.ts'
import { FormatError } from '../../src/errors.ts'
import {
  array,
  count,
  fields,
  type Json,
  type JsonObject,
  object,
  oneOf,
  parseJson,
  text,
  texts,
} from '../../src/json.ts'
import type { Channel } from '../../src/qkd/profile.ts'
import { INTERLINK_FRAME_BYTES_MAX } from './interlink-frames.ts'
import type { Notice } from './key-service.ts'

/** A key under one-time pads, on its way over one fibre. */
export interface Carriage {
  readonly id: string
  readonly master: string
  readonly slaves: readonly string[]
  readonly share: number
  readonly shares: number
  /** KMEs still to come after the one that hears this. */
  readonly route: readonly string[]
  /** Names of the link's keys: pads of the key, and last the one of the tag. */
  readonly pads: readonly string[]
  readonly cipher: Uint8Array
  readonly tag: Uint8Array
}

export type Control =
  /** First of all. `link` by Alice: the name of the pool. `held`: names of all keys. */
  | { readonly kind: 'hello'; readonly link: string; readonly held: readonly string[] }
  /** By Alice: a block begins; Bob answers by his bases. */
  | { readonly kind: 'begin'; readonly block: number; readonly room: number }
  | { readonly kind: 'ready'; readonly block: number; readonly room: number }
  /** The block ended here without a report; so it must there. */
  | { readonly kind: 'abort'; readonly block: number }
  | { readonly kind: 'notices'; readonly notices: readonly Notice[] }
  | ({ readonly kind: 'carry' } & Carriage)
  /** `outcome`: ok, or why it did not arrive. */
  | { readonly kind: 'carried'; readonly id: string; readonly share: number; readonly outcome: string }
  /** To Alice, who hosts the simulated fibre. */
  | ({ readonly kind: 'channel' } & Channel)

const KINDS = ['hello', 'begin', 'ready', 'abort', 'notices', 'carry', 'carried', 'channel'] as const
const NAME = 255
const KEYS = 8_192
const PARTS = 64
const SHARES = 8
const CARRIAGE = ['id', 'master', 'slaves', 'share', 'shares', 'route', 'pads', 'cipher', 'tag']

export function encodeControl(message: Control): Uint8Array {
  const json: unknown =
    message.kind === 'carry'
      ? { ...message, cipher: toBase64(message.cipher), tag: toBase64(message.tag) }
      : message
  return utf8(JSON.stringify(json))
}

/** Throws FormatError. */
export function decodeControl(bytes: Uint8Array): Control {
  const value = object(parseJson(bytes, INTERLINK_FRAME_BYTES_MAX), 'a message')
  const kind = oneOf(value.kind, '"kind"', KINDS)
  const read = (...names: string[]) => fields(value, `"${kind}"`, ['kind', ...names])
  switch (kind) {
    case 'hello': {
      const { link, held } = read('link', 'held')
      return { kind, link: text(link, '"link"', NAME), held: texts(held, '"held"', 0, KEYS, NAME) }
    }
    case 'begin':
    case 'ready': {
      const { block, room } = read('block', 'room')
      return { kind, block: count(block, '"block"'), room: count(room, '"room"') }
    }
    case 'abort':
      return { kind, block: count(read('block').block, '"block"') }
    case 'notices':
      return { kind, notices: array(read('notices').notices, '"notices"', 0, KEYS).map(readNotice) }
    case 'carry':
      return { kind, ...readCarriage(read(...CARRIAGE)) }
    case 'carried': {
      const { id, share, outcome } = read('id', 'share', 'outcome')
      return {
        kind,
        id: text(id, '"id"', NAME),
        share: count(share, '"share"'),
        outcome: text(outcome, '"outcome"', NAME),
      }
    }
    case 'channel': {
      const { eavesdropped, extraLossDb, cut } = read('eavesdropped', 'extraLossDb', 'cut')
      return { kind, ...checkChannel({ eavesdropped, extraLossDb, cut }) }
    }
  }
}

/** What may be done to a fibre. Throws FormatError. */
export function checkChannel({
  eavesdropped,
  extraLossDb,
  cut,
}: Record<keyof Channel, Json | undefined>): Channel {
  const within = (value: Json | undefined, max: number): value is number =>
    typeof value === 'number' && value >= 0 && value <= max
  if (!within(eavesdropped, 1) || !within(extraLossDb, 100) || typeof cut !== 'boolean') {
    throw new FormatError('bad-field', 'A share is from 0 to 1, an attenuation from 0 to 100 dB.')
  }
  return { eavesdropped, extraLossDb, cut }
}

function readNotice(value: Json): Notice {
  const { id, parts, bits, master, slaves } = fields(value, 'a notice', [
    'id',
    'parts',
    'bits',
    'master',
    'slaves',
  ])
  return {
    id: text(id, '"id"', NAME),
    parts: texts(parts, '"parts"', 1, PARTS, NAME),
    bits: count(bits, '"bits"'),
    master: text(master, '"master"', NAME),
    slaves: texts(slaves, '"slaves"', 1, PARTS, NAME),
  }
}

function readCarriage(value: JsonObject): Carriage {
  const { id, master, slaves, route, pads, cipher, tag } = value
  const [share, shares] = [count(value.share, '"share"'), count(value.shares, '"shares"')]
  if (shares < 1 || shares > SHARES || share >= shares) {
    throw new FormatError('bad-field', `A key has 1 to ${SHARES} shares.`)
  }
  return {
    id: text(id, '"id"', NAME),
    master: text(master, '"master"', NAME),
    slaves: texts(slaves, '"slaves"', 1, PARTS, NAME),
    share,
    shares,
    route: texts(route, '"route"', 0, PARTS, NAME),
    pads: texts(pads, '"pads"', 2, PARTS, NAME),
    cipher: fromBase64(text(cipher, '"cipher"', 1_024)),
    tag: fromBase64(text(tag, '"tag"', 64)),
  }
}
