/**
 * A whole cluster in one thread, from one seed: size, limits, weather, faults, client, changes of the cluster and
 * every delay follow from it. First come faults; then everything is healed, and the cluster must agree and make progress within
 * a bounded time. A violation replays with the same seed, to the last event.
 */
import type { Message } from '../../../consensus/messages.ts'
import type { Configuration, RaftLimits } from '../../../consensus/types.ts'
import { decodeMessage, encodeMessage } from '../../../consensus/wire.ts'
import { withoutConfiguration } from './block.ts'
import { Checker, Violation } from './checker.ts'
import { type Faults, injectFault, newFaults } from './faults.ts'
import { Network } from './network.ts'
import { SimNode, type World } from './node.ts'
import { Random } from './random.ts'
import { Timeline } from './timeline.ts'

/** Units of simulated time between two ticks of a node. */
const TICK_UNITS = 10
const FAULT_TICKS = 1000
/** From the last fault to agreement and progress: several elections, each of at most 20 ticks. */
const RECOVERY_TICKS_MAX = 200
/** Measured: 0.6 in the median, 1.7 at most over 300 seeds. */
const MESSAGES_PER_NODE_AND_TICK_MAX = 3
const TRACE_LINES = 60

export interface Outcome {
  readonly seed: number
  readonly nodes: number
  readonly steps: number
  readonly committed: number
  readonly terms: number
  readonly faults: Readonly<Record<string, number>>
  readonly violation?: { readonly message: string; readonly trace: readonly string[] }
}

export async function simulate(seed: number): Promise<Outcome> {
  const run = new Simulation(seed)
  let violation: Outcome['violation']
  try {
    await run.run()
  } catch (error) {
    const message = error instanceof Error ? `${error.name}: ${error.message}` : String(error)
    violation = { message, trace: run.trace() }
  }
  return { ...run.summary(), ...(violation === undefined ? {} : { violation }) }
}

class Simulation {
  readonly seed: number
  readonly random: Random
  readonly network: Network
  readonly checker: Checker
  /** All servers: those of the cluster, and those that may be added to it. */
  readonly nodes: SimNode[] = []
  readonly faults: Faults = newFaults()
  readonly #timeline = new Timeline()
  readonly #notes: { at: number; line: () => string }[] = []
  readonly #overWire: boolean
  readonly #pace: World['pace']
  #steps = 0
  #bodies = 0
  #failure: unknown
  #healed = false
  /** A read asked for after the healing was confirmed. */
  #readable = false

  constructor(seed: number) {
    this.seed = seed
    this.random = new Random(seed)
    this.network = new Network(this.random)
    const servers = ['a', 'b', 'c', 'd', 'e', 'f', 'g'].slice(0, this.random.int(3, 7))
    // Every fourth cluster stays as it was founded.
    const changes = this.random.chance(0.75)
    const voters = changes ? servers.slice(0, this.random.int(2, servers.length)) : servers
    this.checker = new Checker(() => this.nodes, { voters, learners: [] })
    // Encoding costs time, so only a part of the seeds pays for it.
    this.#overWire = this.random.chance(0.2)
    this.#pace = {
      writeMax: this.random.int(1, 20),
      applyMax: this.random.int(1, 20),
      checkMax: this.random.int(1, 15),
      sealMax: 5,
      slow: this.random.chance(0.5) ? 0.05 : 0,
    }
    this.#build(servers, { voters, learners: [] })
    if (changes) this.#operator()
  }

  #build(servers: readonly string[], founders: Configuration): void {
    const { random } = this
    const limits: RaftLimits = {
      windowBlocks: random.int(1, 8),
      appendBytesMax: random.int(20, 100),
      appendBlocksMax: random.int(1, 4),
      inflightAppendsMax: random.int(1, 4),
      memoryBlocks: random.int(1, 16),
      memoryBytes: random.int(50, 1000),
    }
    const world: World = {
      random,
      servers,
      founders,
      checker: this.checker,
      pace: this.#pace,
      after: (units, event) => this.#timeline.after(units, event),
      transmit: (from, to, message) => this.#transmit(from, to, message),
      source: (puller) => {
        const others = this.nodes.filter((node) => node.id !== puller && node.up)
        return others.length === 0 ? undefined : random.pick(others)
      },
      onRead: (node, confirmed) => {
        if (confirmed) this.faults.reads++
        else this.faults.readsFailed++
        if (confirmed && this.#healed && node.raft.role === 'leader') this.#readable = true
      },
      note: (line) => this.#note(line),
      fail: (error) => {
        this.#failure ??= error
      },
    }
    for (const id of servers) this.nodes.push(new SimNode(id, limits, world))
    for (const node of this.nodes) this.#clock(node)
    this.#client()
    const rough = random.next()
    this.network.weather = {
      drop: rough * 0.15,
      duplicate: random.next() * 0.1,
      detour: random.chance(0.5) ? rough * 0.2 : 0,
      delayMax: random.int(1, 8),
      detourMax: 100,
    }
  }

  async run(): Promise<void> {
    const faultEnd = FAULT_TICKS * TICK_UNITS
    const faultEvery = this.random.int(60, 300)
    let nextFault = this.random.int(1, faultEvery)
    while (this.#timeline.now < faultEnd) {
      await this.#moment()
      if (--nextFault > 0) continue
      nextFault = this.random.int(1, faultEvery)
      injectFault(this, (units, event) => this.#timeline.after(units, () => this.#healed || event()))
    }
    this.#heal()
    const healed = this.checker.committed.length
    for (let tick = 0; tick < RECOVERY_TICKS_MAX; tick++) {
      for (let unit = 0; unit < TICK_UNITS; unit++) await this.#moment()
      if (this.#converged(healed + 3)) {
        this.#judgeTraffic()
        return
      }
    }
    throw new Violation(`no agreement and progress within ${RECOVERY_TICKS_MAX} ticks: ${this.#describe()}`)
  }

  /** Two nodes that answer one another for ever would go unnoticed otherwise. */
  #judgeTraffic(): void {
    const perNodeAndTick = this.network.counts.sent / this.nodes.length / (this.#timeline.now / TICK_UNITS)
    if (perNodeAndTick > MESSAGES_PER_NODE_AND_TICK_MAX) {
      throw new Violation(`a storm: ${perNodeAndTick.toFixed(1)} messages per node and tick`)
    }
  }

  #heal(): void {
    this.#healed = true
    this.network.heal()
    Object.assign(this.#pace, { writeMax: 5, applyMax: 5, checkMax: 5, slow: 0 })
    this.network.weather = { drop: 0, duplicate: 0, detour: 0, delayMax: 3, detourMax: 3 }
    for (const node of this.nodes) if (!node.up) node.start()
    this.#note(() => 'everything is healed')
  }

  /**
   * One leader that the whole cluster follows, as its last configuration has it; the same blocks applied by all,
   * some of them new; and reads confirmed. What servers outside believe does not matter.
   */
  #converged(enough: number): boolean {
    const leaders = this.nodes.filter((node) => node.raft.role === 'leader')
    const [leader] = leaders
    if (leaders.length !== 1 || leader === undefined || !this.#readable) return false
    const { voters, learners } = leader.raft.configuration
    return [...voters, ...learners].every((id) => {
      const { raft, disk } = this.nodes.find((node) => node.id === id)!
      return raft.leader === leader.id && disk.applied >= enough && disk.applied >= leader.disk.applied - 3
    })
  }

  async #moment(): Promise<void> {
    for (const event of this.#timeline.advance()) {
      event()
      this.#steps++
      // Let promises that the event resolved run to where they wait again: a fixed, small number of hops.
      for (let hop = 0; hop < 3; hop++) await null
      for (const node of this.nodes) if (node.up) node.observe()
      if (this.#failure !== undefined) throw this.#failure
    }
  }

  #clock(node: SimNode): void {
    this.#timeline.after(this.random.int(1, TICK_UNITS), () => this.#tick(node))
  }

  #tick(node: SimNode): void {
    node.tick()
    this.#timeline.after(TICK_UNITS, () => this.#tick(node))
  }

  /** Offers a new block to whoever believes that it leads. */
  #client(): void {
    for (const node of this.nodes) {
      node.propose(`entry ${++this.#bodies}`)
      const asked = node.up && (node.raft.role === 'leader' || this.random.chance(0.02))
      if (asked) for (let i = this.random.int(0, 3); i > 0; i--) node.read()
    }
    this.#timeline.after(this.random.int(5, 40), () => this.#client())
  }

  /** Offers a change of the cluster to whoever believes that it leads, until everything is healed. */
  #operator(): void {
    if (this.#healed) return
    this.faults.changes++
    for (const node of this.nodes) node.proposeChange()
    this.#timeline.after(this.random.int(10, 400), () => this.#operator())
  }

  #transmit(from: string, to: string, message: Message): void {
    const target = this.nodes.find((node) => node.id === to)!
    const carried = this.#overWire ? decodeMessage(encodeMessage(message)) : bare(message)
    for (const delay of this.network.route(from, to)) {
      this.#timeline.after(delay, () => {
        this.#note(() => `${from}->${to} ${describe(carried)}${target.up ? '' : ' (down)'}`)
        target.deliver(from, carried)
      })
    }
  }

  #note(line: () => string): void {
    this.#notes.push({ at: this.#timeline.now, line })
    if (this.#notes.length > 4 * TRACE_LINES) this.#notes.splice(0, 3 * TRACE_LINES)
  }

  trace(): string[] {
    return this.#notes.slice(-TRACE_LINES).map(({ at, line }) => `${at} ${line()}`)
  }

  #describe(): string {
    return this.nodes
      .map(
        ({ id, raft, disk }) =>
          `${id} ${raft.role} t${raft.term} (${raft.configuration.voters};${raft.configuration.learners}) ${disk.applied}/${raft.commit}/${raft.tail.height}`,
      )
      .join(', ')
  }

  summary(): Omit<Outcome, 'violation'> {
    return {
      seed: this.seed,
      nodes: this.nodes.length,
      steps: this.#steps,
      committed: this.checker.committed.length - 1,
      terms: Math.max(...this.nodes.map((node) => node.raft.term)),
      faults: { ...this.faults, ...this.network.counts },
    }
  }
}

/** A message as the wire would carry it. */
function bare(message: Message): Message {
  return message.kind === 'append'
    ? { ...message, blocks: message.blocks.map(withoutConfiguration) }
    : message
}

function describe(message: Message): string {
  const fields = Object.entries(message).map(([name, value]) => {
    if (name === 'kind') return String(value)
    if (name === 'blocks')
      return `blocks ${(value as { height: number; term: number }[]).map((b) => `${b.height}/${b.term}`)}`
    if (name === 'prev' || name === 'tail' || name === 'hint') return `${name} ${value.height}/${value.term}`
    return `${name} ${value}`
  })
  return fields.join(' ')
}
