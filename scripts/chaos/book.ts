/**
 * What the clients were told, and what the chain was found to hold. Events are numbered from 0; 36 bytes are
 * kept for each, so that a run of a million entries fits in a fraction of the memory that a node takes.
 */

import type { Stage } from '../../node/service.ts'
import { fromHex, toHex } from '../../src/bytes.ts'
import { HASH_BYTES } from '../../src/limits.ts'

const CHUNK = 65_536
/** It was found in the chain. */
const FOUND = 1
/** A node took it, whether or not it promised anything. */
const ADMITTED = 2
const STAGE_CODES: readonly (Stage | undefined)[] = [undefined, 'pending', 'ordered', 'final']

interface Chunk {
  /** Index in STAGE_CODES. */
  readonly stages: Uint8Array
  /** FOUND and ADMITTED. */
  readonly marks: Uint8Array
  /** One bit for each node that acknowledged it. */
  readonly tellers: Uint16Array
  /** The leaf hash that was acknowledged, then the one that was found. */
  readonly leaves: Uint8Array
}

export interface Acknowledged {
  readonly event: number
  readonly stage: Stage
  /** Indexes of the nodes that said so. */
  readonly tellers: readonly number[]
  /** Leaf hash in hex. */
  readonly id: string
}

export class Book {
  readonly #chunks: Chunk[] = []
  /** By stage: as what so many events were acknowledged. */
  readonly acknowledged: Record<Stage, number> = { pending: 0, ordered: 0, final: 0 }
  #events = 0

  /** Events submitted. */
  get events(): number {
    return this.#events
  }

  /** Acknowledged as whatever stage. */
  get promised(): number {
    return this.acknowledged.pending + this.acknowledged.ordered + this.acknowledged.final
  }

  /** A new event is about to be submitted; its number. */
  submit(): number {
    if (this.#events % CHUNK === 0) {
      this.#chunks.push({
        stages: new Uint8Array(CHUNK),
        marks: new Uint8Array(CHUNK),
        tellers: new Uint16Array(CHUNK),
        leaves: new Uint8Array(CHUNK * HASH_BYTES),
      })
    }
    return this.#events++
  }

  /** A node said that the event is that far, as the leaf with this id. */
  acknowledge(event: number, stage: Stage, node: number, id: string): void {
    const { stages, tellers, leaves } = this.#chunk(event)
    const at = event % CHUNK
    const earlier = STAGE_CODES[stages[at]!]
    if (earlier !== undefined) this.acknowledged[earlier]--
    const code = Math.max(stages[at]!, STAGE_CODES.indexOf(stage))
    stages[at] = code
    tellers[at]! |= 1 << node
    leaves.set(fromHex(id, HASH_BYTES), at * HASH_BYTES)
    this.acknowledged[STAGE_CODES[code]!]++
  }

  /**
   * The chain holds the event as the leaf `id`; false if it has held it before. An entry acknowledged as
   * pending may have given way to another with the same event, which then is the one to be proved.
   */
  find(event: number, id: string): boolean {
    const { stages, marks, leaves } = this.#chunk(event)
    const at = event % CHUNK
    if (this.isFound(event)) return false
    marks[at]! |= FOUND
    if (STAGE_CODES[stages[at]!] === 'pending') leaves.set(fromHex(id, HASH_BYTES), at * HASH_BYTES)
    return true
  }

  isFound(event: number): boolean {
    return (this.#chunk(event).marks[event % CHUNK]! & FOUND) !== 0
  }

  /** A node took the event, as far as it goes. */
  admit(event: number): void {
    this.#chunk(event).marks[event % CHUNK]! |= ADMITTED
  }

  /** Events that a node took and promised nothing of, and that the chain was not found to hold. */
  get vanished(): number {
    let count = 0
    for (let event = 0; event < this.#events; event++) {
      const { marks, stages } = this.#chunk(event)
      if (marks[event % CHUNK] === ADMITTED && stages[event % CHUNK] === 0) count++
    }
    return count
  }

  /** Everything that was acknowledged, in the order of submission. */
  *promises(): Iterable<Acknowledged> {
    for (let event = 0; event < this.#events; event++) {
      const { stages, tellers } = this.#chunk(event)
      const stage = STAGE_CODES[stages[event % CHUNK]!]
      if (stage === undefined) continue
      const bits = tellers[event % CHUNK]!
      const nodes = Array.from({ length: 16 }, (_, i) => i).filter((i) => bits & (1 << i))
      yield { event, stage, tellers: nodes, id: this.#leaf(event) }
    }
  }

  #chunk(event: number): Chunk {
    return this.#chunks[Math.floor(event / CHUNK)]!
  }

  #leaf(event: number): string {
    const at = (event % CHUNK) * HASH_BYTES
    return toHex(this.#chunk(event).leaves.subarray(at, at + HASH_BYTES))
  }
}
