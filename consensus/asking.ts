/**
 * How a server gets what it missed, and what it takes from peers at all: it asks for the certificate of a term, for
 * acknowledgements and locks; each peer is asked, and answered, once in the time of a heartbeat.
 */
import { TERM_MAX } from './config.ts'
import type { Core } from './core.ts'
import { counts, mayCount } from './decide.ts'
import { hearTerm, heeds, isOfThePast } from './election.ts'
import type { Acknowledge, Ask, Lead, Message, VoteReply } from './messages.ts'
import type { NodeId } from './types.ts'

export function ask(core: Core, to: NodeId): void {
  if (!core.isDue('ask', to)) return
  core.send(to, { kind: 'ask', term: core.term, knowsLeader: core.lead !== undefined })
}

export function askAll(core: Core): void {
  for (const voter of core.voters) if (voter !== core.id) ask(core, voter)
}

/** Tells the sender of an earlier term who leads this one, or that this server has left its term without a leader. */
export function showTerm(core: Core, to: NodeId): void {
  if (core.lead === undefined) ask(core, to)
  else if (core.isDue('answer', to)) core.send(to, core.lead)
}

/** What this server knows of its term, has acknowledged in it, and is locked on. */
export function onAsk(core: Core, from: NodeId, { term, knowsLeader }: Ask): void {
  if (term > core.term) {
    hearTerm(core, from, term)
    if (core.voters.includes(from)) core.stranded = true
    return
  }
  if (core.lead === undefined || !core.isDue('answer', from)) return
  if (term < core.term || !knowsLeader) core.send(from, core.lead)
  const { acknowledged, certified } = core
  if (acknowledged) core.sendDurable(from, { kind: 'acknowledge', term: core.term, ...acknowledged })
  const { block } = certified
  if (block.term !== core.term || !core.lockIsDurable || !counts(core, block.height)) return
  core.sendDurable(from, { kind: 'locked', term: core.term, height: block.height, hash: block.hash })
}

/** See `Raft.triage`. Verification is dear, so a message that would change nothing is not verified. */
export function triage(core: Core, from: NodeId, message: Message): 'verify' | 'step' | 'drop' {
  switch (message.kind) {
    case 'vote':
      // A late one is refused by the term alone.
      if (message.term < core.term) return 'step'
      if (message.term > TERM_MAX) return 'drop'
      if (message.term > core.term && !heeds(core, from)) return 'drop'
      return core.isDue('hear-vote', from) ? 'verify' : 'drop'
    case 'vote-reply':
      return triageReply(core, from, message)
    case 'lead':
      return triageLead(core, from, message)
    case 'acknowledge':
      return triageAcknowledge(core, from, message)
    default:
      return 'step'
  }
}

function triageReply(core: Core, from: NodeId, { term, signature }: VoteReply): 'verify' | 'step' | 'drop' {
  if (signature === undefined) return 'step'
  if (term !== core.term) return 'drop'
  if (core.role === 'candidate') return core.answers.has(from) ? 'drop' : 'verify'
  const isNew = core.role === 'leader' && !core.lead?.votes.some((vote) => vote.from === from)
  return isNew ? 'verify' : 'drop'
}

function triageLead(core: Core, from: NodeId, message: Lead): 'verify' | 'drop' {
  const { term, leader } = message
  if (term < core.term || term > TERM_MAX || isOfThePast(core, message)) return 'drop'
  if (term > core.term || core.lead === undefined) return core.isDue('hear-lead', from) ? 'verify' : 'drop'
  // Two leaders of one term: too many have voted twice, and their votes say who.
  return leader !== core.lead.leader && core.isDue('examine', from) ? 'verify' : 'drop'
}

function triageAcknowledge(core: Core, from: NodeId, message: Acknowledge): 'verify' | 'step' | 'drop' {
  const { log } = core
  const { term, height, hash } = message
  if (term !== core.term || core.lead === undefined) return 'step'
  const known = core.acknowledgements.get(height)?.get(from)
  if (mayCount(core, height) && known === undefined) return 'verify'
  // One that differs may show that its signer has acknowledged two blocks.
  const differs = (known?.hash ?? log.at(height)?.hash ?? hash) !== hash
  if (differs && core.isDue('examine', from)) return 'verify'
  // A leader learns from any that its follower has the block.
  return core.role === 'leader' && !differs ? 'step' : 'drop'
}
