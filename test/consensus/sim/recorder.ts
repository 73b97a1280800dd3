/**
 * Writes down what the honest nodes of a simulated cluster do, in the lines of consensus/spec/trace.ts.
 *
 * What a node does in memory waits until the write that has it is on the disk, and is lost with it in a crash. A
 * leader's office and its blocks are told at once: its messages do not wait for its disk either.
 */
import type { Message, Statement } from '../../../consensus/messages.ts'
import { Raft } from '../../../consensus/raft.ts'
import type { TraceBlock, TraceLine } from '../../../consensus/spec/trace.ts'
import type { Block, NodeId, RaftConfig, Ready } from '../../../consensus/types.ts'
import { checked, GENESIS } from './block.ts'
import type { Disk } from './disk.ts'

export class Recorder {
  readonly lines: TraceLine[]
  readonly #linesMax: number
  readonly #traces = new Map<NodeId, NodeTrace>()

  constructor(voters: readonly NodeId[], liars: readonly NodeId[], quorum: number, linesMax: number) {
    this.lines = [{ do: 'begin', voters, liars, quorum, genesis: GENESIS.hash }]
    this.#linesMax = linesMax
    for (const id of voters) {
      if (!liars.includes(id)) this.#traces.set(id, new NodeTrace(id, (line) => this.#write(line)))
    }
  }

  /** As long as it is wanted: what comes later is not written down. */
  get isFull(): boolean {
    return this.lines.length >= this.#linesMax
  }

  /** Of an honest node; liars write nothing. */
  of(id: NodeId): NodeTrace | undefined {
    return this.#traces.get(id)
  }

  #write(line: TraceLine): void {
    if (!this.isFull) this.lines.push(line)
  }
}

export class NodeTrace {
  readonly #node: NodeId
  readonly #write: (line: TraceLine) => void
  /** Done in memory since the last Ready; and what the write under way contains. */
  #pending: TraceLine[] = []
  #writing: TraceLine[] | undefined
  #voted = 0
  /** The height up to which the trace says that blocks are decided or installed. */
  #committed = 0
  readonly #said = new Set<string>()
  #runs = false

  constructor(node: NodeId, write: (line: TraceLine) => void) {
    this.#node = node
    this.#write = write
  }

  /** What was under way when the node crashed is lost, unless its disk has it. */
  starts({ hardState, tail, certified: { block: lock } }: Disk): void {
    this.#pending = []
    this.#writing = undefined
    const { term, vote } = hardState
    const voted = vote === undefined ? this.#voted : term
    if (this.#runs) {
      this.#write({ do: 'restart', node: this.#node, term, voted, tip: tail.hash, lock: lock.hash })
    }
    this.#runs = true
    // A node that finds its lock on the disk counts itself as locked on it.
    if (term > 0 && lock.term === term) this.saysLocked(lock.hash)
  }

  does(line: TraceLine): void {
    this.#pending.push(line)
  }

  doesAtOnce(line: TraceLine): void {
    this.#write(line)
  }

  /** A Ready is handed to the driver. */
  hands({ hardState, truncateFrom, blocks, certified }: Ready): void {
    const lines = this.#pending
    this.#pending = []
    if (blocks.length > 0 || truncateFrom !== undefined) lines.push({ do: 'write', node: this.#node })
    if (lines.at(-1)?.do === 'write' || hardState !== undefined || certified !== undefined) {
      this.#writing = lines
    } else this.#flush(lines)
  }

  written(): void {
    const lines = this.#writing ?? []
    this.#writing = undefined
    this.#flush(lines)
  }

  #flush(lines: readonly TraceLine[]): void {
    for (const line of lines) {
      if (line.do === 'stand' || line.do === 'vote') this.#voted = line.term
      this.#write(line)
    }
  }

  signs(statement: Statement): void {
    if (statement.kind === 'acknowledgement') this.#once('acknowledge', statement.hash)
  }

  sends(message: Message): void {
    if (message.kind === 'locked') this.saysLocked(message.hash)
  }

  saysLocked(hash: string): void {
    this.#once('say-locked', hash)
  }

  applied({ height, hash }: Block): void {
    if (height <= this.#committed) return
    this.#committed = height
    this.#write({ do: 'decide', node: this.#node, block: hash })
  }

  installs(blocks: readonly Block[]): void {
    const last = blocks.at(-1)!
    this.#committed = Math.max(this.#committed, last.height)
    this.does({ do: 'install', node: this.#node, blocks: blocks.map(traced) })
  }

  #once(what: 'acknowledge' | 'say-locked', block: string): void {
    const key = `${what} ${block}`
    if (this.#said.has(key)) return
    this.#said.add(key)
    this.#write({ do: what, node: this.#node, block })
  }
}

/** A Raft whose steps are written down; it does nothing else. */
export class RecordedRaft extends Raft {
  readonly #trace: NodeTrace

  constructor(config: RaftConfig, trace: NodeTrace) {
    super(config)
    this.#trace = trace
  }

  override tick(): void {
    this.#watch(() => super.tick())
  }

  override campaign(): void {
    this.#watch(() => super.campaign())
  }

  override signed(statement: Statement, signature: Uint8Array): void {
    this.#watch(() => super.signed(statement, signature))
  }

  override step(from: NodeId, message: Message): void {
    this.#watch(() => super.step(from, message), { from, message })
  }

  override install(blocks: readonly Block[], proof: Uint8Array): void {
    const { commit } = this
    const before = this.certified
    super.install(blocks, proof)
    const last = blocks.at(-1)
    if (last === undefined || last.height <= commit) return
    this.#trace.installs(blocks.filter(({ height }) => height > commit))
    const { block } = this.certified
    if (this.certified !== before && block.hash !== last.hash) this.#locks(block.hash)
  }

  override propose(block: Block): ReturnType<Raft['propose']> {
    const result = super.propose(block)
    if (result.ok) this.#trace.doesAtOnce({ do: 'propose', node: this.id, block: traced(block) })
    return result
  }

  override ready(): Ready {
    const ready = super.ready()
    this.#trace.hands(ready)
    return ready
  }

  override advance(ready: Ready): void {
    const block = ready.certified?.block
    // It counts itself as locked, also if nobody hears of that.
    if (block !== undefined && block.term === this.term) this.#trace.saysLocked(block.hash)
    super.advance(ready)
  }

  #locks(block: string): void {
    this.#trace.does({ do: 'lock', node: this.id, block })
  }

  #watch(call: () => void, stepped?: { readonly from: NodeId; readonly message: Message }): void {
    const { id: node, term, ballot, lead, role, tail, certified } = this
    try {
      call()
    } finally {
      const trace = this.#trace
      const message = stepped?.message
      const votes = this.ballot !== undefined && (this.term !== term || ballot === undefined)
      if (votes && this.ballot !== undefined) {
        const { candidate, base } = this.ballot
        if (candidate === node) trace.does({ do: 'stand', node, term: this.term, base: base.hash })
        else trace.does({ do: 'vote', node, term: this.term, candidate, base: base.hash })
      } else if (message?.kind === 'vote' && this.term !== term) {
        const base = message.base.block.hash
        trace.does({ do: 'heed', node, term: this.term, candidate: stepped!.from, base })
      }
      if (this.role === 'leader' && role !== 'leader') trace.doesAtOnce({ do: 'elect', node })
      else if (message?.kind === 'lead' && this.lead === message && lead !== message) {
        trace.does({
          do: 'follow',
          node,
          term: this.term,
          leader: message.leader,
          base: message.base.block.hash,
        })
      }
      if (message?.kind === 'append' && this.tail.hash !== tail.hash) {
        const blocks = message.blocks.filter(({ height }) => height <= this.tail.height)
        trace.does({ do: 'accept', node, blocks: blocks.map(traced) })
      }
      // An append that brings the base brings the lock, too.
      if (this.certified !== certified && this.certified !== this.lead?.base) {
        this.#locks(this.certified.block.hash)
      }
    }
  }
}

function traced(block: Block): TraceBlock {
  const { hash, prev, term } = block
  return { hash, parent: prev, term, proposer: checked(block).proposal!.by }
}
