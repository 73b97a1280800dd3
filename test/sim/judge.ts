/**
 * The judge. It sees every batch on its way to a disk, every frame and gossiped message that leaves, every
 * verdict and every node after each of its steps. Its findings are kept, not thrown: production code that
 * catches errors must not be able to hide one.
 */
import type { Raft } from '../../consensus/raft.ts'
import { decodeMessage } from '../../consensus/wire.ts'
import { FRAME, type FrameKind, type Topic, type Verdict } from '../../node/net/network.ts'
import { blockKey, META } from '../../node/store/keys.ts'
import type { KvWrite } from '../../node/store/kv.ts'
import { equalBytes, fromU64, fromUtf8 } from '../../src/bytes.ts'
import type { PublicKey, SignatureSuite } from '../../src/crypto/suite.ts'
import type { Block } from '../../src/ledger/block.ts'
import { pae } from '../../src/ledger/dsse.ts'
import type { Genesis } from '../../src/ledger/genesis.ts'
import { Blocks } from './blocks.ts'
import { ChainTwin } from './chain-twin.ts'
import type { SimDisk } from './disk.ts'
import { LedgerJudge } from './judge-ledger.ts'
import { LiesJudge } from './judge-lies.ts'
import { durableHeight, RaftJudge } from './judge-raft.ts'
import { SignedJudge } from './judge-signed.ts'
import { MembersTwin } from './members-twin.ts'
import { statementIn } from './statements.ts'

export type Report = (finding: string) => void

export interface Judged {
  readonly name: string
  readonly honest: boolean
  /** Grows with every restart: a node must not even lead the same term twice. */
  readonly incarnation: number
  readonly disk: SimDisk
  /** Its disk was replaced: what stood on it, stood there once. */
  readonly diskLost: boolean
  /** Its disk was replaced by an old copy: until it is shown that, it may contradict what it has forgotten. */
  readonly forgetful: boolean
  /** Its store says that it may have forgotten something. */
  readonly recovering: boolean
  /** Which of its keys it has in place, and the first of those made since its store forgot something. */
  readonly generation: number
  readonly freshGeneration: number
  /** Undefined while the process is down or starting. */
  readonly raft: Pick<Raft, 'term' | 'role' | 'tail' | 'commit' | 'leader' | 'certified'> | undefined
  /** Whether one of the keys that the node has or has had is this one. */
  owns(key: PublicKey): boolean
}

export class Judge {
  /** The first promise found broken. */
  violation: string | undefined
  readonly blocks = new Blocks()
  readonly members: MembersTwin
  readonly raft: RaftJudge
  readonly ledger: LedgerJudge
  readonly #nodes = new Map<string, Judged>()
  readonly #chain: ChainTwin
  readonly #told: LiesJudge
  readonly #signed: SignedJudge
  readonly #suspended: boolean

  /**
   * With `suspended`, somebody signs on without knowing what it has forgotten: then only what holds in spite of that is
   * judged. Liars, as many as are tolerated, suspend nothing.
   * @param now milliseconds since 1970, by a clock that is right
   */
  constructor(genesis: Genesis, suite: SignatureSuite, suspended: boolean, now: () => number) {
    this.#suspended = suspended
    const { block, parameters, membership } = genesis
    this.blocks.read(block.bytes)
    const nodes = () => [...this.#nodes.values()]
    const fail: Report = (finding) => this.fail(finding)
    const members = new MembersTwin(this.blocks, block, membership, fail)
    this.members = members
    this.raft = new RaftJudge(nodes, this.blocks, members, block.id, suite, fail)
    this.ledger = new LedgerJudge(nodes, this.blocks, { parameters, members, suite, genesis: block }, fail)
    const before = (hash: string) => members.before(hash)
    this.#chain = new ChainTwin({ blocks: this.blocks, suite, now, membership: before, fail })
    this.#told = new LiesJudge(fail)
    this.#signed = new SignedJudge(fail)
  }

  enrol(node: Judged): void {
    this.#nodes.set(node.name, node)
  }

  /**
   * A node's disk was replaced by an empty one, or by an old copy of it. Among liars it may come to know another
   * history than the one it has forgotten; without them the two must be the same.
   */
  forgets(name: string): void {
    if (this.#suspended) this.ledger.forgets(name, durableHeight(this.#nodes.get(name)!))
  }

  fail(finding: string): void {
    this.violation ??= finding
  }

  observe(name: string): void {
    const node = this.#nodes.get(name)!
    if (!this.#suspended && node.honest) this.raft.observe(node)
  }

  /** A leader takes a block of its own making into its log. */
  proposes(name: string, bytes: Uint8Array): void {
    const node = this.#nodes.get(name)!
    const block = this.blocks.read(bytes)
    if (this.#suspended || !node.honest) return
    if (node.recovering) this.fail(`${name} proposes a block, though its store has forgotten what it signed`)
    // What was committed until now was committed by the voters until now.
    this.raft.observe(node)
    this.raft.met(node, block)
  }

  writes(name: string, batch: readonly KvWrite[]): void {
    const node = this.#nodes.get(name)!
    if (!node.honest) return
    const written = new Map<number, Block>()
    for (const { key, value } of batch) {
      const lifted = value === undefined && equalBytes(key, META.recovering)
      if (lifted && node.generation < node.freshGeneration) {
        this.fail(`${name} takes part again under keys that its store has forgotten the signatures of`)
      }
      if (value !== undefined && equalBytes(key, META.hardState) && !this.#suspended)
        this.raft.votes(node, value)
      if (key[0] !== BLOCK || value === undefined) continue
      const block = this.blocks.read(value)
      const { height } = block.seal
      written.set(height, block)
      if (height > 0)
        this.#chain.follows(name, block, written.get(height - 1) ?? this.#stored(node, height - 1))
      if (block.seal.height !== fromU64(key, 1)) this.fail(`${name} writes a block at a height not its own`)
      if (!this.#suspended) this.raft.builds(node, block)
    }
    // Applying may begin within the very step that commits: judge the commit first.
    this.observe(name)
    this.ledger.writes(node, batch, this.#suspended ? undefined : this.raft.committed)
  }

  #stored({ disk }: Judged, height: number): Block | undefined {
    const bytes = disk.peek(blockKey(height))
    return bytes && this.blocks.read(bytes)
  }

  /** Blocks that a node has pulled go into its log as committed. */
  installs(name: string, blocks: readonly { readonly hash: string; readonly body: Uint8Array }[]): void {
    const node = this.#nodes.get(name)!
    if (!node.honest) return
    for (const { hash, body } of blocks) {
      this.blocks.read(body)
      this.ledger.installs(node, hash)
    }
  }

  sends(name: string, to: string, kind: FrameKind, bytes: Uint8Array): void {
    const node = this.#nodes.get(name)!
    if (!node.honest) return
    if (kind === FRAME.raft) {
      if (node.recovering) this.#votes(node, bytes)
      this.raft.sends(node, to, bytes)
    }
    if (kind === FRAME.cosignature) this.#cosigns(node, bytes)
  }

  #votes({ name }: Judged, bytes: Uint8Array): void {
    const message = decodeMessage(bytes)
    const grants = message.kind === 'vote-reply' && message.signature !== undefined
    if (grants || message.kind === 'vote' || message.kind === 'acknowledge' || message.kind === 'locked')
      this.fail(`${name} says ${message.kind}, though its store has forgotten what it signed`)
  }

  #cosigns(node: Judged, bytes: Uint8Array): void {
    if (node.recovering) this.fail(`${node.name} cosigns, though its store has forgotten what it signed`)
    this.ledger.cosigns(node, bytes)
  }

  publishes(name: string, topic: Topic, bytes: Uint8Array): void {
    const node = this.#nodes.get(name)!
    if (topic === 'cosignatures' && node.honest) this.ledger.certifies(node, bytes)
  }

  /** What an honest node says is never rejected by an honest one. */
  verdict(receiver: string, publisher: string, topic: Topic, bytes: Uint8Array, verdict: Verdict): void {
    if (verdict === 'accept') this.#accepted(receiver, publisher, topic, bytes)
    if (verdict !== 'reject' || !this.#bothHonest(receiver, publisher)) return
    this.fail(`${receiver} rejects what ${publisher} gossips about ${topic}`)
  }

  /** What an honest node has verified of a liar's. */
  #accepted(receiver: string, publisher: string, topic: Topic, bytes: Uint8Array): void {
    const node = this.#nodes.get(receiver)!
    if (!node.honest || this.#nodes.get(publisher)!.honest) return
    if (topic === 'cosignatures')
      this.#told.sawNote(node, publisher, fromUtf8(bytes), this.ledger.sizeOf(node))
  }

  /** A signature that an honest node has found to be by `key`. */
  verified(name: string, key: PublicKey, message: Uint8Array): void {
    const node = this.#nodes.get(name)!
    const statement = node.honest ? statementIn(message) : undefined
    if (statement === undefined) return
    // Votes of terms far from its own it does not keep: they would push out others.
    if (statement.kind === 'vote' && Math.abs(statement.vote.term - (node.raft?.term ?? 0)) > 1) return
    const signer = [...this.#nodes.values()].find((each) => !each.honest && each.owns(key))
    if (signer) this.#told.saw(node, signer.name, key, statement)
  }

  /** An honest node signs by its node key. What it signs it may say, so it counts as said. */
  signs(name: string, key: PublicKey, message: Uint8Array): void {
    const node = this.#nodes.get(name)!
    const statement = node.honest && !this.#suspended ? statementIn(message) : undefined
    // A seal counts when its block is in the log: before, nobody else can see it.
    if (statement && statement.kind !== 'seal') this.#signed.signs(node, key, statement, this.blocks)
  }

  /** A leader has taken a block of its own making into its log. */
  proposed(name: string, key: PublicKey, bytes: Uint8Array): void {
    const node = this.#nodes.get(name)!
    if (!node.honest || this.#suspended) return
    const { sealEnvelope } = this.blocks.read(bytes)
    const signed = statementIn(pae(sealEnvelope.payloadType, sealEnvelope.payload))!
    this.#signed.signs(node, key, signed, this.blocks)
  }

  /** Liars that contradicted themselves before an honest node. */
  get caught(): ReadonlySet<string> {
    return this.#told.caught
  }

  /** At the end: what a node that is up must have evidence of. A disk that misreads may have hidden something. */
  judgeEvidence(name: string, accused: readonly string[]): void {
    const node = this.#nodes.get(name)!
    if (node.raft !== undefined && node.disk.counts.bitFlips === 0) this.#told.judge(node, new Set(accused))
  }

  /** An honest node never gives an honest one reason to close a connection. */
  blames(name: string, peer: string, code: string): void {
    if (!this.#bothHonest(name, peer) || this.#suspended) return
    this.fail(`${name} blames ${peer}: ${code}`)
  }

  /** Evidence convicts liars, and nobody else. */
  accuses(name: string, accused: string): void {
    // Before it is shown that its disk is an old copy, a node may contradict what it has forgotten.
    const node = this.#nodes.get(accused)
    // A node that is no member yet may know the key alone.
    if (node === undefined || node.forgetful) return
    if (this.#bothHonest(name, accused)) this.fail(`${name} accuses ${accused}, who is honest`)
  }

  #bothHonest(a: string, b: string): boolean {
    return this.#nodes.get(a)!.honest && this.#nodes.get(b)!.honest
  }
}

const BLOCK = blockKey(0)[0]
