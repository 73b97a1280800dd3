/**
 * Who is in the cluster, by height. A block counts by the latest configuration at or below it, committed or not
 * (thesis 4.1): from the moment the block is appended until it is truncated. So all configurations above the commit
 * height are kept, and the newest at or below it.
 */
import { invariant } from '../src/errors.ts'
import { VALIDATORS_MAX } from '../src/limits.ts'
import type { Block, Configuration, NodeId } from './types.ts'

interface Placed {
  readonly height: number
  readonly configuration: Configuration
}

export class Configurations {
  /** Never empty; heights rise. The first is the one in force at the commit height. */
  readonly #placed: Placed[]

  /** `configuration` is in force at `height`, a committed one. */
  constructor(configuration: Configuration, height: number) {
    checkConfiguration(configuration)
    this.#placed = [{ height, configuration }]
  }

  get latest(): Configuration {
    return this.#placed.at(-1)!.configuration
  }

  /** In force for the block at `height`, which is not below the commit height. */
  at(height: number): Configuration {
    return (this.#placed.findLast((placed) => placed.height <= height) ?? this.#placed[0]!).configuration
  }

  /** Height of the block that brought the one in force for the block at `height`. */
  heightAt(height: number): number {
    return (this.#placed.findLast((placed) => placed.height <= height) ?? this.#placed[0]!).height
  }

  /** Height of the block that brought the latest one. */
  get height(): number {
    return this.#placed.at(-1)!.height
  }

  /**
   * Is `id` a voter of the latest configuration, or of an earlier one that may still turn out to be the one? A
   * server that is being removed must stand as long as its removal is not committed: the block may be on its disk
   * alone, and then nobody without it gets its vote (thesis 4.2.2, figure 4.6). What comes above the candidate's base
   * does not count: it would drop that.
   */
  mayStand(id: NodeId, base: number): boolean {
    return this.#placed.some(
      ({ height, configuration }) => height <= base && configuration.voters.includes(id),
    )
  }

  /**
   * A block enters the log on top of all others. Throws an InvariantError for a change of more than one voter:
   * then a quorum before and a quorum after could have no honest member in common (thesis 4.1).
   */
  append({ height, configuration }: Block): void {
    if (configuration === undefined) return
    checkConfiguration(configuration)
    const changed = difference(this.latest.voters, configuration.voters)
    invariant(changed.length <= 1, 'A configuration changes more than one voter.', { height, changed })
    this.#placed.push({ height, configuration })
  }

  /** Blocks at `height` and above leave the log; none of them is committed. */
  truncate(height: number): void {
    invariant(this.#placed[0]!.height < height, 'A committed configuration would be removed.', { height })
    while (this.height >= height) this.#placed.pop()
  }

  /** What came before the newest configuration at or below `commit` will never be in force again. */
  commitTo(commit: number): void {
    const newest = this.#placed.findLastIndex(({ height }) => height <= commit)
    this.#placed.splice(0, newest)
  }
}

/** Throws an InvariantError for a configuration that no cluster can have: it is our own code that builds it. */
export function checkConfiguration({ voters, learners, quorum }: Configuration): void {
  invariant(
    voters.length >= 1 && voters.length <= VALIDATORS_MAX,
    `From 1 to ${VALIDATORS_MAX} voters are possible.`,
    { voters },
  )
  invariant(
    Number.isSafeInteger(quorum) && 2 * quorum > voters.length && quorum <= voters.length,
    'A quorum is more than half of the voters.',
    { quorum, voters },
  )
  const all = [...voters, ...learners]
  invariant(new Set(all).size === all.length, 'A server is named twice in a configuration.', { all })
}

/** Servers that stand in one list only. */
export function difference(one: readonly NodeId[], other: readonly NodeId[]): NodeId[] {
  return [...one.filter((id) => !other.includes(id)), ...other.filter((id) => !one.includes(id))]
}
