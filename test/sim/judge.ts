/**
 * The judge. It sees every batch on its way to a disk, every frame and gossiped message that leaves, every
 * verdict and every node after each of its steps. Its findings are kept, not thrown: production code that
 * catches errors must not be able to hide one.
 */
import type { Raft } from '../../consensus/raft.ts'
import { FRAME, type FrameKind, type Topic, type Verdict } from '../../node/net/network.ts'
import { blockKey } from '../../node/store/keys.ts'
import type { KvWrite } from '../../node/store/kv.ts'
import { fromU64 } from '../../src/bytes.ts'
import type { SignatureSuite } from '../../src/crypto/suite.ts'
import { readGenesis } from '../../src/ledger/genesis.ts'
import { Blocks } from './blocks.ts'
import type { SimDisk } from './disk.ts'
import { LedgerJudge } from './judge-ledger.ts'
import { durableHeight, RaftJudge } from './judge-raft.ts'
import { MembersTwin } from './members-twin.ts'

export type Report = (finding: string) => void

export interface Judged {
  readonly name: string
  readonly honest: boolean
  /** Grows with every restart: a node must not even lead the same term twice. */
  readonly incarnation: number
  readonly disk: SimDisk
  /** Its disk was replaced: what stood on it, stood there once. */
  readonly diskLost: boolean
  /** Its disk was replaced by an old copy: it may contradict what it has forgotten. */
  readonly forgetful: boolean
  /** Undefined while the process is down or starting. */
  readonly raft: Pick<Raft, 'term' | 'role' | 'tail' | 'commit'> | undefined
}

export class Judge {
  /** The first promise found broken. */
  violation: string | undefined
  readonly blocks = new Blocks()
  readonly members: MembersTwin
  readonly raft: RaftJudge
  readonly ledger: LedgerJudge
  readonly #nodes = new Map<string, Judged>()
  readonly #lies: boolean

  /** With `lies`, some break the rules, or may unknowingly, and only what holds in spite of them is judged. */
  constructor(genesis: Uint8Array, suite: SignatureSuite, lies: boolean) {
    this.#lies = lies
    const { block, parameters, membership } = readGenesis(genesis)
    this.blocks.read(genesis)
    const nodes = () => [...this.#nodes.values()]
    const fail: Report = (finding) => this.fail(finding)
    this.members = new MembersTwin(this.blocks, block, membership, fail)
    this.raft = new RaftJudge(nodes, this.blocks, this.members, block.id, fail)
    const rules = { parameters, members: this.members, suite, genesis: block }
    this.ledger = new LedgerJudge(nodes, this.blocks, rules, fail)
  }

  enrol(node: Judged): void {
    this.#nodes.set(node.name, node)
  }

  /** An old copy of a node's disk was put in the place of it. */
  forgets(name: string): void {
    this.ledger.forgets(name, durableHeight(this.#nodes.get(name)!))
  }

  fail(finding: string): void {
    this.violation ??= finding
  }

  observe(name: string): void {
    const node = this.#nodes.get(name)!
    if (!this.#lies) this.raft.observe(node)
  }

  /** A leader takes a block of its own making into its log. */
  proposes(name: string, bytes: Uint8Array): void {
    const node = this.#nodes.get(name)!
    const block = this.blocks.read(bytes)
    if (this.#lies) return
    // What was committed until now was committed by the voters until now.
    this.raft.observe(node)
    this.raft.met(node, block)
  }

  writes(name: string, batch: readonly KvWrite[]): void {
    const node = this.#nodes.get(name)!
    if (!node.honest) return
    for (const { key, value } of batch) {
      if (key[0] !== BLOCK || value === undefined) continue
      const block = this.blocks.read(value)
      if (block.seal.height !== fromU64(key, 1)) this.fail(`${name} writes a block at a height not its own`)
      if (!this.#lies) this.raft.met(node, block)
    }
    // Applying may begin within the very step that commits: judge the commit first.
    this.observe(name)
    this.ledger.writes(node, batch, this.#lies ? undefined : this.raft.committed)
  }

  sends(name: string, to: string, kind: FrameKind, bytes: Uint8Array): void {
    const node = this.#nodes.get(name)!
    if (kind === FRAME.raft && node.honest) this.raft.sends(node, to, bytes)
  }

  publishes(name: string, topic: Topic, bytes: Uint8Array): void {
    const node = this.#nodes.get(name)!
    if (topic === 'cosignatures' && node.honest) this.ledger.cosigns(node, bytes)
  }

  /** What an honest node says is never rejected by an honest one. */
  verdict(receiver: string, publisher: string, topic: Topic, verdict: Verdict): void {
    if (verdict !== 'reject' || !this.#bothHonest(receiver, publisher)) return
    this.fail(`${receiver} rejects what ${publisher} gossips about ${topic}`)
  }

  /** An honest node never gives an honest one reason to close a connection. */
  blames(name: string, peer: string, code: string): void {
    if (!this.#bothHonest(name, peer) || this.#lies) return
    this.fail(`${name} blames ${peer}: ${code}`)
  }

  /** Evidence convicts liars, and nobody else. */
  accuses(name: string, accused: string): void {
    if (this.#nodes.get(accused)!.forgetful) return
    if (this.#bothHonest(name, accused)) this.fail(`${name} accuses ${accused}, who is honest`)
  }

  #bothHonest(a: string, b: string): boolean {
    return this.#nodes.get(a)!.honest && this.#nodes.get(b)!.honest
  }
}

const BLOCK = blockKey(0)[0]
