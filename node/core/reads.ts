/**
 * Linearizable reads on any node (readIndex, Raft thesis 6.4): the leader says which height is committed once a
 * majority has confirmed that it still leads, and this node answers when it has applied that height. So the
 * answer misses nothing that anyone had been told of before the question was asked.
 */
import type { Driver } from '../../consensus/driver.ts'
import { utf8 } from '../../src/bytes.ts'
import { count, fields, parseJson } from '../../src/json.ts'
import type { Clock } from '../clock.ts'
import type { Network } from '../net/network.ts'
import { ServiceError } from '../service.ts'

/** Told apart from other requests by its bytes. */
const QUESTION = utf8('{"ask":"read-index"}')
const RETRY_MS = 100
/** A leader that has not answered by then is asked anew, or another is. */
const ASK_MS = 2_000

export function isReadRequest(bytes: Uint8Array): boolean {
  return bytes.length === QUESTION.length && bytes.every((byte, i) => byte === QUESTION[i])
}

/** The leader's answer: `{"height":n}`, or `{}` from a node that cannot say. */
export async function answerRead(driver: Driver): Promise<Uint8Array> {
  const result = await driver.read()
  return utf8(JSON.stringify(result.ok ? { height: result.height } : {}))
}

export interface ReadPorts {
  readonly name: string
  readonly driver: Driver
  readonly network: Pick<Network, 'request'>
  readonly clock: Clock
  readonly leader: () => string | undefined
  readonly height: () => number
}

export class Reads {
  readonly #ports: ReadPorts
  /** Who waits for a height to be applied. */
  readonly #waiting = new Set<{ height: number; done: () => void }>()
  /** The question that has been sent, and the one for all who came after that. */
  #asked: Promise<number | undefined> | undefined
  #next: Promise<number | undefined> | undefined

  constructor(ports: ReadPorts) {
    this.#ports = ports
  }

  /** Resolves when this node has applied all that was committed before the call. Throws ServiceError unavailable. */
  async barrier(timeoutMs: number): Promise<void> {
    const { clock } = this.#ports
    const end = clock.elapsed() + timeoutMs
    const rest = () => Math.max(1, end - clock.elapsed())
    let height = await this.#ask()
    while (height === undefined) {
      if (clock.elapsed() >= end) throw unavailable()
      await new Promise<void>((resolve) => clock.after(RETRY_MS, resolve))
      height = await this.#ask()
    }
    await this.#applied(height, rest())
  }

  /** The node has applied more. */
  applied(): void {
    for (const waiter of [...this.#waiting]) if (this.#ports.height() >= waiter.height) waiter.done()
  }

  /**
   * One question at a time, however many wait: what has been asked may have been answered before this call, so it
   * takes the one after, and so do all who come meanwhile.
   */
  #ask(): Promise<number | undefined> {
    if (this.#asked) {
      this.#next ??= this.#asked.then(() => {
        this.#next = undefined
        return this.#ask()
      })
      return this.#next
    }
    const { clock } = this.#ports
    const late = Promise.withResolvers<undefined>()
    const cancel = clock.after(ASK_MS, () => late.resolve(undefined))
    this.#asked = Promise.race([this.#put(), late.promise]).finally(() => {
      cancel()
      this.#asked = undefined
    })
    return this.#asked
  }

  async #put(): Promise<number | undefined> {
    const { name, driver, network, leader } = this.#ports
    const to = leader()
    try {
      if (to === undefined) return undefined
      const bytes = to === name ? await answerRead(driver) : await network.request(to, QUESTION, ASK_MS)
      const { height } = fields(parseJson(bytes, 1024), 'The answer', [], ['height'])
      return height === undefined ? undefined : count(height, '"height"')
    } catch {
      // Asked again, of whoever leads then.
      return undefined
    }
  }

  #applied(height: number, timeoutMs: number): Promise<void> {
    if (this.#ports.height() >= height) return Promise.resolve()
    return new Promise((resolve, reject) => {
      const end = (settle: () => void) => () => {
        cancel()
        this.#waiting.delete(waiter)
        settle()
      }
      const waiter = { height, done: end(resolve) }
      const cancel = this.#ports.clock.after(
        timeoutMs,
        end(() => reject(unavailable())),
      )
      this.#waiting.add(waiter)
    })
  }
}

function unavailable(): ServiceError {
  return new ServiceError(
    'unavailable',
    'No leader has confirmed in time what is committed. Ask again, or leave "linearizable" out to read what this node holds.',
  )
}
