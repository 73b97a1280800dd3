/**
 * The promises of the ledger: what is applied is committed, durable and never changes; every root is the twin's;
 * there is one certificate a size and a quorum's disks stand behind it; nobody cosigns two histories.
 */
import { decodeFacts } from '../../node/store/block-facts.ts'
import { blockKey, certificateKey, factsKey, META } from '../../node/store/keys.ts'
import type { KvWrite } from '../../node/store/kv.ts'
import { equalBytes, fromU64, fromUtf8, toHex } from '../../src/bytes.ts'
import type { SignatureSuite } from '../../src/crypto/suite.ts'
import { errorMessage } from '../../src/errors.ts'
import type { Block } from '../../src/ledger/block.ts'
import type { GenesisParameters } from '../../src/ledger/genesis.ts'
import { cosignerName, type Membership, policyOf } from '../../src/ledger/membership.ts'
import { verifyCertificate } from '../../src/notes/certificate.ts'
import { parseCheckpoint } from '../../src/notes/checkpoint.ts'
import { parseNote } from '../../src/notes/note.ts'
import { type Policy, satisfied } from '../../src/notes/policy.ts'
import { mth } from '../support/naive-tree.ts'
import { type Blocks, TreeTwin } from './blocks.ts'
import type { Judged, Report } from './judge.ts'
import { durableHeight } from './judge-raft.ts'
import type { MembersTwin } from './members-twin.ts'

interface Applied {
  readonly hash: string
  readonly size: number
  readonly root: string
}

interface Rules {
  readonly parameters: GenesisParameters
  readonly members: MembersTwin
  readonly suite: SignatureSuite
  readonly genesis: Block
}

export class LedgerJudge {
  /** Roots in hex by size, of certificates that satisfy the policy. */
  readonly certified = new Map<number, string>()
  readonly #nodes: () => readonly Judged[]
  readonly #blocks: Blocks
  readonly #rules: Rules
  readonly #fail: Report
  readonly #twin = new TreeTwin()
  /** What each node has applied, by height. It outlives its processes. */
  readonly #applied = new Map<string, Applied[]>()
  readonly #cosigned = new Map<string, { size: number; root: string }>()
  readonly #notes = new Set<string>()
  readonly #policies = new Map<Membership, Policy>()
  /** By block hash: the honest nodes that have cosigned the tree that ends with the block. */
  readonly #vouched = new Map<string, Set<string>>()
  #newest: Pick<Applied, 'size' | 'hash'>

  constructor(nodes: () => readonly Judged[], blocks: Blocks, rules: Rules, fail: Report) {
    this.#nodes = nodes
    this.#blocks = blocks
    this.#rules = rules
    this.#fail = fail
    this.#twin.rootAfter(rules.genesis)
    this.#newest = { size: 0, hash: rules.genesis.id }
  }

  /** Size of the newest certificate that any honest node holds. */
  get newest(): number {
    return this.#newest.size
  }

  /** Hash of the block at which the newest certified tree ends: genesis if nothing is certified. */
  get certifiedTip(): string {
    return this.#newest.hash
  }

  /** Hash of the block at which a node's tree of `size` ends. */
  hashAt(name: string, size: number): string | undefined {
    return this.#applied.get(name)?.find((applied) => applied.size === size)?.hash
  }

  /** Honest nodes have applied different blocks at one height. Only one who forgot or lied can have brought that about. */
  get divided(): boolean {
    const honest = this.#nodes().filter((node) => node.honest)
    const chains = honest.map(({ name }) => this.#applied.get(name) ?? [])
    return chains.some((chain) =>
      chains.some((other) => {
        const height = Math.min(chain.length, other.length) - 1
        return chain[height]?.hash !== other[height]?.hash
      }),
    )
  }

  writes(node: Judged, batch: readonly KvWrite[], committed: readonly { hash: string }[] | undefined): void {
    const height = durableHeight(node)
    for (const { key, value } of batch) {
      if (key[0] === BLOCK) this.#block(node, fromU64(key, 1), value, height)
      else if (key[0] === FACTS && value !== undefined) this.#facts(node, fromU64(key, 1), value, committed)
      else if (equalBytes(key, META.certificate) && value !== undefined)
        this.#certificate(node, fromUtf8(value))
      else if (key[0] === KEPT && value !== undefined) this.#kept(node, fromU64(key, 1), fromUtf8(value))
    }
  }

  /** The node does not know any more what it has applied above `height`, and what it has cosigned. */
  forgets(name: string, height: number): void {
    this.#applied.get(name)?.splice(height + 1)
    this.#cosigned.delete(name)
  }

  /** What is kept for a size is a certificate of that very size. */
  #kept(node: Judged, size: number, note: string): void {
    const checkpoint = parseCheckpoint(parseNote(note).text)
    if (checkpoint.size !== size) this.#fail(`${node.name} keeps another certificate for size ${size}`)
  }

  /** The size of the tree that a node has applied. */
  sizeOf({ name }: Judged): number {
    return this.#applied.get(name)?.at(-1)?.size ?? 0
  }

  /** What is pulled must stand in a tree that enough have cosigned, whatever the liars among them have. */
  installs(node: Judged, hash: string): void {
    const liars = this.#nodes().filter(({ honest }) => !honest).length
    const block = this.#blocks.get(hash)
    const vouched = [...this.#vouched].some(
      ([tip, by]) =>
        new Set([...by, node.name]).size >= this.#rules.members.before(tip).cosigners - liars &&
        block !== undefined &&
        this.#blocks.ancestor(tip, block.seal.height)?.id === hash,
    )
    if (!vouched) this.#fail(`${node.name} installs a block that no certificate covers`)
  }

  /** No write touches a block that the ledger has applied. */
  #block({ name, disk }: Judged, height: number, value: Uint8Array | undefined, applied: number): void {
    if (height > applied) return
    const before = disk.peek(blockKey(height))
    if (value === undefined || before === undefined || !equalBytes(before, value)) {
      this.#fail(`${name} removes or changes applied block ${height} on its disk`)
    }
  }

  /** State Machine Safety: committed blocks, each once, in order, from the node's own disk, with the twin's root. */
  #facts(
    node: Judged,
    height: number,
    value: Uint8Array,
    committed: readonly { hash: string }[] | undefined,
  ): void {
    const { name, disk } = node
    const { hash, root, size } = decodeFacts(height, value)
    const applied = this.#applied.get(name) ?? []
    this.#applied.set(name, applied)
    const earlier = applied[height]
    // After a crash that lost the batch it is applied anew; but it must be the same.
    if (earlier !== undefined && earlier.hash !== hash) this.#fail(`${name} applies another block ${height}`)
    if (height > applied.length) this.#fail(`${name} applies block ${height} out of order`)
    applied[height] = { hash, size, root: toHex(root) }
    if (height === 0) return
    if (committed !== undefined && committed[height]?.hash !== hash) {
      this.#fail(`${name} applies block ${height}, which was not committed`)
    }
    const stored = disk.durable(blockKey(height))
    if (stored === undefined || this.#blocks.read(stored).id !== hash) {
      this.#fail(`${name} applies block ${height} before it is durable`)
    }
    if (this.#rootAfter(hash) !== toHex(root)) this.#fail(`${name} has a wrong root after block ${height}`)
  }

  #rootAfter(hash: string): string {
    // Where liars have forked the chain the twin follows one branch; the others are computed from scratch.
    const scratch = () => toHex(mth(this.#blocks.branch(hash).flatMap(({ leaves }) => leaves)))
    return this.#twin.rootAfter(this.#blocks.get(hash)!) ?? scratch()
  }

  /** One certificate a size, satisfying the policy, on the disks of a quorum. */
  #certificate(node: Judged, note: string): void {
    if (this.#notes.has(note)) return
    this.#notes.add(note)
    const { size, root } = parseCheckpoint(note.slice(0, note.indexOf('\n\n') + 1))
    const known = this.certified.get(size)
    if (known !== undefined && known !== toHex(root)) this.#fail(`two certificates of size ${size}`)
    this.certified.set(size, toHex(root))
    const height = this.#applied.get(node.name)?.findIndex((applied) => applied.size === size) ?? -1
    const own = this.#applied.get(node.name)?.[height]
    if (own?.root !== toHex(root)) {
      this.#fail(`${node.name} takes a certificate of another tree, size ${size}`)
      return
    }
    if (size > this.#newest.size) this.#newest = own
    const membership = this.#rules.members.before(own.hash)
    const policy = this.#policyOf(membership)
    this.#quorum(node, note, membership, policy)
    const holders = this.#nodes().filter(
      (each) =>
        each.honest &&
        membership.validatorByName.has(each.name) &&
        (each.diskLost ||
          each.forgetful ||
          (durableHeight(each) >= height && this.#applied.get(each.name)?.[height]?.hash === own.hash)),
    )
    const liars = this.#nodes().filter(({ honest }) => !honest).length
    if (holders.length + liars < membership.cosigners) {
      this.#fail(`certificate of size ${size} stands on the disks of ${holders.length} nodes only`)
    }
    // Every node assembles lines of its own choice; their signatures are verified for the first of each size.
    if (known !== undefined) return
    verifyCertificate(this.#rules.suite, policy, note).catch((error: unknown) =>
      this.#fail(`${node.name} takes a certificate that is none: ${errorMessage(error)}`),
    )
  }

  /** Made once for each membership. */
  #policyOf(membership: Membership): Policy {
    const policy = this.#policies.get(membership) ?? policyOf(this.#rules.parameters.ledger, membership)
    this.#policies.set(membership, policy)
    return policy
  }

  /** The policy of its size is that of the members before the block with which it ends. */
  #quorum({ name }: Judged, note: string, membership: Membership, policy: Policy): void {
    const { ledger } = this.#rules.parameters
    const keys = new Set(note.split('\n\u2014 ').map((line) => line.slice(0, line.indexOf(' '))))
    const cosigners = membership.validators.filter((validator) =>
      keys.has(cosignerName(ledger, validator.name)),
    )
    const names = new Set(cosigners.map((validator) => validator.name))
    if (!satisfied(policy, names) || !keys.has(ledger)) {
      this.#fail(`${name} takes a certificate without a quorum`)
    }
  }

  /** A certificate is told of: one that the node holds itself. */
  certifies({ name }: Judged, bytes: Uint8Array): void {
    if (!this.#notes.has(fromUtf8(bytes))) this.#fail(`${name} gossips a certificate that it has not kept`)
  }

  /** A cosignature leaves: the pair is on disk, it is this node's own tree, and not smaller than one before. */
  cosigns(node: Judged, bytes: Uint8Array): void {
    const { name, disk } = node
    const { text, signatures } = parseNote(fromUtf8(bytes))
    const { origin, size, root } = parseCheckpoint(text)
    const own = signatures.some((line) => line.name === cosignerName(origin, name))
    if (!own) this.#fail(`${name} publishes a note without its own line`)
    const hex = toHex(root)
    const last = this.#cosigned.get(name)
    // A node that has recovered may have to cosign the checkpoint of a change that it knows no certificate of.
    const again = (node.diskLost || node.forgetful) && this.#isBoundary(name, size)
    if (last !== undefined && ((size < last.size && !again) || (size === last.size && hex !== last.root))) {
      this.#fail(`${name} cosigns size ${size} after ${last.size}, or another root`)
    }
    this.#cosigned.set(name, { size, root: hex })
    const stored = disk.durable(META.cosigned)
    const known = stored === undefined ? 0 : fromU64(stored)
    if (!(again && known > size) && (known !== size || toHex(stored!.slice(8)) !== hex)) {
      this.#fail(`${name} cosigns size ${size} before that is on its disk`)
    }
    const applied = this.#applied.get(name)?.find((each) => each.size === size)
    if (applied?.root !== hex) {
      this.#fail(`${name} cosigns a root of size ${size} that its tree does not have`)
      return
    }
    const vouched = this.#vouched.get(applied.hash) ?? new Set<string>()
    this.#vouched.set(applied.hash, vouched.add(name))
    // The way from policy to policy has no gap.
    for (const boundary of this.#rules.members.boundaries(applied.hash)) {
      if (boundary < size && disk.durable(certificateKey(boundary)) === undefined) {
        this.#fail(`${name} cosigns size ${size} without a certificate of boundary ${boundary}`)
      }
    }
    if (!this.#rules.members.before(applied.hash).validatorByName.has(name)) {
      this.#fail(`${name} cosigns size ${size}, for which it is no validator`)
    }
  }

  #isBoundary(name: string, size: number): boolean {
    const hash = this.hashAt(name, size)
    return hash !== undefined && this.#rules.members.boundaries(hash).at(-1) === size
  }

  /** At the end: the whole tree of a node by the plain definition, which checks the twin too. */
  checkTree({ name, disk }: Judged): void {
    const applied = disk.peek(META.applied)
    // Among liars it may end with an empty disk that nobody helps it to fill.
    if (applied === undefined) return
    const height = fromU64(applied)
    const facts = decodeFacts(height, disk.peek(factsKey(height))!)
    const leaves = this.#blocks.branch(facts.hash).flatMap((block) => block.leaves)
    if (toHex(mth(leaves)) !== toHex(facts.root)) this.#fail(`the tree of ${name} is not the naive twin's`)
  }
}

const BLOCK = blockKey(0)[0]
const FACTS = factsKey(0)[0]
const KEPT = certificateKey(0)[0]
