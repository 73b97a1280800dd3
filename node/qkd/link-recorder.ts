/**
 * Writes to the ledger how the links that are keyed by QKD change: their states, and alarms. That keys are renewed is
 * for metrics: an idle ledger must not grow by it. As events that this node's gateway key signs; never key material.
 */
import { randomUUID } from 'node:crypto'
import { utf8 } from '../../src/bytes.ts'
import type { Signer } from '../../src/crypto/suite.ts'
import { errorMessage, RefusedError } from '../../src/errors.ts'
import { formatInstant, type JsonObject } from '../../src/json.ts'
import { signEntry } from '../../src/ledger/entry.ts'
import { PAYLOAD_TYPES } from '../../src/ledger/payload-types.ts'
import { boundedLog } from '../bounded-log.ts'
import type { Clock } from '../clock.ts'
import type { Logger } from '../logger.ts'
import type { LedgerService } from '../service.ts'

export const LINK_EVENT_TYPES = {
  state: 'qkd.link.state',
  qber: 'qkd.link.qber',
} as const

export interface LinkRecorderPorts {
  readonly name: string
  /** The ledger's origin. */
  readonly ledger: string
  readonly gateway: Signer
  readonly clock: Clock
  readonly logger: Logger
  readonly service: Pick<LedgerService, 'submit'>
}

const RETRY_MS = 5_000
/** Of a ledger that takes nothing for long; the oldest is dropped then, and the log says so. */
const WAITING_MAX = 256

interface Waiting {
  readonly type: string
  readonly subject: string
  readonly time: number
  readonly data: JsonObject
}

export class LinkRecorder {
  readonly #ports: LinkRecorderPorts
  readonly #waiting: Waiting[] = []
  #writing = false
  #stopped = false

  constructor(ports: LinkRecorderPorts) {
    this.#ports = { ...ports, logger: boundedLog(ports.logger, () => ports.clock.elapsed()) }
  }

  /** @param subject the link */
  record(kind: keyof typeof LINK_EVENT_TYPES, subject: string, data: JsonObject): void {
    this.#waiting.push({ type: LINK_EVENT_TYPES[kind], subject, time: this.#ports.clock.now(), data })
    if (this.#waiting.length > WAITING_MAX) {
      const dropped = this.#waiting.shift()
      this.#ports.logger.warn({ ...dropped }, 'an event of a QKD link was not recorded')
    }
    if (!this.#writing) void this.#write()
  }

  stop(): void {
    this.#stopped = true
  }

  async #write(): Promise<void> {
    this.#writing = true
    for (let next = this.#waiting[0]; next && !this.#stopped; next = this.#waiting[0]) {
      if (await this.#submit(next)) this.#waiting.splice(this.#waiting.indexOf(next), 1)
      else await new Promise<void>((resolve) => void this.#ports.clock.after(RETRY_MS, resolve))
    }
    this.#writing = false
  }

  async #submit({ type, subject, time, data }: Waiting): Promise<boolean> {
    const { name, ledger, gateway, logger, service } = this.#ports
    const event = {
      specversion: '1.0',
      id: randomUUID(),
      source: `/${name}`,
      type,
      subject,
      time: formatInstant(time),
      datacontenttype: 'application/json',
      ledger,
      data,
    }
    try {
      const entry = await signEntry(PAYLOAD_TYPES.event, utf8(JSON.stringify(event)), gateway)
      await service.submit(entry, 'pending', 0)
      return true
    } catch (error) {
      const refused = error instanceof RefusedError
      logger[refused ? 'warn' : 'debug'](
        { type, error: errorMessage(error) },
        'an event of a link is not recorded',
      )
      return refused
    }
  }
}
