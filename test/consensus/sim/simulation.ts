/**
 * A whole cluster in one thread, from one seed: size, quorum, limits, weather, faults, liars, client, changes of the
 * cluster and every delay follow from it. First come faults; then everything is healed but the liars, who go on lying,
 * and the honest nodes must agree and make progress within a bounded time. A violation replays with the same seed, to
 * the last event.
 */
import type { Message } from '../../../consensus/messages.ts'
import type { TraceLine } from '../../../consensus/spec/trace.ts'
import type { Configuration, RaftLimits } from '../../../consensus/types.ts'
import { decodeMessage, encodeMessage } from '../../../consensus/wire.ts'
import { checked, unchecked } from './block.ts'
import { QUORUMS } from './changes.ts'
import { Checker, Violation } from './checker.ts'
import { type Faults, injectFault, newFaults } from './faults.ts'
import { Coven, Liar } from './liar.ts'
import { Network } from './network.ts'
import { SimNode, type World } from './node.ts'
import { Random } from './random.ts'
import { Recorder } from './recorder.ts'
import { Timeline } from './timeline.ts'

/** Units of simulated time between two ticks of a node. */
const TICK_UNITS = 10
const FAULT_TICKS = 1000
/** From the last fault to agreement and progress: several elections, each of at most 20 ticks. */
const RECOVERY_TICKS_MAX = 200
/** With liars: each may be elected, and be complained of, before it is passed over. */
const RECOVERY_TICKS_WITH_LIARS_MAX = 1500
/** For so long the order must hold afterwards, with few elections, under liars. */
const PEACE_TICKS = 400
const MESSAGES_PER_NODE_AND_TICK_MAX = 12
const TRACE_LINES = Number(process.env.TRACE ?? 80)
const TRACE_MAX = Math.max(TRACE_LINES, 80)

export interface Outcome {
  readonly seed: number
  readonly nodes: number
  readonly liars: number
  readonly steps: number
  readonly committed: number
  readonly terms: number
  /** Ticks from the healing to agreement and progress. */
  readonly recovery: number
  readonly faults: Readonly<Record<string, number>>
  readonly violation?: { readonly message: string; readonly trace: readonly string[] }
}

export interface Options {
  /** Some voters lie: as many as the quorum tolerates, at most. */
  readonly liars?: boolean
  /** Four voters that stay, one of which lies if `liars` are wanted: the run ends when so many lines are recorded. */
  readonly trace?: number
}

export async function simulate(seed: number, options: Options = {}): Promise<Outcome> {
  const run = new Simulation(seed, options)
  let violation: Outcome['violation']
  try {
    await run.run()
  } catch (error) {
    const message = error instanceof Error ? (error.stack ?? error.message) : String(error)
    violation = { message, trace: run.trace() }
  }
  return { ...run.summary(), ...(violation === undefined ? {} : { violation }) }
}

/** What the honest nodes of a run with `trace` lines did, for consensus/spec. */
export async function traceOf(
  seed: number,
  options: Options & { readonly trace: number },
): Promise<readonly TraceLine[]> {
  const run = new Simulation(seed, options)
  await run.run()
  return run.recorder!.lines
}

class Simulation {
  readonly seed: number
  readonly random: Random
  readonly network: Network
  readonly checker: Checker
  /** The honest servers: those of the cluster, and those that may be added to it. */
  readonly nodes: SimNode[] = []
  readonly liars: Liar[] = []
  readonly faults: Faults = newFaults()
  readonly recorder: Recorder | undefined
  readonly #timeline = new Timeline()
  readonly #notes: { at: number; line: () => string }[] = []
  readonly #overWire: boolean
  readonly #pace: World['pace']
  #steps = 0
  #bodies = 0
  #failure: unknown
  #healed = false
  #recovery = 0
  /** A read asked for after the healing was confirmed. */
  #readable = false

  constructor(seed: number, options: Options) {
    this.seed = seed
    this.random = new Random(seed)
    this.network = new Network(this.random)
    const { servers, founders, quorumOf, lying, changes } = this.#cluster(options)
    this.checker = new Checker(() => this.nodes, founders, lying)
    if (options.trace !== undefined) {
      this.recorder = new Recorder(founders.voters, lying, founders.quorum, options.trace)
    }
    // Encoding costs time, so only a part of the seeds pays for it.
    this.#overWire = this.random.chance(0.2)
    this.#pace = {
      writeMax: this.random.int(1, 20),
      applyMax: this.random.int(1, 20),
      checkMax: this.random.int(1, 15),
      signMax: 5,
      slow: this.random.chance(0.5) ? 0.05 : 0,
    }
    this.#build(servers, founders, quorumOf, lying)
    if (changes) this.#operator()
  }

  #cluster({ liars = false, trace }: Options) {
    if (trace === undefined) return liars ? this.#withLiars() : this.#crashing()
    const servers = ['a', 'b', 'c', 'd']
    const founders = { voters: servers, learners: [], quorum: 3 }
    return { servers, founders, quorumOf: QUORUMS.tolerant, lying: liars ? ['d'] : [], changes: false }
  }

  #crashing() {
    const { random } = this
    const servers = ['a', 'b', 'c', 'd', 'e', 'f', 'g'].slice(0, random.int(3, 7))
    // Every fourth cluster stays as it was founded.
    const changes = random.chance(0.75)
    const voters = changes ? servers.slice(0, random.int(2, servers.length)) : servers
    const quorumOf = random.chance(0.5) ? QUORUMS.majority : QUORUMS.tolerant
    const founders = { voters, learners: [], quorum: quorumOf(voters.length) }
    return { servers, founders, quorumOf, lying: [] as string[], changes }
  }

  /** Liars are as many as safety allows, or as many as a cluster that goes on without them can have. */
  #withLiars() {
    const { random } = this
    const quorumOf = QUORUMS.tolerant
    const size = random.int(4, 7)
    const servers = ['a', 'b', 'c', 'd', 'e', 'f', 'g'].slice(0, size)
    const changes = random.chance(0.3)
    const voters = changes ? servers.slice(0, random.int(3, size)) : servers
    const quorum = quorumOf(voters.length)
    const tolerated = 2 * quorum - voters.length - 1
    // Of two quorums before and after a change, the one with fewer liars to tolerate counts.
    const count = changes ? 1 : random.int(1, tolerated)
    const lying: string[] = []
    while (lying.length < count) {
      const one = random.pick(voters)
      if (!lying.includes(one)) lying.push(one)
    }
    return { servers, founders: { voters, learners: [], quorum }, quorumOf, lying, changes }
  }

  #build(
    servers: readonly string[],
    founders: Configuration,
    quorumOf: (voters: number) => number,
    lying: readonly string[],
  ): void {
    const { random } = this
    const limits: RaftLimits = {
      windowBlocks: random.int(1, 8),
      appendBytesMax: random.int(100, 300),
      appendBlocksMax: random.int(1, 4),
      inflightAppendsMax: random.int(1, 4),
      memoryBlocks: random.int(1, 16),
      memoryBytes: random.int(50, 1000),
    }
    const world: World = {
      random,
      servers,
      founders,
      quorumOf,
      votersMin: lying.length > 0 ? 2 : 1,
      checker: this.checker,
      recorder: this.recorder,
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
    const coven = new Coven(lying)
    for (const id of servers) {
      if (lying.includes(id)) this.liars.push(new Liar(id, limits, world, coven))
      else this.nodes.push(new SimNode(id, limits, world))
    }
    for (const node of [...this.nodes, ...this.liars]) this.#clock(node)
    this.#client()
    this.#gossip()
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
      if (this.recorder?.isFull) return
      if (--nextFault > 0) continue
      nextFault = this.random.int(1, faultEvery)
      injectFault(this, (units, event) => this.#timeline.after(units, () => this.#healed || event()))
    }
    this.#heal()
    if (this.#mayStall()) return
    const { voters } = this.checker.configuration
    const lying = this.liars.filter(({ id }) => voters.includes(id)).length
    const before = new Map(this.nodes.map((node) => [node, node.entries]))
    const max = lying > 0 ? RECOVERY_TICKS_WITH_LIARS_MAX : RECOVERY_TICKS_MAX
    while (!this.#converged(before)) {
      await this.#pass(1)
      if (++this.#recovery > max) {
        if (this.#mayStall()) return
        if (this.#isChangeStuck()) {
          this.faults.stuckChanges++
          return
        }
        throw new Violation(`no agreement and progress within ${max} ticks: ${this.#describe()}`)
      }
    }
    this.#judgeTraffic()
    if (this.liars.length > 0) await this.#peace()
  }

  /** With more liars than can be done without, nothing need go on. */
  #mayStall(): boolean {
    const { voters, quorum } = this.checker.configuration
    const lying = this.liars.filter(({ id }) => voters.includes(id)).length
    return lying > 0 && lying > voters.length - quorum
  }

  /**
   * A known limit: a node is locked on a change of the cluster that is not decided, and those whose votes it needs have
   * not seen the change, so they cannot judge the certificate.
   */
  #isChangeStuck(): boolean {
    const { committed } = this.checker
    return this.nodes.some(({ raft }) => {
      const { block } = raft.certified
      let at = this.checker.block(block.hash)
      while (at !== undefined && at.height >= committed.length && checked(at).configuration === undefined) {
        at = this.checker.block(at.prev)
      }
      return at !== undefined && at.height >= committed.length
    })
  }

  async #pass(ticks: number): Promise<void> {
    for (let unit = 0; unit < ticks * TICK_UNITS; unit++) await this.#moment()
  }

  /** Liars cannot keep the order from going on, nor depose honest leaders again and again. */
  async #peace(): Promise<void> {
    const before = new Map(this.nodes.map((node) => [node, node.entries]))
    let deposed = 0
    let leader: string | undefined
    for (let tick = 0; tick < PEACE_TICKS; tick++) {
      await this.#pass(1)
      const leading = this.nodes.filter((node) => node.raft.role === 'leader').map(({ id }) => id)
      if (leader !== undefined && !leading.includes(leader)) deposed++
      leader = leading.length === 1 ? leading[0] : undefined
    }
    if (this.#mayStall()) return
    if (deposed > 2)
      throw new Violation(`${deposed} honest leaders were deposed in peace: ${this.#describe()}`)
    const idle = this.#members().find((node) => node.entries <= before.get(node)!)
    if (idle) throw new Violation(`${idle.id} was told no news in peace: ${this.#describe()}`)
  }

  /** Two nodes that answer one another for ever would go unnoticed otherwise. */
  #judgeTraffic(): void {
    if (this.liars.length > 0) return
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

  /** The honest members of the cluster, as the last configuration has it. */
  #members(): SimNode[] {
    const { voters, learners } = this.checker.configuration
    return this.nodes.filter(({ id }) => voters.includes(id) || learners.includes(id))
  }

  /**
   * The same blocks applied by all honest members, some of them with new entries. Without liars, there is one leader
   * besides, whom all follow, and reads are confirmed. What servers outside believe does not matter.
   */
  #converged(before: ReadonlyMap<SimNode, number>): boolean {
    const members = this.#members()
    if (members.some((node) => node.entries < before.get(node)! + 3)) return false
    if (this.liars.length > 0) return true
    const leaders = this.nodes.filter((node) => node.raft.role === 'leader')
    const [leader] = leaders
    if (leaders.length !== 1 || leader === undefined || !this.#readable) return false
    return members.every(({ disk }) => disk.applied >= leader.disk.applied - 3)
  }

  async #moment(): Promise<void> {
    for (const event of this.#timeline.advance()) {
      event()
      this.#steps++
      // Let promises that the event resolved run to where they wait again: a fixed, small number of hops.
      for (let hop = 0; hop < 20; hop++) await null
      for (const node of this.nodes) if (node.up) node.observe()
      if (this.#failure !== undefined) throw this.#failure
    }
  }

  #clock(node: { tick(): void }): void {
    const tick = () => {
      node.tick()
      this.#timeline.after(TICK_UNITS, tick)
    }
    this.#timeline.after(this.random.int(1, TICK_UNITS), tick)
  }

  /** Offers a new block to whoever believes that it leads. */
  #client(): void {
    for (const node of [...this.nodes, ...this.liars]) {
      node.propose(`entry ${++this.#bodies}`)
      const asked = node.up && (node.raft.role === 'leader' || this.random.chance(0.02))
      if (asked) for (let i = this.random.int(0, 3); i > 0; i--) node.read()
    }
    this.#timeline.after(this.random.int(5, 40), () => this.#client())
  }

  /** Certificates of the ledger spread by themselves, and with them what they cover. */
  #gossip(): void {
    for (const node of this.nodes) if (this.random.chance(0.5)) node.pull()
    this.#timeline.after(10 * TICK_UNITS, () => this.#gossip())
  }

  /** Offers a change of the cluster to whoever believes that it leads, until everything is healed. */
  #operator(): void {
    if (this.#healed) return
    this.faults.changes++
    for (const node of [...this.nodes, ...this.liars]) node.proposeChange()
    this.#timeline.after(this.random.int(10, 400), () => this.#operator())
  }

  #transmit(from: string, to: string, message: Message): void {
    const target = [...this.nodes, ...this.liars].find((node) => node.id === to)
    if (target === undefined) return
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
    if (this.#notes.length > 4 * TRACE_MAX) this.#notes.splice(0, 3 * TRACE_MAX)
  }

  trace(): string[] {
    return this.#notes.slice(-TRACE_LINES).map(({ at, line }) => `${at} ${line()}`)
  }

  #describe(): string {
    const { voters, learners, quorum } = this.checker.configuration
    const states = this.nodes.map(({ id, up, raft, disk }) => {
      const { block } = raft.certified
      const log = `${disk.applied}/${raft.commit}/${raft.tail.height}`
      return `${id}${up ? '' : ' (down)'} ${raft.role} t${raft.term} leader ${raft.leader} ${log} lock ${block.height}/${block.term} (${raft.configuration.voters} q${raft.configuration.quorum})`
    })
    const liars = this.liars.map(({ id }) => id)
    return `voters ${voters};${learners} quorum ${quorum} liars ${liars}: ${states.join(', ')}`
  }

  summary(): Omit<Outcome, 'violation'> {
    return {
      seed: this.seed,
      nodes: this.nodes.length + this.liars.length,
      liars: this.liars.length,
      steps: this.#steps,
      committed: this.checker.committed.length - 1,
      terms: Math.max(...this.nodes.map((node) => node.raft.term)),
      recovery: this.#recovery,
      faults: {
        ...this.faults,
        ...this.network.counts,
        ...this.liars.reduce<Record<string, number>>((sum, { lies }) => {
          for (const [name, count] of Object.entries(lies)) sum[name] = (sum[name] ?? 0) + count
          return sum
        }, {}),
      },
    }
  }
}

/** A message as the wire would carry it. */
function bare(message: Message): Message {
  return message.kind === 'append' ? { ...message, blocks: message.blocks.map(unchecked) } : message
}

function describe(message: Message): string {
  const fields = Object.entries(message).map(([name, value]) => {
    if (name === 'kind') return String(value)
    if (name === 'blocks')
      return `blocks ${(value as { height: number; term: number; hash: string }[]).map((b) => `${b.height}/${b.term} ${b.hash.slice(0, 4)}`)}`
    if (name === 'prev' || name === 'hint')
      return `${name} ${value.height}/${value.term} ${String(value.hash).slice(0, 4)}`
    if (name === 'base') return `base ${JSON.stringify(value.block ?? value).slice(0, 50)}`
    if (name === 'votes') return `votes ${(value as { from: string }[]).map(({ from }) => from)}`
    if (name === 'signature') return value === undefined ? 'no' : 'signed'
    if (name === 'hash') return `hash ${String(value).slice(0, 4)}`
    return `${name} ${value}`
  })
  return fields.join(' ')
}
