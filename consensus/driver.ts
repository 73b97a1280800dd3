/**
 * The loop around a Raft, the same in a node and in the simulator; with proofs.ts the only asynchronous file here. It
 * keeps the order that safety rests on: the leader's own messages leave at once; term, vote, blocks and lock become
 * durable; only then do the other messages leave, and statements get signed; committed blocks are applied in order,
 * while the next write is already under way. It holds no timer: the owner of the clock calls `tick`.
 */
import { FormatError, invariant, RefusedError } from '../src/errors.ts'
import type { Append, Message, Statement } from './messages.ts'
import { judge, type ProofPorts } from './proofs.ts'
import type { Raft } from './raft.ts'
import type {
  Block,
  BlockRef,
  NodeId,
  ProposeResult,
  Ready,
  SoftState,
  Status,
  TransferResult,
} from './types.ts'

/**
 * Messages of one peer that may wait for their turn to be checked: appends, and in a queue beside them what is signed.
 * More are dropped; Raft sends them again.
 */
const QUEUED_MAX = 32

/** Empty only in parts: at least one of the three asks for something. */
export type Write = Pick<Ready, 'hardState' | 'truncateFrom' | 'blocks' | 'certified'>

export interface DriverPorts extends ProofPorts {
  /**
   * One atomic, fsynced batch: delete blocks from `truncateFrom` up, put `blocks`, `hardState` and `certified`. Never
   * called before the previous call has resolved. A rejection stops the driver.
   */
  persist(write: Write): Promise<void>
  /** Signs as this server; undefined if it cannot at present, and then says nothing. A rejection stops the driver. */
  sign(statement: Statement): Promise<Uint8Array | undefined>
  /** Fire and forget; may lose, never blocks. */
  send(to: NodeId, message: Message): void
  /** Makes committed blocks part of the ledger. Never called before the previous call has resolved. */
  apply(blocks: readonly Block[]): Promise<void>
  /**
   * The ledger's verdict on blocks that would follow `parent`: the same blocks, each with its proposal and the
   * configuration that its body brings, if any. Undefined, or a RefusedError or FormatError, drops the append and blames its sender;
   * anything else thrown, or other blocks returned, stops the driver.
   */
  check(blocks: readonly Block[], parent: BlockRef): Promise<readonly Block[] | undefined>
  onSoftState(state: SoftState): void
  /** Pull committed blocks up to this height from any peer, and `install` them. */
  onBehind(height: number): void
  onBadMessage(from: NodeId, error: RefusedError | FormatError): void
  /** Called once. The driver has stopped; the process must not go on as a validator. */
  onFatal(error: unknown): void
}

export type ReadResult =
  | { readonly ok: true; readonly height: number }
  | { readonly ok: false; readonly reason: 'not-leader' | 'not-committed-in-term' | 'deposed' }

/** What one peer sent, one after the other. */
interface Queue {
  readonly from: NodeId
  readonly waiting: Message[]
  busy: boolean
}

export class Driver {
  readonly #raft: Raft
  readonly #ports: DriverPorts
  readonly #appends = new Map<NodeId, Queue>()
  readonly #signed = new Map<NodeId, Queue>()
  /** Reads that wait for their answer, by the id that Raft knows them by. */
  readonly #reads = new Map<number, (result: ReadResult) => void>()
  #lastRead = 0
  #stopped = false
  #running = false
  #writing: Promise<void> = Promise.resolve()
  #applying: Promise<void> = Promise.resolve()

  constructor(raft: Raft, ports: DriverPorts) {
    this.#raft = raft
    this.#ports = ports
  }

  get raft(): Pick<
    Raft,
    | 'id'
    | 'term'
    | 'role'
    | 'leader'
    | 'tail'
    | 'commit'
    | 'configuration'
    | 'needsOpening'
    | 'canPropose'
    | 'canChange'
    | 'certified'
    | 'lead'
    | 'listening'
  > {
    return this.#raft
  }

  status(): Status {
    return this.#raft.status()
  }

  tick(): void {
    this.#enter(() => this.#raft.tick())
  }

  campaign(): void {
    this.#enter(() => this.#raft.campaign())
  }

  /** The link to `id` broke. What came over it and has not been checked yet counts as lost with it. */
  lostLink(id: NodeId): void {
    for (const queues of [this.#appends, this.#signed]) {
      const queue = queues.get(id)
      if (queue !== undefined) queue.waiting.length = 0
      queues.delete(id)
    }
    this.#enter(() => this.#raft.lostLink(id))
  }

  propose(block: Block): ProposeResult {
    return this.#enter(() => this.#raft.propose(block)) ?? { ok: false, reason: 'not-leader' }
  }

  /**
   * `blocks` are proven committed by a certificate, begin at or below `raft.commit + 1`, and carry their proposals and
   * configurations; `proof` says so of the last, as the port `isCovered` reads it.
   */
  install(blocks: readonly Block[], proof: Uint8Array): void {
    this.#enter(() => this.#raft.install(blocks, proof))
  }

  /** See `Raft.join`. */
  join(): void {
    this.#enter(() => this.#raft.join())
  }

  /** An admitted entry waits too long under the present leader. */
  complain(): void {
    this.#enter(() => this.#raft.complain())
  }

  transfer(to?: NodeId): TransferResult {
    return this.#enter(() => this.#raft.transfer(to)) ?? { ok: false, reason: 'not-leader' }
  }

  /**
   * The height that a server must have applied before it answers a read, so that the answer misses nothing
   * committed before this call. Never rejects: a refusal means to ask again, here or at another leader.
   */
  read(): Promise<ReadResult> {
    return new Promise((resolve) => {
      const id = ++this.#lastRead
      this.#reads.set(id, resolve)
      const start = this.#enter(() => this.#raft.read(id)) ?? { ok: false, reason: 'not-leader' }
      if (!start.ok) this.#settleRead(id, start)
    })
  }

  /**
   * Takes a message from a peer whose identity the link has proven. Appends of one peer are checked and stepped one
   * after the other, and so are the messages that are signed, and locks, which rest on what was said before them.
   * Everything else goes straight in, so that a leader's heartbeats are heard while one of its blocks is being
   * verified. Raft tolerates that overtaking: no other message says where the log ends.
   */
  deliver(from: NodeId, message: Message): void {
    if (message.kind === 'append') this.#enqueue(this.#appends, from, message)
    else if (isInOrder(message)) this.#enqueue(this.#signed, from, message)
    else this.#step(from, message)
  }

  #enqueue(queues: Map<NodeId, Queue>, from: NodeId, message: Message): void {
    let queue = queues.get(from)
    if (queue === undefined) {
      queue = { from, waiting: [], busy: false }
      queues.set(from, queue)
    }
    if (queue.waiting.length >= QUEUED_MAX) return
    queue.waiting.push(message)
    if (!queue.busy) void this.#drain(queues, queue)
  }

  /** Takes no more work; resolves when what is being written and applied is done. */
  async stop(): Promise<void> {
    this.#stopped = true
    this.#dropReads()
    await Promise.allSettled([this.#writing, this.#applying])
  }

  async #drain(queues: Map<NodeId, Queue>, queue: Queue): Promise<void> {
    const { from, waiting } = queue
    queue.busy = true
    for (let message = waiting.shift(); message !== undefined; message = waiting.shift()) {
      if (this.#stopped) break
      try {
        const checking = this.#toStep(from, message)
        // What needs no check is stepped before anything can happen that would make it need one.
        const checked = checking instanceof Promise ? await checking : checking
        if (checked !== undefined && queues.get(from) === queue) this.#step(from, checked)
      } catch (error) {
        this.#blame(from, error)
      }
    }
    queue.busy = false
  }

  /** The message as it can be stepped, undefined to drop it; at once, if nothing in it needs to be checked. */
  #toStep(from: NodeId, message: Message): Message | undefined | Promise<Message | undefined> {
    if (message.kind === 'append') {
      const rest = this.#raft.unchecked(from, message)
      return rest === undefined ? message : this.#checked(rest)
    }
    const triage = this.#raft.triage(from, message)
    if (triage === 'verify') return this.#proven(from, message)
    return triage === 'step' ? message : undefined
  }

  /** The message, if its signatures and proofs hold. */
  async #proven(from: NodeId, message: Message): Promise<Message | undefined> {
    if ((await judge(this.#raft, this.#ports, from, message)) === 'proven') return message
    if (message.kind !== 'lead' && message.kind !== 'vote') return undefined
    // Its voters may be others than those that this log knows of.
    this.#enter(() => this.#raft.heardOf(message.base.block.height))
    return undefined
  }

  /** The append as the ledger returns it: only what it has checked goes into the log. */
  async #checked(append: Append): Promise<Append> {
    const blocks = await this.#ports.check(append.blocks, append.prev)
    if (blocks === undefined) {
      throw new RefusedError('bad-chain', 'The ledger refuses a block.', { height: append.prev.height + 1 })
    }
    const same =
      blocks.length === append.blocks.length && blocks.every(({ hash }, i) => hash === append.blocks[i]!.hash)
    invariant(same, 'The ledger returned other blocks than it was given to check.')
    return { ...append, blocks }
  }

  #step(from: NodeId, message: Message): void {
    this.#enter(() => {
      try {
        this.#raft.step(from, message)
      } catch (error) {
        this.#blame(from, error)
      }
    })
  }

  #blame(from: NodeId, error: unknown): void {
    if (error instanceof RefusedError || error instanceof FormatError) this.#ports.onBadMessage(from, error)
    else this.#fail(error)
  }

  /** Every call into Raft passes here: nothing after the stop, and the loop sees what the call left to do. */
  #enter<T>(call: () => T): T | undefined {
    if (this.#stopped) return undefined
    try {
      const result = call()
      if (!this.#running) void this.#run()
      return result
    } catch (error) {
      this.#fail(error)
      return undefined
    }
  }

  async #run(): Promise<void> {
    this.#running = true
    try {
      while (!this.#stopped && this.#raft.hasReady()) {
        const ready = this.#raft.ready()
        for (const { to, message } of ready.early) this.#ports.send(to, message)
        if (ready.softState !== undefined) this.#ports.onSoftState(ready.softState)
        if (ready.behind !== undefined) this.#ports.onBehind(ready.behind)
        for (const { id, height } of ready.reads) {
          this.#settleRead(id, height === undefined ? { ok: false, reason: 'deposed' } : { ok: true, height })
        }
        if (needsWrite(ready)) {
          this.#writing = this.#ports.persist(ready)
          await this.#writing
          if (this.#stopped) break
        }
        for (const { to, message } of ready.messages) this.#ports.send(to, message)
        for (const statement of ready.sign) void this.#sign(statement)
        this.#apply(ready.committed)
        this.#raft.advance(ready)
      }
    } catch (error) {
      this.#fail(error)
    }
    this.#running = false
  }

  async #sign(statement: Statement): Promise<void> {
    try {
      const signature = await this.#ports.sign(statement)
      if (signature) this.#enter(() => this.#raft.signed(statement, signature))
    } catch (error) {
      this.#fail(error)
    }
  }

  /** Raft hands out no further blocks before `applied`, so at most one call is under way. */
  #apply(blocks: readonly Block[]): void {
    const last = blocks.at(-1)
    if (last === undefined) return
    this.#applying = this.#ports.apply(blocks).then(
      () => this.#enter(() => this.#raft.applied(last.height)),
      (error: unknown) => this.#fail(error),
    )
  }

  #settleRead(id: number, result: ReadResult): void {
    this.#reads.get(id)?.(result)
    this.#reads.delete(id)
  }

  #dropReads(): void {
    for (const id of [...this.#reads.keys()]) this.#settleRead(id, { ok: false, reason: 'not-leader' })
  }

  #fail(error: unknown): void {
    if (this.#stopped) return
    this.#stopped = true
    this.#dropReads()
    this.#ports.onFatal(error)
  }
}

function needsWrite({ hardState, truncateFrom, blocks, certified }: Ready): boolean {
  const marks = [hardState, truncateFrom, certified]
  return blocks.length > 0 || marks.some((mark) => mark !== undefined)
}

function isInOrder({ kind }: Message): boolean {
  return (
    kind === 'vote' || kind === 'vote-reply' || kind === 'lead' || kind === 'acknowledge' || kind === 'locked'
  )
}
