/** Following: taking the leader's blocks, acknowledging them, catching up. */
import { invariant, RefusedError } from '../src/errors.ts'
import { TERM_MAX } from './config.ts'
import { difference } from './configurations.ts'
import { type Core, compareRanks } from './core.ts'
import { certify, counts, decide, lockIsDurable, onAcknowledge } from './decide.ts'
import { campaign } from './election.ts'
import { type Log, refOf } from './log.ts'
import type {
  Acknowledge,
  Append,
  Behind,
  Heartbeat,
  Lead,
  Message,
  Statement,
  TimeoutNow,
} from './messages.ts'
import type { Block, Certified, NodeId } from './types.ts'

/** The leader of the term is heard. That so many have complained of it weighs more. */
export function hearLeader(core: Core): void {
  if (!core.isSuspect) core.electionElapsed = 0
}

/**
 * Takes the blocks of an append by the leader of the term. Throws a RefusedError if they contradict what is committed,
 * what the leader was elected for, or what it sent before: no honest leader sends them.
 */
export function onAppend(core: Core, from: NodeId, message: Append, lead: Lead): void {
  const { log, term } = core
  const { prev } = message
  let { blocks } = message
  checkBuildsOnBase(core, message, lead)
  if (prev.height < log.base.height) {
    // Older than our memory, hence committed: the leader has it too, and everything else that is committed.
    core.send(from, { kind: 'append-reply', term, match: log.commit })
    return
  }
  if (!log.has(prev)) {
    reject(core, from, prev.height, log.lastAtOrBelow(prev.height, prev.term))
    return
  }
  const divergence = log.divergence(blocks)
  if (divergence !== undefined) {
    const first = blocks[divergence.at]!
    checkProposer(blocks.slice(divergence.at), term, lead)
    const taken = fitting(core, blocks.slice(divergence.at), lead)
    if (taken === 0) return
    blocks = blocks.slice(0, divergence.at + taken)
    if (divergence.own !== undefined && !mayReplace(core, first, blocks, lead)) {
      core.behind = lead.base.block.height
      reject(core, from, prev.height, refOf(log.at(log.commit)!))
      return
    }
    log.merge(blocks)
    adoptBase(core, lead)
    certify(core)
    decide(core)
  }
  reply(core, from, prev.height + blocks.length)
}

function reject(
  core: Core,
  to: NodeId,
  rejected: number,
  { height, term }: { height: number; term: number },
): void {
  core.send(to, { kind: 'append-reject', term: core.term, rejected, hint: { height, term } })
}

/** Blocks of the term stand above the leader's base and chain on to it; others stand at or below it. */
function checkBuildsOnBase(core: Core, { term, prev, blocks }: Append, lead: Lead): void {
  const base = lead.base.block
  const held = core.log.at(prev.height)
  if (prev.height > base.height && held?.hash === prev.hash && held.term !== term) {
    throw new RefusedError('bad-chain', 'Above its base a leader has blocks of its term alone.', {
      height: prev.height,
    })
  }
  for (const block of blocks) {
    const ofTerm = block.term === term
    const facts = { height: block.height, term: block.term, base: base.height, leader: lead.leader }
    if (ofTerm !== block.height > base.height) {
      throw new RefusedError(
        'bad-chain',
        'The blocks do not build on what their leader was elected for.',
        facts,
      )
    }
    if (block.height === base.height && block.hash !== base.hash) {
      throw new RefusedError('bad-chain', 'The blocks lead past what their leader was elected for.', facts)
    }
    if (block.height === base.height + 1 && block.prev !== base.hash) {
      throw new RefusedError('bad-chain', 'The first block of the term does not follow the base.', facts)
    }
  }
}

/** Blocks that are new here come from the ledger's check, with their proposals: those of the term are the leader's. */
function checkProposer(fresh: readonly Block[], term: number, { leader }: Lead): void {
  for (const block of fresh) {
    if (block.term !== term || block.proposal?.by === leader) continue
    throw new RefusedError('bad-chain', 'A block of the term is not sealed by its leader.', {
      height: block.height,
      term,
      leader,
      by: block.proposal?.by,
    })
  }
}

/**
 * How many of these blocks this log takes now: as many as fit into an append together with all that is not committed,
 * but the base and the block that opens the term in any case; and one change of the configuration at a time. Throws a
 * RefusedError for a change that no leader may propose.
 */
function fitting(core: Core, fresh: readonly Block[], lead: Lead): number {
  const { log, limits } = core
  const from = fresh[0]!.height
  let bytes = 0
  for (let height = log.commit + 1; height < from; height++) bytes += log.at(height)!.body.length
  const always = Math.max(log.commit, lead.base.block.height) + 1
  let before = log.configurationAt(from - 1)
  let changes = log.configurationIsCommittedAt(from - 1) ? 0 : 1
  for (const [at, { height, body, configuration }] of fresh.entries()) {
    bytes += body.length
    if (bytes > limits.appendBytesMax && height > always) {
      // Perhaps what is missing is only to hear that the blocks before are committed: that can be pulled.
      if (at === 0) core.behind = from - 1
      return at
    }
    if (configuration === undefined) continue
    if (difference(before.voters, configuration.voters).length > 1) {
      throw new RefusedError('bad-chain', 'A block changes more than one voter.', { height })
    }
    // The leader knows when the one before is committed; here that may take a moment longer.
    if (height > lead.base.block.height && ++changes > 1) return at
    before = configuration
  }
  return fresh.length
}

/**
 * May the suffix of this log that begins at `first` give way? Not what the leader of this very term sent: it would
 * contradict itself. What this server is locked on only if the blocks reach the leader's base at once: by then it is
 * proven that the locked block was not decided (README.md), and until then this server keeps it.
 */
function mayReplace(core: Core, first: Block, blocks: readonly Block[], lead: Lead): boolean {
  const { log, certified, term } = core
  const own = log.at(first.height)!
  if (own.term === term) {
    throw new RefusedError('bad-chain', 'The leader sent another block for this height before.', {
      height: first.height,
      held: own.hash,
      offered: first.hash,
    })
  }
  if (first.height > certified.block.height) return true
  return first.height > lead.base.block.height || blocks.at(-1)!.height >= lead.base.block.height
}

/** The base is in the log now: it is the lock, unless this server is locked on a higher block that is still there. */
function adoptBase(core: Core, { base }: Lead): void {
  const { log, certified } = core
  if (!log.has(base.block)) return
  if (!log.has(certified.block) || compareRanks(base.block, certified.block) > 0) core.lockOn(base)
}

/**
 * Acknowledges what the leader's log and ours share up to `match`: by a signed statement if that is a block of the
 * term which this server has not acknowledged yet, else by a reply that promises nothing.
 */
function reply(core: Core, from: NodeId, match: number): void {
  const { log, term, acknowledged } = core
  const block = log.at(match)
  const ofTerm = block !== undefined && block.term === term && match > (acknowledged?.height ?? 0)
  if (ofTerm && !core.abstains && counts(core, match)) {
    core.sign.push({ kind: 'acknowledgement', term, height: match, hash: block.hash })
  } else {
    core.send(from, {
      kind: 'append-reply',
      term,
      match: core.listening ? Math.min(match, log.commit) : match,
    })
  }
}

/** From now on this server's word counts: also for what it held, and was locked on, in this term before. */
export function join(core: Core): void {
  if (!core.listening) return
  core.listening = false
  if (core.lockIsDurable) lockIsDurable(core, core.certified)
  if (core.lead !== undefined) acknowledgeAgain(core)
}

/** After a restart within the term: what is on the disk is acknowledged again, since nobody else passes that on. */
export function acknowledgeAgain(core: Core): void {
  const { log, term, acknowledged } = core
  const block = log.at(log.stable)
  if (acknowledged !== undefined || core.abstains || block?.term !== term) return
  if (!counts(core, block.height)) return
  core.sign.push({ kind: 'acknowledgement', term, height: block.height, hash: block.hash })
}

/** Our acknowledgement is signed, and the block was on the disk before: it is told to everyone. */
export function onAcknowledgementSigned(
  core: Core,
  { term, height, hash }: Statement & { kind: 'acknowledgement' },
  signature: Uint8Array,
): void {
  const { log, acknowledged } = core
  if (term !== core.term || core.abstains || !log.has({ term, height, hash })) return
  if (height <= (acknowledged?.height ?? 0)) return
  core.acknowledged = { height, hash, signature }
  const message: Acknowledge = { kind: 'acknowledge', term, height, hash, signature }
  core.tellAll(message)
  onAcknowledge(core, core.id, message)
}

/** Says nothing of the log, so it may overtake appends. */
export function onHeartbeat(core: Core, from: NodeId, { round }: Heartbeat): void {
  // A server that may have voted for a newer leader cannot vouch for this one; round 0 confirms no read.
  const confirmed = core.listening ? 0 : round
  core.send(from, { kind: 'heartbeat-reply', term: core.term, commit: core.log.commit, round: confirmed })
}

/** No reply: `install` acknowledges what was pulled, and heartbeats make the leader repeat itself. */
export function onBehind(core: Core, message: Behind): void {
  if (message.commit > core.log.commit) core.behind = message.commit
}

/** The leader wants to be succeeded: the server that it names stands at once, without PreVote, and the others heed it. */
export function onTimeoutNow(core: Core, { to }: TimeoutNow): void {
  core.successor = to
  const mayStand = core.role === 'follower' && core.mayStand && core.term < TERM_MAX
  if (to === core.id && mayStand) campaign(core, core.term + 1)
}

function stillHolds(log: Log, message: Message): boolean {
  if (message.kind === 'acknowledge' || message.kind === 'locked') return log.has(message)
  return message.kind !== 'append-reply'
}

/**
 * Takes blocks that a certificate of the ledger proves committed; `certified` is the last of them with that proof.
 * They must begin at or below `commit + 1` and chain onto what is held; an uncommitted suffix that differs gives way.
 * Throws an InvariantError otherwise.
 */
export function install(core: Core, blocks: readonly Block[], certified: Certified): void {
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
  // A log never holds blocks of a term that its node has not entered.
  if (last.term > core.term) core.becomeFollower(last.term, undefined)
  // A leader has every committed block: lacking this one, we were deposed. And a candidate is bound to a base.
  const deposed = core.role === 'leader' && !log.has(last)
  if (deposed || core.role === 'candidate' || core.role === 'pre-candidate') {
    core.becomeFollower(core.term, undefined)
  }
  const gaveWay = log.divergence(above)?.own
  // Another block of this height was acknowledged here, perhaps, in this term. The proven one must not be as well.
  if (gaveWay?.term === core.term) {
    core.abstains = true
    core.acknowledged = undefined
  }
  log.merge(above)
  // What is queued about a suffix that gave way would no longer be true.
  if (gaveWay !== undefined) core.outbox = core.outbox.filter(({ message }) => stillHolds(log, message))
  log.commitTo(last.height)
  core.stalledTicks = 0
  if (!log.has(core.certified.block) || compareRanks(last, core.certified.block) > 0) core.lockOn(certified)
  certify(core)
  if (core.leader !== undefined && core.role === 'follower') {
    core.send(core.leader, { kind: 'append-reply', term: core.term, match: log.commit })
  }
}
