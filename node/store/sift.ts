/** Reading a store that may be damaged: what cannot be read is an answer like any other. */
import { openValue } from './checked-kv.ts'
import type { Kv } from './kv.ts'

export type Sifted =
  | { readonly is: 'there'; readonly value: Uint8Array }
  | { readonly is: 'missing' }
  | { readonly is: 'damaged' }

const MISSING: Sifted = { is: 'missing' }
const DAMAGED: Sifted = { is: 'damaged' }

/** The values under `keys` in the Kv below the checksums. */
export async function siftMany(raw: Kv, keys: readonly Uint8Array[]): Promise<Sifted[]> {
  try {
    const values = await raw.getMany(keys)
    return values.map((stored, i) => sifted(keys[i]!, stored))
  } catch {
    // LevelDB gives up on all of them for the sake of one.
    return Promise.all(keys.map((key) => sift(raw, key)))
  }
}

export async function sift(raw: Kv, key: Uint8Array): Promise<Sifted> {
  try {
    return sifted(key, await raw.get(key))
  } catch {
    return DAMAGED
  }
}

/** The value, if it is there and sound. */
export async function siftValue(raw: Kv, key: Uint8Array): Promise<Uint8Array | undefined> {
  const found = await sift(raw, key)
  return found.is === 'there' ? found.value : undefined
}

function sifted(key: Uint8Array, stored: Uint8Array | undefined): Sifted {
  if (stored === undefined) return MISSING
  try {
    return { is: 'there', value: openValue(key, stored) }
  } catch {
    return DAMAGED
  }
}
