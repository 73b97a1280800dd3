/**
 * Names of keys, which both ends compute alone and which say nothing about the keys: UUID version 8 (RFC 9562) from
 * SHA-256("qat-kid" | link | block | index), link behind its length as u16, block and index as u32.
 */
import { toHex, utf8 } from '../bytes.ts'
import { Writer } from '../codec/writer.ts'
import { sha256 } from '../crypto/hash.ts'

export const KEY_BYTES = 32

export function keyId(link: string, block: number, index: number): string {
  const name = new Writer().bytes(utf8('qat-kid')).string(link).u32(block).u32(index).finish()
  const bytes = sha256(name).slice(0, 16)
  bytes[6] = (bytes[6]! & 0x0f) | 0x80
  bytes[8] = (bytes[8]! & 0x3f) | 0x80
  return toHex(bytes).replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, '$1-$2-$3-$4-$5')
}
