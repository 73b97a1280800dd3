/** Checks of what a Raft is built from, at the door, so that no later code has to doubt it. */
import { invariant } from '../src/errors.ts'
import type { RaftConfig, RaftLimits } from './types.ts'
import { APPEND_BLOCKS_MAX, APPEND_BYTES_MAX } from './wire.ts'

/** Sizes that suit blocks of up to 4 MiB on links of 100 Mbit/s and more. */
export const DEFAULT_LIMITS: RaftLimits = {
  windowBlocks: 16,
  appendBytesMax: APPEND_BYTES_MAX,
  appendBlocksMax: 64,
  inflightAppendsMax: 16,
  memoryBlocks: 256,
  memoryBytes: 64 * 1024 * 1024,
}

/**
 * How far one candidacy can move a server's term, its own included: many days of elections. Terms are finite and
 * durable, so lies about the term could otherwise leave the cluster none to elect a leader in. At this pace they last
 * for thousands of years of elections. Entering a higher term promises nothing, so a server that is truly behind gets
 * there in several steps.
 */
export const TERM_LEAP_MAX = 2 ** 16

/** No term lies beyond: the wire carries numbers up to 2^53 − 1, and arithmetic must stay exact. */
export const TERM_MAX = 2 ** 52

/** Throws an InvariantError for a configuration that could not work: it is our own code that builds it. */
export function checkConfig(config: RaftConfig): void {
  const { electionTicks, heartbeatTicks, limits, log, hardState, certified } = config
  invariant(
    heartbeatTicks >= 1 && electionTicks > 2 * heartbeatTicks,
    'An election timeout must outlast two heartbeats.',
    { electionTicks, heartbeatTicks },
  )
  for (const [name, value] of Object.entries(limits)) {
    invariant(Number.isSafeInteger(value) && value >= 1, `The limit ${name} must be a positive whole number.`)
  }
  invariant(
    limits.appendBlocksMax <= APPEND_BLOCKS_MAX,
    `An append carries at most ${APPEND_BLOCKS_MAX} blocks.`,
  )
  invariant(
    limits.appendBytesMax <= APPEND_BYTES_MAX,
    'An append carries at most the bytes of one full block, and of some that open terms.',
  )

  const first = log.blocks[0]
  const last = log.blocks.at(-1)
  invariant(first !== undefined && last !== undefined, 'The log must hold at least one block: genesis.')
  invariant(
    first.height <= log.commit && log.commit <= last.height,
    'The log handed in must begin at or below the commit height and reach it.',
    { first: first.height, commit: log.commit, last: last.height },
  )
  const { block } = certified
  const held = log.blocks[block.height - first.height]
  invariant(
    block.height < first.height || held?.hash === block.hash,
    'The certified block is not in the log that was handed in.',
    { certified: block.height },
  )
  invariant(last.term <= hardState.term, 'The log holds a block of a term that was never persisted.', {
    term: hardState.term,
    blockTerm: last.term,
  })
}
