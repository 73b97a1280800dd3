/**
 * The judge. It sees every node after every step, every message that leaves and every block that is applied,
 * and throws a Violation as soon as a promise of Raft (figure 3 of the paper; thesis, chapters 4 and 6.4) or of
 * our disk order is broken. Who is in the cluster it reads from the bodies of the blocks itself.
 */
import type { Message } from '../../../consensus/messages.ts'
import type { Raft } from '../../../consensus/raft.ts'
import type { Block, Configuration, NodeId } from '../../../consensus/types.ts'
import { changeTo, GENESIS, withConfiguration } from './block.ts'
import type { Disk } from './disk.ts'

export class Violation extends Error {}

export interface Judged {
  readonly id: NodeId
  /** Grows with every restart: a node must not even lead the same term twice. */
  readonly incarnation: number
  readonly raft: Raft
  readonly disk: Disk
}

interface Seen {
  incarnation: number
  term: number
  commit: number
  applied: number
  leading: boolean
  tail: number
  tailHash: string
  configuration: Configuration | undefined
}

/** A configuration, and the height of the block that brought it. */
interface Placed {
  readonly height: number
  readonly configuration: Configuration
}

export class Checker {
  readonly #nodes: () => readonly Judged[]
  readonly #blocks = new Map<string, Block>([[GENESIS.hash, GENESIS]])
  readonly #proposed = new Map<string, string>()
  readonly #leaders = new Map<number, string>()
  readonly #seen = new Map<NodeId, Seen>()
  /** By hash of a block: the cluster after it. */
  readonly #placed = new Map<string, Placed>()
  /** By height: hash, and term of the leader that committed it. */
  readonly committed: { hash: string; term: number }[] = [{ hash: GENESIS.hash, term: 0 }]

  constructor(nodes: () => readonly Judged[], founders: Configuration) {
    this.#nodes = nodes
    this.#placed.set(GENESIS.hash, { height: 0, configuration: founders })
  }

  /** A leader takes a block into its log: there is one block per height and term (Log Matching, with hashes). */
  proposed(leader: Judged, block: Block): void {
    const { configuration } = withConfiguration(block)
    if (configuration !== undefined) this.#changes(leader, block)
    const before = this.#placed.get(block.prev)!
    this.#placed.set(
      block.hash,
      configuration === undefined ? before : { height: block.height, configuration },
    )
    const place = `${block.height}/${block.term}`
    const other = this.#proposed.get(place)
    if (other !== undefined && other !== block.hash) throw new Violation(`two blocks at height/term ${place}`)
    this.#proposed.set(place, block.hash)
    this.#blocks.set(block.hash, block)
  }

  /** One change at a time, and only when the leader knows the last one to be committed. */
  #changes({ id, raft }: Judged, block: Block): void {
    const pending = this.#placed.get(block.prev)!.height
    if (pending > raft.commit || pending >= this.committed.length) {
      throw new Violation(`${id} changes the cluster again while change ${pending} is not committed`)
    }
    const known = this.#blocks.get(this.#ancestor(block.prev, raft.commit))!
    if (known.term !== raft.term) {
      throw new Violation(
        `${id} changes the cluster before it has committed a block of its term ${raft.term}`,
      )
    }
  }

  /** The ancestor at `height` of the block named `hash`. */
  #ancestor(hash: string, height: number): string {
    let block = this.#blocks.get(hash)
    while (block !== undefined && block.height > height) block = this.#blocks.get(block.prev)
    return block?.height === height ? block.hash : 'none'
  }

  observe(node: Judged): void {
    const { raft, id, incarnation, disk } = node
    let seen = this.#seen.get(id)
    if (seen === undefined || seen.incarnation !== incarnation) {
      seen = {
        incarnation,
        term: 0,
        commit: disk.applied,
        applied: disk.applied,
        leading: false,
        tail: 0,
        tailHash: '',
        configuration: undefined,
      }
      this.#seen.set(id, seen)
    }
    const { tail, term, commit, role } = raft
    if (term < seen.term) throw new Violation(`${id}: the term fell from ${seen.term} to ${term}`)
    if (tail.term > term) throw new Violation(`${id}: a block of term ${tail.term} in a log of term ${term}`)
    if (commit < seen.commit) throw new Violation(`${id}: the commit height fell to ${commit}`)
    const leading = role === 'leader'
    if (leading) {
      if (!seen.leading || seen.term !== term) this.#elected(node)
      else if (tail.height < seen.tail) throw new Violation(`${id}: a leader shortened its log`)
    }
    if (commit > seen.commit) this.#commits(node, seen.commit)
    const { configuration } = raft
    if (tail.hash !== seen.tailHash || configuration !== seen.configuration) this.#uses(node)
    seen.tailHash = tail.hash
    seen.configuration = configuration
    this.#stands(node)
    seen.term = term
    seen.commit = commit
    seen.leading = leading
    seen.tail = tail.height
  }

  /** A server uses the latest configuration in its log, whether committed or not. */
  #uses({ id, raft }: Judged): void {
    const right = changeTo(this.#placed.get(raft.tail.hash)!.configuration)
    const used = changeTo(raft.configuration)
    if (used !== right) throw new Violation(`${id} uses "${used}"; its log says "${right}"`)
  }

  /** Whoever knows that it is no voter neither stands nor leads. */
  #stands({ id, raft }: Judged): void {
    if (raft.role === 'follower') return
    const { height, configuration } = this.#placed.get(raft.tail.hash)!
    if (height <= raft.commit && !configuration.voters.includes(id)) {
      throw new Violation(`${id} is ${raft.role} of term ${raft.term}, and block ${height} made it no voter`)
    }
  }

  /** A confirmed read misses nothing that was committed when it was asked for. */
  reads(id: NodeId, floor: number, height: number): void {
    if (height < floor)
      throw new Violation(`${id} confirms a read at ${height}, after ${floor} was committed`)
    if (height >= this.committed.length)
      throw new Violation(`${id} confirms a read at ${height}, uncommitted`)
  }

  /** Election Safety and Leader Completeness. */
  #elected({ id, incarnation, raft }: Judged): void {
    const name = `${id}#${incarnation}`
    const other = this.#leaders.get(raft.term)
    if (other !== undefined) throw new Violation(`two leaders of term ${raft.term}: ${other} and ${name}`)
    this.#leaders.set(raft.term, name)
    const height = this.committed.findLastIndex((entry) => entry.term < raft.term)
    if (this.#ancestor(raft.tail.hash, height) !== this.committed[height]!.hash) {
      throw new Violation(`${id} leads term ${raft.term} without committed block ${height}`)
    }
  }

  /** Committed blocks never change, and are durable on a majority of the voters when they first count as committed. */
  #commits({ id, raft }: Judged, from: number): void {
    const news = raft.commit >= this.committed.length
    for (let height = from + 1; height <= raft.commit; height++) {
      const hash = this.#ancestor(raft.tail.hash, height)
      const known = this.committed[height]
      if (known !== undefined) {
        if (known.hash !== hash) throw new Violation(`${id} commits another block at height ${height}`)
        continue
      }
      const { voters } = this.#placed.get(raft.tail.hash)!.configuration
      const holders = this.#nodes().filter(({ disk }) => disk.blocks[height]?.hash === hash)
      const counted = holders.filter((holder) => voters.includes(holder.id)).length
      if (2 * counted <= voters.length) {
        throw new Violation(`${id} commits block ${height}, durable on only ${counted} of ${voters}`)
      }
      this.committed.push({ hash, term: raft.term })
    }
    if (!news || raft.role !== 'leader') return
    const last = this.#blocks.get(this.committed[raft.commit]!.hash)!
    if (last.term !== raft.term) {
      throw new Violation(`${id} counts replicas of term ${last.term} while leading term ${raft.term}`)
    }
  }

  /** Nothing leaves that rests on what the disk does not hold. */
  sends({ id, disk }: Judged, to: NodeId, message: Message): void {
    const { term, votedFor } = disk.hardState
    const future = message.kind === 'pre-vote' || (message.kind === 'pre-vote-reply' && message.granted)
    if (!future && message.term !== term) {
      throw new Violation(`${id} sends ${message.kind} of term ${message.term}; its disk says ${term}`)
    }
    const vote =
      message.kind === 'vote' ? id : message.kind === 'vote-reply' && message.granted ? to : undefined
    if (vote !== undefined && votedFor !== vote) {
      throw new Violation(`${id} shows a vote for ${vote} in term ${term} that its disk does not hold`)
    }
    if (message.kind === 'append-reply' && message.match > disk.tail.height) {
      throw new Violation(`${id} acknowledges ${message.match}; its disk ends at ${disk.tail.height}`)
    }
  }

  /** State Machine Safety: every node applies the committed blocks, each once, in order, from its own disk. */
  applies({ id, disk }: Judged, blocks: readonly Block[]): void {
    const seen = this.#seen.get(id)!
    for (const block of blocks) {
      if (block.height !== seen.applied + 1) throw new Violation(`${id} applies ${block.height} out of order`)
      if (this.committed[block.height]?.hash !== block.hash) {
        throw new Violation(`${id} applies a block at height ${block.height} that was not committed`)
      }
      if (disk.blocks[block.height]?.hash !== block.hash) {
        throw new Violation(`${id} applies block ${block.height} before it is durable`)
      }
      seen.applied = block.height
    }
  }

  /** No write removes a block that the ledger has applied. */
  persists({ id, disk }: Judged, truncateFrom: number | undefined): void {
    if (truncateFrom !== undefined && truncateFrom <= disk.applied) {
      throw new Violation(`${id} removes applied block ${truncateFrom} from its disk`)
    }
  }
}
