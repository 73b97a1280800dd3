/**
 * Frames between two KMEs: u32 length of what follows (big-endian), u8 kind, body. What they mean: link.ts.
 *
 * `quantum` stands for the fibre and is a simulation; `classical` carries the post-processing and is authenticated
 * by Wegman-Carter tags inside; `keys` is about keys that are there already and rests on TLS.
 */
import { FormatError } from '../../src/errors.ts'

export const INTERLINK_KINDS = ['quantum', 'classical', 'keys'] as const
export type InterlinkKind = (typeof INTERLINK_KINDS)[number]

export interface InterlinkFrame {
  readonly kind: InterlinkKind
  readonly body: Uint8Array
}

/** The clicks of a block of 2^18 sifted bits are 0.2 MB; its Toeplitz seed 50 kB. */
export const INTERLINK_FRAME_BYTES_MAX = 1_048_576
const HEAD_BYTES = 5

export function encodeInterlinkFrame({ kind, body }: InterlinkFrame): Uint8Array {
  const out = new Uint8Array(HEAD_BYTES + body.length)
  new DataView(out.buffer).setUint32(0, 1 + body.length)
  out[4] = INTERLINK_KINDS.indexOf(kind)
  out.set(body, HEAD_BYTES)
  return out
}

/** Puts frames together from the pieces in which TLS delivers them. */
export class InterlinkReader {
  #held = new Uint8Array(0)

  /** The frames that are complete with this piece. Throws FormatError; the connection is of no use then. */
  push(piece: Uint8Array): InterlinkFrame[] {
    const bytes = new Uint8Array(this.#held.length + piece.length)
    bytes.set(this.#held)
    bytes.set(piece, this.#held.length)
    const frames: InterlinkFrame[] = []
    let at = 0
    while (bytes.length - at >= HEAD_BYTES) {
      const length = new DataView(bytes.buffer, at).getUint32(0)
      if (length < 1 || length > INTERLINK_FRAME_BYTES_MAX) {
        throw new FormatError(
          'bad-field',
          `A frame between KMEs has 1 to ${INTERLINK_FRAME_BYTES_MAX} bytes.`,
        )
      }
      const kind = INTERLINK_KINDS[bytes[at + 4]!]
      if (kind === undefined)
        throw new FormatError('bad-field', 'A frame between KMEs is of an unknown kind.')
      if (bytes.length - at < 4 + length) break
      frames.push({ kind, body: bytes.slice(at + HEAD_BYTES, at + 4 + length) })
      at += 4 + length
    }
    this.#held = bytes.slice(at)
    return frames
  }
}
