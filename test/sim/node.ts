/**
 * One simulated machine with the node of production on it: LedgerNode, Replica, certifier, store and all the rest
 * as they are, over a simulated clock, disk and network. Processes die and are started again by a supervisor.
 */

import type { Driver } from '../../consensus/driver.ts'
import type { Accusation } from '../../node/core/evidence.ts'
import { LedgerNode } from '../../node/core/ledger-node.ts'
import { boundBy, type KeyRing, nameSpentKeys } from '../../node/core/recovery.ts'
import type { PeerRecord } from '../../node/net/network.ts'
import { blockKey, META } from '../../node/store/keys.ts'
import { LedgerStore } from '../../node/store/ledger-store.ts'
import { equalBytes, fromU64 } from '../../src/bytes.ts'
import { keyId } from '../../src/crypto/keys.ts'
import type { PublicKey, SignatureSuite, Signer } from '../../src/crypto/suite.ts'
import { errorMessage, InvariantError, QatError } from '../../src/errors.ts'
import type { NodeMember } from '../../src/ledger/member.ts'
import type { Random } from '../consensus/sim/random.ts'
import type { Cast, NodeKeys } from './cast.ts'
import { type DiskPace, isDiskFault, SimDisk } from './disk.ts'
import type { Judge, Judged } from './judge.ts'
import { Liar } from './liar.ts'
import { Life, MachineClock } from './life.ts'
import { Memory } from './memory.ts'
import type { SimNetwork } from './network.ts'
import { listeningLogger, noMetrics } from './silent.ts'
import type { Timeline } from './timeline.ts'
import type { Transcript } from './transcript.ts'

export interface World {
  readonly timeline: Timeline
  readonly random: Random
  readonly cast: Cast
  readonly judge: Judge
  readonly network: SimNetwork
  readonly transcript: Transcript
  readonly pace: Pace
  /** The keys of all liars, which they share. */
  readonly accomplices: () => readonly { readonly name: string; readonly keys: NodeKeys }[]
  /** One forgets what it has promised, unknowingly: nodes may have to stop, and say why. */
  readonly suspended: boolean
  /** Of somebody who lies, or forgets, an honest node may have to complain in its log. */
  readonly lies: boolean
  /** For nodes that have stopped by themselves, by the code of what stopped them. */
  readonly stops: Record<string, number>
  readonly lieCounts: Record<string, number>
  /** Where the others are found, as far as the operator of a node has to tell it. */
  hints(name: string): readonly PeerRecord[]
}

export interface Pace extends DiskPace {
  /** Milliseconds that verifying a signature takes, at most; 0: none. */
  verifyMaxMs: number
}

/** Places in a node's work at which a process can be made to die: before the step, or after it, unseen. */
export const POINTS = ['hands over a write', 'write is durable', 'sends', 'gossips', 'verifies'] as const
export type Point = (typeof POINTS)[number]

/** What a node may complain of without a finding: its disk fails on purpose. */
const DISK_CODES: ReadonlySet<string> = new Set(['disk-full', 'store-failed', 'store-damaged'])

/** How often a liar does something of its own accord. */
const ACT_MS = 300

/** A supervisor starts a dead process again after this time, at most. */
const RESTART_MS_MAX = 3_000

export class SimNode implements Judged {
  readonly name: string
  readonly honest: boolean
  readonly disk: SimDisk
  readonly clock: MachineClock
  incarnation = 0
  /** The disk was replaced by an empty one, once or more. */
  diskLost = false
  /** The disk was replaced by an old copy of it. */
  forgetful = false
  /** Down for good: it has found that it must not go on. */
  halted = false
  /** It has stopped because it is no member any more; its operator may start it again. */
  out = false
  /** Which of its keys it has in place, and how many it has made: the newer ones wait until they are admitted. */
  generation = 0
  generations = 1
  /** The first of its keys that were made since its disk was replaced. */
  freshGeneration = 0
  ledger: LedgerNode | undefined
  readonly #world: World
  #memory: Memory | undefined
  #liar: Liar | undefined
  #watched: Driver | undefined
  /** What the node has kept in its folder beside the store. */
  readonly #evidence: Accusation[] = []
  #life: Life | undefined
  #doom: { point: Point; countdown: number; power: boolean } | undefined

  constructor(name: string, honest: boolean, world: World) {
    this.name = name
    this.honest = honest
    this.#world = world
    this.disk = new SimDisk(world.random, world.pace)
    this.clock = new MachineClock(world.timeline)
    world.judge.enrol(this)
    if (!honest) this.#liar = this.#makeLiar()
  }

  #makeLiar(): Liar {
    const { random, cast, network, lieCounts, transcript, timeline } = this.#world
    const keys = () => this.keys
    const liar = new Liar(this.name, {
      random,
      get keys() {
        return keys()
      },
      accomplices: this.#world.accomplices,
      narrow: cast.narrow,
      admins: cast.admins,
      membership: () => this.ledger?.replica.membership,
      raft: () => this.ledger?.replica.driver.raft,
      block: (height) => this.disk.peek(blockKey(height)),
      names: cast.names.filter((name) => name !== this.name),
      counts: lieCounts,
      now: () => this.clock.now(),
      later: (ms, what) => timeline.after(ms, what),
      whisper: (to, topic, bytes) => network.gossip(this.name, to, topic, bytes),
      hear: (from, message) => this.ledger?.replica.driver.deliver(from, message),
    })
    transcript.note(this.name, () => liar.describe)
    return liar
  }

  /** The keys in place. */
  get keys(): NodeKeys {
    return this.#world.cast.keysOf(this.name, this.generation)
  }

  owns({ bytes }: PublicKey): boolean {
    for (let i = 0; i < this.generations; i++) {
      const { node, cosigner } = this.#world.cast.keysOf(this.name, i)
      if (equalBytes(node.publicKey.bytes, bytes) || equalBytes(cosigner.publicKey.bytes, bytes)) return true
    }
    return false
  }

  /** Names of those whom the node has evidence against. */
  get accused(): readonly string[] {
    return this.#evidence.map(({ accused }) => accused)
  }

  get up(): boolean {
    return this.#life !== undefined
  }

  /** The present life, whose death a caller may have to notice. */
  get life(): Life | undefined {
    return this.#life
  }

  /** It may have forgotten what it signed, and takes no part before it has new keys. */
  get recovering(): boolean {
    const empty = this.disk.peek(META.version) === undefined
    return (empty && this.diskLost) || this.disk.peek(META.recovering) !== undefined
  }

  get raft(): Judged['raft'] {
    this.#watchProposals()
    return this.ledger?.replica.driver.raft
  }

  start(): void {
    if (this.up || this.halted) return
    this.incarnation++
    this.out = false
    const { timeline, judge, transcript } = this.#world
    const life = new Life(this.name, this.incarnation, timeline, this.clock, () => {
      this.#watchProposals()
      judge.observe(this.name)
    })
    this.#life = life
    transcript.note(this.name, () => `starts, life ${life.incarnation}`)
    life.run(() => {
      this.#open(life).catch((error: unknown) => this.#fatal(life, error))
    })
  }

  /** The process will die when it has come past `point` so often. */
  doom(point: Point, countdown: number, power: boolean): void {
    this.#doom = { point, countdown, power }
  }

  /** Everything is well again: what was planned for this machine is forgotten. */
  heal(): void {
    this.#doom = undefined
    this.disk.heal()
    this.clock.correct()
    this.#life?.resume()
    this.start()
  }

  passes(point: Point): void {
    const doom = this.#doom
    if (doom?.point !== point || --doom.countdown > 0) return
    this.#world.transcript.note(this.name, () => `has come to its end: ${point}`)
    this.crash(doom.power)
  }

  async #open(life: Life): Promise<void> {
    const { cast, judge, network, random } = this.#world
    const kv = this.disk.open(life, {
      writes: (batch) => {
        this.passes('hands over a write')
        if (life.alive) judge.writes(this.name, batch)
        this.#memory?.writes(batch)
      },
      durable: () => this.passes('write is durable'),
    })
    const store = await LedgerStore.open(kv, cast.genesis, { fresh: !this.diskLost })
    await nameSpentKeys(store, this.#keyRing)
    await this.#chooseKeys(store)
    const { node, cosigner, gateway, peerId } = this.keys
    await boundBy(store, this.name, { node: node.publicKey, cosigner: cosigner.publicKey })
    const suite = this.#suite(life)
    const port = network.port(life, peerId, (point) => this.passes(point))
    const ledger = await LedgerNode.open({
      name: this.name,
      store,
      network: this.#liar?.network(port) ?? this.#memory?.network(port, life) ?? port,
      clock: life,
      random: random.next,
      suites: { urgent: suite, ordinary: suite, past: suite },
      nodeKey: this.#witnessed(node),
      cosigner,
      gateway,
      logger: this.#logger(life),
      metrics: noMetrics,
      knownEvidence: this.#evidence.map(({ evidence }) => evidence),
      onEvidence: async (accusation) => {
        if (!life.alive) return
        this.#evidence.push(accusation)
        judge.accuses(this.name, accusation.accused)
      },
      onFatal: (error) => this.#fatal(life, error),
      keyRing: this.#keyRing,
      hints: this.#world.hints(this.name),
      onOut: (why) => void ledger.stop().then(() => life.run(() => this.#out(why))),
    })
    await ledger.start()
    if (!life.alive) return
    this.ledger = ledger
    if (!this.honest) life.every(ACT_MS, () => this.#liar?.act())
  }

  /** The signer, with the judge looking on. */
  #witnessed(signer: Signer): Signer {
    const { judge } = this.#world
    return {
      ...signer,
      sign: (message) => {
        judge.signs(this.name, signer.publicKey, message)
        return signer.sign(message)
      },
    }
  }

  /**
   * As node/start.ts: new keys move into place when the change that names them is certified. If an administrator has
   * named the keys before them, the operator has kept those.
   */
  async #chooseKeys(store: LedgerStore): Promise<void> {
    const record = (await store.membersInForce()).nodeByName.get(this.name)
    const found = record && this.#generationOf(record)
    if (found !== undefined) this.generation = found
  }

  #generationOf({ nodeKey }: NodeMember): number | undefined {
    for (let i = 0; i < this.generations; i++) {
      const { node } = this.#world.cast.keysOf(this.name, i)
      if (equalBytes(node.publicKey.bytes, nodeKey.bytes)) return i
    }
    return undefined
  }

  #idsOf(generation: number): string[] {
    const { node, cosigner } = this.#world.cast.keysOf(this.name, generation)
    return [keyId(node.publicKey), keyId(cosigner.publicKey)]
  }

  /** As the folder of a node, which keeps all the keys that it has had. */
  readonly #keyRing: KeyRing = {
    ids: async () => ({
      inPlace: this.#idsOf(this.generation),
      next: Array.from({ length: this.generations }, (_, i) => this.#idsOf(i)).flat(),
    }),
    prepare: async (spent) => {
      if (this.#idsOf(this.generations - 1).some((id) => spent.includes(id))) this.generations++
      return 'An admin has to admit them.'
    },
    nodeSigner: async (key) => {
      const all = Array.from(
        { length: this.generations },
        (_, i) => this.#world.cast.keysOf(this.name, i).node,
      )
      const found = all.find(({ publicKey }) => equalBytes(publicKey.bytes, key.bytes))
      return found && this.#witnessed(found)
    },
    holds: async (record) => this.#generationOf(record) !== undefined,
  }

  /** The membership has this node no more, or under other keys: it has stopped, and nothing is wrong. */
  #out(why: 'removed' | 'keys-replaced'): void {
    const { timeline, random, stops } = this.#world
    stops[why] = (stops[why] ?? 0) + 1
    this.crash(false)
    if (why === 'removed') this.out = true
    else timeline.after(random.int(1, RESTART_MS_MAX), () => this.start())
  }

  /** What a leader proposes is in its log, and may be counted, before anything else shows it. */
  #watchProposals(): void {
    const driver = this.ledger?.replica.driver
    if (driver === undefined || driver === this.#watched) return
    // A node opens its replica anew when a full disk has room again: for Raft that is a restart.
    if (this.#watched !== undefined) this.incarnation++
    this.#watched = driver
    const propose = driver.propose.bind(driver)
    driver.propose = (block) => {
      const { judge } = this.#world
      judge.proposes(this.name, block.body)
      const result = propose(block)
      if (result.ok) judge.proposed(this.name, this.keys.node.publicKey, block.body)
      return result
    }
    const install = driver.install.bind(driver)
    driver.install = (blocks, proof) => {
      this.#world.judge.installs(this.name, blocks)
      install(blocks, proof)
    }
  }

  /** Verification takes its time, so that messages overtake blocks that are still being checked. */
  #suite(life: Life): SignatureSuite {
    const { cast, pace, random } = this.#world
    const { suite } = cast
    return {
      signer: suite.signer,
      verify: async (key, message, signature) => {
        this.passes('verifies')
        if (pace.verifyMaxMs > 0) {
          await new Promise<void>((resolve) => life.later(random.int(0, pace.verifyMaxMs), resolve))
        }
        const good = await suite.verify(key, message, signature)
        if (good && life.alive) this.#world.judge.verified(this.name, key, message)
        return good
      },
    }
  }

  #logger(life: Life) {
    const { judge, transcript, lies } = this.#world
    return listeningLogger((level, text, { err, error, code }) => {
      if (!life.alive) return
      const why = err === undefined ? error : errorMessage(err)
      const cause = why === undefined ? '' : `: ${why}`
      transcript.note(this.name, () => `${level} ${text}${cause}`)
      const disk = isDiskFault(err) || DISK_CODES.has(String(code)) || /\bdisk\b/i.test(`${text}${cause}`)
      if (level !== 'warn' && this.honest && !lies && !disk) {
        judge.fail(`${this.name} logs ${level}: ${text}${cause}`)
      }
    })
  }

  /** The node has found that it cannot go on. */
  #fatal(life: Life, error: unknown): void {
    if (!life.alive) return
    const { judge, transcript, stops, suspended, timeline, random } = this.#world
    const code = error instanceof QatError ? error.code : error instanceof Error ? error.name : 'unknown'
    transcript.note(this.name, () => `stops by itself: ${errorMessage(error)}`)
    stops[code] = (stops[code] ?? 0) + 1
    this.crash(false)
    // Where somebody has forgotten what it signed, a node may have to stop; its operator must be able to read why.
    if (error instanceof InvariantError && suspended) {
      this.halted = true
      if (!/^[A-Z].{20,}\.$/.test(error.message)) judge.fail(`${this.name} stops without a plain sentence`)
    } else if (!isDiskFault(error) && this.honest) {
      judge.fail(`${this.name} stops: ${error instanceof Error ? error.stack : String(error)}`)
    }
    timeline.after(random.int(500, RESTART_MS_MAX), () => this.start())
  }

  /** The disk breaks and is replaced by an empty one: whatever the node has promised, it does not know. */
  loseDisk(): void {
    this.crash(true)
    this.disk.wipe()
    this.diskLost = true
    this.freshGeneration = this.generations
    this.#world.judge.forgets(this.name)
    this.#world.transcript.note(this.name, () => 'has lost its disk')
  }

  /** Somebody restores an old copy of the disk, without a word to the node. */
  putBack(copy: ReadonlyMap<string, Uint8Array>): void {
    const { judge, transcript } = this.#world
    this.crash(true)
    const cosigned = fromU64(this.disk.durable(META.cosigned)!)
    this.disk.putBack(copy)
    this.forgetful = true
    this.freshGeneration = this.generations
    this.#memory = new Memory(this, (finding) => judge.fail(finding))
    judge.forgets(this.name)
    transcript.note(this.name, () => `gets an old copy of its disk; it had cosigned ${cosigned}`)
  }

  /** The process dies in the middle of whatever it was doing; with `power`, the disk loses what was not synced. */
  crash(power: boolean): void {
    if (this.#life === undefined) return
    this.#life.alive = false
    this.#life = undefined
    this.#doom = undefined
    this.ledger = undefined
    this.disk.crash(power)
    this.#world.transcript.note(this.name, () => (power ? 'loses power' : 'dies'))
  }
}
