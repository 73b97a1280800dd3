/**
 * What to do about a leader that is heard and does not do its work: it is silent about blocks, slow, deaf to some
 * submitters, or tells different servers different things. One complaint may be a lie; so many that one of them is
 * honest end the leader's lease.
 */
import { askAll } from './asking.ts'
import type { Core } from './core.ts'
import type { Complaint } from './messages.ts'
import type { NodeId } from './types.ts'

/** A leader that commits nothing for this many election timeouts, while something waits for it, is complained of. */
const STALL_TIMEOUTS = 6

/** An admitted entry waits too long, or nothing is committed: this server says so to everyone, until the term ends. */
export function complain(core: Core): void {
  const { leader } = core
  if (leader === undefined || leader === core.id || core.listening || core.complaints.has(core.id)) return
  core.complaints.add(core.id)
  core.broadcast(core.voters, { kind: 'complaint', term: core.term })
  weighComplaints(core)
}

export function onComplaint(core: Core, from: NodeId, message: Complaint): void {
  if (message.term !== core.term || core.leader === undefined || core.complaints.has(from)) return
  core.complaints.add(from)
  weighComplaints(core)
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
  if (core.leader === undefined) return
  const { log, heartbeatTicks } = core
  const waits = log.tail.height > log.commit || !core.hasCommittedInTerm
  core.stalledTicks = waits ? core.stalledTicks + 1 : 0
  if (core.stalledTicks % (2 * heartbeatTicks) === heartbeatTicks) askAll(core)
  if (core.stalledTicks >= STALL_TIMEOUTS * core.electionTicks) complain(core)
  if (core.complaints.has(core.id) && core.ticks % core.heartbeatTicks === 0) {
    core.broadcast(core.voters, { kind: 'complaint', term: core.term })
  }
}
