/**
 * A key on its way over one fibre: xor with as many keys of that link, and a Wegman-Carter tag by one more of them, of
 * which half is the point and half the pad. So it costs its own length and 256 bits, and holds against any computer.
 */
import { equalBytes, utf8 } from '../../src/bytes.ts'
import { Writer } from '../../src/codec/writer.ts'
import { KEY_BYTES } from '../../src/qkd/key-ids.ts'
import { PolynomialHash } from '../../src/qkd/polynomial-hash.ts'
import { POINT_BYTES } from '../../src/qkd/wegman-carter.ts'
import type { Carriage } from './control.ts'
import type { CarriedKey } from './key-service.ts'
import type { PoolKey } from './pool.ts'

/** Keys of a link for one crossing. */
export function padsFor(bytes: number): number {
  return Math.ceil(bytes / KEY_BYTES) + 1
}

/** @param pads `padsFor` keys of the link, zeroed here */
export function wrap(key: CarriedKey, route: readonly string[], pads: readonly PoolKey[]): Carriage {
  const { bytes, ...names } = key
  const head = { ...names, route, pads: pads.map(({ id }) => id) }
  const cipher = xored(bytes, pads)
  const tag = tagOf(head, cipher, pads.at(-1)!.bytes)
  for (const pad of pads) pad.bytes.fill(0)
  return { ...head, cipher, tag }
}

/** Undefined if it was changed on its way. */
export function unwrap(carriage: Carriage, pads: readonly PoolKey[]): CarriedKey | undefined {
  const { id, master, slaves, share, shares, cipher, tag } = carriage
  const good =
    pads.length === padsFor(cipher.length) && equalBytes(tagOf(carriage, cipher, pads.at(-1)!.bytes), tag)
  const bytes = good ? xored(cipher, pads) : undefined
  for (const pad of pads) pad.bytes.fill(0)
  return bytes && { id, bytes, master, slaves, share, shares }
}

function xored(text: Uint8Array, pads: readonly PoolKey[]): Uint8Array {
  return text.map((byte, i) => byte ^ pads[Math.floor(i / KEY_BYTES)]!.bytes[i % KEY_BYTES]!)
}

type Head = Omit<Carriage, 'cipher' | 'tag'>

function tagOf(
  { id, master, slaves, share, shares, route, pads }: Head,
  cipher: Uint8Array,
  key: Uint8Array,
): Uint8Array {
  const head = utf8(JSON.stringify([id, master, slaves, share, shares, route, pads]))
  // Never zero at its end, or it would hash as if it were shorter.
  const message = new Writer().blob(head).blob(cipher).u8(1).finish()
  const hash = new PolynomialHash(key.subarray(0, POINT_BYTES)).update(padded(message))
  const tag = hash.digest()
  hash.wipe()
  for (let i = 0; i < tag.length; i++) tag[i]! ^= key[POINT_BYTES + i]!
  return tag
}

function padded(message: Uint8Array): Uint8Array {
  const out = new Uint8Array(Math.ceil(message.length / POINT_BYTES) * POINT_BYTES)
  out.set(message)
  return out
}
