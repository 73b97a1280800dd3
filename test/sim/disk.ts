/**
 * A disk under LevelDB, as far as a node can tell: batches are atomic and written in order; a synced batch, and
 * every batch before it, survives a power cut; of those after it some run survives, from the first one on. A
 * killed process loses only what it had not handed over. After a failed write nothing can be written until the
 * store is opened again, and the batch that failed may be found on it or not.
 */
import type { Kv, KvRange, KvWrite } from '../../node/store/kv.ts'
import { StoreError } from '../../node/store/store-error.ts'
import type { Random } from '../consensus/sim/random.ts'
import type { Life } from './life.ts'

/** What a simulated disk answers when it fails. Nothing else may stop an honest node. */
export class DiskError extends Error {
  readonly code: string

  constructor(code: 'EIO' | 'ENOSPC') {
    super(`simulated ${code}`)
    this.name = 'DiskError'
    this.code = code
  }
}

/** Whether an error goes back to a simulated disk: a failure, or damage that was noticed. */
export function isDiskFault(error: unknown): boolean {
  for (let at = error; at instanceof Error; at = at.cause) {
    if (at instanceof DiskError || (at instanceof StoreError && at.code === 'store-damaged')) return true
  }
  return false
}

/** How the Kv on LevelDB reports it. */
function storeError(cause: DiskError): StoreError {
  const code = cause.code === 'ENOSPC' ? 'disk-full' : 'store-failed'
  return new StoreError(code, 'The simulated disk failed.', {}, { cause })
}

export interface DiskPace {
  /** Milliseconds of a synced write, at most. */
  syncMaxMs: number
  /** Of a read; 0: it answers at once. */
  readMaxMs: number
}

/** Hears of every batch before it is handed over, and when some have become durable, before their writer does. */
export interface DiskWatch {
  writes(batch: readonly KvWrite[]): void
  durable(): void
}

interface Queued {
  readonly batch: readonly KvWrite[]
  readonly sync: boolean
  readonly done: () => void
}

/** What the node's own layer over the disk puts behind every value. */
const CHECKSUM_BYTES = 4

type Undo = Map<string, Uint8Array | undefined>

export class SimDisk {
  full = false
  /** Chance that a write fails, and that a read comes with one bit flipped. */
  writeErrors = 0
  bitFlips = 0
  readonly counts = { writeErrors: 0, diskFull: 0, bitFlips: 0, lostBatches: 0 }
  readonly #random: Random
  readonly #pace: DiskPace
  readonly #values = new Map<string, Uint8Array>()
  /** The keys of `#values` in order. */
  readonly #keys: string[] = []
  /** For each batch since the last sync, oldest first: what its keys held before. */
  readonly #unsynced: Undo[] = []
  #queue: Queued[] = []
  #failed: DiskError | undefined
  /** What a node has written, without the checksum that is stored behind it, by the stored bytes. */
  readonly #contents = new WeakMap<Uint8Array, Uint8Array>()

  constructor(random: Random, pace: DiskPace) {
    this.#random = random
    this.#pace = pace
  }

  /** From now on nothing goes wrong; a store that has failed must still be opened again. */
  heal(): void {
    this.full = false
    this.writeErrors = this.bitFlips = 0
  }

  /** What a power cut at this moment would leave of a key, at the least. */
  durable(key: Uint8Array): Uint8Array | undefined {
    const name = nameOf(key)
    const undo = this.#unsynced.find((batch) => batch.has(name))
    return this.#content(undo === undefined ? this.#values.get(name) : undo.get(name))
  }

  /** What a reader finds now. */
  peek(key: Uint8Array): Uint8Array | undefined {
    return this.#content(this.#values.get(nameOf(key)))
  }

  #content(stored: Uint8Array | undefined): Uint8Array | undefined {
    if (stored === undefined) return undefined
    const known = this.#contents.get(stored) ?? stored.subarray(0, -CHECKSUM_BYTES)
    this.#contents.set(stored, known)
    return known
  }

  /** The machine comes back with an empty disk. */
  wipe(): void {
    this.#values.clear()
    this.#keys.length = this.#unsynced.length = 0
  }

  /** What a power cut now would leave at the least, as an operator might copy it. */
  copy(): ReadonlyMap<string, Uint8Array> {
    const values = new Map(this.#values)
    for (const undo of this.#unsynced.toReversed()) {
      for (const [name, value] of undo) {
        if (value === undefined) values.delete(name)
        else values.set(name, value)
      }
    }
    return values
  }

  /** An old copy is put in the place of everything that was written since. */
  putBack(copy: ReadonlyMap<string, Uint8Array>): void {
    this.wipe()
    for (const [name, value] of copy) this.#set(name, value)
  }

  /** The process is gone, and with `power` what the disk had not synced, from some batch on. */
  crash(power: boolean): void {
    const written = this.#unsynced.length
    // What the process had handed over may still have arrived, in order.
    const luck = this.#random.int(0, this.#queue.length + (power ? written : 0))
    const kept = power ? luck : written + luck
    this.counts.lostBatches += written + this.#queue.length - kept
    for (const undo of this.#unsynced.splice(kept).reverse()) this.#revert(undo)
    for (const { batch } of this.#queue.slice(0, Math.max(0, kept - written))) this.#apply(batch)
    this.#unsynced.length = 0
    this.#queue = []
    this.#failed = undefined
  }

  /**
   * A process opens the store again after a failed write: what was on its way has arrived in part, in order. What
   * is found is durable, because LevelDB writes what it replays from its log into a table, and syncs that.
   */
  #reopen(): void {
    for (const { batch } of this.#queue.slice(0, this.#random.int(0, this.#queue.length))) this.#apply(batch)
    this.#unsynced.length = 0
    this.#queue = []
    this.#failed = undefined
  }

  /** The store as one life of the process sees it. */
  open(life: Life, watch: DiskWatch): Kv {
    const read = <T>(answer: () => T): Promise<T> => {
      const { readMaxMs } = this.#pace
      if (readMaxMs === 0) return Promise.resolve(answer())
      return new Promise((resolve) => {
        life.later(this.#random.int(0, readMaxMs), () => resolve(answer()))
      })
    }
    const get = (key: Uint8Array) => this.#read(nameOf(key))
    return {
      get: (key) => read(() => get(key)),
      getMany: (keys) => read(() => keys.map(get)),
      findFirst: (keys) =>
        read(() => {
          const at = keys.findIndex((key) => this.#values.has(nameOf(key)))
          return at < 0 ? undefined : [at, get(keys[at]!)!]
        }),
      hasMany: (keys) => read(() => keys.map((key) => this.#values.has(nameOf(key)))),
      write: (batch, sync) => this.#write(life, watch, batch, sync),
      range: (range) => this.#range(range, read),
      free: async () => (this.full ? 0 : Number.MAX_SAFE_INTEGER),
      reopen: async () => {
        if (life.alive) this.#reopen()
      },
      close: async () => {},
    }
  }

  /** The layer above makes the bytes of every batch anew, with their checksums, and keeps nothing of them. */
  #write(life: Life, watch: DiskWatch, batch: readonly KvWrite[], sync: boolean): Promise<void> {
    // A process that is dead in the middle of a step writes no more.
    if (!life.alive) return new Promise(() => {})
    const content = batch.map(({ key, value }) =>
      value === undefined ? { key } : { key, value: this.#content(value)! },
    )
    watch.writes(content)
    if (!life.alive) return new Promise(() => {})
    const error = this.#refusal()
    return new Promise((resolve, reject) => {
      if (error !== undefined) {
        if (this.#random.chance(0.5)) this.#queue.push({ batch, sync: false, done: () => {} })
        life.later(1, () => reject(storeError(error)))
        return
      }
      this.#queue.push({ batch, sync, done: resolve })
      const slow = this.#random.chance(0.02) ? 10 : 1
      const ms = sync ? this.#random.int(1, this.#pace.syncMaxMs * slow) : this.#random.int(0, 1)
      life.later(ms, () => this.#arrive(watch, batch))
    })
  }

  #refusal(): DiskError | undefined {
    if (this.#failed !== undefined) return this.#failed
    if (this.full) {
      this.counts.diskFull++
      this.#failed = new DiskError('ENOSPC')
    } else if (this.#random.chance(this.writeErrors)) {
      this.counts.writeErrors++
      this.#failed = new DiskError('EIO')
    }
    return this.#failed
  }

  /** The batch has reached the disk, and with it everything that was handed over before. */
  #arrive(watch: DiskWatch, batch: readonly KvWrite[]): void {
    const end = this.#queue.findIndex((queued) => queued.batch === batch)
    // A later batch was quicker, and took this one along.
    const arrived = this.#queue.splice(0, end + 1)
    for (const queued of arrived) {
      this.#unsynced.push(this.#apply(queued.batch))
      if (queued.sync) this.#unsynced.length = 0
    }
    if (arrived.length > 0) watch.durable()
    for (const { done } of arrived) done()
  }

  #apply(batch: readonly KvWrite[]): Undo {
    const undo: Undo = new Map()
    for (const { key, value } of batch) {
      const name = nameOf(key)
      if (!undo.has(name)) undo.set(name, this.#values.get(name))
      this.#set(name, value)
    }
    return undo
  }

  #revert(undo: Undo): void {
    for (const [name, value] of undo) this.#set(name, value)
  }

  #set(name: string, value: Uint8Array | undefined): void {
    const known = this.#values.has(name)
    if (value !== undefined) this.#values.set(name, value)
    else this.#values.delete(name)
    if (known === (value !== undefined)) return
    const at = this.#position(name)
    if (value === undefined) this.#keys.splice(at, 1)
    else this.#keys.splice(at, 0, name)
  }

  /** Index of the first key that is not below `name`. */
  #position(name: string): number {
    let low = 0
    let high = this.#keys.length
    while (low < high) {
      const middle = (low + high) >>> 1
      if (this.#keys[middle]! < name) low = middle + 1
      else high = middle
    }
    return low
  }

  #read(name: string): Uint8Array | undefined {
    const value = this.#values.get(name)?.slice()
    if (value !== undefined && value.length > 0 && this.bitFlips > 0 && this.#random.chance(this.bitFlips)) {
      this.counts.bitFlips++
      value[this.#random.int(0, value.length - 1)]! ^= 1 << this.#random.int(0, 7)
    }
    return value
  }

  async *#range(
    { from, to, reverse = false, limit = -1 }: KvRange,
    read: <T>(answer: () => T) => Promise<T>,
  ): AsyncGenerator<readonly [Uint8Array, Uint8Array]> {
    // An iterator of LevelDB reads a snapshot.
    const names = await read(() => {
      const found = this.#keys.slice(this.#position(nameOf(from)), this.#position(nameOf(to)))
      if (reverse) found.reverse()
      return (limit < 0 ? found : found.slice(0, limit)).map(
        (name) => [keyOf(name), this.#read(name)!] as const,
      )
    })
    yield* names
  }
}

/** Keys as texts of one character a byte, whose order is that of the bytes. */
function nameOf(key: Uint8Array): string {
  return Buffer.from(key.buffer, key.byteOffset, key.byteLength).toString('latin1')
}

function keyOf(name: string): Uint8Array {
  return new Uint8Array(Buffer.from(name, 'latin1'))
}
