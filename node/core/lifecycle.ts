/**
 * Which replica plays the node's part, and when there is none: after a change of what the node is to its ledger, or
 * of what it knows of its own promises, and while its disk does not work. A replica is never changed, only replaced by
 * one that is opened from the store.
 *
 * Everything happens one after the other, and no request is lost: what is owed to the store before the next replica
 * opens, such as the mark that this node has forgotten what it promised, stays due until it is done.
 */
import { errorMessage, invariant } from '../../src/errors.ts'
import type { Clock } from '../clock.ts'
import type { Logger } from '../logger.ts'
import type { LedgerStore } from '../store/ledger-store.ts'
import { StoreError } from '../store/store-error.ts'
import type { Replica } from './replica.ts'

/** How often the room on the disk is looked at, and whether a disk that failed works again. */
export const DISK_CHECK_MS = 2_000

/** What may pass. A store is opened anew after a failure, and that may fail for the same reason. */
const DISK_TROUBLE: readonly string[] = ['disk-full', 'store-failed', 'store-unusable']

export interface LifecyclePorts<P> {
  readonly store: Pick<LedgerStore, 'reopen' | 'lowOnSpace'>
  readonly clock: Pick<Clock, 'every'>
  readonly logger: Logger
  /** Opens a replica from what the store holds. */
  readonly open: () => Promise<P>
  /** The node must stop; called once. */
  readonly onFatal: (error: unknown) => void
}

export class Lifecycle<P extends Pick<Replica, 'start' | 'halt' | 'ended' | 'stop'>> {
  readonly #ports: LifecyclePorts<P>
  #replica: P | undefined
  /** What must be done, in this order, before the next replica opens. */
  readonly #due: (() => Promise<void>)[] = []
  #suspended: StoreError | undefined
  #started = false
  #stopped = false
  #failed = false
  #looking = false
  #working: Promise<void> = Promise.resolve()
  #cancel = () => {}

  constructor(ports: LifecyclePorts<P>) {
    this.#ports = ports
  }

  /** Opens the first replica. Throws what opening it throws. */
  async open(): Promise<void> {
    this.#replica = await this.#ports.open()
  }

  /** The present replica; while another is being opened, the one before it, which is halted. */
  get replica(): P {
    invariant(this.#replica, 'There is no replica before the first is opened.')
    return this.#replica
  }

  /** Why the node writes nothing for the time being. */
  get suspended(): StoreError | undefined {
    return this.#suspended
  }

  start(): void {
    this.#started = true
    this.#cancel = this.#ports.clock.every(DISK_CHECK_MS, () => this.#checkDisk())
    if (!this.#idle && this.#due.length === 0) this.replica.start()
  }

  /** Hands leadership over if it can; resolves when nothing is written any more. */
  async stop(): Promise<void> {
    this.#stopped = true
    this.#cancel()
    await this.#working
    await this.#replica?.stop()
  }

  /** Halts the replica at once, and opens another from the store once `prepare` has been done. */
  replace(prepare: () => Promise<void> = async () => {}): void {
    this.#replica?.halt()
    this.#due.push(prepare)
    this.#enqueue(() => this.#replaceAll())
  }

  /** The replica cannot go on. If that is because of the disk, another is opened when the disk works again. */
  failed(error: unknown): void {
    this.#replica?.halt()
    const passes = error instanceof StoreError && DISK_TROUBLE.includes(error.code)
    if (!passes) {
      if (this.#failed) return
      this.#failed = true
      this.#ports.onFatal(error)
    } else if (!this.#stopped) {
      if (!this.#suspended) {
        const facts = { code: error.code, error: error.message }
        this.#ports.logger.error(facts, 'the node steps down until its disk works again')
      }
      this.#suspended = error
    }
  }

  /** Nothing may be opened or started, at present or for good. */
  get #idle(): boolean {
    return this.#stopped || this.#failed || this.#suspended !== undefined
  }

  #enqueue(work: () => Promise<void>): void {
    this.#working = this.#working.then(work).catch((error: unknown) => this.failed(error))
  }

  async #replaceAll(): Promise<void> {
    while (this.#due.length > 0 && !this.#idle) {
      await this.replica.ended()
      for (let prepare = this.#due[0]; prepare && !this.#idle; prepare = this.#due[0]) {
        await prepare()
        this.#due.shift()
      }
      if (this.#idle) return
      this.#replica = await this.#ports.open()
      // Something else may have been asked for meanwhile: then this one is not the last.
      if (this.#idle || this.#due.length > 0) this.#replica.halt()
      else if (this.#started) this.#replica.start()
    }
  }

  #checkDisk(): void {
    if (this.#looking) return
    this.#looking = true
    this.#enqueue(async () => {
      try {
        await this.#lookAtDisk()
      } finally {
        this.#looking = false
      }
    })
  }

  /** Steps down before the disk is full, and takes part again when there is room. */
  async #lookAtDisk(): Promise<void> {
    const { store, logger } = this.#ports
    try {
      const low = await store.lowOnSpace()
      if (this.#stopped || this.#failed) return
      if (low && !this.#suspended) {
        const message = 'The disk is nearly full. Make room; the node then takes part again by itself.'
        this.#suspended = new StoreError('disk-full', message)
        logger.error({}, message)
        // Leadership is handed over, since everything still works.
        await this.replica.stop()
      }
      if (low || !this.#suspended) return
      await this.replica.ended()
      await store.reopen()
    } catch (error) {
      logger.warn({ error: errorMessage(error) }, 'the disk does not work yet')
      return
    }
    this.#suspended = undefined
    logger.info({}, 'the disk works again, and the node takes part')
    this.#due.push(async () => {})
    await this.#replaceAll()
  }
}
