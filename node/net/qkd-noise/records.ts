/**
 * Records of a link: u16 length of what follows, u8 epoch, u8 type, AES-256-GCM of the content with its tag. The nonce
 * is the direction's iv xor the record's number in its epoch, and all four bytes of the head are authenticated. So a
 * record that is changed, repeated, left out or moved does not open, and the link ends there.
 */
import { createCipheriv, createDecipheriv, createSecretKey, type KeyObject } from 'node:crypto'
import { QkdError } from '../../qkd/key-provider.ts'
import type { DirectionKeys } from './key-schedule.ts'

export const RECORD_TYPES = ['data', 'handshake'] as const
export type RecordType = (typeof RECORD_TYPES)[number]

/** The length before a frame. */
export const LENGTH_BYTES = 2
const HEAD_BYTES = LENGTH_BYTES + 2
const TAG_BYTES = 16
/** So that a record with its head fits into one message of Noise: 65,519 bytes. */
export const RECORD_CONTENT_MAX = 65_519 - HEAD_BYTES - TAG_BYTES

export interface OpenedRecord {
  readonly type: RecordType
  readonly content: Uint8Array
}

/** One epoch of one direction. The key lies in OpenSSL's memory; what it was made from is zeroed. */
class Epoch {
  readonly number: number
  readonly #key: KeyObject
  readonly #iv: Uint8Array
  #records = 0

  constructor(number: number, { key, iv }: DirectionKeys) {
    this.number = number & 0xff
    this.#key = createSecretKey(key)
    this.#iv = iv.slice()
    key.fill(0)
    iv.fill(0)
  }

  seal(type: RecordType, content: Uint8Array): Uint8Array {
    const record = Buffer.allocUnsafe(HEAD_BYTES + content.length + TAG_BYTES)
    record.writeUInt16BE(record.length - LENGTH_BYTES, 0)
    record[2] = this.number
    record[3] = RECORD_TYPES.indexOf(type)
    const cipher = createCipheriv('aes-256-gcm', this.#key, this.#nonce())
    cipher.setAAD(record.subarray(0, HEAD_BYTES))
    record.set(cipher.update(content), HEAD_BYTES)
    cipher.final()
    record.set(cipher.getAuthTag(), HEAD_BYTES + content.length)
    return record
  }

  /** @param frame what follows the length, which is authenticated by being that of the frame */
  open(frame: Uint8Array): OpenedRecord {
    const type = RECORD_TYPES[frame[1]!]
    if (type === undefined || frame.length < 2 + TAG_BYTES) throw badRecord()
    const head = Buffer.of(frame.length >> 8, frame.length & 0xff, frame[0]!, frame[1]!)
    const decipher = createDecipheriv('aes-256-gcm', this.#key, this.#nonce())
    decipher.setAAD(head).setAuthTag(frame.subarray(frame.length - TAG_BYTES))
    const content = decipher.update(frame.subarray(2, frame.length - TAG_BYTES))
    try {
      decipher.final()
    } catch {
      throw badRecord()
    }
    return { type, content }
  }

  #nonce(): Uint8Array {
    const nonce = Buffer.from(this.#iv)
    const number = this.#records++
    nonce.writeUInt32BE((nonce.readUInt32BE(4) ^ Math.floor(number / 0x1_0000_0000)) >>> 0, 4)
    nonce.writeUInt32BE((nonce.readUInt32BE(8) ^ (number >>> 0)) >>> 0, 8)
    return nonce
  }
}

/** What is sent on a link. */
export class RecordSealer {
  #epoch: Epoch
  /** Since the epoch began. */
  bytes = 0
  records = 0

  constructor(keys: DirectionKeys) {
    this.#epoch = new Epoch(0, keys)
  }

  /** The whole frame, length included. `content` has RECORD_CONTENT_MAX bytes at most. */
  seal(type: RecordType, content: Uint8Array): Uint8Array {
    this.bytes += content.length
    this.records++
    return this.#epoch.seal(type, content)
  }

  next(keys: DirectionKeys): void {
    this.#epoch = new Epoch(this.#epoch.number + 1, keys)
    this.bytes = 0
    this.records = 0
  }
}

/** What is received. It goes over to the next epoch with the first record of that, and never back. */
export class RecordOpener {
  #epoch: Epoch
  #next: Epoch | undefined
  bytes = 0
  records = 0

  constructor(keys: DirectionKeys) {
    this.#epoch = new Epoch(0, keys)
  }

  /** Throws QkdError `record`; the link must end then. */
  open(frame: Uint8Array): OpenedRecord {
    if (this.#next && frame[0] === this.#next.number) {
      this.#epoch = this.#next
      this.#next = undefined
      this.bytes = 0
      this.records = 0
    }
    if (frame[0] !== this.#epoch.number) throw badRecord()
    const opened = this.#epoch.open(frame)
    this.bytes += opened.content.length
    this.records++
    return opened
  }

  next(keys: DirectionKeys): void {
    this.#next = new Epoch(this.#epoch.number + 1, keys)
  }
}

function badRecord(): QkdError {
  return new QkdError('record', 'A record of the link was changed on its way. The link is closed.')
}
