/** Standing for election and voting (Raft sections 5.2 and 5.4.1; PreVote: thesis 9.6; lease: thesis 6.4.1). */
import type { Core } from './core.ts'
import { startLeading } from './leader.ts'
import type { PreVote, PreVoteReply, Vote, VoteReply } from './messages.ts'
import { tally } from './quorum.ts'
import type { NodeId } from './types.ts'

/** A tick of anyone who does not lead: too long without a leader, and whoever may stand does. */
export function tickElection(core: Core): void {
  core.electionElapsed++
  if (core.mayStand && core.electionElapsed >= core.electionTimeout) preCampaign(core)
  else if (core.role === 'pre-candidate' && core.electionElapsed % core.heartbeatTicks === 0)
    askPreVotes(core)
}

/**
 * The link to `id` broke. If that is our leader, the shortest time without one counts as over: candidates are heard
 * from now on, and what is left of our own timeout, drawn at random, is all that we wait before we stand.
 */
export function lostLink(core: Core, id: NodeId): void {
  if (core.role === 'follower' && core.leader === id)
    core.electionElapsed = Math.max(core.electionElapsed, core.electionTicks)
}

export function preCampaign(core: Core): void {
  core.becomePreCandidate()
  core.votes.set(core.id, true)
  askPreVotes(core)
  count(core)
}

/** Asks again whoever has not answered: those who still heard the leader a moment ago have said nothing. */
function askPreVotes(core: Core): void {
  const { height, term } = core.log.tail
  const silent = core.voters.filter((voter) => !core.votes.has(voter))
  core.broadcast(silent, { kind: 'pre-vote', term: core.term + 1, tail: { height, term } })
}

/** Raises the term and asks for votes. `transfer`: the leader told us to, so voters need not wait for its end. */
export function campaign(core: Core, transfer: boolean): void {
  core.becomeCandidate()
  const { height, term } = core.log.tail
  core.broadcast(core.voters, { kind: 'vote', term: core.term, tail: { height, term }, transfer })
}

/** A candidate's own vote is on disk and counts: the only voter may lead from now on, and not before. */
export function countOwnVote(core: Core): void {
  if (core.role === 'candidate') vote(core, core.id, true)
}

function count(core: Core): void {
  const result = tally(core.voters, core.votes)
  if (result === 'won' && core.role === 'pre-candidate') campaign(core, false)
  else if (result === 'won') startLeading(core)
  else if (result === 'lost') core.becomeFollower(core.term, undefined)
}

/** Grants nothing that must last: a pre-vote binds nobody. */
export function onPreVote(core: Core, from: NodeId, message: PreVote): void {
  const granted = !core.listening && message.term > core.term && core.log.isUpToDate(message.tail)
  core.send(from, { kind: 'pre-vote-reply', term: granted ? message.term : core.term, granted })
}

/** One vote a term, first come first served, only for a log at least as up to date as ours. */
export function onVote(core: Core, from: NodeId, message: Vote): void {
  const free = core.votedFor === undefined && core.leader === undefined
  const granted = !core.listening && (free || core.votedFor === from) && core.log.isUpToDate(message.tail)
  if (granted) {
    core.votedFor = from
    core.electionElapsed = 0
  }
  core.send(from, { kind: 'vote-reply', term: core.term, granted })
}

export function onPreVoteReply(core: Core, from: NodeId, message: PreVoteReply): void {
  if (core.role !== 'pre-candidate') return
  if (message.granted && message.term !== core.term + 1) return
  vote(core, from, message.granted)
}

export function onVoteReply(core: Core, from: NodeId, message: VoteReply): void {
  if (core.role === 'candidate') vote(core, from, message.granted)
}

/** The first answer of a voter counts; repeated ones are the network's doing. */
function vote(core: Core, from: NodeId, granted: boolean): void {
  if (core.votes.has(from)) return
  core.votes.set(from, granted)
  count(core)
}
