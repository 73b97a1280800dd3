/**
 * What authenticates the classical channel of a link: the point of its polynomial hash, and one-time pads, PADS_BYTES
 * for each block. They begin as a secret of the TLS connection that both ends have (RFC 8446 section 7.5), and each
 * good block pays for another one. They live in memory alone, so that none is ever used again after a crash.
 */
import type { AuthenticationKeys } from '../../src/qkd/wegman-carter.ts'
import { PADS_BYTES, POINT_BYTES } from '../../src/qkd/wegman-carter.ts'

const FIRST_PADS = 128
export const ENROLMENT_BYTES = POINT_BYTES + FIRST_PADS * PADS_BYTES

export class PadStore {
  readonly #point: Uint8Array
  readonly #pads: Uint8Array[] = []

  /** @param secret ENROLMENT_BYTES, zeroed here */
  constructor(secret: Uint8Array) {
    this.#point = secret.slice(0, POINT_BYTES)
    for (let at = POINT_BYTES; at < secret.length; at += PADS_BYTES)
      this.#pads.push(secret.slice(at, at + PADS_BYTES))
    secret.fill(0)
  }

  /** Blocks that can still be authenticated. */
  get left(): number {
    return this.#pads.length
  }

  /** For one block, and never again; undefined if they have run dry. */
  take(): AuthenticationKeys | undefined {
    const pads = this.#pads.shift()
    return pads && { point: this.#point.slice(), pads }
  }

  /** PADS_BYTES out of a good block. */
  add(pads: Uint8Array): void {
    this.#pads.push(pads)
  }

  wipe(): void {
    this.#point.fill(0)
    for (const pads of this.#pads) pads.fill(0)
    this.#pads.length = 0
  }
}
