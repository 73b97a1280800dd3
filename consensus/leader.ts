/** Leading: proposing, counting acknowledgements, committing, keeping or giving up leadership. */
import type { Core } from './core.ts'
import type { AppendReject, AppendReply, HeartbeatReply } from './messages.ts'
import { majority, majorityHeight } from './quorum.ts'
import { compare, replicate, tellBehind } from './replication.ts'
import type { Block, NodeId, ProposeResult, TransferResult } from './types.ts'

/** The new leader makes itself known; the term opens with the block that its driver proposes next. */
export function startLeading(core: Core): void {
  core.becomeLeader()
  core.broadcast({ kind: 'heartbeat', term: core.term })
}

export function tickLeader(core: Core): void {
  core.electionElapsed++
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
    core.broadcast({ kind: 'heartbeat', term: core.term })
  }
}

/** CheckQuorum: a leader that a majority no longer answers must not go on taking entries (thesis 6.2). */
function hearsQuorum(core: Core): boolean {
  let heard = core.isVoter ? 1 : 0
  for (const progress of core.progress.values()) {
    if (progress.active) heard++
    progress.active = false
  }
  return heard >= majority(core.voters.length)
}

/** The reason why no block can be proposed now, or undefined. */
export function proposeRefusal(core: Core): (ProposeResult & { ok: false })['reason'] | undefined {
  if (core.role !== 'leader') return 'not-leader'
  if (core.transfer !== undefined) return 'transferring'
  // The block that opens a term must go in however full the log is: nothing commits before it.
  const { log } = core
  if (core.opened && log.tail.height - log.applied >= core.limits.windowBlocks) return 'pipeline-full'
  return undefined
}

export function propose(core: Core, block: Block): ProposeResult {
  const { log } = core
  const reason = proposeRefusal(core)
  if (reason !== undefined) return { ok: false, reason }
  if (block.term !== core.term) return { ok: false, reason: 'stale-term' }
  if (block.height !== log.tail.height + 1 || block.prev !== log.tail.hash)
    return { ok: false, reason: 'not-on-tail' }
  log.append(block)
  core.opened = true
  for (const to of core.progress.keys()) replicate(core, to)
  return { ok: true }
}

export function onAppendReply(core: Core, from: NodeId, message: AppendReply): void {
  const progress = core.progress.get(from)
  // Whoever has more than we do follows a newer leader; its acknowledgement is not about our log.
  if (progress === undefined || message.match > core.log.tail.height) return
  progress.active = true
  const news = progress.acknowledge(message.match)
  wake(core, from)
  if (news) {
    advanceCommit(core)
    replicate(core, from)
  }
  finishTransfer(core)
}

export function onAppendReject(core: Core, from: NodeId, message: AppendReject): void {
  const progress = core.progress.get(from)
  if (progress === undefined) return
  progress.active = true
  const { height, term } = message.hint
  const meet = Math.min(height, core.log.lastAtOrBelow(height, term).height)
  if (!progress.reject(message.rejected, meet)) return
  if (progress.next <= core.log.tail.height) replicate(core, from)
  else compare(core, from)
}

export function onHeartbeatReply(core: Core, from: NodeId, message: HeartbeatReply): void {
  const progress = core.progress.get(from)
  if (progress === undefined) return
  progress.active = true
  if (message.commit <= core.log.tail.height) progress.atLeast(message.commit)
  wake(core, from)
  if (progress.state === 'catching-up') tellBehind(core, from)
  else if (progress.match < core.log.tail.height || message.commit < core.log.commit) compare(core, from)
}

/** A follower that was catching up is within reach of our memory again. */
function wake(core: Core, from: NodeId): void {
  const progress = core.progress.get(from)!
  if (progress.state !== 'catching-up' || progress.match < core.log.base.height) return
  progress.resume()
  replicate(core, from)
}

/**
 * Commits what a majority holds on disk, our own disk counting only for what it has synced, and only if that
 * reaches a block of our own term (Raft section 5.4.2, figure 8).
 */
export function advanceCommit(core: Core): void {
  const { log } = core
  const heights = core.voters.map((voter) =>
    voter === core.id ? log.stable : core.progress.get(voter)!.match,
  )
  const height = majorityHeight(heights)
  if (height <= log.commit || log.at(height)?.term !== core.term) return
  log.commitTo(height, true)
  for (const [to, progress] of core.progress) {
    // Whoever is being sent blocks anyway learns the commit height with them.
    if (progress.next > log.tail.height) compare(core, to)
  }
}

/** Hands leadership over (thesis 3.10): to `wanted`, or to the most up-to-date follower that answers. */
export function startTransfer(core: Core, wanted: NodeId | undefined): TransferResult {
  if (core.role !== 'leader') return { ok: false, reason: 'not-leader' }
  const candidates = [...core.progress].filter(([id, progress]) =>
    wanted === undefined ? progress.state !== 'catching-up' && progress.match > 0 : id === wanted,
  )
  const best = candidates.sort(([, a], [, b]) => b.match - a.match)[0]
  if (best === undefined) return { ok: false, reason: 'no-target' }
  core.transfer = { to: best[0], ticks: 0, told: false }
  finishTransfer(core)
  return { ok: true, to: best[0] }
}

/** As soon as the successor has our whole log it may stand. */
function finishTransfer(core: Core): void {
  const { transfer } = core
  if (transfer === undefined || transfer.told) return
  if (core.progress.get(transfer.to)?.match !== core.log.tail.height) return
  transfer.told = true
  core.send(transfer.to, { kind: 'timeout-now', term: core.term })
}
