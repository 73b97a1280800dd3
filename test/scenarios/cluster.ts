/**
 * A cluster of bare Rafts in which nothing happens by itself: every write, message and tick is a command. Signatures
 * are given at once when a Ready is synced, and hold: who lies says what others would not, and cannot sign for them.
 */
import type { Message } from '../../consensus/messages.ts'
import { Raft } from '../../consensus/raft.ts'
import type {
  Block,
  Certified,
  Configuration,
  HardState,
  NodeId,
  RaftLimits,
  Ready,
} from '../../consensus/types.ts'
import { RefusedError } from '../../src/errors.ts'
import { fakeCover, fakeProposal, fakeSign } from '../consensus/fakes.ts'
import { GENESIS, GENESIS_PROVEN } from '../consensus/support.ts'
import { brief, members } from './print.ts'

interface Node {
  readonly id: NodeId
  raft: Raft | undefined
  ready: Ready | undefined
  readonly disk: { hardState: HardState; blocks: Block[]; certified: Certified; applied: number }
}

interface Flight {
  readonly from: NodeId
  readonly to: NodeId
  readonly message: Message
}

export class Cluster {
  readonly nodes = new Map<NodeId, Node>()
  readonly flights: Flight[] = []
  readonly lines: string[] = []
  quiet = false
  readonly quorumOf: (voters: number) => number
  readonly #cuts = new Set<string>()
  readonly #limits: RaftLimits
  readonly #leaders = new Map<number, NodeId>()
  readonly #founders: Configuration
  readonly #lies = new Set<NodeId>()
  #lastRead = 0

  /** The first `founders` of `size` nodes are the voters of genesis; the others may be added. */
  constructor(size: number, founders: number, quorum: number | undefined, limits: Partial<RaftLimits>) {
    const roomy = { windowBlocks: 100, appendBytesMax: 100, appendBlocksMax: 100, inflightAppendsMax: 100 }
    this.#limits = { ...roomy, memoryBlocks: 100, memoryBytes: 1_000_000, ...limits }
    const ids = ['a', 'b', 'c', 'd', 'e', 'f', 'g'].slice(0, size)
    this.quorumOf = (voters) => quorum ?? Math.floor(voters / 2) + 1
    this.#founders = { voters: ids.slice(0, founders), learners: [], quorum: this.quorumOf(founders) }
    for (const id of ids) {
      const hardState = { term: 0, vote: undefined, abstains: false }
      const disk = { hardState, blocks: [GENESIS], certified: GENESIS_PROVEN, applied: 0 }
      this.nodes.set(id, { id, raft: undefined, ready: undefined, disk })
    }
    for (const id of ids) this.restart(id)
  }

  #node(id: NodeId): Node {
    const node = this.nodes.get(id)
    if (node === undefined) throw new Error(`no node ${id}`)
    return node
  }

  raft(id: NodeId): Raft {
    const { raft } = this.#node(id)
    if (raft === undefined) throw new Error(`node ${id} is down`)
    return raft
  }

  say(line: string): void {
    if (!this.quiet) this.lines.push(line)
  }

  restart(id: NodeId): void {
    const node = this.#node(id)
    const ids = [...this.nodes.keys()]
    const { hardState, blocks, certified, applied } = node.disk
    node.ready = undefined
    node.raft = new Raft({
      id,
      configuration: configurationAt(applied, blocks) ?? this.#founders,
      electionTicks: 10,
      heartbeatTicks: 2,
      // Later nodes wait longer, so that one at a time stands unless a scenario wants otherwise.
      random: () => ids.indexOf(id) / ids.length,
      hardState,
      log: { blocks: [...blocks], commit: applied },
      certified,
      limits: this.#limits,
    })
    node.raft.join()
  }

  crash(id: NodeId): void {
    const node = this.#node(id)
    node.raft = node.ready = undefined
  }

  /** With `configuration`, the block changes the cluster. It keeps it on its way, as if every ledger had checked it. */
  propose(id: NodeId, body: string, configuration?: Configuration): void {
    const raft = this.raft(id)
    const { height, hash } = raft.tail
    const name = `${height + 1}/${raft.term}${body === '' ? '' : `:${body}`}`
    const ref = { height: height + 1, term: raft.term, hash: name }
    const block = { ...ref, prev: hash, body: new Uint8Array(10), proposal: fakeProposal(id, ref) }
    const result = raft.propose(configuration === undefined ? block : { ...block, configuration })
    this.say(result.ok ? `${id} proposes ${name}` : `${id} refuses: ${result.reason}`)
  }

  change(id: NodeId, configuration: Configuration): void {
    this.propose(id, members(configuration), configuration)
  }

  read(id: NodeId): void {
    const read = ++this.#lastRead
    const result = this.raft(id).read(read)
    this.say(result.ok ? `${id} takes read ${read}` : `${id} refuses read ${read}: ${result.reason}`)
  }

  /** Takes a Ready; the leader's own messages leave. */
  take(id: NodeId): void {
    const node = this.#node(id)
    const raft = this.raft(id)
    if (node.ready !== undefined || !raft.hasReady()) return
    const ready = raft.ready()
    node.ready = ready
    for (const { to, message } of ready.early) this.#send(id, to, message)
    if (ready.softState !== undefined) {
      const { role, leader } = ready.softState
      this.say(`${id} is ${role} of term ${raft.term}, leader ${leader ?? 'unknown'}`)
      if (role === 'leader') this.#leads(raft.term, id)
    }
    if (ready.behind !== undefined) this.say(`${id} is behind ${ready.behind}`)
    for (const { id: read, height } of ready.reads) {
      this.say(`${id} answers read ${read}: ${height === undefined ? 'failed' : `wait for ${height}`}`)
    }
  }

  /** The Ready taken becomes durable; what waited for that leaves, and is applied. */
  sync(id: NodeId): void {
    const { ready, disk } = this.#node(id)
    if (ready === undefined) return
    const raft = this.raft(id)
    this.#node(id).ready = undefined
    disk.hardState = ready.hardState ?? disk.hardState
    if (ready.truncateFrom !== undefined) {
      this.say(`${id} removes ${ready.truncateFrom}..${disk.blocks.length - 1}`)
      disk.blocks.length = ready.truncateFrom
    }
    disk.blocks.push(...ready.blocks)
    disk.certified = ready.certified ?? disk.certified
    for (const { to, message } of ready.messages) this.#send(id, to, message)
    const last = ready.committed.at(-1)
    if (last !== undefined) {
      this.say(`${id} applies ${ready.committed.map((block) => block.hash).join(' ')}`)
      disk.applied = last.height
    }
    raft.advance(ready)
    for (const statement of ready.sign) raft.signed(statement, fakeSign(id, statement))
    if (last !== undefined) raft.applied(last.height)
    if (ready.sign.length === 0) return
    // What is signed leaves as well, with the lock that it makes.
    this.take(id)
    this.sync(id)
  }

  #send(from: NodeId, to: NodeId, message: Message): void {
    if (this.#cuts.has(`${from}${to}`)) this.say(`${from} -x ${to} ${brief(message)}`)
    else this.flights.push({ from, to, message })
  }

  cut(from: NodeId, to: NodeId): void {
    this.#cuts.add(`${from}${to}`)
  }

  heal(): void {
    this.#cuts.clear()
  }

  /** Removes and gives the oldest message on the link, or on any if no link is named. */
  #oldest(from?: NodeId, to?: NodeId): Flight | undefined {
    const fits = (flight: Flight) => from === undefined || (flight.from === from && flight.to === to)
    const index = this.flights.findIndex(fits)
    return index === -1 ? undefined : this.flights.splice(index, 1)[0]
  }

  deliver(from?: NodeId, to?: NodeId): boolean {
    const flight = this.#oldest(from, to)
    if (flight === undefined) return false
    this.say(`${flight.from} -> ${flight.to} ${brief(flight.message)}`)
    const { raft } = this.#node(flight.to)
    // What is signed holds here, so it need not be verified; but a message may be dropped before.
    if (raft?.triage(flight.from, flight.message) === 'drop') return true
    try {
      raft?.step(flight.from, flight.message)
    } catch (error) {
      if (!(error instanceof RefusedError)) throw error
      this.say(`${flight.to} refuses it: ${error.message}`)
    }
    return true
  }

  drop(from: NodeId, to: NodeId): boolean {
    const flight = this.#oldest(from, to)
    if (flight !== undefined) this.say(`${from} -x ${to} ${brief(flight.message)}`)
    return flight !== undefined
  }

  /** Everything that can happen happens, except the passing of time. */
  run(): void {
    for (let rounds = 0; rounds < 1000; rounds++) {
      let busy = false
      for (const [id, { raft, ready }] of this.nodes) {
        if (raft === undefined || (ready === undefined && !raft.hasReady())) continue
        busy = true
        this.take(id)
        this.sync(id)
      }
      if (!this.deliver() && !busy) return
    }
    throw new Error('the cluster does not come to rest')
  }

  /** `from` says to `to` what its Raft did not: the oldest message under way to `to` of another, or one made up. */
  lie(from: NodeId, to: NodeId, message: Message): void {
    this.#lies.add(from)
    this.#send(from, to, message)
  }

  /** Somebody's block on the block named `on`, sealed by `by`, which nobody has proposed to a Raft. */
  forge(by: NodeId, on: string, term: number, mark: string): Block {
    const parent = [...this.nodes.values()]
      .flatMap(({ disk }) => disk.blocks)
      .find(({ hash }) => hash === on)!
    const ref = { height: parent.height + 1, term, hash: `${parent.height + 1}/${term}:${mark}` }
    return { ...ref, prev: on, body: new Uint8Array(10), proposal: fakeProposal(by, ref) }
  }

  pull(id: NodeId, source: NodeId): void {
    const { disk } = this.#node(source)
    const blocks = disk.blocks.slice(this.raft(id).commit + 1, disk.applied + 1)
    this.say(`${id} installs ${blocks.map((block) => block.hash).join(' ')} from ${source}`)
    const last = blocks.at(-1)
    if (last !== undefined) this.raft(id).install(blocks, fakeCover(last))
  }

  #leads(term: number, id: NodeId): void {
    const other = this.#leaders.get(term)
    if (other !== undefined && other !== id) throw new Error(`${other} and ${id} both led term ${term}`)
    this.#leaders.set(term, id)
  }

  /**
   * What was applied anywhere is the same everywhere, and stands on the disks of a quorum of the voters, with a
   * certificate of it or of a block above it: those of the configuration applied last, or of the one appended since.
   */
  checkSafety(): void {
    const nodes = [...this.nodes.values()]
    const longest = nodes.reduce(
      (best, { disk }) => (disk.applied > best.applied ? disk : best),
      nodes[0]!.disk,
    )
    for (let height = 0; height <= longest.applied; height++) {
      const hash = longest.blocks[height]!.hash
      for (const { id, disk } of nodes) {
        if (height <= disk.applied && disk.blocks[height]?.hash !== hash)
          throw new Error(`${id} differs at ${height}`)
      }
      const holders = nodes
        .filter(({ id, disk: { blocks, certified } }) => {
          const isLocked = certified.block.height >= height && blocks[height]?.hash === hash
          return isLocked || this.#lies.has(id)
        })
        .map(({ id }) => id)
      const held = [longest.applied, longest.blocks.length].some((at) => {
        const { voters, quorum } = configurationAt(at, longest.blocks) ?? this.#founders
        return voters.filter((id) => holders.includes(id)).length >= quorum
      })
      if (!held) throw new Error(`block ${height} stands on the disks of ${holders} only`)
    }
  }
}

function configurationAt(at: number, blocks: readonly Block[]): Configuration | undefined {
  return blocks.findLast(({ height, configuration }) => configuration && height <= at)?.configuration
}
