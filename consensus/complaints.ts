/**
 * What to do about a leader that is heard and does not do its work: it is silent about blocks, slow, deaf to some
 * submitters, or tells different servers different things. One complaint may be a lie; so many that one of them is
 * honest end the leader's lease.
 */
import { askAll } from './asking.ts'
import type { Core } from './core.ts'
import type { NodeId } from './types.ts'

/** A leader that commits nothing for this many election timeouts, while something waits for it, is complained of. */
const STALL_TIMEOUTS = 8
/** It gives up sooner by itself: some who should acknowledge may be in a later term, and others pretend to follow. */
const LEADER_STALL_TIMEOUTS = 5

/** Without a leader for so many election timeouts, a server seconds the complaints of others. */
const SECOND_TIMEOUTS = 2

/**
 * An admitted entry waits too long, or nothing is committed: this server says so to everyone, for some time from the
 * last call on. What is over is not held against a leader, or the bad moments of a long term would add up.
 */
export function complain(core: Core): void {
  const { lead } = core
  if (lead === undefined || lead.leader === core.id || core.listening) return
  const isNew = !core.complains(core.id)
  core.complainedAt.set(core.id, core.ticks)
  if (!isNew) return
  core.broadcast(core.voters, { kind: 'complaint', term: core.term })
  weighComplaints(core)
}

export function onComplaint(core: Core, from: NodeId): void {
  core.complainedAt.set(from, core.ticks)
  weighComplaints(core)
  second(core)
}

/**
 * A server that has not heard the leader for long seconds any complaint: a liar may speak to one server alone, and keep
 * its vote so. Not for a short lapse, or one liar that complains all the time could make it depose an honest leader.
 */
function second(core: Core): void {
  if (core.leaderlessTicks >= SECOND_TIMEOUTS * core.electionTicks) complain(core)
}

/** So many complain that one of them is honest: everyone joins in, and the leader goes. */
function weighComplaints(core: Core): void {
  if (!core.isSuspect) return
  if (core.role === 'leader') {
    core.becomeFollower(core.term, undefined)
    return
  }
  complain(core)
  core.endLease()
}

/**
 * A tick. If something waits to be committed and is not, a message was lost: this server asks for it. In the end it
 * complains, again and again, since that may be lost, too.
 */
export function tickStall(core: Core): void {
  // In every role, since others may not have heard it, and still follow.
  if (core.complains(core.id)) {
    if (core.ticks % core.heartbeatTicks === 0)
      core.broadcast(core.voters, { kind: 'complaint', term: core.term })
    // Somebody may have left the term since.
    weighComplaints(core)
  }
  if (core.leader === undefined) return
  const { log, heartbeatTicks } = core
  const waits = log.tail.height > log.commit || !core.hasCommittedInTerm
  core.stalledTicks = waits ? core.stalledTicks + 1 : 0
  if (core.stalledTicks % (2 * heartbeatTicks) === heartbeatTicks) askAll(core)
  if (core.role === 'leader' && core.stalledTicks >= LEADER_STALL_TIMEOUTS * core.electionTicks) {
    core.becomeFollower(core.term, undefined)
  } else if (core.stalledTicks >= STALL_TIMEOUTS * core.electionTicks) complain(core)
}
