/**
 * A Kv that notices when the one below returns other bytes than were written. Every value is followed by the
 * CRC-32 of key ‖ value, so that flipped bits, a shortened value, and a value that turns up under another key
 * are all found. A checksum is against failing disks, not against people: those are up against signatures.
 */
import { crc32 } from 'node:zlib'
import { toHex } from '../../src/bytes.ts'
import type { Kv, KvWrite } from './kv.ts'
import { damaged, type StoreError } from './store-error.ts'

const CHECKSUM_BYTES = 4

/** `raw` is closed and reopened through the result. */
export function checkedKv(raw: Kv): Kv {
  return {
    async get(key) {
      return openIfThere(key, await raw.get(key))
    },
    async getMany(keys) {
      const values = await raw.getMany(keys)
      return values.map((value, i) => openIfThere(keys[i]!, value))
    },
    async findFirst(keys) {
      const found = await raw.findFirst(keys)
      return found && [found[0], openValue(keys[found[0]]!, found[1])]
    },
    hasMany: (keys) => raw.hasMany(keys),
    write: (batch, sync) => raw.write(sealBatch(batch), sync),
    async *range(range) {
      for await (const [key, value] of raw.range(range)) yield [key, openValue(key, value)]
    },
    free: () => raw.free(),
    reopen: () => raw.reopen(),
    close: () => raw.close(),
  }
}

/** The bytes that stand on the disk for `value` under `key`. */
export function sealValue(key: Uint8Array, value: Uint8Array): Uint8Array {
  const [sealed] = sealBatch([{ key, value }])
  return sealed!.value!
}

/**
 * The batch as it stands on the disk, laid out in one stretch of memory, key ‖ value ‖ checksum after one another:
 * what LevelDB takes from memory of its own costs it a third, and a checksum takes one pass over key and value.
 */
function sealBatch(batch: readonly KvWrite[]): KvWrite[] {
  let size = 0
  for (const { key, value } of batch) {
    size += key.length + (value === undefined ? 0 : value.length + CHECKSUM_BYTES)
  }
  const bytes = new Uint8Array(Buffer.allocUnsafeSlow(size).buffer)
  const view = new DataView(bytes.buffer)
  let at = 0
  return batch.map(({ key, value }) => {
    const start = at
    bytes.set(key, start)
    const middle = start + key.length
    at = middle
    if (value === undefined) return { key: bytes.subarray(start, middle) }
    bytes.set(value, middle)
    const end = middle + value.length
    view.setUint32(end, crc32(bytes.subarray(start, end)))
    at = end + CHECKSUM_BYTES
    return { key: bytes.subarray(start, middle), value: bytes.subarray(middle, at) }
  })
}

/** The value in `stored`. Throws StoreError `store-damaged` unless it was written under this key. */
export function openValue(key: Uint8Array, stored: Uint8Array): Uint8Array {
  const end = stored.length - CHECKSUM_BYTES
  if (end < 0) throw badValue(key)
  const value = stored.subarray(0, end)
  const expected = new DataView(stored.buffer, stored.byteOffset + end).getUint32(0)
  if (checksum(key, value) !== expected) throw badValue(key)
  return value
}

function openIfThere(key: Uint8Array, stored: Uint8Array | undefined): Uint8Array | undefined {
  return stored && openValue(key, stored)
}

function checksum(key: Uint8Array, value: Uint8Array): number {
  return crc32(value, crc32(key))
}

function badValue(key: Uint8Array): StoreError {
  return damaged('The disk returned other bytes than were written.', { key: toHex(key) })
}
