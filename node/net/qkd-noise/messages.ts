/**
 * The frames of a key agreement: one byte that says which, then its fields. Integers are big-endian, strings UTF-8
 * behind their length as u16, signatures behind theirs as u32. Nothing may follow.
 */
import { Reader } from '../../../src/codec/reader.ts'
import { Writer } from '../../../src/codec/writer.ts'
import { ML_DSA } from '../../../src/crypto/suite.ts'
import { FormatError } from '../../../src/errors.ts'
import { ML_KEM_768 } from '../../crypto/ml-kem.ts'

export const VERSION = 1
export const NONCE_BYTES = 32
export const MAC_BYTES = 64
const SAE_BYTES_MAX = 63
const KEY_ID_BYTES_MAX = 36
const SIGNATURE_BYTES_MAX = ML_DSA['ML-DSA-87'].signature

/** What a node insists on. Numbers go on the wire. */
export const LINK_POLICIES = ['require', 'prefer'] as const
export type LinkPolicy = (typeof LINK_POLICIES)[number]

/** Why a key agreement ends without one. Places in this list go on the wire: never reuse one. */
export const REFUSALS = [
  'no-keys',
  'key-not-found',
  'kme-unavailable',
  'sae-mismatch',
  'policy',
  'busy',
  'handshake',
] as const
export type Refusal = (typeof REFUSALS)[number]

interface Greeting {
  readonly sae: string
  readonly nonce: Uint8Array
  readonly policy: LinkPolicy
  /** A KME stands beside this node. */
  readonly hasKeys: boolean
}

export type HandshakeMessage =
  | (Greeting & { readonly kind: 'hello'; readonly kemKey: Uint8Array })
  | (Greeting & { readonly kind: 'reply'; readonly ciphertext: Uint8Array; readonly signature: Uint8Array })
  /** `keyId` is empty if the initiator has no QKD key and both may do without. */
  | { readonly kind: 'key'; readonly keyId: string; readonly signature: Uint8Array }
  /** Whether the responder has found the QKD key that was named. */
  | { readonly kind: 'accept'; readonly found: boolean; readonly mac: Uint8Array }
  | { readonly kind: 'finish'; readonly mac: Uint8Array }
  | { readonly kind: 'error'; readonly code: Refusal }

export type MessageOf<K extends HandshakeMessage['kind']> = Extract<HandshakeMessage, { kind: K }>

const KINDS = ['hello', 'reply', 'key', 'accept', 'finish', 'error'] as const

/** An empty signature gives the bytes that are signed. */
export function encodeHandshake(message: HandshakeMessage): Uint8Array {
  const writer = new Writer().u8(KINDS.indexOf(message.kind) + 1)
  switch (message.kind) {
    case 'hello':
      greeting(writer, message)
      return writer.bytes(message.kemKey).finish()
    case 'reply':
      greeting(writer, message)
      return writer.bytes(message.ciphertext).blob(message.signature).finish()
    case 'key':
      return writer.string(message.keyId).blob(message.signature).finish()
    case 'accept':
      return writer
        .u8(message.found ? 1 : 0)
        .bytes(message.mac)
        .finish()
    case 'finish':
      return writer.bytes(message.mac).finish()
    case 'error':
      return writer.u8(REFUSALS.indexOf(message.code)).finish()
  }
}

function greeting(writer: Writer, { sae, nonce, policy, hasKeys }: Greeting): void {
  writer.u8(VERSION).string(sae).bytes(nonce).u8(LINK_POLICIES.indexOf(policy))
  writer.u8(hasKeys ? 1 : 0)
}

/** Throws FormatError. */
export function decodeHandshake(frame: Uint8Array): HandshakeMessage {
  const reader = new Reader(frame)
  const kind = KINDS[reader.u8() - 1]
  if (kind === undefined)
    throw new FormatError('bad-field', 'A frame of a key agreement is of no known kind.')
  const message = body(reader, kind)
  reader.end()
  return message
}

function body(reader: Reader, kind: HandshakeMessage['kind']): HandshakeMessage {
  switch (kind) {
    case 'hello':
      return { kind, ...readGreeting(reader), kemKey: reader.bytes(ML_KEM_768.publicKey) }
    case 'reply':
      return {
        kind,
        ...readGreeting(reader),
        ciphertext: reader.bytes(ML_KEM_768.ciphertext),
        signature: reader.blob(SIGNATURE_BYTES_MAX),
      }
    case 'key':
      return { kind, keyId: reader.string(KEY_ID_BYTES_MAX), signature: reader.blob(SIGNATURE_BYTES_MAX) }
    case 'accept':
      return { kind, found: reader.flag(), mac: reader.bytes(MAC_BYTES) }
    case 'finish':
      return { kind, mac: reader.bytes(MAC_BYTES) }
    case 'error':
      return { kind, code: named(REFUSALS, reader.u8()) }
  }
}

function readGreeting(reader: Reader): Greeting {
  if (reader.u8() !== VERSION) throw new FormatError('bad-field', 'The peer speaks another version.')
  const sae = reader.string(SAE_BYTES_MAX)
  const nonce = reader.bytes(NONCE_BYTES)
  return { sae, nonce, policy: named(LINK_POLICIES, reader.u8()), hasKeys: reader.flag() }
}

function named<T>(names: readonly T[], place: number): T {
  const name = names[place]
  if (name === undefined) throw new FormatError('bad-field', 'A frame of a key agreement has a bad value.')
  return name
}
