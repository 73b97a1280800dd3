/** Submissions at this node: what becomes of an entry, told to whoever waits for it. */
import { errorCode, QatError } from '../../src/errors.ts'
import type { Entry } from '../../src/ledger/entry.ts'
import type { Clock } from '../clock.ts'
import type { Metrics } from '../metrics.ts'
import { type Bringer, ServiceError, type Stage, type Submission } from '../service.ts'
import { StoreError } from '../store/store-error.ts'
import type { Admitted } from './admission.ts'
import { DISK_CHECK_MS, type Lifecycle } from './lifecycle.ts'
import type { Pool } from './pool.ts'
import { type LedgerReader, notFound } from './reader.ts'
import type { Replica } from './replica.ts'
import { isAtLeast, type Progress, type Waiters } from './waiters.ts'

/** Refusals that are remembered for whoever asks later; the oldest go first. */
const REFUSALS_MAX = 4_096
/** A node may be outside for moments only, while it changes its keys. */
const OUTSIDE_RETRY_MS = 5_000

export interface SubmissionsPorts {
  readonly pool: Pool
  readonly waiters: Waiters
  readonly lifecycle: Pick<Lifecycle<Replica>, 'replica' | 'suspended' | 'failed'>
  readonly reader: () => LedgerReader
  readonly clock: Clock
  readonly metrics: Metrics
}

export class Submissions {
  readonly #ports: SubmissionsPorts
  /** Why entries that were admitted here are not recorded, by id. */
  readonly #refusals = new Map<string, QatError>()

  constructor(ports: SubmissionsPorts) {
    this.#ports = ports
  }

  /**
   * Takes an entry in, and answers when it has reached `stage` or `timeoutMs` have passed: then how far it is.
   * Throws RefusedError; ServiceError overloaded, or unavailable while the disk does not work and while this node is
   * outside, where what it takes would never be ordered.
   */
  async submit(entry: Entry, stage: Stage, timeoutMs: number, bringer?: Bringer): Promise<Submission> {
    const { lifecycle, metrics } = this.#ports
    try {
      const { suspended } = lifecycle
      if (suspended) throw unavailable(suspended)
      if (lifecycle.replica.standing === 'outside') throw outside()
      const submission = await this.#submit(entry, stage, timeoutMs, bringer)
      metrics.submissions.inc({ outcome: 'ok' })
      return submission
    } catch (error) {
      metrics.submissions.inc({ outcome: errorCode(error) })
      if (!(error instanceof StoreError)) throw error
      lifecycle.failed(error)
      throw unavailable(error)
    }
  }

  /** An entry that was admitted here will never be ordered: tells who waits for it, and who will ask. */
  refused(id: string, error: QatError): void {
    this.#refusals.set(id, error)
    const [oldest] = this.#refusals.keys()
    if (this.#refusals.size > REFUSALS_MAX && oldest !== undefined) this.#refusals.delete(oldest)
    this.#ports.waiters.refused(id, error)
  }

  /** Why this entry was not ordered, if it was refused lately. */
  refusal(id: string): QatError | undefined {
    return this.#refusals.get(id)
  }

  /** How far an entry is, once it is at `stage` or `timeoutMs` have passed. Throws not-found, or why it was refused. */
  async reach(id: string, stage: Stage, timeoutMs: number): Promise<Submission> {
    try {
      return await this.#reach(id, stage, timeoutMs)
    } catch (error) {
      return await this.#afterRefusal(error, stage, timeoutMs)
    }
  }

  async #submit(entry: Entry, stage: Stage, timeoutMs: number, bringer?: Bringer): Promise<Submission> {
    const { waiters, metrics, clock } = this.#ports
    const start = clock.elapsed()
    if (stage === 'pending') {
      const admitted = await this.#admit(entry, true, bringer)
      return this.#resubmission(entry, admitted, stage, timeoutMs) ?? { id: entry.id, status: 'pending' }
    }
    // Registered before the entry leaves, so that nothing can happen unseen in between.
    const wait = waiters.wait(entry.id, stage, timeoutMs)
    try {
      const admitted = await this.#admit(entry, false, bringer)
      const earlier = this.#resubmission(entry, admitted, stage, timeoutMs)
      if (earlier) return await earlier
      const progress = await wait.answer
      if (!progress) return await this.#now(entry.id)
      const seconds = (clock.elapsed() - start) / 1000
      if (progress.stage === 'final') metrics.finalSeconds.observe(seconds)
      else metrics.orderSeconds.observe(seconds)
      return submissionOf(entry.id, progress)
    } catch (error) {
      return await this.#afterRefusal(error, stage, timeoutMs)
    } finally {
      wait.giveUp()
    }
  }

  async #admit(entry: Entry, spool: boolean, bringer?: Bringer): Promise<Admitted> {
    // It may be taken now, and refused again meanwhile.
    this.#refusals.delete(entry.id)
    return this.#ports.lifecycle.replica.submit(entry, spool, bringer)
  }

  /** The answer to an entry that is here already, or whose event is recorded in another entry. */
  #resubmission(
    entry: Entry,
    admitted: Admitted,
    stage: Stage,
    timeoutMs: number,
  ): Promise<Submission> | undefined {
    if (admitted.outcome === 'known') return this.#reach(entry.id, stage, timeoutMs)
    if (admitted.outcome === 'duplicate') return this.#duplicate(admitted.id, stage, timeoutMs)
    return undefined
  }

  async #duplicate(id: string, stage: Stage, timeoutMs: number): Promise<Submission> {
    // The leader may know an entry that has not reached this node yet: then it is waited for like any other.
    const submission = await this.#reach(id, stage, timeoutMs, { id, status: 'pending' })
    return { ...submission, duplicate: true }
  }

  /** The leader knew that the event is recorded under another id: the answer is that entry. */
  async #afterRefusal(error: unknown, stage: Stage, timeoutMs: number): Promise<Submission> {
    const duplicateOf = error instanceof QatError && error.code === 'duplicate' ? error.facts.id : undefined
    if (typeof duplicateOf !== 'string') throw error
    return this.#duplicate(duplicateOf, stage, timeoutMs)
  }

  /** Waits for a stage; `unknown` stands for an entry that this node does not know, which else is an error. */
  async #reach(id: string, stage: Stage, timeoutMs: number, unknown?: Submission): Promise<Submission> {
    const { waiters } = this.#ports
    const wait = waiters.wait(id, stage, timeoutMs)
    try {
      const now = await this.#now(id, unknown)
      if (isAtLeast(now.status, stage)) return now
      if (now.index !== undefined) waiters.ordered(id, { index: now.index, height: now.height! })
      const progress = await wait.answer
      return progress ? submissionOf(id, progress) : await this.#now(id, unknown)
    } finally {
      wait.giveUp()
    }
  }

  /** How far an entry is right now. */
  async #now(id: string, unknown?: Submission): Promise<Submission> {
    const { pool, lifecycle } = this.#ports
    const reader = this.#ports.reader()
    const index = await reader.indexOf(id)
    if (index === undefined) {
      if (pool.get(id)) {
        await lifecycle.replica.keep(id)
        // It may have left the pool for a block while the disk was busy.
        return pool.get(id) ? { id, status: 'pending' } : this.#now(id, unknown)
      }
      const refusal = this.#refusals.get(id)
      if (refusal) throw refusal
      if (unknown) return unknown
      throw notFound(id)
    }
    const { height } = await reader.place(index)
    return { id, status: index < lifecycle.replica.certifier.size ? 'final' : 'ordered', index, height }
  }
}

function unavailable(cause: StoreError): ServiceError {
  const message = `This node takes no entries for the time being. ${cause.message}`
  return new ServiceError('unavailable', message, { retryAfterMs: 2 * DISK_CHECK_MS, reason: cause.code })
}

function outside(): ServiceError {
  const message =
    'This node is no member of the ledger under its keys, so it can get nothing ordered. Submit to another node.'
  return new ServiceError('unavailable', message, { retryAfterMs: OUTSIDE_RETRY_MS, reason: 'not-a-member' })
}

function submissionOf(id: string, { stage, place }: Progress): Submission {
  return { id, status: stage, ...place }
}
