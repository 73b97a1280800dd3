/**
 * Authentication of the classical channel that holds against any computer: a polynomial hash at a secret point, under
 * a one-time pad (Wegman, Carter, JCSS 22, 265). Who does not know both forges with probability (blocks + 1) / 2^128.
 *
 * A block of the simulation needs four pads, and its own key pays for the next four. The point stays: renewing it
 * matters where pads are imperfect (Abidin, Larsson, arXiv:1109.5168), and here they are as good as the key.
 */
import { equalBytes } from '../bytes.ts'
import { PolynomialHash } from './polynomial-hash.ts'

export const TAG_BYTES = 16
export const POINT_BYTES = 16
/** Two tags in each direction. */
export const PADS_BYTES = 4 * TAG_BYTES

/** What the two ends of a link share for one block. */
export interface AuthenticationKeys {
  readonly point: Uint8Array
  /** PADS_BYTES that were never used. */
  readonly pads: Uint8Array
}

/** Length of a message before it, so that no two sequences of messages are hashed alike. */
const HEAD_BYTES = 16

/** The messages of one direction, and its two tags. */
export class Transcript {
  readonly #hash: PolynomialHash
  readonly #pads: readonly Uint8Array[]
  #tags = 0

  constructor({ point, pads }: AuthenticationKeys, direction: 'fromAlice' | 'fromBob') {
    this.#hash = new PolynomialHash(point)
    const first = direction === 'fromAlice' ? 0 : 2
    this.#pads = [first, first + 1].map((i) => pads.slice(i * TAG_BYTES, (i + 1) * TAG_BYTES))
  }

  add(message: Uint8Array): void {
    const head = new Uint8Array(HEAD_BYTES)
    // A hash of all zeros must not stand for nothing, so the head is never zero.
    new DataView(head.buffer).setUint32(0, 1)
    new DataView(head.buffer).setUint32(12, message.length)
    this.#hash.update(head).update(message)
  }

  /** Over all messages so far. Each call takes the next pad; there are two. */
  tag(): Uint8Array {
    const pad = this.#pads[this.#tags++]
    if (!pad) throw new RangeError('A transcript has two tags.')
    const tag = this.#hash.digest()
    for (let i = 0; i < TAG_BYTES; i++) tag[i]! ^= pad[i]!
    pad.fill(0)
    return tag
  }

  matches(tag: Uint8Array): boolean {
    return equalBytes(this.tag(), tag)
  }

  wipe(): void {
    this.#hash.wipe()
    for (const pad of this.#pads) pad.fill(0)
  }
}
