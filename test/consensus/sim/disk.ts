/**
 * A disk that tells what is durable from what is only on its way. A write becomes durable as a whole, when
 * `finish` is called or, by luck, at a crash; otherwise a crash loses it.
 */
import type { Write } from '../../../consensus/driver.ts'
import type { Block, Certified, Configuration, HardState } from '../../../consensus/types.ts'
import { GENESIS } from './block.ts'

export class Disk {
  hardState: HardState = { term: 0, vote: undefined, abstains: false }
  /** Index = height. */
  blocks: Block[] = [GENESIS]
  certified: Certified = { block: GENESIS, proof: { kind: 'genesis' } }
  /** What the ledger has applied, durably. */
  applied = 0
  /** Is told what has become durable. */
  watcher: { written(): void; applied(last: Block): void } | undefined
  #pending: { write: Write; done: () => void } | undefined
  #applying: { height: number; done: () => void } | undefined

  get tail(): Block {
    return this.blocks.at(-1)!
  }

  /** In force at the applied height, if any applied block brought one. */
  get configuration(): Configuration | undefined {
    return this.blocks.findLast(({ height, configuration }) => configuration && height <= this.applied)
      ?.configuration
  }

  persist(write: Write): Promise<void> {
    if (this.#pending !== undefined) throw new Error('the driver began a write before the last was done')
    return new Promise((done) => {
      this.#pending = { write, done }
    })
  }

  apply(height: number): Promise<void> {
    if (this.#applying !== undefined) throw new Error('the driver began to apply before the last was done')
    return new Promise((done) => {
      this.#applying = { height, done }
    })
  }

  finishWrite(): void {
    const pending = this.#pending
    if (pending === undefined) return
    this.#pending = undefined
    const { hardState, truncateFrom, blocks, certified } = pending.write
    if (hardState !== undefined) this.hardState = hardState
    if (truncateFrom !== undefined) this.blocks.length = truncateFrom
    for (const block of blocks) {
      if (block.height !== this.blocks.length || block.prev !== this.tail.hash) {
        throw new Error(`the disk was given block ${block.height} that does not follow ${this.tail.height}`)
      }
      this.blocks.push(block)
    }
    if (certified !== undefined) this.certified = certified
    this.watcher?.written()
    pending.done()
  }

  finishApply(): void {
    const applying = this.#applying
    if (applying === undefined) return
    this.#applying = undefined
    this.applied = applying.height
    this.watcher?.applied(this.blocks[applying.height]!)
    applying.done()
  }

  /** Power is gone: what was not yet durable is lost, or has just made it. */
  crash(writeMadeIt: boolean, applyMadeIt: boolean): void {
    if (writeMadeIt) this.finishWrite()
    if (applyMadeIt) this.finishApply()
    this.#pending = undefined
    this.#applying = undefined
  }
}
