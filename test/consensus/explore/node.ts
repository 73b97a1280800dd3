/**
 * One honest node of the exploration: the real Raft and Core, driven by inputs that are texts. The same inputs give the
 * same node, so a node is rebuilt from its history instead of being copied, and renamed by renaming that.
 *
 * Servers are A, B, C (honest) and D; no other capital letters occur in a text. A block's hash is its chain: `g` is
 * genesis, `g/1A` the block of A in term 1 on it, `g/1D2` the second of two by D.
 */
import { Core } from '../../../consensus/core.ts'
import type { Lead, Message, Statement, Vote } from '../../../consensus/messages.ts'
import { judge } from '../../../consensus/proofs.ts'
import { Raft } from '../../../consensus/raft.ts'
import type {
  Block,
  BlockRef,
  Certified,
  Configuration,
  HardState,
  RaftConfig,
} from '../../../consensus/types.ts'
import { RefusedError } from '../../../src/errors.ts'
import { fakeCover, fakeProofs, fakeProposal, fakeSign } from '../fakes.ts'

export const HONEST = ['A', 'B', 'C'] as const
export const LIAR = 'D'
export const GENESIS = 'g'
const CLUSTER: Configuration = { voters: [...HONEST, LIAR], quorum: 3, learners: [] }
const LIMITS = {
  windowBlocks: 100,
  appendBytesMax: 1000,
  appendBlocksMax: 100,
  inflightAppendsMax: 100,
  memoryBlocks: 100,
  memoryBytes: 10_000,
}
/** Longer than anything that is counted in ticks. */
const LONG_TICKS = 1_000_000

export class Broken extends Error {}

export function blockOf(hash: string): Block {
  const parts = hash.split('/')
  const height = parts.length - 1
  const prev = parts.slice(0, -1).join('/')
  if (height === 0) return { height, term: 0, hash, prev, body: new Uint8Array(1) }
  const own = { height, term: Number.parseInt(parts[height]!, 10), hash }
  return { ...own, prev, body: new Uint8Array(1), proposal: fakeProposal(proposerOf(hash), own) }
}

export function refOf(hash: string): BlockRef {
  const { height, term } = blockOf(hash)
  return { height, term, hash }
}

export function proposerOf(hash: string): string {
  return /([A-D])\d?$/.exec(hash)?.[1] ?? ''
}

/** The blocks from genesis, not included, to the one named. */
export function chainOf(hash: string): string[] {
  const parts = hash.split('/')
  return parts.slice(1).map((_, index) => parts.slice(0, index + 2).join('/'))
}

/** Is `lower` on the chain that ends with `upper`? */
export function holds(upper: string, lower: string): boolean {
  return upper === lower || upper.startsWith(`${lower}/`)
}

/** `proof`: the names of those who acknowledge it, or `ledger`. */
function certified(hash: string, proof: string): Certified {
  const block = refOf(hash)
  if (hash === GENESIS) return { block, proof: { kind: 'genesis' } }
  if (proof === 'ledger') return { block, proof: { kind: 'ledger', bytes: fakeCover(block) } }
  const statement: Statement = { kind: 'acknowledgement', ...block }
  const acknowledgements = [...proof].map((from) => ({ from, signature: fakeSign(from, statement) }))
  const { seal } = blockOf(hash).proposal!
  return { block, proof: { kind: 'acknowledgements', seal, acknowledgements } }
}

interface Disk {
  hardState: HardState
  blocks: Block[]
  certified: Certified
  applied: number
}

export class ExploredNode {
  readonly id: string
  /** Is what an input has changed synced in the same step? */
  readonly #atOnce: boolean
  readonly #disk: Disk = {
    hardState: { term: 0, vote: undefined, abstains: false },
    blocks: [blockOf(GENESIS)],
    certified: certified(GENESIS, ''),
    applied: 0,
  }
  #core!: Core
  #raft!: Raft
  /** What has left since it was last asked for. */
  #said: string[] = []

  constructor(id: string, atOnce: boolean) {
    this.id = id
    this.#atOnce = atOnce
    this.#start()
  }

  #start(): void {
    const { hardState, blocks, certified: lock, applied } = this.#disk
    const config: RaftConfig = {
      id: this.id,
      configuration: CLUSTER,
      electionTicks: 10,
      heartbeatTicks: 2,
      random: () => 0,
      hardState,
      log: { blocks, commit: applied },
      certified: lock,
      limits: LIMITS,
    }
    this.#core = new Core(config)
    this.#raft = new Raft(config, this.#core)
    this.#raft.join()
  }

  /** Gives the statements that leave. Throws Broken if an honest node is blamed or an invariant of the code fails. */
  async take(input: string): Promise<string[]> {
    this.#said = []
    const [what, ...words] = input.split(' ')
    // Any time may have passed: leases are over, and nobody is passed over.
    this.#core.ticks += LONG_TICKS
    this.#core.leaderlessTicks = LONG_TICKS
    this.#core.electionElapsed = this.#core.electionTicks
    await this.#do(what!, words)
    this.#leave(this.#core.early.map(({ message }) => message))
    this.#core.early = []
    if (this.#atOnce) while (this.#raft.hasReady()) this.#sync()
    return this.#said
  }

  async #do(what: string, words: string[]): Promise<void> {
    const core = this.#core
    const [first, second, third, fourth, fifth] = words as [string, string, string, string, string]
    if (what === 'stand') this.#stand()
    else if (what === 'vote') {
      const { block } = certified(third, fourth)
      const term = Number(second)
      const signature = fakeSign(first, { kind: 'vote', term, candidate: first, base: block })
      const message: Vote = { kind: 'vote', term, base: certified(third, fourth), signature }
      await this.#deliver(first, message)
    } else if (what === 'elect') {
      for (const from of first) {
        const statement: Statement = { kind: 'vote', term: core.term, ...core.vote! }
        await this.#deliver(from, {
          kind: 'vote-reply',
          term: core.term,
          signature: fakeSign(from, statement),
        })
      }
    } else if (what === 'lead') {
      const base = certified(third, fourth)
      const term = Number(second)
      const statement: Statement = { kind: 'vote', term, candidate: first, base: base.block }
      const votes = [...fifth].map((from) => ({ from, signature: fakeSign(from, statement) }))
      const message: Lead = { kind: 'lead', term, leader: first, base, votes }
      await this.#deliver(first === this.id ? LIAR : first, message)
    } else if (what === 'propose') {
      const hash = `${core.log.tail.hash}/${core.term}${this.id}`
      if (this.#raft.propose(blockOf(hash)).ok) this.#said.push(`block ${hash}`)
    } else if (what === 'append') {
      const blocks = chainOf(second).map(blockOf)
      await this.#deliver(first, { kind: 'append', term: core.term, prev: refOf(GENESIS), blocks })
    } else if (what === 'acks') {
      const block = refOf(first)
      for (const from of second) {
        const signature = fakeSign(from, { kind: 'acknowledgement', ...block })
        await this.#deliver(from, { kind: 'acknowledge', ...block, signature })
      }
    } else if (what === 'locks') {
      for (const word of words) {
        const [from, hash] = word.split('=') as [string, string]
        await this.#deliver(from, { kind: 'locked', ...refOf(hash) })
      }
    } else if (what === 'install') {
      const blocks = [GENESIS, ...chainOf(first)].map(blockOf)
      this.#guard(LIAR, () => this.#raft.install(blocks, fakeCover(refOf(first))))
    } else if (what === 'sync') this.#sync()
    else if (what === 'restart') this.#start()
    else throw new Error(`an unknown input: ${what}`)
  }

  /** A pre-vote binds nobody, so the others give it. A leader has lost its office first. */
  #stand(): void {
    const core = this.#core
    if (core.role === 'leader') core.becomeFollower(core.term, undefined)
    this.#raft.campaign()
    for (const from of CLUSTER.voters) {
      if (from === this.id || core.role !== 'pre-candidate') continue
      this.#raft.step(from, { kind: 'pre-vote-reply', term: core.standTerm, granted: true })
    }
  }

  /** As the driver does. */
  async #deliver(from: string, message: Message): Promise<void> {
    const raft = this.#raft
    if (message.kind === 'append') {
      this.#guard(from, () => raft.step(from, raft.unchecked(from, message) ?? message))
      return
    }
    const todo = raft.triage(from, message)
    if (todo === 'drop') return
    const ports = fakeProofs(refOf(GENESIS), () => CLUSTER)
    if (todo === 'verify' && (await judge(raft, ports, from, message)) !== 'proven') return
    this.#guard(from, () => raft.step(from, message))
  }

  #guard(from: string, call: () => void): void {
    try {
      call()
    } catch (error) {
      if (error instanceof RefusedError && from === LIAR) return
      throw new Broken(`${this.id} blames ${from}: ${(error as Error).message}`)
    }
  }

  #sync(): void {
    if (!this.#raft.hasReady()) return
    const ready = this.#raft.ready()
    this.#leave(ready.early.map(({ message }) => message))
    const disk = this.#disk
    disk.hardState = ready.hardState ?? disk.hardState
    if (ready.truncateFrom !== undefined) disk.blocks = disk.blocks.slice(0, ready.truncateFrom)
    disk.blocks = [...disk.blocks, ...ready.blocks]
    disk.certified = ready.certified ?? disk.certified
    this.#leave(ready.messages.map(({ message }) => message))
    this.#raft.advance(ready)
    for (const statement of ready.sign) this.#raft.signed(statement, fakeSign(this.id, statement))
    const last = ready.committed.at(-1)
    if (last === undefined) return
    this.#raft.applied(last.height)
    disk.applied = last.height
  }

  #leave(messages: readonly Message[]): void {
    const { id } = this
    for (const message of messages) {
      const { term } = message
      const { vote, lead } = this.#core
      if (message.kind === 'vote') this.#said.push(`stand ${id} ${term} ${message.base.block.hash}`)
      if (message.kind === 'vote-reply' && message.signature !== undefined) {
        this.#said.push(`vote ${id} ${vote!.candidate} ${term} ${vote!.base.hash}`)
      }
      if (message.kind === 'lead' && message.leader === id) {
        this.#said.push(`lead ${id} ${term} ${lead!.base.block.hash}`)
      }
      if (message.kind === 'acknowledge') this.#said.push(`ack ${id} ${message.hash}`)
      if (message.kind === 'locked') this.#said.push(`locked ${id} ${message.hash}`)
    }
  }

  /** All that matters of the node, line by line, in no particular order. */
  state(): string[] {
    const core = this.#core
    const { log, vote, lead } = core
    const lines = [
      `self ${this.id}`,
      `term ${core.term}`,
      `role ${core.role}`,
      `leader ${core.leader ?? '-'}`,
      `lead ${lead === undefined ? '-' : `${lead.leader} ${lead.base.block.hash}`}`,
      `ballot ${vote === undefined ? '-' : `${vote.candidate} ${vote.base.hash}`}`,
      `abstains ${core.abstains}`,
      `tip ${log.tail.hash}`,
      `commit ${log.at(log.commit)!.hash}`,
      `lock ${core.certified.block.hash}`,
      `acknowledged ${core.acknowledged?.hash ?? '-'}`,
      `opened ${core.opened}`,
      `candidacy ${core.candidacy !== undefined}`,
    ]
    for (const from of core.answers.keys()) lines.push(`answer ${from}`)
    for (const [height, given] of core.acknowledgements) {
      for (const [from, { hash }] of given) lines.push(`given ${height} ${from} ${hash}`)
    }
    for (const [from, { hash }] of core.locks) lines.push(`locked ${from} ${hash}`)
    if (!this.#atOnce) lines.push(...this.#unsynced())
    return lines
  }

  #unsynced(): string[] {
    const { hardState, blocks, certified: lock, applied } = this.#disk
    const core = this.#core
    const { term, vote, abstains } = hardState
    const lines = [
      `disk ${term} ${vote?.candidate ?? '-'} ${vote?.base.hash ?? '-'} ${abstains}`,
      `disk ${blocks.at(-1)!.hash} ${lock.block.hash} ${applied}`,
      `stable ${core.log.stable} ${core.log.applied} ${core.lockIsDurable} ${core.certifiedIsNews}`,
      `ready ${this.#raft.hasReady()}`,
    ]
    for (const { to, message } of core.outbox) {
      const { kind, term: of } = message
      const hash = 'hash' in message ? message.hash : ''
      if (kind === 'vote' || kind === 'vote-reply' || kind === 'locked' || kind === 'acknowledge') {
        lines.push(`outbox ${kind} ${of} ${hash} ${kind === 'vote-reply' ? to : ''}`)
      }
    }
    for (const each of core.sign) {
      lines.push(`sign ${each.kind} ${each.kind === 'vote' ? each.candidate : each.hash}`)
    }
    return [...new Set(lines)]
  }
}
