/** Two KMEs in memory that share keys, and can be made to fail in the ways that real ones do. */
import { randomBytes, randomUUID } from 'node:crypto'
import { type KeyProvider, type KeyStatus, QkdError } from '../../node/qkd/key-provider.ts'

export class PairedKeys {
  /** By name, until both sides have theirs. */
  readonly #keys = new Map<string, Uint8Array>()
  stored = 10_000
  /** As status reports it. */
  linkState = 'OK'
  /** Every key that was given to a master. */
  readonly issued: Uint8Array[] = []
  /** Names that were given to a slave. */
  readonly claimed: string[] = []
  /** What a side gets in place of its answer. */
  spoil:
    | ((
        side: 'master' | 'slave',
        key: { id: string; bytes: Uint8Array },
      ) => { id: string; bytes: Uint8Array })
    | undefined
  slowMs = 0

  readonly provider: KeyProvider = {
    status: async (): Promise<KeyStatus> => ({
      keySizeBits: 256,
      storedKeys: this.stored,
      maxKeys: 10_000,
      linkState: this.linkState,
    }),
    getKey: async (_peer, bits, signal) => {
      await this.#wait(signal)
      if (this.stored <= 0 || this.linkState === 'DOWN') throw new QkdError('no-keys', 'The pool is empty.')
      this.stored--
      const key = { id: randomUUID(), bytes: new Uint8Array(randomBytes(bits / 8)) }
      this.#keys.set(key.id, key.bytes.slice())
      this.issued.push(key.bytes.slice())
      return this.spoil?.('master', key) ?? key
    },
    getKeyById: async (_master, id, _bits, signal) => {
      await this.#wait(signal)
      const bytes = this.#keys.get(id)
      if (!bytes) throw new QkdError('key-not-found', 'The KME knows no such key.')
      this.#keys.delete(id)
      this.claimed.push(id)
      return this.spoil?.('slave', { id, bytes }) ?? { id, bytes }
    },
  }

  async #wait(signal?: AbortSignal): Promise<void> {
    if (this.slowMs === 0) return
    await new Promise<void>((resolve, reject) => {
      const timer = setTimeout(resolve, this.slowMs)
      signal?.addEventListener('abort', () => {
        clearTimeout(timer)
        reject(new QkdError('kme-unavailable', 'The KME was too slow.'))
      })
    })
  }
}
