/** What the ledger needs of a disk: ordered bytes, atomic batches, and a promise that a synced batch is there. */

export interface KvWrite {
  readonly key: Uint8Array
  /** Absent: the key is deleted. */
  readonly value?: Uint8Array
}

export interface KvRange {
  /** First key, inclusive. */
  readonly from: Uint8Array
  /** Last key, exclusive. */
  readonly to: Uint8Array
  readonly reverse?: boolean
  readonly limit?: number
}

export interface Kv {
  get(key: Uint8Array): Promise<Uint8Array | undefined>
  getMany(keys: readonly Uint8Array[]): Promise<(Uint8Array | undefined)[]>
  /**
   * Place in `keys` and value of the first key that is there. For keys of which most are absent: looked up one after
   * the other on the calling thread, since filters in memory answer for nearly all that are absent.
   */
  findFirst(keys: readonly Uint8Array[]): Promise<readonly [number, Uint8Array] | undefined>
  hasMany(keys: readonly Uint8Array[]): Promise<boolean[]>
  /**
   * All or nothing; with `sync` the batch is on the disk when the promise resolves. Throws StoreError
   * `disk-full` or `store-failed`.
   */
  write(batch: readonly KvWrite[], sync: boolean): Promise<void>
  range(range: KvRange): AsyncIterable<readonly [Uint8Array, Uint8Array]>
  /** Bytes that the disk has left for this store. */
  free(): Promise<number>
  /**
   * Makes the store writable again after a write failed; until then every write fails. What the failed batch
   * held is then either all there or not at all, so whoever keeps a copy of the state reads it anew.
   */
  reopen(): Promise<void>
  close(): Promise<void>
}
