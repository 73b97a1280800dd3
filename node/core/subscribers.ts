/** Those who are told of every block, entry and certificate as it comes. */
import { errorMessage } from '../../src/errors.ts'
import type { Logger } from '../logger.ts'
import type { LedgerEvent } from '../service.ts'
import type { AppliedBlock, LedgerStore } from '../store/ledger-store.ts'
import { blockView, type LedgerReader } from './reader.ts'

export class Subscribers {
  readonly #store: LedgerStore
  readonly #logger: Logger
  readonly #reader: () => LedgerReader
  readonly #listeners = new Set<(event: LedgerEvent) => void>()

  constructor(store: LedgerStore, logger: Logger, reader: () => LedgerReader) {
    this.#store = store
    this.#logger = logger
    this.#reader = reader
  }

  /** Returns what ends the subscription. */
  subscribe(listener: (event: LedgerEvent) => void): () => void {
    this.#listeners.add(listener)
    return () => void this.#listeners.delete(listener)
  }

  onOrdered(blocks: readonly AppliedBlock[]): void {
    if (this.#listeners.size > 0) this.#tellOrdered(blocks).catch((error) => this.#notTold(error))
  }

  onFinal(): void {
    if (this.#listeners.size > 0) this.#tellFinal().catch((error) => this.#notTold(error))
  }

  async #tellOrdered(blocks: readonly AppliedBlock[]): Promise<void> {
    for (const { block, entries } of blocks) {
      const facts = await this.#store.facts(block.seal.height)
      if (!facts) return
      this.#tell({ topic: 'blocks', block: blockView(block.bytes, facts) })
      for (const i of entries.keys()) {
        this.#tell({ topic: 'entries', entry: await this.#reader().entryAt(facts.firstIndex + i) })
      }
    }
  }

  async #tellFinal(): Promise<void> {
    this.#tell({ topic: 'checkpoints', checkpoint: await this.#reader().checkpoint() })
  }

  /** The disk could not be read, or was closed meanwhile. Whoever needs every event asks for what it missed. */
  #notTold(error: unknown): void {
    this.#logger.warn({ error: errorMessage(error) }, 'subscribers were not told of an event')
  }

  #tell(event: LedgerEvent): void {
    for (const listener of this.#listeners) listener(event)
  }
}
