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
  hasMany(keys: readonly Uint8Array[]): Promise<boolean[]>
  /** All or nothing; with `sync` the batch is on the disk when the promise resolves. */
  write(batch: readonly KvWrite[], sync: boolean): Promise<void>
  range(range: KvRange): AsyncIterable<readonly [Uint8Array, Uint8Array]>
  close(): Promise<void>
}
