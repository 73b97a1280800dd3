/**
 * Goes through a ledger from genesis on and verifies every block: the rules of the chain and all signatures, as
 * if it came from a stranger. Signatures are verified in the thread pool while the caller reads on.
 */
import type { SignatureSuite } from '../../src/crypto/suite.ts'
import { RefusedError } from '../../src/errors.ts'
import { type Block, decodeBlock } from '../../src/ledger/block.ts'
import { type ChainState, changeIn, checkBlock, extend, genesisState } from '../../src/ledger/chain.ts'
import type { Change } from '../../src/ledger/change.ts'
import { verifyAll } from '../../src/ledger/entry.ts'
import { type Genesis, verifyGenesis } from '../../src/ledger/genesis.ts'
import type { Place } from './block-inspector.ts'
import type { AppliedBlock } from './derived.ts'
import { MemberHistory } from './member-history.ts'

/** Signatures under way at a time: enough that the thread pool never waits for the next block to be read. */
export const SIGNATURES_IN_FLIGHT = 2_048

export class ChainWalk {
  readonly genesis: Genesis
  readonly members: MemberHistory
  readonly #suite: SignatureSuite
  #state: ChainState

  private constructor(suite: SignatureSuite, genesis: Genesis) {
    this.#suite = suite
    this.genesis = genesis
    this.members = new MemberHistory(genesis.membership)
    this.#state = genesisState(genesis)
  }

  /** Starts behind genesis. Throws RefusedError if the admin quorum did not sign it. */
  static async begin(suite: SignatureSuite, genesis: Genesis): Promise<ChainWalk> {
    await verifyGenesis(suite, genesis)
    return new ChainWalk(suite, genesis)
  }

  /** The chain after the last block taken. */
  get state(): ChainState {
    return this.#state
  }

  /**
   * Takes the next block, or its bytes; throws FormatError or RefusedError if it is not the next one, and then has
   * not moved. `verified` rejects with RefusedError if a signature does not verify. That no leaf stands twice in
   * the chain is checked within the block only.
   */
  take(input: Block | Uint8Array): { applied: AppliedBlock; signatures: number; verified: Promise<void> } {
    const block = input instanceof Uint8Array ? decodeBlock(input) : input
    const checked = checkBlock(this.#state, block, Number.POSITIVE_INFINITY, () => false)
    const { entries, sealSignature, entrySignatures } = checked
    this.#state = extend(this.#state, block, entries)
    const change = entries.map(changeIn).find((found) => found !== undefined)
    if (change) this.members.add(change, this.#state.size)
    const signatures = [sealSignature, ...entrySignatures.flat()]
    const { height } = block.seal
    const verified = verifyAll(this.#suite, signatures).then((valid) => {
      if (valid) return
      throw new RefusedError('bad-signature', `A signature of block ${height} does not verify.`, { height })
    })
    verified.catch(() => {}) // whoever takes the block awaits it, if they get that far
    return { applied: { block, entries }, signatures: signatures.length, verified }
  }

  /** Goes on behind a block that was checked elsewhere or cannot be read, by what is known of it. */
  resumeAfter({ height, term, hash, size, time }: Place, change?: Change): void {
    if (change) this.members.add(change, size)
    const membership = this.members.newest
    this.#state = { ...this.#state, membership, height, term, hash, size, time }
  }
}
