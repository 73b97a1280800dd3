/** One simulated validator: real Raft, real driver, simulated disk, ledger, clock and links. */
import { Driver } from '../../../consensus/driver.ts'
import type { Message } from '../../../consensus/messages.ts'
import { Raft } from '../../../consensus/raft.ts'
import type {
  Block,
  BlockRef,
  Configuration,
  NodeId,
  RaftConfig,
  RaftLimits,
} from '../../../consensus/types.ts'
import { fakeCover, fakeProofs, fakeSign } from '../fakes.ts'
import { blockOn, changeTo, checked, GENESIS, hashOf, textOf } from './block.ts'
import { randomChange } from './changes.ts'
import type { Checker } from './checker.ts'
import { Disk } from './disk.ts'
import type { Random } from './random.ts'
import { RecordedRaft, type Recorder } from './recorder.ts'

/** What a node needs of the world around it. Delays are in units of simulated time. */
export interface World {
  readonly random: Random
  /** Every server there is, in the cluster or not. */
  readonly servers: readonly NodeId[]
  /** The configuration of genesis. */
  readonly founders: Configuration
  readonly quorumOf: (voters: number) => number
  readonly votersMin: number
  readonly checker: Checker
  /** Writes traces for the specification, if they are wanted. */
  readonly recorder: Recorder | undefined
  readonly pace: { writeMax: number; applyMax: number; checkMax: number; signMax: number; slow: number }
  /** Runs `event` later; a resolved promise is followed to its end before the next event. */
  after(units: number, event: () => void): void
  transmit(from: NodeId, to: NodeId, message: Message): void
  /** A peer whose blocks can be pulled now, if any. */
  source(puller: NodeId): SimNode | undefined
  onRead(node: SimNode, confirmed: boolean): void
  note(line: () => string): void
  /** A driver has stopped: nothing in this simulation gives it reason to. */
  fail(error: unknown): void
}

/** Ticks under one leader without an entry applied, while clients offer some all the time, until a node complains. */
const PATIENCE_TICKS = 100

export class SimNode {
  readonly id: NodeId
  readonly disk = new Disk()
  incarnation = 0
  up = false
  raft!: Raft
  driver!: Driver
  readonly world: World
  /** Blocks with entries that were applied, for ever. */
  entries = 0
  #waited = 0
  #waitedUnder: NodeId | undefined
  #pulling = false
  #sealing = false
  readonly #limits: RaftLimits

  constructor(id: NodeId, limits: RaftLimits, world: World) {
    this.id = id
    this.#limits = limits
    this.world = world
    this.start()
  }

  start(): void {
    const { random, founders } = this.world
    const { blocks, applied, hardState, certified } = this.disk
    this.incarnation++
    this.#pulling = this.#sealing = false
    const config: RaftConfig = {
      id: this.id,
      configuration: this.disk.configuration ?? founders,
      electionTicks: 10,
      heartbeatTicks: 2,
      random: random.next,
      hardState,
      log: { blocks: blocks.slice(Math.max(0, applied - random.int(0, 10))), commit: applied },
      certified,
      limits: this.#limits,
    }
    const trace = this.world.recorder?.of(this.id)
    this.disk.watcher = trace
    trace?.starts(this.disk)
    this.raft = trace === undefined ? new Raft(config) : new RecordedRaft(config, trace)
    this.raft.join()
    this.driver = new Driver(this.raft, this.ports())
    this.up = true
    this.observe()
  }

  crash(): void {
    const { random } = this.world
    void this.driver.stop()
    this.up = false
    this.disk.crash(random.chance(0.5), random.chance(0.5))
  }

  observe(): void {
    this.world.checker.observe(this)
  }

  deliver(from: NodeId, message: Message): void {
    if (!this.up) return
    this.driver.deliver(from, message)
    this.observe()
  }

  tick(): void {
    if (!this.up) return
    this.driver.tick()
    this.#wait()
    this.observe()
    if (this.raft.needsOpening) this.propose('')
  }

  /** Clients offer entries all the time: a node that sees none ordered under a leader complains of it. */
  #wait(): void {
    const { leader } = this.raft
    if (leader !== this.#waitedUnder) this.#waited = 0
    this.#waitedUnder = leader
    if (leader !== undefined && ++this.#waited > PATIENCE_TICKS) this.driver.complain()
  }

  /** Offers a change at any time, so that the refusals are tried as well. */
  proposeChange(): void {
    const { random, servers, quorumOf } = this.world
    if (!this.up) return
    const next = randomChange(random, servers, this.raft.configuration, quorumOf)
    // Administrators leave no cluster of which more lie than its quorum tolerates.
    if (next.voters.length >= this.world.votersMin) this.propose(changeTo(next))
  }

  /** Asks for a linearizable read, which must miss nothing that anybody has committed by now. */
  read(): void {
    const { checker, onRead, fail } = this.world
    if (!this.up) return
    const floor = checker.committed.length - 1
    this.driver
      .read()
      .then((result) => {
        if (result.ok) checker.reads(this.id, floor, result.height)
        onRead(this, result.ok)
      })
      .catch(fail)
    this.observe()
  }

  /** Builds a block on the tail, which takes a while, and proposes it, if it is then still wanted. */
  propose(text: string): void {
    if (!this.up || this.#sealing || !this.raft.canPropose()) return
    if (this.raft.needsOpening && text !== '') return
    if (text !== '' && !this.#isSettled()) return
    this.#sealing = true
    const block = blockOn(this.raft.tail, this.raft.term, this.id, text)
    this.later(this.world.pace.signMax, () => {
      this.#sealing = false
      // Before the call: sending may begin inside it, and with it the judging.
      const { raft } = this
      const takes = block.configuration === undefined ? raft.canPropose() : raft.canChange
      const wanted = takes && raft.term === block.term && raft.tail.hash === block.prev
      this.world.checker.made(block)
      const result = this.driver.propose(block)
      // Only the driver knows how many bytes are under way.
      const full = !result.ok && result.reason === 'pipeline-full'
      if (result.ok !== wanted && !full) throw new Error(`propose answered ${JSON.stringify(result)}`)
      if (result.ok) this.proposed(block)
      this.observe()
      const answer = result.ok ? 'proposes' : `refuses (${result.reason})`
      this.world.note(() => `${this.id} ${answer} ${block.height}/${block.term} ${text}`)
    })
  }

  /** Nothing but what opens a term follows a change of the cluster before the ledger has a certificate of it. */
  #isSettled(): boolean {
    const { blocks } = this.disk
    const change = blocks.findLast(({ configuration }) => configuration !== undefined)?.height ?? 0
    const configurations = [this.world.checker.configuration, this.raft.configuration].map(changeTo)
    return change <= this.world.checker.final && configurations[0] === configurations[1]
  }

  protected proposed(block: Block): void {
    this.world.checker.proposed(this, block)
  }

  /** Pulls proven blocks from a peer, as gossip and `behind` make a real node do. */
  pull(): void {
    if (!this.up || this.#pulling) return
    const { random, checker, source: find, note } = this.world
    const source = find(this.id)
    if (source === undefined) return
    const from = Math.max(0, this.raft.commit + 1 - random.int(0, 2))
    const to = Math.min(source.disk.applied, checker.final, from + 19)
    const blocks = source.disk.blocks.slice(from, to + 1)
    const last = blocks.at(-1)
    if (last === undefined) return
    this.#pulling = true
    this.later(20, () => {
      this.#pulling = false
      if (from > this.raft.commit + 1) return
      this.driver.install(blocks, fakeCover(last))
      this.observe()
      note(() => `${this.id} installs ${from}..${to} of ${source.id}`)
    })
  }

  /** `event` after up to `max` units, unless this life of the node has ended by then. */
  later(max: number, event: () => void): void {
    const { random, pace } = this.world
    const life = this.incarnation
    const units = random.chance(pace.slow) ? random.int(max, 10 * max) : random.int(1, max)
    this.world.after(units, () => {
      if (this.up && this.incarnation === life) event()
    })
  }

  #holds({ height, hash }: BlockRef): boolean {
    return this.disk.blocks[height]?.hash === hash
  }

  /** Who counts from `height` on, if the chain on the disk has this block; else by the end of the log. */
  #configurationAt(block: BlockRef, height: number): Configuration {
    if (!this.#holds(block)) return this.raft.configuration
    const last = this.disk.blocks.findLast((each) => each.configuration && each.height <= height)
    return last?.configuration ?? this.world.founders
  }

  /** Takes as long as a signature, or its verification. */
  #inTime<T>(max: number, value: T): Promise<T> {
    return new Promise((resolve) => this.later(max, () => resolve(value)))
  }

  protected ports(): ConstructorParameters<typeof Driver>[1] {
    const { random, checker, recorder, pace, note, fail } = this.world
    const proofs = fakeProofs(GENESIS, () => this.raft.configuration)
    return {
      ...proofs,
      configurationAfter: async (block) => this.#configurationAt(block, block.height),
      configurationsFor: async (block) => {
        const changes = this.#holds(block) && this.disk.blocks[block.height]?.configuration !== undefined
        const after = this.#configurationAt(block, block.height)
        return changes ? [this.#configurationAt(block, block.height - 1), after] : [after]
      },
      verify: async (by, statement, signature) => {
        const right = await proofs.verify(by, statement, signature)
        return random.chance(0.5) ? right : this.#inTime(pace.signMax, right)
      },
      sealer: async (block, seal) => (checker.wasMade(block.hash) ? proofs.sealer(block, seal) : undefined),
      persist: (write) => {
        checker.persists(this, write.truncateFrom)
        const written = this.disk.persist(write)
        this.later(pace.writeMax, () => this.disk.finishWrite())
        return written
      },
      sign: (statement) => {
        checker.signs(this, statement)
        recorder?.of(this.id)?.signs(statement)
        return this.#inTime(pace.signMax, fakeSign(this.id, statement))
      },
      send: (to, message) => {
        checker.sends(this, to, message)
        recorder?.of(this.id)?.sends(message)
        this.world.transmit(this.id, to, message)
      },
      apply: (blocks) => {
        // Applying may begin within the very call that committed the blocks: judge the commit first.
        this.observe()
        checker.applies(this, blocks)
        const entries = blocks.filter((block) => textOf(block).startsWith('entry')).length
        if (entries > 0) this.#waited = 0
        this.entries += entries
        const applied = this.disk.apply(blocks.at(-1)!.height)
        this.later(pace.applyMax, () => this.disk.finishApply())
        return applied
      },
      check: (blocks, parent) => this.#check(blocks, parent),
      onSoftState: ({ role, leader }) =>
        note(() => `${this.id} ${role} t${this.raft.term} leader ${leader ?? '-'}`),
      onBehind: () => this.pull(),
      onBadMessage: (from, error) => {
        note(() => `${this.id} blames ${from}: ${error.message}`)
        checker.blames(this.id, from, error)
      },
      onFatal: (error) => fail(error),
    }
  }

  #check(blocks: readonly Block[], parent: BlockRef): Promise<readonly Block[] | undefined> {
    const { checker, pace } = this.world
    // A block that nobody made is one whose proposer did not seal it.
    const right = blocks.every((block, i) => {
      const chained = block.prev === (blocks[i - 1] ?? parent).hash && hashOf(block) === block.hash
      return chained && checker.wasMade(block.hash)
    })
    return this.#inTime(pace.checkMax, right ? blocks.map(checked) : undefined)
  }
}
