/** The chain as a hostile member needs it: what each block is built on, what was applied, and blocks of its own making. */
import type { BlockRef, Block as RaftBlock } from '../../../consensus/types.ts'
import { toRaftBlock } from '../../../node/store/ledger-store.ts'
import { keyId } from '../../../src/crypto/keys.ts'
import type { Signer } from '../../../src/crypto/suite.ts'
import { decodeBlock, sealBlock } from '../../../src/ledger/block.ts'
import { type ChainState, extend, genesisState, nextPlace } from '../../../src/ledger/chain.ts'
import { decodeEntry, type Entry } from '../../../src/ledger/entry.ts'
import type { Genesis } from '../../../src/ledger/genesis.ts'
import { Frontier } from '../../../src/merkle/frontier.ts'

/** Applied blocks that are remembered, for those who lag behind and for blocks that lead away from them. */
const REMEMBERED = 64

export class Chain {
  readonly genesis: Genesis
  /** By block hash; of applied blocks the newest. */
  readonly #states = new Map<string, ChainState>()
  /** Names of the entries and events of blocks that are known and not applied, by block hash. */
  readonly #entries = new Map<string, ReadonlySet<string>>()
  readonly #recorded = new Set<string>()
  readonly #applied: RaftBlock[]
  #tree = new Frontier()

  constructor(genesis: Genesis) {
    this.genesis = genesis
    const state = genesisState(genesis)
    this.#states.set(state.hash, state)
    for (const hash of genesis.block.leafHashes) this.#tree.append(hash)
    this.#applied = [toRaftBlock(genesis.block)]
  }

  /** The last applied block, and what has been built on. */
  get tip(): ChainState {
    return this.#states.get(this.#applied.at(-1)!.hash)!
  }

  /** Applied, the newest last. */
  get applied(): readonly RaftBlock[] {
    return this.#applied
  }

  /** Root of the tree that the tip ends. */
  get root(): Uint8Array {
    return this.#tree.root()
  }

  stateAfter(hash: string): ChainState | undefined {
    return this.#states.get(hash)
  }

  /** Reads a block without checking it: whom it is by, and what can be built on it. Throws FormatError. */
  read(given: RaftBlock): RaftBlock {
    const block = decodeBlock(given.body)
    const before = this.#states.get(given.prev)
    if (before && !this.#states.has(block.id)) {
      this.#states.set(block.id, extend(before, block, []))
      const entries = block.leaves.slice(0, -1).map((leaf, i) => decodeEntry(leaf, block.leafHashes[i]))
      this.#entries.set(block.id, new Set(entries.flatMap(namesOf)))
    }
    return toRaftBlock(block)
  }

  apply(block: RaftBlock): void {
    this.#applied.push(block)
    for (const hash of decodeBlock(block.body).leafHashes) this.#tree.append(hash)
    for (const name of this.#entries.get(block.hash) ?? []) this.#recorded.add(name)
    for (const [hash, { height }] of this.#states) {
      if (height <= block.height - REMEMBERED) this.#states.delete(hash)
      if (height <= block.height) this.#entries.delete(hash)
    }
    if (this.#applied.length > REMEMBERED) this.#applied.shift()
  }

  /** Whether the entry or one of its events stands in an applied block, or in one that is not applied yet. */
  has(entry: Entry): boolean {
    const isIn = (names: ReadonlySet<string>) => namesOf(entry).some((name) => names.has(name))
    return isIn(this.#recorded) || [...this.#entries.values()].some(isIn)
  }

  /** A block on top of `before`, sealed by a key of `proposer`; what it says is the caller's business. */
  async forge(before: ChainState, made: Forged): Promise<RaftBlock> {
    const { term, proposer, signer, entries = [], time = Date.now() } = made
    const signers = [{ keyid: keyId(signer.publicKey), signer }]
    const place = nextPlace(before, term, proposer, time)
    return toRaftBlock(await sealBlock(place, entries, signers))
  }
}

export interface Forged {
  readonly term: number
  readonly proposer: string
  readonly signer: Signer
  readonly entries?: readonly Entry[]
  /** Milliseconds since 1970; never before the block below. */
  readonly time?: number
}

/** Its id, and what CloudEvents calls its events. */
function namesOf({ id, claims }: Entry): string[] {
  return [id, ...claims.map(({ source, id: event }) => `${source} ${event}`)]
}

export function refOf({ height, term, hash }: BlockRef): BlockRef {
  return { height, term, hash }
}
