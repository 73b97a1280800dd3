/**
 * Blocks that have passed every check but are not applied yet, each with the chain state after it. Checking a
 * block needs its predecessor's state, and applying it needs what the check has read already.
 */
import type { Configuration, Block as RaftBlock } from '../../consensus/types.ts'
import { toHex } from '../../src/bytes.ts'
import type { PublicKey, SignatureSuite } from '../../src/crypto/suite.ts'
import { invariant, RefusedError } from '../../src/errors.ts'
import { type Block, decodeBlock } from '../../src/ledger/block.ts'
import { type ChainState, checkBlock, extend } from '../../src/ledger/chain.ts'
import { decodeEntry, type Entry, verifyAll } from '../../src/ledger/entry.ts'
import type { Membership } from '../../src/ledger/membership.ts'
import type { Clock } from '../clock.ts'
import type { VerifyLanes } from '../crypto/verify-queue.ts'
import { type AppliedBlock, type LedgerStore, toRaftBlock } from '../store/ledger-store.ts'
import type { EvidenceCollector } from './evidence.ts'
import { eventNames, type Pool } from './pool.ts'

interface Known extends AppliedBlock {
  readonly state: ChainState
  readonly ids: ReadonlySet<string>
  /** CloudEvents of the entries, as `eventName` spells them. */
  readonly events: ReadonlySet<string>
  /** A certificate covers it, so there is no other at its height. */
  readonly proven: boolean
}

/** The chain up to a block, and the ids of entries in its blocks that are not applied yet. */
interface Base {
  readonly state: ChainState
  readonly ids: readonly string[]
}

/** Entries that are read before the event loop gets its turn; each takes about a tenth of a millisecond. */
const READ_AT_ONCE = 8
/** Seals of refused blocks that are looked at; their sender is gone after that. */
const EXAMINED_MAX = 4

export class Unapplied {
  readonly #store: LedgerStore
  readonly #pool: Pool
  readonly #suites: Pick<VerifyLanes, 'urgent' | 'past'>
  readonly #evidence: Pick<EvidenceCollector, 'sawSeal' | 'examine'>
  readonly #clock: Pick<Clock, 'soon'>
  /** By block hash: those of the log, those that a certificate proves, and for a moment those that may come to it. */
  readonly #known = new Map<string, Known>()
  #tail: (() => string) | undefined

  constructor(
    store: LedgerStore,
    pool: Pool,
    suites: Pick<VerifyLanes, 'urgent' | 'past'>,
    evidence: Pick<EvidenceCollector, 'sawSeal' | 'examine'>,
    clock: Pick<Clock, 'soon'>,
  ) {
    this.#store = store
    this.#pool = pool
    this.#suites = suites
    this.#evidence = evidence
    this.#clock = clock
  }

  /** Until `tail` is known, the hash of the log's last block, nothing is forgotten but what is applied. */
  follow(tail: () => string): void {
    this.#tail = tail
  }

  /** How many blocks are remembered. */
  get size(): number {
    return this.#known.size
  }

  /** The chain state after the block with this hash: the applied tip or a block known here. */
  stateAfter(hash: string): ChainState | undefined {
    return this.#known.get(hash)?.state ?? (hash === this.#store.tip.hash ? this.#store.state : undefined)
  }

  /**
   * What blocks on top of the one with this hash are checked against. It is taken before anything is waited for:
   * of what is applied meanwhile, the ids stand here.
   */
  #base(hash: string): Base {
    const state = this.stateAfter(hash)
    if (!state) throw new RefusedError('bad-chain', 'The blocks do not follow anything this node holds.')
    const ids: string[] = []
    for (let at = this.#known.get(hash); at; at = this.#known.get(toHex(at.block.seal.previous))) {
      ids.push(...at.ids)
    }
    return { state, ids }
  }

  /** Whether an entry, or one of its CloudEvents, stands in a block of the unapplied branch that ends with `hash`. */
  overlaps(hash: string, entry: Entry): boolean {
    const names = eventNames(entry)
    for (let at = this.#known.get(hash); at; at = this.#known.get(toHex(at.block.seal.previous))) {
      const { ids, events } = at
      if (ids.has(entry.id) || names.some((name) => events.has(name))) return true
    }
    return false
  }

  /**
   * Checks a run of blocks on top of the block with hash `parent`, signatures included, remembers them, and
   * returns them with the configurations that their changes bring. Throws RefusedError or FormatError, and then
   * remembers none.
   * @param now this node's clock in ms; Infinity for blocks that a certificate has proven committed
   */
  async check(parent: string, blocks: readonly RaftBlock[], now: number): Promise<RaftBlock[]> {
    const base = this.#base(parent)
    const read: AppliedBlock[] = []
    for (const block of blocks) read.push(await this.read(decodeMatching(block)))
    const checked = await this.#check(base, read, now, false, this.#suites.urgent).catch((error: unknown) => {
      // What nobody may take was sealed all the same, perhaps beside another block of its place.
      const sealed = read
        .slice(0, EXAMINED_MAX)
        .map(({ block }) => this.#evidence.examine(block.leaves.at(-1)))
      void Promise.all(sealed)
      throw error
    })
    // Raft decides at once whether it takes them; what it does not take, or gives up for others, is gone after that.
    this.#clock.soon(() => this.#forgetRivals())
    return checked
  }

  /** As `check`, of blocks that `read` has read and a certificate has proven committed. */
  async checkProven(parent: string, blocks: readonly AppliedBlock[]): Promise<RaftBlock[]> {
    return this.#check(this.#base(parent), blocks, Number.POSITIVE_INFINITY, true, this.#suites.past)
  }

  /** Reads the entries of a block a few at a time, so that verification and the network get on meanwhile. */
  async read(block: Block): Promise<AppliedBlock> {
    const entries: Entry[] = []
    for (const [i, leaf] of block.leaves.slice(0, -1).entries()) {
      if (i > 0 && i % READ_AT_ONCE === 0) await new Promise<void>((resolve) => this.#clock.soon(resolve))
      const hash = block.leafHashes[i]!
      entries.push(this.#pool.get(toHex(hash)) ?? decodeEntry(leaf, hash))
    }
    return { block, entries }
  }

  async #check(
    base: Base,
    blocks: readonly AppliedBlock[],
    now: number,
    proven: boolean,
    suite: SignatureSuite,
  ): Promise<RaftBlock[]> {
    let { state } = base
    const seen = new Set([...base.ids, ...(await this.#recorded(blocks))])
    const passed: Known[] = []
    const configured: RaftBlock[] = []
    const signatures = []
    const sealers: PublicKey[] = []
    for (const { block, entries } of blocks) {
      const { sealSignature, entrySignatures } = checkBlock(
        state,
        block,
        now,
        (id) => seen.has(id),
        (_, place) => entries[place]!,
      )
      sealers.push(sealSignature.key)
      // What this node admitted itself it has verified already.
      const unknown = entrySignatures.filter((_, i) => !this.#pool.get(entries[i]!.id))
      signatures.push(sealSignature, ...unknown.flat())
      const { membership } = state
      state = extend(state, block, entries)
      configured.push(withConfiguration(block, membership, state.membership))
      const next = known(block, entries, state, proven)
      for (const id of next.ids) seen.add(id)
      passed.push(next)
    }
    if (!(await verifyAll(suite, signatures))) {
      throw new RefusedError('bad-signature', 'A block holds a signature that does not verify.')
    }
    for (const [i, { block }] of passed.entries()) {
      this.#evidence.sawSeal(sealers[i]!, block.sealEnvelope, block.seal)
    }
    for (const block of passed) this.#remember(block)
    return configured
  }

  /** Remembers a block this node has made itself from entries of its pool; returns it as Raft takes it. */
  add(block: Block, entries: readonly Entry[]): RaftBlock {
    const parent = this.stateAfter(toHex(block.seal.previous))
    invariant(parent, 'A proposal must follow the tail of the log.')
    const state = extend(parent, block, entries)
    this.#remember(known(block, entries, state, false))
    return withConfiguration(block, parent.membership, state.membership)
  }

  #remember(block: Known): void {
    const { id } = block.block
    const isProven = block.proven || this.#known.get(id)?.proven === true
    if (block.state.height > this.#store.tip.height) this.#known.set(id, { ...block, proven: isProven })
  }

  /** A leader that lies could seal any number of blocks for one height. */
  #forgetRivals(): void {
    if (!this.#tail) return
    const branch = new Set<string>()
    for (let at = this.#known.get(this.#tail()); at; at = this.#known.get(toHex(at.block.seal.previous))) {
      branch.add(at.block.id)
    }
    for (const [hash, { proven }] of this.#known) {
      if (!proven && !branch.has(hash)) this.#known.delete(hash)
    }
  }

  /** The checked block with this hash, for applying. */
  get(hash: string): AppliedBlock | undefined {
    return this.#known.get(hash)
  }

  /** Forgets what stands at or below the applied height. */
  prune(): void {
    for (const [hash, { state }] of this.#known) {
      if (state.height <= this.#store.tip.height) this.#known.delete(hash)
    }
  }

  /**
   * Ids of those entries that stand in the applied chain already, at another place than here: the same block may
   * come from a leader and by catching up, and be applied while its second copy is being checked.
   */
  async #recorded(blocks: readonly AppliedBlock[]): Promise<string[]> {
    const leaves = blocks.flatMap(({ block, entries }) =>
      entries.map(({ hash }, i) => ({ hash, index: block.seal.firstIndex + i })),
    )
    const found = await this.#store.leafIndexes(leaves.map(({ hash }) => hash))
    const elsewhere = leaves.filter(({ index }, i) => found[i] !== undefined && found[i] !== index)
    return elsewhere.map(({ hash }) => toHex(hash))
  }
}

function known(block: Block, entries: readonly Entry[], state: ChainState, proven: boolean): Known {
  const ids = new Set(entries.map(({ id }) => id))
  return { block, entries, state, ids, proven, events: new Set(entries.flatMap(eventNames)) }
}

/** Who takes part in ordering. A node that was just removed goes on listening, so that it learns of that. */
export function configurationOf({ validators, learners, leaving, cosigners }: Membership): Configuration {
  const names = learners.map(({ name }) => name)
  return {
    voters: validators.map(({ name }) => name),
    quorum: cosigners,
    learners: leaving === undefined ? names : [...names, leaving],
  }
}

function withConfiguration(block: Block, before: Membership, after: Membership): RaftBlock {
  const raftBlock = toRaftBlock(block)
  return before === after ? raftBlock : { ...raftBlock, configuration: configurationOf(after) }
}

/** The block inside a Raft block, refused if Raft's header says anything else than the seal. */
function decodeMatching({ height, term, hash, prev, body }: RaftBlock): Block {
  const block = decodeBlock(body)
  const { seal } = block
  if (block.id !== hash || seal.height !== height || seal.term !== term || toHex(seal.previous) !== prev) {
    throw new RefusedError('bad-chain', 'The header of a block does not agree with its seal.')
  }
  return block
}
