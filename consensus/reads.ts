/**
 * Linearizable reads that write nothing to the log (readIndex, thesis 6.4). A leader may have been deposed
 * without knowing; a round of heartbeats that began after the read was asked for, and that a quorum answers,
 * proves that it was not: nobody can have decided a block that this leader had not proposed when the read was asked for.
 * Others may have decided it before the leader hears of that, so the read waits for all that was proposed: who has
 * applied the height noted with the read, here or on any other server, reads the newest state.
 */
import type { Core } from './core.ts'
import type { ReadStart } from './types.ts'

/** Every broadcast of heartbeats is a round; the answers name it. */
export function beginRound(core: Core): void {
  core.round++
  core.broadcast(core.progress.keys(), { kind: 'heartbeat', term: core.term, round: core.round })
}

export function startRead(core: Core, id: number): ReadStart {
  if (core.role !== 'leader') return { ok: false, reason: 'not-leader' }
  // Until then the leader does not know how far its predecessors had committed.
  if (!core.hasCommittedInTerm) return { ok: false, reason: 'not-committed-in-term' }
  core.reads.push({ id, height: core.log.tail.height, round: core.round + 1 })
  confirmReads(core)
  return { ok: true }
}

/**
 * Answers the reads whose round is confirmed, and begins a round for those that still need one. Reads that
 * arrive while such a round is under way wait for its end and share the next, so that they add one round a
 * round trip, however many they are. Should the round be lost, the ordinary heartbeats are the next.
 */
export function confirmReads(core: Core): void {
  answer(core)
  const last = core.reads.at(-1)
  if (last === undefined || last.round <= core.round || confirmedRound(core) < core.readRound) return
  beginRound(core)
  core.readRound = core.round
  // The only voter confirms itself.
  answer(core)
}

function answer(core: Core): void {
  if (core.reads.length === 0) return
  const confirmed = confirmedRound(core)
  while (core.reads.length > 0 && core.reads[0]!.round <= confirmed) {
    const { id, height } = core.reads.shift()!
    core.readAnswers.push({ id, height })
  }
}

/** The newest round that a quorum of the voters, this server included if it is one, has answered. */
function confirmedRound(core: Core): number {
  return core.reachedByQuorum(core.round, ({ round }) => round)
}
