/** Following: taking the leader's blocks, learning what is committed, catching up. */
import { invariant, RefusedError } from '../src/errors.ts'
import type { Core } from './core.ts'
import { campaign } from './election.ts'
import type { Append, Behind, Heartbeat } from './messages.ts'
import type { Block, NodeId } from './types.ts'

/** Someone leads this term: whatever we were doing about it ends. */
export function hearLeader(core: Core, from: NodeId): void {
  if (core.role === 'leader') {
    throw new RefusedError('not-permitted', 'The sender claims to lead the term that we lead.', { from })
  }
  if (core.role !== 'follower') core.becomeFollower(core.term, from)
  core.leader = from
  core.electionElapsed = 0
}

export function onAppend(core: Core, from: NodeId, message: Append): void {
  const { log, term } = core
  const { prev, blocks } = message
  if (prev.height < log.base.height) {
    // Older than our memory, hence committed: the leader has it too, and everything else that is committed.
    core.send(from, { kind: 'append-reply', term, match: log.commit })
    return
  }
  if (!log.has(prev)) {
    const hint = log.lastAtOrBelow(prev.height, prev.term)
    core.send(from, { kind: 'append-reject', term, rejected: prev.height, hint })
    return
  }
  log.merge(blocks)
  const match = prev.height + blocks.length
  log.commitTo(Math.min(message.commit, match), true)
  const acknowledged = core.listening ? Math.min(match, log.commit) : match
  core.send(from, { kind: 'append-reply', term, match: acknowledged })
}

/** Says nothing of the log, so it may overtake appends; the commit height travels with appends alone. */
export function onHeartbeat(core: Core, from: NodeId, { round }: Heartbeat): void {
  // A server that may have voted for a newer leader cannot vouch for this one; round 0 confirms no read.
  const confirmed = core.listening ? 0 : round
  core.send(from, { kind: 'heartbeat-reply', term: core.term, commit: core.log.commit, round: confirmed })
}

/** No reply: `install` acknowledges what was pulled, and heartbeats make the leader repeat itself. */
export function onBehind(core: Core, message: Behind): void {
  if (message.commit > core.log.commit) core.behind = message.commit
}

/** The leader wants us to succeed it: stand at once, without asking first. */
export function onTimeoutNow(core: Core, from: NodeId): void {
  if (core.role === 'follower' && core.leader === from && core.mayStand) campaign(core, true)
}

/**
 * Takes blocks that a certificate proves committed. They must begin at or below `commit + 1` and chain onto
 * what is held; an uncommitted suffix that differs gives way. Throws an InvariantError otherwise.
 */
export function install(core: Core, blocks: readonly Block[]): void {
  const { log } = core
  const last = blocks.at(-1)
  if (last === undefined || last.height <= log.commit) return
  const first = blocks[0]!
  invariant(
    first.height <= log.commit + 1,
    'Proven blocks must begin at or below the commit height plus one.',
    {
      first: first.height,
      commit: log.commit,
    },
  )
  for (const block of blocks) {
    const own = log.at(block.height)
    const agrees = own === undefined || own.hash === block.hash || block.height > log.commit
    invariant(agrees, 'A proven block contradicts a committed one.', {
      height: block.height,
      committed: own?.hash,
      proven: block.hash,
    })
  }
  const above = blocks.filter((block) => block.height > log.commit)
  invariant(above[0]!.prev === log.at(log.commit)!.hash, 'Proven blocks do not link to our chain.')
  // A log never holds blocks of a term its node has not entered.
  if (last.term > core.term) core.becomeFollower(last.term, undefined)
  // A leader has every committed block: lacking this one, we were deposed. And a candidate must not win with
  // another log than the one that its voters judged.
  if (core.role !== 'follower' && !log.has(last)) core.becomeFollower(core.term, undefined)
  // Queued acknowledgements of a suffix that gave way would no longer be true.
  if (log.merge(above)) core.outbox = []
  log.commitTo(last.height, false)
  // A leader's end is its own affair.
  if (core.role !== 'leader' && core.role !== 'follower' && !core.mayStand)
    core.becomeFollower(core.term, undefined)
  if (core.leader !== undefined && core.role === 'follower') {
    core.send(core.leader, { kind: 'append-reply', term: core.term, match: log.commit })
  }
}
