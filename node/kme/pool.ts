/**
 * The keys of one link that have not been delivered yet, the same at both of its ends.
 *
 * Keys are numbered block by block. Those with even numbers are handed out by the end called Alice, those with odd ones
 * by Bob, and each end gives the other's away only by name: so the two never hand out one key twice, and need not ask.
 * A key is removed from the disk, synced, before anyone is given it: a crash can lose a key and never repeat one.
 */
import { createCipheriv, createDecipheriv, randomBytes } from 'node:crypto'
import { utf8 } from '../../src/bytes.ts'
import { Reader } from '../../src/codec/reader.ts'
import { Writer } from '../../src/codec/writer.ts'
import { QatError } from '../../src/errors.ts'
import { KEY_BYTES, keyId } from '../../src/qkd/key-ids.ts'
import type { Kv, KvWrite } from '../store/kv.ts'

export class PoolError extends QatError<'insufficient-keys' | 'pool-damaged'> {}

export interface PoolKey {
  /** UUID. */
  readonly id: string
  /** KEY_BYTES; whoever takes it zeroes it. */
  readonly bytes: Uint8Array
}

export interface PoolOptions {
  readonly kv: Kv
  /** Names the link and its enrolment; the same at both ends, and never used again. */
  readonly link: string
  /** Which numbers this end hands out. */
  readonly side: 'alice' | 'bob'
  /** 32 bytes: seals what lies on the disk. */
  readonly sealKey: Uint8Array
  readonly keysMax: number
}

interface Held extends PoolKey {
  readonly block: number
  readonly index: number
}

const NONCE_BYTES = 12
const TAG_BYTES = 16

export class KeyPool {
  readonly #options: PoolOptions
  /** In the order of their numbers, which is the order in which they were added. */
  readonly #keys = new Map<string, Held>()
  readonly #count = { own: 0, other: 0 }

  private constructor(options: PoolOptions) {
    this.#options = options
  }

  /** Reads what lies on the disk. Throws PoolError `pool-damaged`: a key that was changed is none. */
  static async open(options: PoolOptions): Promise<KeyPool> {
    const pool = new KeyPool(options)
    const prefix = recordPrefix(options.link)
    const end = new Uint8Array([...prefix, ...new Uint8Array(8).fill(0xff), 0])
    for await (const [key, value] of options.kv.range({ from: prefix, to: end })) {
      const reader = new Reader(key)
      reader.bytes(prefix.length)
      const [block, index] = [reader.u32(), reader.u32()]
      pool.#hold({
        id: keyId(options.link, block, index),
        block,
        index,
        bytes: open(options.sealKey, key, value),
      })
    }
    return pool
  }

  /** Keys that this end may hand out; with those of the other end. */
  get own(): number {
    return this.#count.own
  }

  /** The name that the pool was opened under. */
  get link(): string {
    return this.#options.link
  }

  get size(): number {
    return this.#keys.size
  }

  /** How many more there is room for. */
  get room(): number {
    return Math.max(0, this.#options.keysMax - this.#keys.size)
  }

  /** Puts the keys of a block on the disk, as many as there is room for, and zeroes what it was given. */
  async add(block: number, keys: readonly Uint8Array[]): Promise<number> {
    const { kv, link, sealKey } = this.#options
    const taken = keys.slice(0, this.room)
    const writes: KvWrite[] = taken.map((bytes, index) => {
      const key = recordKey(link, block, index)
      return { key, value: seal(sealKey, key, bytes) }
    })
    await kv.write(writes, true)
    for (const [index, bytes] of taken.entries()) {
      this.#hold({ id: keyId(link, block, index), block, index, bytes: bytes.slice() })
    }
    for (const bytes of keys) bytes.fill(0)
    return taken.length
  }

  /** The oldest `count` keys that this end may hand out. Throws PoolError `insufficient-keys`. */
  async take(count: number): Promise<PoolKey[]> {
    if (count > this.#count.own) {
      throw new PoolError(
        'insufficient-keys',
        'The link has too few keys left. Ask again when it has made more.',
        {
          available: this.#count.own,
        },
      )
    }
    const chosen: Held[] = []
    for (const key of this.#keys.values()) {
      if (chosen.length === count) break
      if (this.#isOwn(key)) chosen.push(key)
    }
    return this.#remove(chosen)
  }

  /** Whether all of these are here, and are the other end's to hand out. */
  holds(ids: readonly string[]): boolean {
    return ids.every((id) => {
      const key = this.#keys.get(id)
      return key !== undefined && !this.#isOwn(key)
    })
  }

  /** Those that the other end has handed out, by name; undefined if one of them is not here any more. */
  async takeNamed(ids: readonly string[]): Promise<PoolKey[] | undefined> {
    if (!this.holds(ids) || new Set(ids).size < ids.length) return undefined
    return this.#remove(ids.map((id) => this.#keys.get(id)!))
  }

  /** Names of all keys that are here. */
  ids(): string[] {
    return [...this.#keys.keys()]
  }

  /** Forgets the keys of these names, as far as they are here; returns how many were. */
  async drop(ids: readonly string[]): Promise<number> {
    const dropped = await this.#remove(ids.flatMap((id) => this.#keys.get(id) ?? []))
    for (const { bytes } of dropped) bytes.fill(0)
    return dropped.length
  }

  /** Zeroes what is in memory. What is on the disk stays. */
  close(): void {
    for (const { bytes } of this.#keys.values()) bytes.fill(0)
    this.#keys.clear()
    this.#options.sealKey.fill(0)
  }

  #isOwn({ index }: Held): boolean {
    return index % 2 === (this.#options.side === 'alice' ? 0 : 1)
  }

  #hold(key: Held): void {
    this.#keys.set(key.id, key)
    this.#count[this.#isOwn(key) ? 'own' : 'other']++
  }

  /** Out of memory at once, so that nobody else takes them, and off the disk before they are returned. */
  async #remove(keys: readonly Held[]): Promise<PoolKey[]> {
    const { kv, link } = this.#options
    for (const key of keys) {
      this.#keys.delete(key.id)
      this.#count[this.#isOwn(key) ? 'own' : 'other']--
    }
    if (keys.length === 0) return []
    try {
      await kv.write(
        keys.map(({ block, index }) => ({ key: recordKey(link, block, index) })),
        true,
      )
    } catch (error) {
      for (const { bytes } of keys) bytes.fill(0)
      throw error
    }
    return keys.map(({ id, bytes }) => ({ id, bytes }))
  }
}

function recordPrefix(link: string): Uint8Array {
  return new Writer().bytes(utf8('k')).string(link).finish()
}

function recordKey(link: string, block: number, index: number): Uint8Array {
  return new Writer().bytes(recordPrefix(link)).u32(block).u32(index).finish()
}

/** nonce ‖ AES-256-GCM(key) ‖ tag, bound to the record's own key. */
function seal(sealKey: Uint8Array, record: Uint8Array, bytes: Uint8Array): Uint8Array {
  const nonce = randomBytes(NONCE_BYTES)
  const cipher = createCipheriv('aes-256-gcm', sealKey, nonce).setAAD(record)
  return new Uint8Array(Buffer.concat([nonce, cipher.update(bytes), cipher.final(), cipher.getAuthTag()]))
}

function open(sealKey: Uint8Array, record: Uint8Array, sealed: Uint8Array): Uint8Array {
  try {
    if (sealed.length !== NONCE_BYTES + KEY_BYTES + TAG_BYTES) throw new RangeError('length')
    const decipher = createDecipheriv('aes-256-gcm', sealKey, sealed.subarray(0, NONCE_BYTES))
    decipher.setAAD(record).setAuthTag(sealed.subarray(NONCE_BYTES + KEY_BYTES))
    const bytes = decipher.update(sealed.subarray(NONCE_BYTES, NONCE_BYTES + KEY_BYTES))
    decipher.final()
    return new Uint8Array(bytes)
  } catch (cause) {
    const message =
      'A stored QKD key was changed, or sealed under another key. Remove the pool; the link makes new keys.'
    throw new PoolError('pool-damaged', message, {}, { cause })
  }
}
