/** Builders for tests of single parts of the ordering layer. */
import type { Acknowledge, Lead, Message, Statement, Vote } from '../../consensus/messages.ts'
import { Raft } from '../../consensus/raft.ts'
import type {
  Block,
  BlockRef,
  Certified,
  Configuration,
  NodeId,
  RaftConfig,
  RaftLimits,
} from '../../consensus/types.ts'
import { fakeProposal, fakeSign } from './fakes.ts'

export const LIMITS: RaftLimits = {
  windowBlocks: 100,
  appendBytesMax: 100,
  appendBlocksMax: 100,
  inflightAppendsMax: 4,
  memoryBlocks: 100,
  memoryBytes: 10_000,
}

/** Voters and learners by their letters; without a quorum, more than half. */
export function of(voters: string, learners = '', quorum = Math.floor(voters.length / 2) + 1): Configuration {
  return { voters: [...voters], quorum, learners: [...learners] }
}

/** The cluster of most tests. */
export const ABC: Configuration = of('abc')

export const GENESIS: Block = { height: 0, term: 0, hash: 'genesis', prev: '', body: new Uint8Array() }
export const GENESIS_PROVEN: Certified = { block: refTo(GENESIS), proof: { kind: 'genesis' } }

export function refTo({ height, term, hash }: BlockRef): BlockRef {
  return { height, term, hash }
}

/** Ten bytes of body; the hash tells height, term and, if two blocks would be alike, a mark. Sealed by `by`. */
export function block(parent: BlockRef, term: number, mark = '', by = 'a'): Block {
  const height = parent.height + 1
  const own = { height, term, hash: `${height}/${term}${mark}` }
  return { ...own, prev: parent.hash, body: new Uint8Array(10), proposal: fakeProposal(by, own) }
}

/** Blocks of the given terms on top of `parent`, not including it. */
export function chain(terms: readonly number[], parent: BlockRef = GENESIS, mark = '', by = 'b'): Block[] {
  const out: Block[] = []
  let tail = parent
  for (const term of terms) {
    const next = block(tail, term, mark, by)
    out.push(next)
    tail = next
  }
  return out
}

/** Certified by the seal of its proposer and the acknowledgements of these. */
export function certified(block: Block, by: string): Certified {
  const { height, term, hash } = block
  const statement: Statement = { kind: 'acknowledgement', term, height, hash }
  const acknowledgements = [...by].map((from) => ({ from, signature: fakeSign(from, statement) }))
  return {
    block: refTo(block),
    proof: { kind: 'acknowledgements', seal: block.proposal!.seal, acknowledgements },
  }
}

/** The certificate of a term, with the votes of these. */
export function lead(term: number, leader: NodeId, voters: string, base = GENESIS_PROVEN): Lead {
  const statement: Statement = { kind: 'vote', term, candidate: leader, base: base.block }
  const votes = [...voters].map((from) => ({ from, signature: fakeSign(from, statement) }))
  return { kind: 'lead', term, leader, base, votes }
}

/** A candidacy. */
export function vote(term: number, candidate: NodeId, base = GENESIS_PROVEN): Vote {
  const statement: Statement = { kind: 'vote', term, candidate, base: base.block }
  return { kind: 'vote', term, base, signature: fakeSign(candidate, statement) }
}

export function acknowledge(from: NodeId, { term, height, hash }: BlockRef): Acknowledge {
  const signature = fakeSign(from, { kind: 'acknowledgement', term, height, hash })
  return { kind: 'acknowledge', term, height, hash, signature }
}

export function locked({ term, height, hash }: BlockRef): Message {
  return { kind: 'locked', term, height, hash }
}

export function append(term: number, prev: BlockRef, blocks: readonly Block[]) {
  return { kind: 'append', term, prev: refTo(prev), blocks } as const
}

/** A server that has joined already. */
export function raft(id: string, config: Partial<RaftConfig> = {}): Raft {
  const node = listening(id, config)
  node.join()
  return node
}

export function listening(id: string, config: Partial<RaftConfig> = {}): Raft {
  return new Raft({
    id,
    configuration: ABC,
    electionTicks: 10,
    heartbeatTicks: 2,
    random: () => 0,
    hardState: { term: 0, vote: undefined, abstains: false },
    log: { blocks: [GENESIS], commit: 0 },
    certified: GENESIS_PROVEN,
    limits: LIMITS,
    ...config,
  })
}

/** Makes all that is at hand durable and applied, and signs; gives all messages. */
export function settle(node: Raft) {
  const sent = []
  while (node.hasReady()) {
    const ready = node.ready()
    sent.push(...ready.early, ...ready.messages)
    node.advance(ready)
    for (const statement of ready.sign) node.signed(statement, fakeSign(node.id, statement))
    const last = ready.committed.at(-1)
    if (last !== undefined) node.applied(last.height)
  }
  return sent
}

/** A follower of `b` in term 1 or the one given. */
export function follower(config: Partial<RaftConfig> = {}, term = 1, base = GENESIS_PROVEN): Raft {
  const node = raft('a', config)
  node.step('b', lead(term, 'b', 'bc', base))
  settle(node)
  return node
}

/** A leader of the next term, elected by `b`, with its opening block durable. */
export function leader(config: Partial<RaftConfig> = {}): Raft {
  const node = raft('a', config)
  node.campaign()
  settle(node)
  node.step('b', { kind: 'pre-vote-reply', term: node.term + 1, granted: true })
  settle(node)
  const ballot = node.ballot!
  const signature = fakeSign('b', { kind: 'vote', term: node.term, ...ballot })
  node.step('b', { kind: 'vote-reply', term: node.term, signature })
  node.propose(block(node.tail, node.term))
  settle(node)
  return node
}

/** `b` acknowledges, and is locked on, the block at the tail of the leader `node`. */
export function second(node: Raft, by: NodeId = 'b'): void {
  const { tail } = node
  node.step(by, acknowledge(by, tail))
  settle(node)
  node.step(by, locked(tail))
  settle(node)
}
