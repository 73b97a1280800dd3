/**
 * Reads the blocks of a store in their order and has them inspected before their turn comes. A block is inspected on
 * the place that the seal before it claims. If that block turns out to be wrong, or changes who the members are, then
 * what was begun behind it is dropped and begun anew.
 */
import type { Inspection, Inspector, Place } from './block-inspector.ts'
import { claimedPlace } from './block-inspector.ts'
import { blockKey } from './keys.ts'
import type { Kv } from './kv.ts'
import { sift } from './sift.ts'

/** So that a chain of many small blocks is dropped as cheaply as one of few large ones. */
const BLOCKS_MAX = 256

/** `lost` if something else stands where the block should. */
export type Found = Exclude<Inspection, { problem: string }> | { problem: string; lost: boolean }

interface Begun {
  readonly bytes: number
  readonly found: Promise<Found>
}

export class ReadAhead {
  readonly #raw: Kv
  readonly #inspector: Inspector
  readonly #end: number
  /** Behind the last block begun, as it claims; undefined if it claims nothing. */
  #place: Place | undefined
  #begun: Begun[] = []

  /** Blocks above `place`, up to height `end`. */
  constructor(raw: Kv, inspector: Inspector, end: number, place: Place) {
    this.#raw = raw
    this.#inspector = inspector
    this.#end = end
    this.#place = place
  }

  /** Begins anew above `place`: after a block that was wrong, and after a change of membership. */
  restart(place: Place): void {
    this.#begun = []
    this.#place = place
  }

  /** The next block. After one with a problem, `restart` must be called. */
  async next(): Promise<Found> {
    const { appetite } = this.#inspector
    let bytes = this.#begun.reduce((sum, begun) => sum + begun.bytes, 0)
    while (this.#place && this.#place.height < this.#end) {
      if (this.#begun.length > 0 && (bytes >= appetite || this.#begun.length >= BLOCKS_MAX)) break
      const begun = await this.#begin(this.#place)
      begun.found.catch(() => {}) // heard when its turn comes, unless it is dropped
      this.#begun.push(begun)
      bytes += begun.bytes
    }
    return this.#begun.shift()!.found
  }

  async #begin(place: Place): Promise<Begun> {
    const block = await sift(this.#raw, blockKey(place.height + 1))
    if (block.is !== 'there') {
      this.#place = undefined
      const missing = block.is === 'missing'
      const problem = missing ? 'is missing' : 'is damaged: its checksum does not fit'
      return { bytes: 0, found: Promise.resolve({ problem, lost: missing }) }
    }
    this.#place = claimedPlace(block.value)
    const found = this.#inspector
      .inspect(place, block.value)
      .then((inspection) =>
        inspection.problem === undefined
          ? inspection
          : { problem: `is not the next block of this ledger: ${inspection.problem}`, lost: true },
      )
    return { bytes: block.value.length, found }
  }
}
