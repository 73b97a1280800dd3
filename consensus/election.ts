/**
 * Standing for election and voting (Raft section 5.2; PreVote: thesis 9.6; lease: thesis 6.4.1). Votes are signed, and
 * bind: the voter to one candidate a term, the candidate to the base that its voters have seen the proof of.
 */
import { TERM_LEAP_MAX, TERM_MAX } from './config.ts'
import { type Core, compareRanks } from './core.ts'
import { acknowledgeAgain } from './follower.ts'
import { startLeading } from './leader.ts'
import { refOf } from './log.ts'
import type { Lead, PreVote, PreVoteReply, Rank, Statement, Vote, VoteReply } from './messages.ts'
import { oneHonest, tally } from './quorum.ts'
import type { BlockRef, Configuration, NodeId } from './types.ts'

/** A tick of a server that does not lead: if it may stand, and has been without a leader for too long, it does. */
export function tickElection(core: Core): void {
  core.electionElapsed++
  if (core.mayStand && core.electionElapsed >= core.electionTimeout) preCampaign(core)
  else if (core.electionElapsed % core.heartbeatTicks !== 0) return
  else if (core.role === 'pre-candidate') askPreVotes(core)
  else if (core.role === 'candidate') askVotes(core)
}

/**
 * The link to `id` broke. If that is our leader, the shortest time without one counts as over: candidates are heard
 * from now on, and what is left of our own timeout, drawn at random, is all that we wait before we stand.
 */
export function lostLink(core: Core, id: NodeId): void {
  if (core.role === 'follower' && core.leader === id) core.endLease()
}

export function preCampaign(core: Core): void {
  if (core.term >= TERM_MAX) return
  core.becomePreCandidate()
  core.standTerm = Math.min(Math.max(core.term, core.termHeard) + 1, TERM_MAX)
  core.answers.set(core.id, NO_SIGNATURE)
  askPreVotes(core)
  count(core)
}

/** Asks again the voters that have not answered: those who still heard the leader a moment ago have said nothing. */
function askPreVotes(core: Core): void {
  const { term, height } = core.certified.block
  core.broadcast(silent(core), { kind: 'pre-vote', term: core.standTerm, base: { term, height } })
}

function silent(core: Core): NodeId[] {
  return candidateConfiguration(core).voters.filter((voter) => !core.answers.has(voter))
}

/** A candidate is judged by the configuration of its base: what it holds above, it drops. */
function candidateConfiguration(core: Core): Configuration {
  return core.log.configurationAt(core.certified.block.height)
}

/** Enters the term that it stands in; when that is on the disk and its own vote signed, it asks for those of others. */
export function campaign(core: Core, term: number): void {
  core.becomeCandidate(term)
  core.standings.heeded(core.id, core.ticks)
  core.sign.push({ kind: 'vote', term, candidate: core.id, base: core.certified.block })
}

function askVotes(core: Core): void {
  const { candidacy, certified, term } = core
  if (candidacy === undefined) return
  core.broadcast(silent(core), { kind: 'vote', term, base: certified, signature: candidacy })
}

/** Our own vote is signed, and was on the disk before: for ourselves, or for another who waits for it. */
export function onVoteSigned(core: Core, vote: Statement & { kind: 'vote' }, signature: Uint8Array): void {
  if (vote.term !== core.term || core.vote?.candidate !== vote.candidate) return
  if (vote.candidate !== core.id) {
    core.send(vote.candidate, { kind: 'vote-reply', term: core.term, signature })
  } else if (core.role === 'candidate') {
    core.candidacy = signature
    core.answers.set(core.id, signature)
    askVotes(core)
    count(core)
  }
}

function count(core: Core): void {
  const result = tally(candidateConfiguration(core), (voter) => {
    return core.answers.has(voter) ? core.answers.get(voter) !== undefined : undefined
  })
  if (result === 'lost') core.becomeFollower(core.term, undefined)
  else if (result === 'won' && core.role === 'pre-candidate') campaign(core, core.standTerm)
  else if (result === 'won') startLeading(core, termCertificate(core))
}

/** The votes that made this server leader; those that come later are added, for servers that know other voters. */
function termCertificate(core: Core): Lead {
  const { voters } = candidateConfiguration(core)
  const votes = [...core.answers].flatMap(([from, signature]) => {
    return signature && voters.includes(from) ? { from, signature } : []
  })
  return { kind: 'lead', term: core.term, leader: core.id, base: core.certified, votes }
}

/** Grants nothing that must last: a pre-vote binds nobody. */
export function onPreVote(core: Core, from: NodeId, message: PreVote): void {
  if (!heeds(core, from)) return
  const granted = !core.listening && message.term > core.term && reaches(core, message.base)
  core.send(from, { kind: 'pre-vote-reply', term: granted ? message.term : core.term, granted })
}

/**
 * Is a candidacy listened to? Not while a leader is live, unless that has handed over; nor that of a leader which was
 * complained of; nor for a time if it came to nothing with this candidate lately.
 */
export function heeds(core: Core, from: NodeId): boolean {
  if (core.standings.isShunned(from, core.ticks, core.leaderlessTicks)) return false
  if (core.isSuspect && core.lead?.leader === from) return false
  if (core.standings.isBusyWithAnother(from, core.ticks)) return false
  return core.successor === from || !core.leaderIsLive
}

function isSame(a: BlockRef, b: BlockRef): boolean {
  return a.height === b.height && a.term === b.term && a.hash === b.hash
}

function reaches(core: Core, base: Rank): boolean {
  return compareRanks(base, core.rank) >= 0
}

/**
 * One vote a term, first come first served, only for a candidate whose base ranks as high as our lock. Its proof and
 * its signature are verified.
 */
export function onVote(core: Core, from: NodeId, message: Vote): void {
  if (message.term > core.term) {
    if (!heeds(core, from)) return
    // A single candidacy must not use up the terms there are: one that leaps moves us a part of the way.
    const term = Math.min(message.term, core.term + TERM_LEAP_MAX)
    core.becomeFollower(term, undefined)
    core.standings.heeded(from, core.ticks)
  }
  const { block } = message.base
  const { vote } = core
  const free = vote === undefined && core.lead === undefined
  // With the same base: a vote in one term is always the same bytes.
  const repeats = vote?.candidate === from && isSame(vote.base, block)
  const mayVote = !core.listening && message.term === core.term && (free || repeats)
  // A block of the candidate's own term, or of a later one, cannot be what it begins that term with.
  if (!mayVote || block.term >= message.term || !reaches(core, block)) {
    core.send(from, { kind: 'vote-reply', term: core.term, signature: undefined })
    return
  }
  core.vote = { candidate: from, base: refOf(block) }
  core.electionElapsed = 0
  core.sign.push({ kind: 'vote', term: core.term, candidate: from, base: core.vote.base })
}

export function onPreVoteReply(core: Core, from: NodeId, { term, granted }: PreVoteReply): void {
  if (!granted) hearTerm(core, from, term)
  if (core.role !== 'pre-candidate') return
  if (granted) {
    // Who would vote in an earlier term would in a later one.
    if (term > core.term && term <= core.standTerm) answer(core, from, NO_SIGNATURE)
  } else if (core.termHeard < core.standTerm) {
    answer(core, from, undefined)
  } else {
    // Refused for the term: at the next heartbeat everyone is asked for a later one.
    // Grants still hold: else a liar that always names a higher term would undo them for ever.
    core.standTerm = Math.min(core.termHeard + 1, TERM_MAX)
  }
}

export function onVoteReply(core: Core, from: NodeId, { term, signature }: VoteReply): void {
  if (signature === undefined) hearTerm(core, from, term)
  if (term !== core.term) return
  if (core.role === 'candidate') answer(core, from, signature)
  else if (core.role === 'leader' && signature !== undefined) addVote(core, from, signature)
}

/**
 * Somebody's word: it moves no term, but a candidate must stand above the terms of those whose votes it needs. One word
 * counts for a bounded leap; what so many say that one of them is honest, in full: the others may have come far while
 * this server was away, and it may be the one that they cannot do without.
 */
export function hearTerm(core: Core, from: NodeId, term: number): void {
  core.termsHeard.set(from, Math.max(term, core.termsHeard.get(from) ?? 0))
  const { configuration } = core.log
  const said = configuration.voters.map((voter) => core.termsHeard.get(voter) ?? 0).sort((a, b) => b - a)
  const believed = said[Math.max(2, oneHonest(configuration)) - 1] ?? 0
  core.termHeard = Math.max(core.termHeard, Math.min(term, core.term + TERM_LEAP_MAX), believed)
}

/** The first answer of a voter counts; repeated ones are the network's doing. */
function answer(core: Core, from: NodeId, signature: Uint8Array | undefined): void {
  if (core.answers.has(from)) return
  core.answers.set(from, signature)
  count(core)
}

function addVote(core: Core, from: NodeId, signature: Uint8Array): void {
  const { lead } = core
  if (lead === undefined || lead.votes.some((vote) => vote.from === from)) return
  if (!core.log.configurationAt(Math.max(lead.base.block.height, core.log.commit)).voters.includes(from))
    return
  core.lead = { ...lead, votes: [...lead.votes, { from, signature }] }
}

/**
 * Does the base of a leader rank below what was committed in earlier terms? A quorum of those in force elects no such
 * leader: the votes were signed by keys that have been replaced since, and prove nothing here.
 */
export function isOfThePast({ log }: Core, { term, base }: Lead): boolean {
  const committed = log.lastAtOrBelow(log.commit, term - 1)
  return committed.term < term && compareRanks(base.block, committed) < 0
}

/** The certificate of a term, verified: from now on its leader is believed, and nobody else. */
export function onLead(core: Core, message: Lead): void {
  if (message.term < core.term || (message.term === core.term && core.lead !== undefined)) return
  if (isOfThePast(core, message)) return
  // Its own certificate, after a restart: a leader that has forgotten what it sent leads no more in this term.
  const leader = message.leader === core.id ? undefined : message.leader
  core.becomeFollower(message.term, leader)
  core.lead = message
  core.standings.elected(message.leader, core.ticks)
  acknowledgeAgain(core)
}

const NO_SIGNATURE = new Uint8Array(0)
