/** One simulated validator: real Raft, real driver, simulated disk, ledger, clock and links. */
import { Driver } from '../../../consensus/driver.ts'
import type { Message } from '../../../consensus/messages.ts'
import { Raft } from '../../../consensus/raft.ts'
import type { Block, BlockRef, Configuration, NodeId, RaftLimits } from '../../../consensus/types.ts'
import { blockOn, changeTo, hashOf, withConfiguration } from './block.ts'
import { randomChange } from './changes.ts'
import type { Checker } from './checker.ts'
import { Disk } from './disk.ts'
import type { Random } from './random.ts'

/** What a node needs of the world around it. Delays are in units of simulated time. */
export interface World {
  readonly random: Random
  /** Every server there is, in the cluster or not. */
  readonly servers: readonly NodeId[]
  /** The configuration of genesis. */
  readonly founders: Configuration
  readonly checker: Checker
  readonly pace: { writeMax: number; applyMax: number; checkMax: number; sealMax: number; slow: number }
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

export class SimNode {
  readonly id: NodeId
  readonly disk = new Disk()
  incarnation = 0
  up = false
  raft!: Raft
  driver!: Driver
  #pulling = false
  #sealing = false
  readonly #world: World
  readonly #limits: RaftLimits

  constructor(id: NodeId, limits: RaftLimits, world: World) {
    this.id = id
    this.#limits = limits
    this.#world = world
    this.start()
  }

  start(): void {
    const { random, founders } = this.#world
    const { blocks, applied, hardState } = this.disk
    this.incarnation++
    this.#pulling = this.#sealing = false
    this.raft = new Raft({
      id: this.id,
      configuration: this.disk.configuration ?? founders,
      electionTicks: 10,
      heartbeatTicks: 2,
      random: random.next,
      hardState,
      log: { blocks: blocks.slice(Math.max(0, applied - random.int(0, 10))), commit: applied },
      limits: this.#limits,
    })
    this.driver = new Driver(this.raft, this.#ports())
    this.up = true
    this.observe()
  }

  crash(): void {
    const { random } = this.#world
    void this.driver.stop()
    this.up = false
    this.disk.crash(random.chance(0.5), random.chance(0.5))
  }

  observe(): void {
    this.#world.checker.observe(this)
  }

  deliver(from: NodeId, message: Message): void {
    if (!this.up) return
    this.driver.deliver(from, message)
    this.observe()
  }

  tick(): void {
    if (!this.up) return
    this.driver.tick()
    this.observe()
    if (this.raft.needsOpening) this.propose('')
  }

  /** Offers a change at any time, so that the refusals are tried as well. */
  proposeChange(): void {
    const { random, servers } = this.#world
    if (this.up) this.propose(changeTo(randomChange(random, servers, this.raft.configuration)))
  }

  /** Asks for a linearizable read, which must miss nothing that anybody has committed by now. */
  read(): void {
    const { checker, onRead, fail } = this.#world
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
  propose(body: string): void {
    if (!this.up || this.#sealing || !this.raft.canPropose()) return
    if (this.raft.needsOpening && body !== '') return
    this.#sealing = true
    const block = blockOn(this.raft.tail, this.raft.term, body)
    this.#later(this.#world.pace.sealMax, () => {
      this.#sealing = false
      // Before the call: sending may begin inside it, and with it the judging.
      const { raft } = this
      const takes = block.configuration === undefined ? raft.canPropose() : raft.canChange
      const wanted = takes && raft.term === block.term && raft.tail.hash === block.prev
      if (wanted) this.#world.checker.proposed(this, block)
      const result = this.driver.propose(block)
      if (result.ok !== wanted) throw new Error(`propose answered ${JSON.stringify(result)}`)
      this.observe()
      const answer = result.ok ? 'proposes' : `refuses (${result.reason})`
      this.#world.note(() => `${this.id} ${answer} ${block.height}/${block.term} ${body}`)
    })
  }

  /** Pulls proven blocks from a peer, as gossip and `behind` make a real node do. */
  pull(): void {
    if (!this.up || this.#pulling) return
    const source = this.#world.source(this.id)
    if (source === undefined) return
    this.#pulling = true
    const from = Math.max(0, this.raft.commit + 1 - this.#world.random.int(0, 2))
    const blocks = source.disk.blocks.slice(from, Math.min(source.disk.applied + 1, from + 20))
    this.#later(20, () => {
      this.#pulling = false
      this.driver.install(blocks)
      this.observe()
      this.#world.note(() => `${this.id} installs ${from}..${from + blocks.length - 1} of ${source.id}`)
    })
  }

  /** `event` after up to `max` units, unless this life of the node has ended by then. */
  #later(max: number, event: () => void): void {
    const { random, pace } = this.#world
    const life = this.incarnation
    const units = random.chance(pace.slow) ? random.int(max, 10 * max) : random.int(1, max)
    this.#world.after(units, () => {
      if (this.up && this.incarnation === life) event()
    })
  }

  #ports(): ConstructorParameters<typeof Driver>[1] {
    const { checker, pace, note, fail } = this.#world
    return {
      persist: (write) => {
        checker.persists(this, write.truncateFrom)
        const written = this.disk.persist(write)
        this.#later(pace.writeMax, () => this.disk.finishWrite())
        return written
      },
      send: (to, message) => {
        checker.sends(this, to, message)
        this.#world.transmit(this.id, to, message)
      },
      apply: (blocks) => {
        // Applying may begin within the very call that committed the blocks: judge the commit first.
        this.observe()
        checker.applies(this, blocks)
        const applied = this.disk.apply(blocks.at(-1)!.height)
        this.#later(pace.applyMax, () => this.disk.finishApply())
        return applied
      },
      check: (blocks, parent) => this.#check(blocks, parent),
      onSoftState: ({ role, leader }) =>
        note(() => `${this.id} ${role} t${this.raft.term} leader ${leader ?? '-'}`),
      onBehind: () => this.pull(),
      onBadMessage: (from, error) => note(() => `${this.id} blames ${from}: ${error.message}`),
      onFatal: (error) => fail(error),
    }
  }

  #check(blocks: readonly Block[], parent: BlockRef): Promise<readonly Block[] | undefined> {
    return new Promise((resolve) => {
      const right = blocks.every(
        (block, i) => block.prev === (blocks[i - 1] ?? parent).hash && hashOf(block) === block.hash,
      )
      this.#later(this.#world.pace.checkMax, () => resolve(right ? blocks.map(withConfiguration) : undefined))
    })
  }
}
