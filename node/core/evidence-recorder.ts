/**
 * Records evidence in the ledger that it is about: an event signed by this node's gateway key, submitted like any
 * other and followed until it is ordered. Every node that holds a piece records it, so no single one can hush it up.
 */
import { utf8 } from '../../src/bytes.ts'
import type { Signer } from '../../src/crypto/suite.ts'
import { errorCode, errorMessage, RefusedError } from '../../src/errors.ts'
import { type Entry, signEntry } from '../../src/ledger/entry.ts'
import { evidenceEvent } from '../../src/ledger/evidence-event.ts'
import { PAYLOAD_TYPES } from '../../src/ledger/payload-types.ts'
import type { Clock } from '../clock.ts'
import type { Logger } from '../logger.ts'
import type { LedgerService } from '../service.ts'
import type { Accusation } from './evidence.ts'

const ORDERED_WITHIN_MS = 30_000
const RETRY_MS = 5_000

export interface EvidenceRecorderPorts {
  readonly name: string
  /** The ledger's origin. */
  readonly ledger: string
  readonly gateway: Signer
  readonly clock: Clock
  readonly logger: Logger
  readonly service: Pick<LedgerService, 'submit' | 'submission'>
}

export class EvidenceRecorder {
  readonly #ports: EvidenceRecorderPorts
  /** Hashes of the pieces that this run has taken up. */
  readonly #taken = new Set<string>()
  #stopped = false

  constructor(ports: EvidenceRecorderPorts) {
    this.#ports = ports
  }

  /** Sees to it that the piece is recorded; once in a run, however often it is called. */
  record(accusation: Accusation): void {
    if (this.#taken.has(accusation.hash)) return
    this.#taken.add(accusation.hash)
    void this.#record(accusation)
  }

  stop(): void {
    this.#stopped = true
  }

  async #record(accusation: Accusation): Promise<void> {
    const { clock, logger } = this.#ports
    const { accused, hash } = accusation
    let entry: Entry | undefined
    while (!this.#stopped) {
      try {
        entry ??= await this.#entry(accusation)
        if (await this.#isOrdered(entry)) {
          logger.warn({ accused, hash, id: entry.id }, 'the evidence is recorded in the ledger')
          return
        }
      } catch (error) {
        // The same piece with another time: an earlier run of this node has sent it already.
        if (errorCode(error) === 'event-conflict') return
        if (error instanceof RefusedError) {
          const facts = { accused, hash, code: error.code, error: error.message }
          logger.error(facts, "the ledger refuses this node's evidence; hand the file to the other teams")
          return
        }
        logger.info({ hash, error: errorMessage(error) }, 'the evidence is not recorded yet; trying again')
      }
      if (!this.#stopped) await new Promise<void>((resolve) => clock.after(RETRY_MS, resolve))
    }
  }

  /** Submits the entry, on this node's disk before anything else, and waits for its place in the chain. */
  async #isOrdered(entry: Entry): Promise<boolean> {
    const { service } = this.#ports
    const { id } = await service.submit(entry, 'pending', 0)
    return (await service.submission(id, 'ordered', ORDERED_WITHIN_MS)).status !== 'pending'
  }

  #entry({ evidence, accused }: Accusation): Promise<Entry> {
    const { name, ledger, gateway, clock } = this.#ports
    const event = evidenceEvent(evidence, { reporter: name, accused, ledger, now: clock.now() })
    return signEntry(PAYLOAD_TYPES.event, utf8(JSON.stringify(event)), gateway)
  }
}
