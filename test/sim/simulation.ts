/**
 * A whole cluster of production nodes in one thread, from one seed: size, pace, weather, faults, clients and every
 * delay follow from it. First come faults; then everything is healed, and the cluster must agree and make new
 * entries final within a bounded time. A violation replays with the same seed, to the last event.
 */
import { useNativeCode } from '../../node/crypto/native.ts'
import type { SignatureSuite } from '../../src/crypto/suite.ts'
import { decodeEntry } from '../../src/ledger/entry.ts'
import type { NodeMember } from '../../src/ledger/member.ts'
import { Random } from '../consensus/sim/random.ts'
import { type Cast, castOf, nodeMember } from './cast.ts'
import { Administrator } from './changes.ts'
import { Client } from './clients.ts'
import { diagram } from './diagram.ts'
import { injectFault, putBackOldCopy, type Stage } from './faults.ts'
import { type Call, type FinalChain, History } from './history.ts'
import { Judge } from './judge.ts'
import { checkLight } from './judge-light.ts'
import { EPOCH } from './life.ts'
import { FINE, SimNetwork } from './network.ts'
import { SimNode, type World } from './node.ts'
import { type Plan, planOf, type SimOptions } from './plan.ts'
import { Possible } from './possible.ts'
import { standInSuite, synchronousSuite } from './suite.ts'
import { Timeline } from './timeline.ts'
import { Transcript } from './transcript.ts'

const FAULTS_MS_MAX = 13_000
/** From the last fault to agreement: elections of up to 2 s each, and a request that nobody answers, 10 s. */
const RECOVERY_MS_MAX = 60_000
/** Liars that come to lead after each other are each found out and passed over (test/README.md). */
const LIARS_RECOVERY_MS_MAX = 120_000
/** A cluster that may stand still, by the rules, goes on for so long: it must not contradict itself. */
const REST_MS = 6_000
const LOOK_EVERY_MS = 250
/** Before the entries that are waited for have been ordered. */
const HANDOVER_MS = 100
const TRANSCRIPT_LINES = 9000

export interface Outcome {
  readonly seed: number
  readonly nodes: number
  readonly liars: number
  readonly steps: number
  readonly height: number
  readonly final: number
  /** Milliseconds of simulated time from the last fault to agreement. */
  readonly recoveryMs: number
  readonly calls: number
  readonly faults: Readonly<Record<string, number>>
  /** By the rules too few were honest, or able to sign, in the end. */
  readonly stoodStill?: true
  readonly violation?: { readonly message: string; readonly diagram: string }
}

export async function simulate(seed: number, options: SimOptions = {}): Promise<Outcome> {
  useNativeCode()
  const random = new Random(seed)
  const plan = planOf(random, options)
  const suite = plan.realSignatures ? synchronousSuite : standInSuite
  const cast = await castOf(plan.nodes, plan.newcomers, suite, plan.realSignatures)
  const simulation = new Simulation(seed, plan, cast, random)
  // What no code catches ends a real process.
  const unheard = (reason: unknown) =>
    simulation.fail(`nobody catches: ${reason instanceof Error ? reason.stack : reason}`)
  process.on('unhandledRejection', unheard)
  try {
    await simulation.run()
  } catch (error) {
    unheard(error)
  } finally {
    process.off('unhandledRejection', unheard)
  }
  return simulation.outcome()
}

class Simulation {
  readonly #seed: number
  readonly #plan: Plan
  readonly #suite: SignatureSuite
  readonly #genesis: string
  readonly #timeline = new Timeline()
  readonly #transcript = new Transcript(TRANSCRIPT_LINES, () => this.#timeline.now)
  readonly #judge: Judge
  readonly #network: SimNetwork
  readonly #nodes: SimNode[]
  readonly #clients: Client[]
  readonly #admins: Administrator[]
  /** Gives nodes that may have forgotten what they signed new keys, also after everything else has been healed. */
  readonly #renewer: Administrator
  readonly #changes: Record<string, number> = {}
  readonly #history = new History(() => this.#timeline.now)
  readonly #stage: Stage
  readonly #stops: Record<string, number> = {}
  readonly #lies: Record<string, number> = {}
  #steps = 0
  #healed = false
  #recoveryMs = 0
  #recovered = false
  /** How far honest nodes must come to agree with one another, while liars go on adding entries. */
  #goal = 0
  readonly #rested = new Set<SimNode>()

  constructor(seed: number, plan: Plan, cast: Cast, random: Random) {
    this.#seed = seed
    this.#plan = plan
    this.#suite = cast.suite
    this.#genesis = cast.genesis.block.id
    const suspended = plan.oldCopy
    const judge = new Judge(cast.genesis, cast.suite, suspended, () => EPOCH + this.#timeline.now)
    const shared = { timeline: this.#timeline, random, judge, transcript: this.#transcript }
    const network = new SimNetwork(cast.names, shared)
    const world: World = {
      ...shared,
      cast,
      network,
      pace: plan.pace,
      suspended,
      lies: suspended || plan.liars > 0,
      accomplices: () => this.#nodes.filter((node) => !node.honest),
      stops: this.#stops,
      lieCounts: this.#lies,
      hints: (name) => this.#hints(name),
    }
    this.#judge = judge
    this.#network = network
    this.#nodes = cast.names.map((name, i) => new SimNode(name, i >= plan.liars, world))
    const { thinkMaxMs } = plan
    const clientWorld = {
      timeline: this.#timeline,
      random,
      nodes: this.#nodes,
      history: this.#history,
      thinkMaxMs,
      fail: (finding: string) => judge.fail(finding),
    }
    this.#clients = cast.clients.map((signer, i) => new Client(`client-${i}`, signer, clientWorld))
    const possible = new Possible(this.#nodes)
    const adminWorld = {
      ...shared,
      cast,
      possible,
      nodes: this.#nodes,
      forgetting: plan.oldCopy,
      counts: this.#changes,
      fail: (finding: string) => judge.fail(finding),
    }
    this.#admins = Array.from({ length: plan.admins }, () => new Administrator(adminWorld))
    this.#renewer = new Administrator(adminWorld)
    const later = (ms: number, event: () => void) => {
      this.#timeline.after(ms, () => this.#healed || event())
    }
    const clients = this.#clients
    this.#stage = { random, nodes: this.#nodes, clients, network, possible, faults: {}, later }
  }

  fail(finding: string): void {
    this.#judge.fail(finding)
  }

  async run(): Promise<void> {
    const { weather, kinds, faultEveryMs } = this.#plan
    const { random } = this.#stage
    this.#network.weather = weather
    for (const node of this.#nodes) {
      // A node that is to join may wait for its turn, or come when it has been admitted.
      const founder = this.#judge.members.after(this.#genesis).nodeByName.has(node.name)
      this.#timeline.after(founder ? random.int(0, 500) : random.int(0, FAULTS_MS_MAX), () => node.start())
    }
    for (const client of this.#clients) void client.run()
    for (const admin of this.#admins) void admin.run()
    void this.#renewer.renew()
    if (this.#plan.oldCopy) this.#stage.later(random.int(2_000, 6_000), () => putBackOldCopy(this.#stage))
    const fault = () => {
      injectFault(this.#stage, kinds)
      this.#stage.later(random.int(1, 2 * faultEveryMs), fault)
    }
    this.#stage.later(random.int(3_000, 6_000), fault)
    await this.#until(random.int(FAULTS_MS_MAX / 2, FAULTS_MS_MAX))
    if (this.#judge.violation !== undefined) return
    this.#heal()
    await this.#recover()
    if (this.#judge.violation === undefined) await this.#judgeTheEnd()
  }

  /**
   * After a node that had forgotten what it acknowledged has helped others to order something else, once one has stopped
   * because it was told two histories; and when so few are honest, or able to sign, that nothing can be final.
   */
  get #mayStandStill(): boolean {
    const stopped = this.#nodes.some(({ halted }) => halted)
    return (this.#plan.oldCopy && (stopped || this.#judge.ledger.divided)) || this.#tooFew
  }

  get #honest(): SimNode[] {
    return this.#nodes.filter(({ honest }) => honest)
  }

  get #tooFew(): boolean {
    const { validators, cosigners } = this.#judge.members.after(this.#tip)
    const able = this.#nodes.filter(
      ({ name, honest, recovering }) =>
        honest && !recovering && validators.some((each) => each.name === name),
    )
    return able.length < cosigners
  }

  #heal(): void {
    const { random } = this.#stage
    this.#healed = true
    // Liars are to be got rid of also where they lead when everything else is well.
    const liar = this.#nodes.find(({ honest }) => !honest)
    if (liar && random.chance(0.5)) this.#timeline.after(HANDOVER_MS, () => this.#handOver(liar.name))
    for (const admin of this.#admins) admin.stopped = true
    this.#network.heal()
    this.#network.weather = FINE
    Object.assign(this.#plan.pace, { syncMaxMs: 5, readMaxMs: 0, verifyMaxMs: 0 })
    for (const node of this.#nodes) {
      node.heal()
      this.#transcript.note(node.name, () => 'everything is healed')
    }
  }

  #handOver(to: string): void {
    for (const { ledger, raft } of this.#honest)
      if (raft?.role === 'leader') ledger?.replica.driver.transfer(to)
  }

  /** One entry through each live node becomes final, and all of them agree on everything. */
  async #recover(): Promise<void> {
    const healed = this.#timeline.now
    let settled = 0
    let idleMs = 0
    const boundMs = this.#plan.liars > 0 ? LIARS_RECOVERY_MS_MAX : RECOVERY_MS_MAX
    const probed = this.#honest
    const probes = probed.map(async (node) => {
      const [client] = this.#clients
      while (this.#isMember(node) && !(await client!.log(node, 'final')) && !client!.stopped) {
        // Again, until it is final or time is up.
      }
      settled++
    })
    void probes
    while (this.#judge.violation === undefined) {
      await this.#until(this.#timeline.now + LOOK_EVERY_MS)
      if (this.#plan.oldCopy && this.#judge.ledger.divided) return this.#standStill(healed)
      idleMs = this.#mayStandStill ? idleMs + LOOK_EVERY_MS : 0
      if (idleMs >= REST_MS) return
      // The last change before the healing may have been to take back a node that has stopped.
      for (const node of this.#nodes) if (node.out && this.#isMember(node)) node.start()
      this.#recoveryMs = this.#timeline.now - healed
      if (settled === probed.length) for (const client of this.#clients) client.stopped = true
      if (settled === probed.length && this.#agreed()) {
        this.#recovered = true
        return
      }
      if (this.#recoveryMs >= boundMs && idleMs === 0) {
        this.#judge.fail(`no agreement and progress within ${boundMs} ms: ${this.#describe()}`)
      }
    }
  }

  /** Nodes that have ordered different things, neither of them final, get nowhere; their operators must learn why. */
  async #standStill(since: number): Promise<void> {
    const why = () => this.#nodes.flatMap(({ ledger }) => ledger?.status().note ?? [])
    while (!this.#agreed() && !why().some((note) => note.includes('final on neither side'))) {
      await this.#until(this.#timeline.now + LOOK_EVERY_MS)
      if (this.#timeline.now - since < RECOVERY_MS_MAX) continue
      this.#judge.fail(`a cluster that is divided does not say so: ${this.#describe()}`)
      return
    }
  }

  /** The same blocks applied at every member's node, all of them final, nothing waiting; who has left has stopped. */
  #agreed(): boolean {
    const members = this.#honest.filter((node) => this.#isMember(node))
    if (this.#plan.liars > 0) return this.#agreedAmongLiars(members)
    const statuses = members.map((node) => node.ledger?.status())
    const [first] = statuses
    const together = statuses.every(
      (status, i) =>
        !members[i]!.recovering &&
        status !== undefined &&
        status.size === first?.size &&
        status.finalSize === first.size &&
        status.sequence === first.sequence &&
        status.pending === 0,
    )
    return together && this.#nodes.every((node) => this.#isMember(node) || node.out || !this.#wasMember(node))
  }

  /**
   * As far as the honest nodes had come when clients fell silent, all of that is final at each of them, and each has been
   * seen with nothing waiting. That they apply the same is judged all the time.
   */
  #agreedAmongLiars(members: readonly SimNode[]): boolean {
    const statuses = members.map((node) => node.ledger?.status())
    if (this.#goal === 0) this.#goal = Math.max(...statuses.map((status) => status?.size ?? 0))
    for (const [i, status] of statuses.entries()) if (status?.pending === 0) this.#rested.add(members[i]!)
    return statuses.every((status, i) => {
      const { recovering } = members[i]!
      return !recovering && (status?.finalSize ?? 0) >= this.#goal && this.#rested.has(members[i]!)
    })
  }

  /** What `qat join` tells a node that was not there from the beginning. */
  #hints(name: string): NodeMember[] {
    const { nodeByName } = this.#judge.members.after(this.#genesis)
    if (nodeByName.has(name)) return []
    const founders = this.#nodes.filter((node) => nodeByName.has(node.name))
    return founders.map((node) => nodeMember('validator', node.name, node.keys))
  }

  /** Hash of the last block that counts as committed: of the certified ones, where promises were forgotten. */
  get #tip(): string {
    const { raft, ledger } = this.#judge
    return this.#plan.oldCopy ? ledger.certifiedTip : raft.committed.at(-1)!.hash
  }

  #isMember({ name }: SimNode): boolean {
    return this.#judge.members.after(this.#tip).nodeByName.has(name)
  }

  #wasMember({ name }: SimNode): boolean {
    const { blocks, members } = this.#judge
    return blocks.branch(this.#tip).some(({ id }) => members.after(id).nodeByName.has(name))
  }

  async #judgeTheEnd(): Promise<void> {
    const honest = this.#honest
    for (const node of honest) {
      this.#judge.ledger.checkTree(node)
      this.#judge.judgeEvidence(node.name, node.accused)
    }
    const finals = ({ answer }: Call) => answer?.status === 'final'
    const honestly = ({ node }: Call) => honest.some(({ name }) => name === node)
    // What a node called pending stood on its disk alone: it may be gone with that, and when the node is out.
    const lost = this.#nodes.filter((node) => node.diskLost || !this.#isMember(node)).map(({ name }) => name)
    // What stands still has not ordered everything that it has called pending.
    const broken = this.#plan.oldCopy
      ? this.#history.checkAnswers(this.#chain(), new Set(lost), finals)
      : this.#plan.liars > 0 || !this.#recovered
        ? this.#history.checkAmongLiars(this.#chain(), new Set(lost), honestly, this.#recovered)
        : this.#history.check(this.#chain(), new Set(lost))
    if (broken !== undefined) this.#judge.fail(broken)
    if (this.#plan.admins > 0 && this.#recovered)
      for (const node of honest) await this.#followAsLightClient(node)
  }

  async #followAsLightClient({ name, ledger, disk }: SimNode): Promise<void> {
    const { members, ledger: judged } = this.#judge
    const tip = judged.hashAt(name, ledger?.status().finalSize ?? 0)
    disk.heal()
    if (ledger === undefined || tip === undefined) return
    const broken = await checkLight(ledger, this.#suite, members, this.#genesis, tip)
    if (broken !== undefined) this.#judge.fail(`${name}: ${broken}`)
  }

  #chain(): FinalChain {
    const entryAt = new Map<number, string>()
    const eventsAt = new Map<number, string[]>()
    let size = 0
    for (const block of this.#judge.blocks.branch(this.#tip)) {
      size += block.leaves.length
      if (block.seal.height === 0) continue
      for (const [i, leaf] of block.leaves.slice(0, -1).entries()) {
        const entry = decodeEntry(leaf)
        entryAt.set(block.seal.firstIndex + i, entry.id)
        const ids = entry.claims.flatMap(({ id }) => (id === undefined ? [] : [id]))
        eventsAt.set(block.seal.firstIndex + i, ids)
      }
    }
    return { size, entryAt, eventsAt }
  }

  /** Runs everything that is due before `end`, one event after the other. */
  async #until(end: number): Promise<void> {
    for (let event = this.#timeline.next(end); event !== undefined; event = this.#timeline.next(end)) {
      event.run()
      this.#steps++
      // Nothing here waits for anything but promises, so after this every one of them has run to its end.
      await new Promise((resolve) => setImmediate(resolve))
      if (this.#judge.violation !== undefined) return
    }
  }

  #describe(): string {
    return this.#nodes
      .map(({ name, ledger, raft }) => {
        const status = ledger?.status()
        if (status === undefined || raft === undefined) return `${name} down`
        const { role, term, height, size, finalSize, pending, sequence, note } = status
        const counts = `t${term} h${height}/${raft.commit}/${raft.tail.height} ${finalSize}/${size} p${pending}`
        return `${name}#${sequence} ${role} ${counts}${note === undefined ? '' : ` (${note})`}`
      })
      .join(', ')
  }

  outcome(): Outcome {
    const { violation } = this.#judge
    const faults: Record<string, number> = {
      ...this.#stage.faults,
      ...this.#network.counts,
      ...this.#changes,
    }
    for (const { disk } of this.#nodes) {
      for (const [name, count] of Object.entries(disk.counts)) faults[name] = (faults[name] ?? 0) + count
    }
    for (const [name, count] of Object.entries(this.#stops)) faults[`stops ${name}`] = count
    for (const [name, count] of Object.entries(this.#lies)) faults[`lie: ${name}`] = count
    if (this.#judge.caught.size > 0) faults['liars named'] = this.#judge.caught.size
    const names = this.#nodes.map(({ name }) => name)
    return {
      seed: this.#seed,
      nodes: this.#nodes.length,
      liars: this.#plan.liars,
      steps: this.#steps,
      height: this.#judge.raft.committed.length - 1,
      final: this.#judge.ledger.newest,
      recoveryMs: this.#recoveryMs,
      calls: this.#history.calls.length,
      faults,
      ...(this.#recovered ? {} : { stoodStill: true }),
      ...(violation === undefined
        ? {}
        : { violation: { message: violation, diagram: diagram(names, this.#transcript.lines) } }),
    }
  }
}
