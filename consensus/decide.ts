/**
 * When a block is certified, and when it is decided: the rules that safety rests on, in one place (README.md,
 * "Why two conflicting blocks are never decided").
 *
 *   certified  a quorum acknowledges it in its own term. An honest voter acknowledges one block for each height of a
 *              term, all on one chain. So no other block of the term can be certified at this height.
 *   locked     a voter has the certified block and the certificate on its disk. It votes for no candidate whose base
 *              ranks lower.
 *   decided    a quorum is locked on it, in one term. So nobody without it is elected any more.
 */
import { type Acknowledged, type Core, compareRanks } from './core.ts'
import { refOf } from './log.ts'
import type { Acknowledge, Locked } from './messages.ts'
import { isQuorum } from './quorum.ts'
import type { Block, Certified, Configuration, NodeId, Signed } from './types.ts'

/** Acknowledgements of blocks that are so far above the tail are dropped: no leader has more under way. */
const AHEAD_MAX = 64

/** Can an acknowledgement of a block at this height still certify one? */
export function mayCount({ log, term, certified }: Core, height: number): boolean {
  if (height <= log.commit || height > log.tail.height + AHEAD_MAX) return false
  return certified.block.term !== term || height > certified.block.height
}

/** An acknowledgement of this term, its signature verified if it is above the lock; by a voter, or one to come. */
export function onAcknowledge(core: Core, from: NodeId, { height, hash, signature }: Acknowledge): void {
  if (!mayCount(core, height)) return
  const ofHeight = core.acknowledgements.get(height) ?? new Map()
  core.acknowledgements.set(height, ofHeight)
  if (!ofHeight.has(from)) ofHeight.set(from, { hash, signature })
  certify(core)
}

/** The log has grown, or more is acknowledged: locks this server on the highest block that is certified now. */
export function certify(core: Core): void {
  const { log, term, certified } = core
  for (let height = log.tail.height; height > log.commit; height--) {
    const block = log.at(height)!
    if (block.term !== term || compareRanks(block, certified.block) <= 0) return
    const acknowledgements = acknowledgedBy(core, block)
    if (acknowledgements === undefined || block.proposal === undefined) continue
    const { seal } = block.proposal
    core.lockOn({ block: refOf(block), proof: { kind: 'acknowledgements', seal, acknowledgements } })
    forget(core)
    if (counts(core, height)) {
      core.tellAll({ kind: 'locked', term, height, hash: block.hash })
    }
    return
  }
}

/**
 * Whose quorums a block takes. One that changes the configuration takes both, so that voters who do not hold it yet can
 * judge its certificate by the configuration that they know.
 */
function configurationsFor({ log }: Core, { height, configuration }: Block): Configuration[] {
  const after = log.configurationAt(height)
  return configuration === undefined ? [after] : [log.configurationAt(height - 1), after]
}

/** Does this server's word count for the block at `height`, and may it give it? */
export function counts(core: Core, height: number): boolean {
  const block = core.log.at(height)
  return (
    block !== undefined &&
    configurationsFor(core, block).some((configuration) => core.speaksIn(configuration))
  )
}

/** The acknowledgements that make a quorum with the proposer's seal; undefined if they are too few. */
function acknowledgedBy(core: Core, block: Block): Signed[] | undefined {
  const { height, hash, proposal } = block
  const configurations = configurationsFor(core, block)
  const given = core.acknowledgements.get(height) ?? new Map<NodeId, Acknowledged>()
  const found = [...given]
    .filter(([from, said]) => said.hash === hash && from !== proposal?.by)
    .filter(([from]) => configurations.some(({ voters }) => voters.includes(from)))
    .map(([from, { signature }]) => ({ from, signature }))
  const names = [...found.map(({ from }) => from), ...(proposal ? [proposal.by] : [])]
  return configurations.every((configuration) => isQuorum(configuration, names)) ? found : undefined
}

/** What lies at or below a certified block of the term needs no acknowledgements any more. */
function forget(core: Core): void {
  for (const height of core.acknowledgements.keys()) {
    if (height <= core.certified.block.height) core.acknowledgements.delete(height)
  }
}

/** A server says what it is locked on, in this term. */
export function onLocked(core: Core, from: NodeId, { term, height, hash }: Locked): void {
  if (height <= (core.locks.get(from)?.height ?? 0)) return
  core.locks.set(from, { term, height, hash })
  decide(core)
}

/** The lock is on the disk: from now on this server counts as locked on it. */
export function lockIsDurable(core: Core, lock: Certified): void {
  const { block } = lock
  if (lock === core.certified) core.lockIsDurable = true
  if (block.term !== core.term || !counts(core, block.height)) return
  core.locks.set(core.id, block)
  decide(core)
}

/**
 * Commits the highest block that a quorum is locked on, in this term, or on one above it. Locks of two terms never
 * count together: between them another leader may have been elected who lacks the block.
 */
export function decide(core: Core): void {
  const { log, term } = core
  const matched = [...core.locks].filter(([, ref]) => {
    return ref.height > log.commit && log.has(ref) && log.at(ref.height)!.term === term
  })
  const heights = matched.map(([, { height }]) => height).sort((a, b) => b - a)
  for (const height of heights) {
    const locked = matched.filter(([, ref]) => ref.height >= height).map(([id]) => id)
    const configurations = configurationsFor(core, log.at(height)!)
    if (!configurations.every((configuration) => isQuorum(configuration, locked))) continue
    log.commitTo(height)
    core.stalledTicks = 0
    return
  }
}
