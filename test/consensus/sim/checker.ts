/**
 * The judge. It sees every honest node after every step, every message that leaves it, every statement that it signs
 * and every block that it applies, and throws a Violation as soon as a promise of the ordering rules (README.md) is
 * broken. Who is in the cluster it reads from the bodies of the blocks itself. What liars say it does not believe.
 */
import type { Lead, Message, Statement } from '../../../consensus/messages.ts'
import type { Raft } from '../../../consensus/raft.ts'
import type { Block, BlockRef, Certified, Configuration, NodeId } from '../../../consensus/types.ts'
import { isFakeSigned } from '../fakes.ts'
import { changeTo, checked, GENESIS } from './block.ts'
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
  certified: string
}

/** A configuration, and the height of the block that brought it. */
interface Placed {
  readonly height: number
  readonly configuration: Configuration
}

export class Checker {
  readonly #honest: () => readonly Judged[]
  readonly #liars: readonly NodeId[]
  /** Every block that was ever made, by liars too. */
  readonly #blocks = new Map<string, Block>([[GENESIS.hash, GENESIS]])
  readonly #proposed = new Map<string, string>()
  /** Honest leaders, with their incarnation. */
  readonly #leaders = new Map<number, string>()
  /** Leader and base of a term, as honest nodes have seen the certificate. */
  readonly #terms = new Map<number, { readonly leader: NodeId; readonly base: BlockRef }>()
  /** By term: certified blocks, by height. */
  readonly #certified = new Map<number, Map<number, string>>()
  readonly #signed = new Map<string, string>()
  readonly #seen = new Map<NodeId, Seen>()
  /** By hash of a block: the cluster after it. */
  readonly #placed = new Map<string, Placed>()
  /** By height: hash, and term in which it was first seen to be decided. */
  readonly committed: { hash: string; term: number }[] = [{ hash: GENESIS.hash, term: 0 }]

  constructor(honest: () => readonly Judged[], founders: Configuration, liars: readonly NodeId[]) {
    this.#honest = honest
    this.#liars = liars
    this.#placed.set(GENESIS.hash, { height: 0, configuration: founders })
  }

  /** The cluster as of the last block that anyone has committed. */
  get configuration(): Configuration {
    return this.#placed.get(this.committed.at(-1)!.hash)!.configuration
  }

  /** The height up to which the ledger has certificates: a quorum has applied it, liars taken as willing. */
  get final(): number {
    const { voters, quorum } = this.configuration
    const heights = voters.map(
      (voter) => this.#honest().find(({ id }) => id === voter)?.disk.applied ?? Number.POSITIVE_INFINITY,
    )
    const reached = heights.sort((a, b) => b - a)[quorum - 1]!
    return Math.min(reached, this.committed.length - 1)
  }

  /** Somebody makes a block, perhaps a liar. */
  made(block: Block): void {
    const { configuration } = checked(block)
    const before = this.#placed.get(block.prev)
    if (before === undefined) return
    this.#placed.set(
      block.hash,
      configuration === undefined ? before : { height: block.height, configuration },
    )
    this.#blocks.set(block.hash, block)
  }

  wasMade(hash: string): boolean {
    return this.#blocks.has(hash)
  }

  block(hash: string): Block | undefined {
    return this.#blocks.get(hash)
  }

  /** An honest leader takes a block into its log: there is one block per height and term (Log Matching, with hashes). */
  proposed(leader: Judged, block: Block): void {
    if (checked(block).configuration !== undefined) this.#changes(leader, block)
    this.made(block)
    const place = `${block.height}/${block.term}`
    const other = this.#proposed.get(place)
    if (other !== undefined && other !== block.hash) throw new Violation(`two blocks at height/term ${place}`)
    this.#proposed.set(place, block.hash)
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
        certified: '',
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
    if (raft.certified.block.hash !== seen.certified) this.#certifies(node)
    if (commit > seen.commit) this.#commits(node, seen.commit)
    const { configuration } = raft
    if (tail.hash !== seen.tailHash || configuration !== seen.configuration) this.#uses(node)
    seen.tailHash = tail.hash
    seen.configuration = configuration
    seen.certified = raft.certified.block.hash
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
  }

  #elected({ id, incarnation, raft }: Judged): void {
    const name = `${id}#${incarnation}`
    const other = this.#leaders.get(raft.term)
    if (other !== undefined) throw new Violation(`two leaders of term ${raft.term}: ${other} and ${name}`)
    this.#leaders.set(raft.term, name)
    if (raft.tail.hash !== raft.certified.block.hash) {
      throw new Violation(`${id} leads term ${raft.term} with blocks above its base`)
    }
  }

  /** An honest node shows the certificate of a term: there is one leader, and its base has all that was decided before. */
  #leads(id: NodeId, { term, leader, base, votes }: Lead): void {
    const { block } = base
    const known = this.#terms.get(term)
    if (known !== undefined) {
      if (known.leader !== leader || known.base.hash !== block.hash) {
        throw new Violation(
          `${id} knows ${leader} as leader of term ${term}, and others know ${known.leader}`,
        )
      }
      return
    }
    const own = this.#blocks.get(block.hash)
    if (own?.height !== block.height || own.term !== block.term) {
      throw new Violation(`${id} shows a base ${block.height}/${block.term} that is no such block`)
    }
    this.#isProven(id, base)
    const statement: Statement = { kind: 'vote', term, candidate: leader, base: block }
    const voted = votes.filter(({ from, signature }) => isFakeSigned(from, statement, signature))
    const names = new Set(voted.map(({ from }) => from))
    if (!this.#isQuorum(block.hash, names)) {
      throw new Violation(`${id} believes ${leader} in term ${term} by the votes of ${[...names]}`)
    }
    this.#terms.set(term, { leader, base: block })
    const height = Math.max(
      0,
      this.committed.findLastIndex((entry) => entry.term < term),
    )
    this.#judgeBase(term, height)
  }

  #judgeBase(term: number, height: number): void {
    const { leader, base } = this.#terms.get(term)!
    if (base.height >= height && this.#ancestor(base.hash, height) === this.committed[height]!.hash) return
    throw new Violation(
      `${leader} leads term ${term} from base ${base.height}/${base.term} without decided block ${height}`,
    )
  }

  /** Counted anew, by any configuration on the chain: a node may not know the newest. */
  #isQuorum(hash: string, names: ReadonlySet<NodeId>): boolean {
    for (let at: string | undefined = hash; at !== undefined; at = this.#blocks.get(at)?.prev) {
      const placed = this.#placed.get(at)
      if (placed === undefined) return false
      const { voters, quorum } = placed.configuration
      if (voters.filter((voter) => names.has(voter)).length >= quorum) return true
    }
    return false
  }

  /** Who has acknowledged a certified block is counted anew. */
  #isProven(id: NodeId, { block, proof }: Certified): void {
    if (proof.kind !== 'acknowledgements') {
      const decided = this.committed[block.height]?.hash === block.hash
      if (!decided) throw new Violation(`${id} takes block ${block.height} for decided`)
      return
    }
    const { term, height, hash } = block
    const statement: Statement = { kind: 'acknowledgement', term, height, hash }
    const signed = proof.acknowledgements.filter(({ from, signature }) =>
      isFakeSigned(from, statement, signature),
    )
    const by = checked(this.#blocks.get(hash)!).proposal!.by
    const names = new Set([by, ...signed.map(({ from }) => from)])
    if (!this.#isQuorum(hash, names)) {
      throw new Violation(`${id} takes block ${height}/${term} for certified by ${[...names]}`)
    }
  }

  /** Certified blocks of one term are on one chain, and are what they claim to be. */
  #certifies({ id, raft }: Judged): void {
    const { block } = raft.certified
    const own = this.#blocks.get(block.hash)
    if (own?.height !== block.height || own.term !== block.term) {
      throw new Violation(`${id} is locked on ${block.height}/${block.term}, which is no such block`)
    }
    if (this.#ancestor(raft.tail.hash, block.height) !== block.hash) {
      throw new Violation(`${id} is locked on ${block.height}/${block.term}, which is not in its log`)
    }
    this.#isProven(id, raft.certified)
    const ofTerm = this.#certified.get(block.term) ?? new Map<number, string>()
    this.#certified.set(block.term, ofTerm)
    if (ofTerm.has(block.height) && ofTerm.get(block.height) === block.hash) return
    for (const [height, hash] of ofTerm) {
      const [low, high] = height < block.height ? [height, block.hash] : [block.height, hash]
      const lowHash = height < block.height ? hash : block.hash
      if (this.#ancestor(high, low) !== lowHash) {
        throw new Violation(`${id} sees two chains certified in term ${block.term} at height ${low}`)
      }
    }
    ofTerm.set(block.height, block.hash)
  }

  /**
   * Committed blocks never change. When they first count as committed, so many voters have them on disk, with a
   * certificate, that a quorum may have said so: liars count as if they had.
   */
  #commits({ id, raft }: Judged, from: number): void {
    for (let height = from + 1; height <= raft.commit; height++) {
      const hash = this.#ancestor(raft.tail.hash, height)
      const known = this.committed[height]
      if (known !== undefined) {
        if (known.hash !== hash) throw new Violation(`${id} commits another block at height ${height}`)
        continue
      }
      this.committed.push({ hash, term: raft.term })
      if (height === raft.commit) this.#decided(id, raft, height, hash)
    }
  }

  #decided(id: NodeId, raft: Raft, height: number, hash: string): void {
    if (this.#blocks.get(hash)!.term !== raft.term) {
      throw new Violation(`${id} decides block ${height} of another term than ${raft.term}`)
    }
    const { voters, quorum } = this.#placed.get(hash)!.configuration
    const locked = this.#honest().filter(({ disk: { blocks, certified } }) => {
      const has =
        blocks[height]?.hash === hash && blocks[certified.block.height]?.hash === certified.block.hash
      return has && certified.block.height >= height
    })
    const counted = voters.filter(
      (voter) => this.#liars.includes(voter) || locked.some((each) => each.id === voter),
    )
    if (counted.length < quorum) {
      throw new Violation(`${id} decides block ${height}, and only ${counted} of ${voters} are locked on it`)
    }
    for (const term of this.#terms.keys()) if (term > raft.term) this.#judgeBase(term, height)
  }

  /** Nobody signs two votes of a term, or acknowledges two blocks of a term that are not on one chain; for ever. */
  signs({ id, disk }: Judged, statement: Statement): void {
    const { term } = statement
    if (term !== disk.hardState.term) {
      throw new Violation(
        `${id} signs a ${statement.kind} of term ${term}; its disk says ${disk.hardState.term}`,
      )
    }
    if (statement.kind === 'vote') {
      const { vote } = disk.hardState
      if (vote?.candidate !== statement.candidate || vote.base.hash !== statement.base.hash) {
        throw new Violation(`${id} signs a vote in term ${term} that its disk does not hold`)
      }
      this.#once(`${id} votes in ${term}`, `${statement.candidate} ${statement.base.hash}`)
      return
    }
    const { height, hash } = statement
    if (this.#blocks.get(hash)?.term !== term) {
      throw new Violation(`${id} acknowledges a block of another term than ${term}`)
    }
    if (disk.blocks[height]?.hash !== hash) {
      throw new Violation(`${id} acknowledges block ${height}, which is not on its disk`)
    }
    for (
      let at: Block | undefined = this.#blocks.get(hash);
      at?.term === term;
      at = this.#blocks.get(at.prev)
    ) {
      this.#once(`${id} acknowledges ${at.height}/${term}`, at.hash)
    }
  }

  #once(what: string, value: string): void {
    const before = this.#signed.get(what)
    if (before !== undefined && before !== value) throw new Violation(`${what}: ${before} and ${value}`)
    this.#signed.set(what, value)
  }

  /** Nothing leaves that rests on what the disk does not hold. */
  sends({ id, disk }: Judged, to: NodeId, message: Message): void {
    const { term, vote } = disk.hardState
    const future = message.kind === 'pre-vote' || (message.kind === 'pre-vote-reply' && message.granted)
    if (!future && message.term !== term) {
      throw new Violation(`${id} sends ${message.kind} of term ${message.term}; its disk says ${term}`)
    }
    const candidate =
      message.kind === 'vote' ? id : message.kind === 'vote-reply' && message.signature ? to : undefined
    if (candidate !== undefined && vote?.candidate !== candidate) {
      throw new Violation(`${id} shows a vote for ${candidate} in term ${term} that its disk does not hold`)
    }
    if (message.kind === 'lead') this.#leads(id, message)
    if (message.kind === 'append-reply' && message.match > disk.tail.height) {
      throw new Violation(`${id} has ${message.match}, it says; its disk ends at ${disk.tail.height}`)
    }
    if (message.kind === 'locked') {
      const { block } = disk.certified
      if (
        block.term !== term ||
        block.height < message.height ||
        disk.blocks[message.height]?.hash !== message.hash
      ) {
        throw new Violation(`${id} is locked on ${message.height}, it says; its disk is on ${block.height}`)
      }
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

  /** Honest nodes give one another nothing to complain of. */
  blames(id: NodeId, from: NodeId, error: Error): void {
    if (!this.#liars.includes(from)) throw new Violation(`${id} blames ${from}: ${error.message}`)
  }
}
