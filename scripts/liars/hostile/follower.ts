/**
 * A thin follower of the protocol: production's state machine of ordering over a memory that forgets, which verifies
 * nothing. So a hostile member sees the honest traffic, takes part as far as an act wants it to, and may be
 * elected. What leaves it passes through its manners.
 */
import { DEFAULT_LIMITS } from '../../../consensus/config.ts'
import { Driver } from '../../../consensus/driver.ts'
import type { Message, Statement } from '../../../consensus/messages.ts'
import { Raft } from '../../../consensus/raft.ts'
import { configurationOf } from '../../../node/core/unapplied.ts'
import type { Signer } from '../../../src/crypto/suite.ts'
import { acknowledgementMessage } from '../../../src/ledger/acknowledgement.ts'
import { decodeEnvelope } from '../../../src/ledger/dsse.ts'
import type { Entry } from '../../../src/ledger/entry.ts'
import type { Genesis } from '../../../src/ledger/genesis.ts'
import { decodeSeal } from '../../../src/ledger/seal.ts'
import { voteMessage } from '../../../src/ledger/vote.ts'
import { Chain, refOf } from './chain.ts'

/** As a node has them (node/core/replica.ts). */
const TICK_MS = 50
const ELECTION_TICKS = 20
const HEARTBEAT_TICKS = 4
/** Entries that others forward to it as the leader; more are forgotten. */
const POOL_MAX = 4_096
const BLOCK_ENTRIES = 256
/** What it heard last is kept for those acts that repeat it. */
const HEARD_MAX = 128

/** How it behaves; honest where nothing is said. */
export interface Manners {
  /** What goes to `to` in place of a message. */
  readonly say?: (to: string, message: Message) => readonly Message[]
  /** Whether it listens to a message. */
  readonly hears?: (from: string, message: Message) => boolean
  /** As leader: which entries it orders. */
  readonly orders?: (entry: Entry) => boolean
  /** As leader: milliseconds between blocks at least. */
  readonly blockMs?: number
  /** As leader: entries of a block at most. */
  readonly blockEntries?: number
  /** As leader: whether it proposes anything. */
  readonly proposes?: boolean
  /** As leader: whether it signs checkpoints as the log. */
  readonly signsAsLog?: boolean
  /** As leader: told of entries that others have forwarded. */
  readonly onForwarded?: (from: string, entries: readonly Entry[]) => void
}

export interface FollowerPorts {
  readonly name: string
  readonly genesis: Genesis
  readonly nodeKey: Signer
  readonly send: (to: string, message: Message) => void
  /** Gets committed blocks up to a height. */
  readonly pull: (height: number) => void
  readonly onTrouble: (what: string, error: unknown) => void
}

export class Follower {
  readonly chain: Chain
  readonly driver: Driver
  manners: Manners = {}
  /** The newest messages of others, with whom they came from. */
  readonly heard: { readonly from: string; readonly message: Message }[] = []
  readonly #ports: FollowerPorts
  readonly #pool = new Map<string, Entry>()
  #timer: NodeJS.Timeout | undefined
  #proposedAt = 0
  #proposing = false

  constructor(ports: FollowerPorts) {
    this.#ports = ports
    const { name, genesis, nodeKey, send, pull, onTrouble } = ports
    const { membership, parameters } = genesis
    const ledger = parameters.ledger
    const chain = new Chain(genesis)
    this.chain = chain
    const block = chain.applied[0]!
    const raft = new Raft({
      id: name,
      configuration: configurationOf(membership),
      electionTicks: ELECTION_TICKS,
      heartbeatTicks: HEARTBEAT_TICKS,
      // It stands when an act wants that: by itself only if nobody else does.
      random: () => 0.99,
      hardState: { term: 0, vote: undefined, abstains: false },
      log: { blocks: [block], commit: 0 },
      certified: { block: refOf(block), proof: { kind: 'genesis' } },
      limits: { ...DEFAULT_LIMITS, windowBlocks: 2 },
    })
    raft.join()
    this.driver = new Driver(raft, {
      sign: (statement) => nodeKey.sign(statementBytes(ledger, statement)),
      verify: async () => true,
      sealer: async (_, seal) => decodeSeal(decodeEnvelope(seal).payload).proposer,
      configurationAfter: async () => configurationOf(membership),
      configurationsFor: async () => [configurationOf(membership)],
      isGenesis: () => true,
      isCovered: async () => true,
      persist: async () => {},
      send: (to, message) => {
        for (const said of this.manners.say?.(to, message) ?? [message]) send(to, said)
      },
      check: async (blocks) => blocks.map((each) => chain.read(each)),
      apply: async (blocks) => {
        for (const each of blocks) chain.apply(each)
      },
      onSoftState: () => {},
      onBehind: pull,
      onBadMessage: (from, error) => onTrouble(`a message of ${from}`, error),
      onFatal: (error) => onTrouble('the follower', error),
    })
  }

  start(): void {
    this.#timer = setInterval(() => {
      this.driver.tick()
      this.propose()
    }, TICK_MS)
  }

  async stop(): Promise<void> {
    clearInterval(this.#timer)
    await this.driver.stop()
  }

  hear(from: string, message: Message): void {
    this.heard.push({ from, message })
    if (this.heard.length > HEARD_MAX) this.heard.shift()
    if (this.manners.hears?.(from, message) ?? true) this.driver.deliver(from, message)
  }

  /** Others want these ordered. */
  forwarded(from: string, entries: readonly Entry[]): void {
    if (this.driver.raft.role !== 'leader') return
    for (const entry of entries) if (this.#pool.size < POOL_MAX) this.#pool.set(entry.id, entry)
    this.manners.onForwarded?.(from, entries)
  }

  /** As leader: the next block, if there is something to order. */
  propose(): void {
    if (this.#proposing || this.driver.raft.role !== 'leader' || this.manners.proposes === false) return
    this.#proposing = true
    this.#propose()
      .catch((error: unknown) => this.#ports.onTrouble('a proposal', error))
      .finally(() => {
        this.#proposing = false
      })
  }

  async #propose(): Promise<void> {
    const { raft } = this.driver
    const { name, nodeKey } = this.#ports
    const { blockMs = 0, blockEntries = BLOCK_ENTRIES } = this.manners
    if (!raft.canPropose() || Date.now() - this.#proposedAt < blockMs) return
    const before = this.chain.stateAfter(raft.tail.hash)
    if (!before) return
    const opens = raft.needsOpening
    const entries = opens ? [] : this.#next(blockEntries)
    if (!opens && entries.length === 0) return
    const { term } = raft
    const block = await this.chain.forge(before, { term, proposer: name, signer: nodeKey, entries })
    this.#proposedAt = Date.now()
    this.driver.propose(this.chain.read(block))
  }

  /** Of the entries that wait the first ones that may stand in a block. */
  #next(most: number): Entry[] {
    const chosen: Entry[] = []
    const events = new Set<string>()
    for (const [id, entry] of this.#pool) {
      if (this.chain.has(entry)) this.#pool.delete(id)
      else if (this.manners.orders?.(entry) ?? true) {
        const names = entry.claims.map(({ source, id: event }) => `${source} ${event}`)
        if (names.some((event) => events.has(event))) continue
        for (const event of names) events.add(event)
        chosen.push(entry)
        if (chosen.length >= most) break
      }
    }
    return chosen
  }
}

/** What a statement's signature covers. */
export function statementBytes(ledger: string, statement: Statement): Uint8Array {
  if (statement.kind === 'acknowledgement') {
    const { term, height, hash } = statement
    return acknowledgementMessage({ ledger, term, height, hash })
  }
  const { term, candidate, base } = statement
  return voteMessage({ ledger, term, candidate, base: refOf(base) })
}
