/** Builders for tests of single parts of the ordering layer. */
import { Raft } from '../../consensus/raft.ts'
import type { Block, BlockRef, Configuration, RaftConfig, RaftLimits } from '../../consensus/types.ts'

export const LIMITS: RaftLimits = {
  windowBlocks: 100,
  appendBytesMax: 100,
  appendBlocksMax: 100,
  inflightAppendsMax: 4,
  memoryBlocks: 100,
  memoryBytes: 10_000,
}

/** The cluster of most tests. */
export const ABC: Configuration = { voters: ['a', 'b', 'c'], learners: [] }

export const GENESIS: Block = { height: 0, term: 0, hash: 'genesis', prev: '', body: new Uint8Array() }

/** Ten bytes of body; the hash tells height, term and, if two blocks would be alike, a mark. */
export function block(parent: BlockRef, term: number, mark = ''): Block {
  const height = parent.height + 1
  return { height, term, hash: `${height}/${term}${mark}`, prev: parent.hash, body: new Uint8Array(10) }
}

/** Blocks of the given terms on top of `parent`, not including it. */
export function chain(terms: readonly number[], parent: BlockRef = GENESIS, mark = ''): Block[] {
  const out: Block[] = []
  let tail = parent
  for (const term of terms) {
    const next = block(tail, term, mark)
    out.push(next)
    tail = next
  }
  return out
}

export function raft(id: string, config: Partial<RaftConfig> = {}): Raft {
  return new Raft({
    id,
    configuration: ABC,
    electionTicks: 10,
    heartbeatTicks: 2,
    random: () => 0,
    hardState: { term: 0, votedFor: undefined },
    log: { blocks: [GENESIS], commit: 0 },
    limits: LIMITS,
    ...config,
  })
}

/** Makes durable and applied whatever is at hand; gives all messages, as `to kind` with their fields. */
export function settle(node: Raft) {
  const sent = []
  while (node.hasReady()) {
    const ready = node.ready()
    sent.push(...ready.early, ...ready.messages)
    node.advance(ready)
    const last = ready.committed.at(-1)
    if (last !== undefined) node.applied(last.height)
  }
  return sent
}

/** A leader of the next term, elected by `b`, with its opening block durable. */
export function leader(config: Partial<RaftConfig> = {}): Raft {
  const node = raft('a', config)
  node.campaign()
  settle(node)
  node.step('b', { kind: 'pre-vote-reply', term: node.term + 1, granted: true })
  settle(node)
  node.step('b', { kind: 'vote-reply', term: node.term, granted: true })
  node.propose(block(node.tail, node.term))
  settle(node)
  return node
}
