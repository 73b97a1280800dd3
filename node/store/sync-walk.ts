/**
 * A ledger as a run of sync answers from height 1 on, as a backup holds them and a node gives them: each proves
 * its own blocks by a certificate, and every certificate is judged under the membership that the blocks before
 * it have brought about.
 */
import type { SignatureSuite } from '../../src/crypto/suite.ts'
import { FormatError, ProofError } from '../../src/errors.ts'
import { policyOf } from '../../src/ledger/membership.ts'
import { verifyCertificate } from '../../src/notes/certificate.ts'
import { type Checkpoint, parseCheckpoint } from '../../src/notes/checkpoint.ts'
import { parseNote } from '../../src/notes/note.ts'
import { proveCommitted, type SyncAnswer } from '../core/sync.ts'
import type { ChainWalk } from './chain-walk.ts'
import type { AppliedBlock } from './derived.ts'

export interface Certified {
  readonly size: number
  readonly note: string
}

export class SyncWalk {
  readonly #walk: ChainWalk
  readonly #suite: SignatureSuite
  #newest: (Certified & { readonly checkpoint: Checkpoint }) | undefined

  constructor(walk: ChainWalk, suite: SignatureSuite) {
    this.#walk = walk
    this.#suite = suite
  }

  /** The newest certificate that was verified. */
  get certified(): Certified | undefined {
    return this.#newest
  }

  /**
   * Verifies one answer: certificate, that its blocks stand in the certified tree, and each block. Throws
   * ProofError, FormatError or RefusedError. Returns the blocks, and a promise that their signatures verify.
   */
  async take(answer: SyncAnswer): Promise<{ applied: AppliedBlock[]; verified: Promise<void> }> {
    const checkpoint = await this.#judge(answer.certificate)
    const blocks = proveCommitted(answer, checkpoint)
    if (blocks.length === 0) throw new FormatError('too-small', 'An answer without blocks.')
    const before = this.#walk.state.size
    const taken = blocks.map((block) => this.#walk.take(block))
    const boundary = this.#walk.members.boundaryAbove(before)
    if (boundary !== undefined && boundary < checkpoint.size) {
      const facts = { boundary, size: checkpoint.size }
      const message = 'A certificate reaches past a change of membership, which its policy does not know.'
      throw new ProofError('quorum-not-met', message, facts)
    }
    const verified = Promise.all(taken.map((one) => one.verified)).then(() => {})
    verified.catch(() => {}) // awaited by whoever uses the blocks
    return { applied: taken.map(({ applied }) => applied), verified }
  }

  async #judge(note: string): Promise<Checkpoint> {
    if (this.#newest?.note === note) return this.#newest.checkpoint
    const { size } = parseCheckpoint(parseNote(note).text)
    const { parameters } = this.#walk.genesis
    const policy = policyOf(parameters.ledger, this.#walk.members.at(size))
    const { checkpoint } = await verifyCertificate(this.#suite, policy, note)
    this.#newest = { size, note, checkpoint }
    return checkpoint
  }
}
