/**
 * The blocks that this node holds in memory: a run without gaps that begins at an applied block (the base)
 * and ends at the tail. Four marks move over it:
 *
 *     base <= applied <= commit <= tail        applied <= handed <= min(commit, stable)
 *
 * `stable` (durable on disk) may lag behind `commit`: a quorum of others can decide what our disk is still
 * writing. Blocks at or below `commit` are never replaced.
 */
import { invariant, RefusedError } from '../src/errors.ts'
import { Configurations } from './configurations.ts'
import type { Block, BlockRef, Configuration, NodeId, RaftLimits } from './types.ts'

/** Do `blocks` follow `prev` without a gap, terms never falling and none above `term`? */
export function chains(prev: BlockRef, blocks: readonly Block[], term: number): boolean {
  let before: BlockRef = prev
  for (const block of blocks) {
    if (block.height !== before.height + 1 || block.prev !== before.hash) return false
    if (block.term < before.term) return false
    before = block
  }
  return before.term <= term
}

export function refOf(block: BlockRef): BlockRef {
  return { height: block.height, term: block.term, hash: block.hash }
}

export class Log {
  readonly #blocks: Block[]
  readonly #limits: RaftLimits
  readonly #configurations: Configurations
  #bytes = 0
  #commit: number
  #handed: number
  #applied: number
  #stable: number
  /** Last height of the write under way, undefined when none is. */
  #writing: number | undefined
  /** Lowest height removed since the last write was taken, if the disk holds or is about to hold it. */
  #truncated: number | undefined

  /** `configuration` is the one in force at `commit`; blocks above it carry their own. */
  constructor(blocks: readonly Block[], commit: number, configuration: Configuration, limits: RaftLimits) {
    const first = blocks[0]!
    invariant(
      chains(first, blocks.slice(1), Number.POSITIVE_INFINITY),
      'The blocks handed in do not form a chain.',
    )
    this.#blocks = [...blocks]
    for (const block of blocks) this.#bytes += block.body.length
    this.#limits = limits
    this.#configurations = new Configurations(configuration, commit)
    for (const block of blocks) if (block.height > commit) this.#configurations.append(block)
    this.#commit = this.#handed = this.#applied = commit
    this.#stable = this.tail.height
    this.#trim()
  }

  get base(): BlockRef {
    return this.#blocks[0]!
  }
  get tail(): BlockRef {
    return this.#blocks.at(-1)!
  }
  get commit(): number {
    return this.#commit
  }
  get applied(): number {
    return this.#applied
  }
  get stable(): number {
    return this.#stable
  }
  /** The one to use: the latest in the log, committed or not. */
  get configuration(): Configuration {
    return this.#configurations.latest
  }
  /** In force for the block at `height`, which is not below `commit`. */
  configurationAt(height: number): Configuration {
    return this.#configurations.at(height)
  }
  /** May `id` stand for election with the block at height `base`? */
  mayStand(id: NodeId, base: number): boolean {
    return this.#configurations.mayStand(id, base)
  }
  /** Is the one in force for the block at `height` committed? */
  configurationIsCommittedAt(height: number): boolean {
    return this.#configurations.heightAt(height) <= this.#commit
  }
  get configurationIsCommitted(): boolean {
    return this.#configurations.height <= this.#commit
  }

  /** The block at `height` if it is in memory. */
  at(height: number): Block | undefined {
    return this.#blocks[height - this.base.height]
  }

  /** The whole reference counts: who names another term for a block claims another rank for it. */
  has(ref: BlockRef): boolean {
    const own = this.at(ref.height)
    return own !== undefined && own.hash === ref.hash && own.term === ref.term
  }

  /** Blocks from `height` on, as many as the limits of one append allow, and always at least one if it exists. */
  batch(height: number): Block[] {
    const out: Block[] = []
    let bytes = 0
    for (let block = this.at(height); block !== undefined; block = this.at(height + out.length)) {
      bytes += block.body.length
      if (
        out.length > 0 &&
        (bytes > this.#limits.appendBytesMax || out.length >= this.#limits.appendBlocksMax)
      )
        break
      out.push(block)
    }
    return out
  }

  /**
   * A batch for a follower that may be locked on another block between the commit height and `base`: one that enters
   * this stretch reaches the base, however long it is, since the follower gives nothing up for less. All that is not
   * committed fits into one append.
   */
  batchOver(height: number, base: number): Block[] {
    const out = this.batch(height)
    const last = height + out.length - 1
    if (last <= this.#commit || last >= base) return out
    if (height <= this.#commit) return out.slice(0, this.#commit + 1 - height)
    return this.#blocks.slice(height - this.base.height, base + 1 - this.base.height)
  }

  /**
   * The highest block, at or below `height`, whose term is not above `term`. It is never below the commit
   * height of a node whose log this is compared with, so it finds the fork in few round trips (one per term).
   */
  lastAtOrBelow(height: number, term: number): { height: number; term: number } {
    for (let h = Math.min(height, this.tail.height); h > this.base.height; h--) {
      const block = this.at(h)!
      if (block.term <= term) return { height: h, term: block.term }
    }
    return { height: this.base.height, term: this.base.term }
  }

  /** Appends the leader's own block on top of the tail. */
  append(block: Block): void {
    invariant(chains(this.tail, [block], block.term), 'A block was proposed that does not follow the tail.')
    this.#configurations.append(block)
    this.#blocks.push(block)
    this.#bytes += block.body.length
  }

  /** Bytes of the bodies above the commit height. */
  get uncommittedBytes(): number {
    let bytes = 0
    for (let height = this.#commit + 1; height <= this.tail.height; height++)
      bytes += this.at(height)!.body.length
    return bytes
  }

  /**
   * The place among `blocks` of the first that this log does not hold, and the block of its own that would give way to
   * it; undefined if it holds all of them. Throws a RefusedError if that one is committed: no leader that a quorum
   * elected lacks it.
   */
  divergence(blocks: readonly Block[]): { readonly at: number; readonly own: Block | undefined } | undefined {
    for (const [at, block] of blocks.entries()) {
      if (block.height < this.base.height) continue
      const own = this.at(block.height)
      if (own?.hash === block.hash) continue
      if (block.height <= this.#commit) {
        throw new RefusedError('bad-chain', 'The sender contradicts a committed block.', {
          height: block.height,
          committed: own?.hash,
          offered: block.hash,
          offeredTerm: block.term,
        })
      }
      return { at, own }
    }
    return undefined
  }

  /**
   * Takes blocks that `divergence` has judged: those held are skipped, an uncommitted suffix that differs gives way.
   * The caller has checked that they chain, and that their predecessor is in this log or below its base.
   */
  merge(blocks: readonly Block[]): void {
    const found = this.divergence(blocks)
    if (found === undefined) return
    const rest = blocks.slice(found.at)
    if (found.own !== undefined) this.truncate(rest[0]!.height)
    for (const block of rest) this.append(block)
  }

  /** Drops the blocks at `height` and above; none of them is committed. */
  truncate(height: number): void {
    if (height > this.tail.height) return
    invariant(height > this.#commit, 'A committed block would be removed.', { height, commit: this.#commit })
    const onDisk = Math.max(this.#stable, this.#writing ?? 0)
    if (height <= onDisk) this.#truncated = Math.min(this.#truncated ?? height, height)
    this.#stable = Math.min(this.#stable, height - 1)
    this.#configurations.truncate(height)
    for (const block of this.#blocks.splice(height - this.base.height)) this.#bytes -= block.body.length
  }

  /** Raises the commit height; lower values are old news. */
  commitTo(height: number): void {
    invariant(height <= this.tail.height, 'Blocks are committed that this log has lost.', {
      commit: height,
      tail: this.tail.height,
    })
    this.#commit = Math.max(this.#commit, height)
    this.#configurations.commitTo(this.#commit)
  }

  hasWrite(): boolean {
    return this.#truncated !== undefined || this.#stable < this.tail.height
  }

  /** What must be written next; `written` acknowledges it. One write at a time. */
  takeWrite(): { truncateFrom: number | undefined; blocks: Block[] } {
    invariant(this.#writing === undefined, 'A write was taken while another is under way.')
    const write = {
      truncateFrom: this.#truncated,
      blocks: this.#blocks.slice(this.#stable + 1 - this.base.height),
    }
    this.#truncated = undefined
    this.#writing = this.tail.height
    return write
  }

  /** The write taken last is durable, save what was truncated in the meantime. */
  written(): void {
    invariant(this.#writing !== undefined, 'A write was acknowledged that nobody took.')
    this.#stable = Math.min(this.#writing, (this.#truncated ?? Number.POSITIVE_INFINITY) - 1)
    this.#writing = undefined
  }

  hasCommitted(): boolean {
    return this.#handed === this.#applied && this.#handed < Math.min(this.#commit, this.#stable)
  }

  /** Blocks to apply next: committed and durable. Nothing more is handed out before `appliedTo` answers. */
  takeCommitted(): Block[] {
    if (!this.hasCommitted()) return []
    const from = this.#handed + 1
    this.#handed = Math.min(this.#commit, this.#stable)
    return this.#blocks.slice(from - this.base.height, this.#handed + 1 - this.base.height)
  }

  appliedTo(height: number): void {
    invariant(height === this.#handed, 'Applied blocks differ from those handed out.', {
      height,
      handed: this.#handed,
    })
    this.#applied = height
    this.#trim()
  }

  /** Forgets applied blocks beyond the memory limits, always keeping one as the base. */
  #trim(): void {
    const { memoryBlocks, memoryBytes } = this.#limits
    const excess = this.#applied - this.base.height
    let drop = Math.max(0, excess - memoryBlocks + 1)
    let bytes = this.#bytes
    for (let i = 0; i < drop; i++) bytes -= this.#blocks[i]!.body.length
    for (; drop < excess && bytes > memoryBytes; drop++) bytes -= this.#blocks[drop]!.body.length
    this.#blocks.splice(0, drop)
    this.#bytes = bytes
  }
}
