/** A Kv in memory whose bytes a test can look at and damage. */
import type { Kv, KvRange } from '../../node/store/kv.ts'
import { fromHex, toHex } from '../../src/bytes.ts'

export interface MemoryKv extends Kv {
  /** What is stored, by key in hex. */
  readonly map: Map<string, Uint8Array>
  /** Thrown by every write while it is set. */
  failure: Error | undefined
  freeBytes: number
}

export function memoryKv(): MemoryKv {
  const map = new Map<string, Uint8Array>()
  const get = (key: Uint8Array) => map.get(toHex(key))
  const kv: MemoryKv = {
    map,
    failure: undefined,
    freeBytes: Number.MAX_SAFE_INTEGER,
    get: async (key) => get(key),
    getMany: async (keys) => keys.map(get),
    findFirst: async (keys) => {
      const at = keys.findIndex((key) => map.has(toHex(key)))
      return at < 0 ? undefined : [at, get(keys[at]!)!]
    },
    hasMany: async (keys) => keys.map((key) => map.has(toHex(key))),
    async write(batch) {
      if (kv.failure) throw kv.failure
      for (const { key, value } of batch) {
        if (value === undefined) map.delete(toHex(key))
        else map.set(toHex(key), value.slice())
      }
    },
    async *range({ from, to, reverse = false, limit = -1 }: KvRange) {
      const [low, high] = [toHex(from), toHex(to)]
      const keys = [...map.keys()].filter((key) => key >= low && key < high).sort()
      if (reverse) keys.reverse()
      for (const key of limit < 0 ? keys : keys.slice(0, limit)) yield [fromHex(key), map.get(key)!] as const
    },
    free: async () => kv.freeBytes,
    reopen: async () => {},
    close: async () => {},
  }
  return kv
}
