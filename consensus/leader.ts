/** Leading: proposing, counting acknowledgements, committing, keeping or giving up leadership. */
import type { Core } from './core.ts'
import { certify } from './decide.ts'
import { campaign } from './election.ts'
import type { AppendReject, AppendReply, HeartbeatReply, Lead } from './messages.ts'
import { beginRound, confirmReads } from './reads.ts'
import { compare, replicate, tellBehind } from './replication.ts'
import { LONG_TIMEOUTS } from './standings.ts'
import type { Block, NodeId, ProposeResult, TransferResult } from './types.ts'

/** Of the bytes of an append: with the default limits, a full block leaves room for about a hundred openings. */
const OPENINGS_SHARE = 0.2

/**
 * How many election timeouts a leader leads at least before it stands again for the sake of a stranded voter: for so
 * long that it is not shunned for leading shortly. A leader that needs this voter gives up much sooner.
 */
const REELECTION_TIMEOUTS = LONG_TIMEOUTS + 2

/** The new leader shows why it leads; the term opens with the block that its driver proposes next. */
export function startLeading(core: Core, lead: Lead): void {
  core.becomeLeader(lead)
  core.standings.elected(core.id, core.ticks)
  core.broadcast(core.progress.keys(), lead)
  beginRound(core)
}

export function tickLeader(core: Core): void {
  core.electionElapsed++
  if (++core.ledTicks >= REELECTION_TIMEOUTS * core.electionTicks && core.stranded) {
    standAgain(core)
    return
  }
  core.heartbeatElapsed++
  if (core.electionElapsed >= core.electionTicks) {
    core.electionElapsed = 0
    if (!hearsQuorum(core)) {
      core.becomeFollower(core.term, undefined)
      return
    }
  }
  if (core.transfer !== undefined && ++core.transfer.ticks >= core.electionTicks) core.transfer = undefined
  if (core.heartbeatElapsed >= core.heartbeatTicks) {
    core.heartbeatElapsed = 0
    beginRound(core)
    confirmReads(core)
  }
}

/**
 * A voter has voted in a later term that came to nothing, and cannot go back to this one. The leader succeeds itself in
 * a term beyond, which all can enter. A lie about that costs an election now and then, and no leader its place.
 */
function standAgain(core: Core): void {
  const term = Math.max(core.term, core.termHeard) + 1
  nameSuccessor(core, core.id)
  // Said as a leader, so it leaves at once, before the term does.
  const last = core.early
  core.becomeFollower(core.term, undefined)
  campaign(core, term)
  core.early = last
}

/** CheckQuorum: a leader that no quorum answers any more must not go on taking entries (thesis 6.2). */
function hearsQuorum(core: Core): boolean {
  const heard = core.reachedByQuorum(1, ({ active }) => (active ? 1 : 0))
  for (const progress of core.progress.values()) progress.active = false
  return heard === 1
}

/** The reason why no block can be proposed now, or undefined. */
export function proposeRefusal(core: Core): (ProposeResult & { ok: false })['reason'] | undefined {
  if (core.role !== 'leader') return 'not-leader'
  if (core.transfer !== undefined) return 'transferring'
  // The block that opens a term must go in however full the log is: nothing commits before it.
  const full = core.log.tail.height - core.log.applied >= core.limits.windowBlocks
  return core.opened && full ? 'pipeline-full' : undefined
}

/**
 * The reason why no block with a configuration can be proposed now, or undefined. One change at a time, and
 * only from a leader that knows the last one to be committed: otherwise two leaders could each count a quorum
 * that the other's has no honest member in common with (thesis 4.1, with Ongaro's correction of 2015).
 */
export function changeRefusal(core: Core): (ProposeResult & { ok: false })['reason'] | undefined {
  const reason = proposeRefusal(core)
  if (reason !== undefined) return reason
  if (!core.log.configurationIsCommitted) return 'change-pending'
  return core.hasCommittedInTerm ? undefined : 'not-committed-in-term'
}

export function propose(core: Core, block: Block): ProposeResult {
  const { log } = core
  const reason = block.configuration === undefined ? proposeRefusal(core) : changeRefusal(core)
  if (reason !== undefined) return { ok: false, reason }
  if (block.term !== core.term) return { ok: false, reason: 'stale-term' }
  if (block.height !== log.tail.height + 1 || block.prev !== log.tail.hash)
    return { ok: false, reason: 'not-on-tail' }
  // All that is not committed must fit into one append, together with the blocks that later leaders open terms with.
  const uncommitted = log.uncommittedBytes
  const max = core.limits.appendBytesMax * (1 - OPENINGS_SHARE)
  if (core.opened && uncommitted > 0 && uncommitted + block.body.length > max) {
    return { ok: false, reason: 'pipeline-full' }
  }
  log.append(block)
  core.opened = true
  // A quorum of one needs nobody's acknowledgement but the seal.
  certify(core)
  if (block.configuration !== undefined) core.track(block.height)
  for (const to of core.progress.keys()) replicate(core, to)
  return { ok: true }
}

export function onAppendReply(core: Core, from: NodeId, { match }: Pick<AppendReply, 'match'>): void {
  const progress = core.progress.get(from)
  // A server that has more than we do follows a newer leader; its acknowledgement is not about our log.
  if (progress === undefined || match > core.log.tail.height) return
  progress.active = true
  progress.acknowledge(match)
  wake(core, from)
  // Also without news: a follower that pulled blocks from others may be ready for more than was ever sent.
  replicate(core, from)
  finishTransfer(core)
}

export function onAppendReject(core: Core, from: NodeId, message: AppendReject): void {
  const progress = core.progress.get(from)
  if (progress === undefined) return
  progress.active = true
  // Refusals are small and appends are large: a follower that refuses at will must not be sent many for each.
  if (progress.state === 'replicate' && !core.isDue('hear-reject', from)) return
  const { height, term } = message.hint
  const meet = Math.min(height, core.log.lastAtOrBelow(height, term).height)
  if (progress.reject(message.rejected, meet)) compare(core, from)
}

export function onHeartbeatReply(core: Core, from: NodeId, message: HeartbeatReply): void {
  const progress = core.progress.get(from)
  if (progress === undefined) return
  progress.active = true
  progress.round = Math.max(progress.round, Math.min(message.round, core.round))
  confirmReads(core)
  if (message.commit <= core.log.tail.height) progress.atLeast(message.commit)
  wake(core, from)
  if (progress.state === 'catching-up') tellBehind(core, from)
  else if (progress.match < core.log.tail.height) compare(core, from)
}

/** A follower that was catching up is within reach of our memory again. */
function wake(core: Core, from: NodeId): void {
  const progress = core.progress.get(from)!
  if (progress.state !== 'catching-up' || progress.match < core.log.base.height) return
  progress.resume()
  replicate(core, from)
}

/** What a server does when more is committed: if that is its own removal, it neither leads nor stands any longer. */
export function afterCommit(core: Core): void {
  const stands = core.role === 'candidate' || core.role === 'pre-candidate'
  if (stands && !core.mayStand) core.becomeFollower(core.term, undefined)
  if (core.role === 'leader' && !core.isVoter && core.log.configurationIsCommitted) retire(core)
}

/**
 * The end of a leader that is no voter any more. It led, without counting itself, until the block that says so
 * was committed (thesis 4.2.2); now whoever is next must not wait for an election timeout.
 */
function retire(core: Core): void {
  const successor = mostUpToDate(core)
  if (successor !== undefined) nameSuccessor(core, successor)
  core.becomeFollower(core.term, undefined)
}

/** Tells everyone, since they heed no candidacy but this as long as they hear a leader. */
function nameSuccessor(core: Core, to: NodeId): void {
  core.successor = to
  core.broadcast(core.progress.keys(), { kind: 'timeout-now', term: core.term, to })
}

/** The other voter whose log reaches furthest, among those whose log is known. */
function mostUpToDate(core: Core): NodeId | undefined {
  const known = [...core.progress].filter(
    ([id, { state, match }]) => core.voters.includes(id) && state !== 'catching-up' && match > 0,
  )
  return known.sort(([, a], [, b]) => b.match - a.match)[0]?.[0]
}

/** Hands leadership over (thesis 3.10): to `wanted`, or to the most up-to-date of the other voters. */
export function startTransfer(core: Core, wanted: NodeId | undefined): TransferResult {
  if (core.role !== 'leader') return { ok: false, reason: 'not-leader' }
  const to = wanted ?? mostUpToDate(core)
  if (to === undefined || to === core.id || !core.voters.includes(to))
    return { ok: false, reason: 'no-target' }
  core.transfer = { to, ticks: 0, told: false }
  finishTransfer(core)
  return { ok: true, to }
}

/** As soon as the successor has our whole log it may stand. */
function finishTransfer(core: Core): void {
  const { transfer } = core
  if (transfer === undefined || transfer.told) return
  if (core.progress.get(transfer.to)?.match !== core.log.tail.height) return
  transfer.told = true
  nameSuccessor(core, transfer.to)
}
