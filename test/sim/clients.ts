/**
 * Clients as the ledger has them: each logs one event after another, retries at another node when an answer does
 * not come, asks how far an entry is, and queries. What they were told, and when, is the history that is judged.
 */
import type { LedgerNode } from '../../node/core/ledger-node.ts'
import { STAGES, type Stage, type Submission } from '../../node/service.ts'
import { utf8 } from '../../src/bytes.ts'
import type { Signer } from '../../src/crypto/suite.ts'
import { errorCode, errorMessage, QatError } from '../../src/errors.ts'
import type { JsonObject } from '../../src/json.ts'
import { type Entry, signEntry } from '../../src/ledger/entry.ts'
import { PAYLOAD_TYPES } from '../../src/ledger/payload-types.ts'
import type { Random } from '../consensus/sim/random.ts'
import { GUEST } from './cast.ts'
import { isDiskFault } from './disk.ts'
import type { Call, History } from './history.ts'
import type { SimNode } from './node.ts'
import type { Timeline } from './timeline.ts'

export interface ClientWorld {
  readonly timeline: Timeline
  readonly random: Random
  readonly nodes: readonly SimNode[]
  readonly history: History
  readonly thinkMaxMs: number
  fail(finding: string): void
}

const TYPE = 'dev.sim.thing.happened'
const PRINCIPAL = { name: 'sender', sources: ['*'], types: ['*'] }
/** Tries of one event before a client gives it up. */
const TRIES_MAX = 6
const NETWORK_MS_MAX = 20
/** Codes that an honest cluster may answer to what these clients send. */
const EXPECTED = new Set([
  'overloaded',
  'unavailable',
  'not-found',
  'not-final',
  'event-conflict',
  'duplicate',
])

interface Sent {
  readonly key: string
  readonly event: JsonObject
  /** Undefined: a node's gateway signs, another one at each try. */
  readonly entry: Entry | undefined
}

export class Client {
  readonly name: string
  readonly #world: ClientWorld
  readonly #signer: Signer
  #count = 0
  /** Ids of entries that some node has answered with. */
  readonly #ids: string[] = []
  stopped = false

  constructor(name: string, signer: Signer, world: ClientWorld) {
    this.name = name
    this.#signer = signer
    this.#world = world
  }

  /** Works until it is told to stop. */
  async run(): Promise<void> {
    const { random, thinkMaxMs } = this.#world
    while (!this.stopped) {
      await this.#sleep(random.int(1, thinkMaxMs))
      const choice = random.next()
      if (choice < 0.65) await this.log()
      else if (choice < 0.85) await this.#ask()
      else await this.#query()
    }
  }

  /** Logs one new event: true once a node has called it final. */
  async log(at?: SimNode, stage = this.#world.random.pick(STAGES)): Promise<boolean> {
    const { random, nodes } = this.#world
    const key = `${this.name}-${this.#count++}`
    const sent = await this.#make(key)
    let node = at ?? random.pick(nodes)
    for (let tries = 0; tries < TRIES_MAX && !this.stopped; tries++) {
      const answer = await this.#send(sent, node, stage)
      if (answer !== undefined && (answer.status !== 'pending' || stage === 'pending')) {
        return answer.status === 'final'
      }
      node = at ?? random.pick(nodes)
    }
    return false
  }

  /** Logs one new event through several nodes at a time, each of which signs an entry of its own. */
  async logThrough(at: readonly SimNode[]): Promise<void> {
    const key = `${this.name}-${this.#count++}`
    const sent = { key, event: this.#event(key), entry: undefined }
    await Promise.all(at.map((node) => this.#send(sent, node, 'final')))
  }

  async #send({ key, event, entry }: Sent, node: SimNode, stage: Stage): Promise<Submission | undefined> {
    const { random, history } = this.#world
    const timeoutMs = random.int(300, 6_000)
    const call = history.submits(this.name, key, node.name, stage)
    const answer = await this.#call(call, node, timeoutMs, (ledger) =>
      entry === undefined
        ? ledger.submitEvents([event], PRINCIPAL, stage, timeoutMs)
        : ledger.submit(entry, stage, timeoutMs),
    )
    if (answer === undefined) return undefined
    history.answered(call, answer)
    this.#ids.push(answer.id)
    return answer
  }

  #event(key: string): JsonObject {
    const { random } = this.#world
    return {
      specversion: '1.0',
      id: key,
      source: `/sim/${this.name}`,
      type: TYPE,
      subject: `subject-${random.int(0, 3)}`,
      time: '2026-01-31T12:00:00Z',
      datacontenttype: 'application/json',
      data: { key },
    }
  }

  async #make(key: string): Promise<Sent> {
    const { random } = this.#world
    const event = this.#event(key)
    if (random.chance(0.5)) return { key, event, entry: undefined }
    const entry = await signEntry(PAYLOAD_TYPES.event, utf8(JSON.stringify(event)), this.#signer)
    return { key, event, entry }
  }

  async #ask(): Promise<void> {
    const { random, nodes } = this.#world
    if (this.#ids.length === 0) return
    await this.#askFor(random.pick(this.#ids), random.pick(nodes), random.chance(0.4))
  }

  /** Asks a node, linearizably, for what this client was answered last. */
  async check(node: SimNode): Promise<void> {
    const id = this.#ids.at(-1)
    if (id !== undefined) await this.#askFor(id, node, true)
  }

  async #askFor(id: string, node: SimNode, linearizable: boolean): Promise<void> {
    const { history } = this.#world
    const call = history.asks(this.name, id, node.name, linearizable)
    const answer = await this.#call(call, node, 2_000, async (ledger) => {
      if (linearizable) await ledger.barrier(1_500)
      return ledger.submission(id, 'pending', 500)
    })
    if (answer !== undefined) history.answered(call, answer)
  }

  async #query(): Promise<void> {
    const { random, nodes, history } = this.#world
    const node = random.pick(nodes)
    const linearizable = random.chance(0.4)
    const call = history.queries(this.name, node.name, linearizable)
    const query = { type: TYPE, order: 'desc', limit: 5 } as const
    const page = await this.#call(call, node, 2_000, async (ledger) => {
      if (linearizable) await ledger.barrier(1_500)
      return ledger.query(query, () => {})
    })
    if (page !== undefined) history.saw(call, page.entries)
  }

  /** One request and its answer over a network of its own; undefined if there was none in time, or an error. */
  #call<T>(
    call: Call,
    node: SimNode,
    timeoutMs: number,
    ask: (ledger: LedgerNode) => Promise<T>,
  ): Promise<T | undefined> {
    const { timeline, random, fail, history } = this.#world
    return new Promise((resolve) => {
      const back = (answer: T | undefined) =>
        timeline.after(random.int(1, NETWORK_MS_MAX), () => resolve(answer))
      timeline.after(timeoutMs + 500, () => resolve(undefined))
      timeline.after(random.int(1, NETWORK_MS_MAX), () => {
        const { life, ledger } = node
        if (life === undefined || ledger === undefined) return back(undefined)
        call.incarnation = life.incarnation
        life.run(() => {
          ask(ledger).then(
            (answer) => life.alive && back(answer),
            (error: unknown) => {
              if (!life.alive) return
              if (call.kind === 'ask' && errorCode(error) === 'not-found') history.missed(call)
              if (this.name === GUEST && errorCode(error) === 'unknown-key') return back(undefined)
              if (!isDiskFault(error) && !EXPECTED.has(errorCode(error))) {
                const why = error instanceof QatError ? `${error.code} ${error.message}` : errorMessage(error)
                fail(`${node.name} answers ${this.name} with ${why}`)
              }
              back(undefined)
            },
          )
        })
      })
    })
  }

  #sleep(ms: number): Promise<void> {
    return new Promise((resolve) => this.#world.timeline.after(ms, resolve))
  }
}

export function describeSubmission({ status, index, duplicate }: Submission): string {
  return `${status}${index === undefined ? '' : ` at ${index}`}${duplicate === true ? ' (duplicate)' : ''}`
}
