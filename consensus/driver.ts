/**
 * The loop around a Raft, the same in a node and in the simulator, and the only asynchronous file here. It
 * keeps the order that safety rests on: the leader's own messages leave at once; term, vote and blocks become
 * durable; only then do the other messages leave; committed blocks are applied in order, while the next write
 * is already under way. It holds no timer: whoever owns the clock calls `tick`.
 */
import { FormatError, invariant, RefusedError } from '../src/errors.ts'
import type { Append, Message } from './messages.ts'
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

/** Appends of one peer that may wait for their turn to be checked. More are dropped; Raft sends them again. */
const APPENDS_QUEUED_MAX = 32

/** Empty only in parts: at least one of the three asks for something. */
export type Write = Pick<Ready, 'hardState' | 'truncateFrom' | 'blocks'>

export interface DriverPorts {
  /**
   * One atomic, fsynced batch: delete blocks from `truncateFrom` up, put `blocks`, put `hardState`. Never
   * called before the previous call has resolved. A rejection stops the driver.
   */
  persist(write: Write): Promise<void>
  /** Fire and forget; may lose, never blocks. */
  send(to: NodeId, message: Message): void
  /** Makes committed blocks part of the ledger. Never called before the previous call has resolved. */
  apply(blocks: readonly Block[]): Promise<void>
  /**
   * The ledger's verdict on blocks that would follow `parent`: the same blocks, each with the configuration that
   * its body brings, if any. Undefined, or a RefusedError or FormatError, drops the append and blames its sender;
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

interface AppendQueue {
  waiting: Append[]
  busy: boolean
}

export class Driver {
  readonly #raft: Raft
  readonly #ports: DriverPorts
  readonly #queues = new Map<NodeId, AppendQueue>()
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
    const queue = this.#queues.get(id)
    if (queue !== undefined) queue.waiting.length = 0
    this.#queues.delete(id)
    this.#enter(() => this.#raft.lostLink(id))
  }

  propose(block: Block): ProposeResult {
    return this.#enter(() => this.#raft.propose(block)) ?? { ok: false, reason: 'not-leader' }
  }

  /**
   * `blocks` are proven committed by a certificate, begin at or below `raft.commit + 1`, and carry their
   * configurations.
   */
  install(blocks: readonly Block[]): void {
    this.#enter(() => this.#raft.install(blocks))
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
   * Takes a message from a peer whose identity the link has proven. Appends of one peer are checked and stepped
   * one after the other; everything else goes straight in, so that a leader's heartbeats are heard while one of
   * its blocks is being verified. Raft tolerates that overtaking: no other message says where the log ends.
   */
  deliver(from: NodeId, message: Message): void {
    if (message.kind !== 'append') {
      this.#step(from, message)
      return
    }
    let queue = this.#queues.get(from)
    if (queue === undefined) {
      queue = { waiting: [], busy: false }
      this.#queues.set(from, queue)
    }
    if (queue.waiting.length >= APPENDS_QUEUED_MAX) return
    queue.waiting.push(message)
    if (!queue.busy) void this.#drain(from, queue)
  }

  /** Takes no more work; resolves when what is being written and applied is done. */
  async stop(): Promise<void> {
    this.#stopped = true
    this.#dropReads()
    await Promise.allSettled([this.#writing, this.#applying])
  }

  async #drain(from: NodeId, queue: AppendQueue): Promise<void> {
    queue.busy = true
    for (let append = queue.waiting.shift(); append !== undefined; append = queue.waiting.shift()) {
      if (this.#stopped) break
      try {
        const rest = this.#raft.unchecked(append)
        const checked = rest === undefined ? append : await this.#checked(rest)
        if (this.#queues.get(from) === queue) this.#step(from, checked)
      } catch (error) {
        this.#blame(from, error)
      }
    }
    queue.busy = false
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
        this.#apply(ready.committed)
        this.#raft.advance(ready)
      }
    } catch (error) {
      this.#fail(error)
    }
    this.#running = false
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

function needsWrite(ready: Ready): boolean {
  return ready.hardState !== undefined || ready.truncateFrom !== undefined || ready.blocks.length > 0
}
