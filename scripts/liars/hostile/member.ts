/** A hostile member: a validator's keys on the real network, and a follower of its own in place of the node. */
import { randomBytes, randomUUID } from 'node:crypto'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { lpStream } from '@libp2p/utils'
import type { Lead, Message, Statement } from '../../../consensus/messages.ts'
import type { BlockRef, Certified, Block as RaftBlock } from '../../../consensus/types.ts'
import { decodeMessage, encodeMessage } from '../../../consensus/wire.ts'
import { systemClock } from '../../../node/clock.ts'
import { decodeSyncAnswer, encodeCovering, encodeSyncRequest } from '../../../node/core/sync.ts'
import { readKeyFile } from '../../../node/crypto/keyfile.ts'
import { opensslSuite } from '../../../node/crypto/openssl.ts'
import { FILES, peerSeedOf, readNodeFolder } from '../../../node/folder.ts'
import { createLogger, type Logger } from '../../../node/logger.ts'
import { createMetrics } from '../../../node/metrics.ts'
import { createNetwork, type Libp2pNetwork } from '../../../node/net/libp2p-network.ts'
import { FRAME, type FrameKind, type Topic } from '../../../node/net/network.ts'
import type { KeyProvider } from '../../../node/qkd/key-provider.ts'
import { type NodeQkd, openNodeQkd } from '../../../node/qkd/node-qkd.ts'
import { toRaftBlock } from '../../../node/store/ledger-store.ts'
import { toHex, utf8 } from '../../../src/bytes.ts'
import type { Signer } from '../../../src/crypto/suite.ts'
import { errorMessage } from '../../../src/errors.ts'
import type { JsonObject } from '../../../src/json.ts'
import { decodeBlock } from '../../../src/ledger/block.ts'
import { decodeEntry, type Entry, signEntry } from '../../../src/ledger/entry.ts'
import type { Genesis } from '../../../src/ledger/genesis.ts'
import { cosignerName } from '../../../src/ledger/membership.ts'
import { PAYLOAD_TYPES } from '../../../src/ledger/payload-types.ts'
import { decodeEntryBundle } from '../../../src/merkle/tiles.ts'
import { type Checkpoint, printCheckpoint } from '../../../src/notes/checkpoint.ts'
import { signCosignature } from '../../../src/notes/cosignature.ts'
import { printNote } from '../../../src/notes/note.ts'
import { Follower, type Manners, statementBytes } from './follower.ts'

const CONNECT_MS = 20_000
const POLL_MS = 50
/** How long it tries to be elected: somebody who has led in vain is passed over for ten seconds at most. */
const ELECTION_MS = 14_000
const CAMPAIGN_MS = 300
const SYNC_MS = 3_000
/** The leader signs its newest checkpoint as the log this often. */
const LOG_LINE_MS = 250

/** An act that could not be carried out, and why. */
export class NotTold extends Error {}

export interface MemberOptions {
  readonly dir: string
  /** Stops the process of a node, and lets it go on. */
  readonly pause: (node: string) => Promise<void>
  readonly resume: (node: string) => Promise<void>
  /** Kills the process of a node, starts it again, and waits until it answers. */
  readonly restart: (node: string) => Promise<void>
}

/** Answers what others ask it for: blocks, or the height that is committed. */
export type Answer = (from: string, question: Uint8Array) => Promise<Uint8Array>

const NOTHING: Answer = async () => new Uint8Array(0)

export class Member {
  readonly name: string
  readonly genesis: Genesis
  readonly nodeKey: Signer
  readonly cosigner: Signer
  readonly gateway: Signer
  readonly follower: Follower
  /** Whether QKD keys are asked for by ids that no KME has given. */
  madeUpKeys = false
  answer: Answer = NOTHING
  /** Entries that others have sent, the newest last. */
  readonly seen: Entry[] = []
  readonly #options: MemberOptions
  readonly #logger: Logger
  #network!: Libp2pNetwork
  #qkd!: NodeQkd
  #pulling = false
  #logLine: NodeJS.Timeout | undefined

  private constructor(options: MemberOptions, parts: Parts) {
    const { name, genesis, nodeKey, cosigner, gateway, logger } = parts
    this.#options = options
    this.#logger = logger
    this.name = name
    this.genesis = genesis
    this.nodeKey = nodeKey
    this.cosigner = cosigner
    this.gateway = gateway
    this.follower = new Follower({
      name,
      genesis,
      nodeKey,
      send: (to, message) => void this.send(to, message),
      pull: (height) => void this.#pull(height),
      onTrouble: (what, error) => logger.info({ error: errorMessage(error) }, `trouble with ${what}`),
    })
  }

  static async join(options: MemberOptions): Promise<Member> {
    const { dir } = options
    const { config, genesis } = await readNodeFolder(dir)
    const { name } = config
    const logger = createLogger(name, 'info')
    const key = async (file: string) => {
      const { alg, seed } = await readKeyFile(join(dir, file))
      return { seed, signer: opensslSuite.signer(alg, seed) }
    }
    const node = await key(FILES.nodeKey)
    const cosigner = (await key(FILES.cosignerKey)).signer
    const gateway = (await key(FILES.gatewayKey)).signer
    const parts = { name, genesis, nodeKey: node.signer, cosigner, gateway, logger }
    const member = new Member(options, parts)
    const metrics = createMetrics({ node: name, ledger: genesis.parameters.ledger })
    const qkd = await openNodeQkd({ name, dir, config: config.qkd, clock: systemClock, logger, metrics })
    member.#qkd = qkd
    member.#network = await createNetwork({
      self: name,
      genesisId: genesis.block.id,
      peerSeed: peerSeedOf(node.seed),
      listen: config.listen,
      logger,
      metrics,
      links: {
        signer: node.signer,
        verify: opensslSuite.verify,
        policy: qkd.policy,
        keys: qkd.keys && member.#lyingKeys(qkd.keys),
        limits: qkd.limits,
        clock: systemClock,
        random: (bytes) => new Uint8Array(randomBytes(bytes)),
        onEvent: () => {},
      },
    })
    member.#network.setPeers({ nodes: [...genesis.membership.nodeByName.values()], former: new Map() })
    await member.#network.start({
      frame: (from, kind, bytes) => member.#hear(from, kind, bytes),
      request: (from, question) => member.answer(from, question),
      isBrief: () => false,
      gossip: async () => 'accept',
      connected: () => {},
      disconnected: (peer) => member.follower.driver.lostLink(peer),
    })
    member.follower.start()
    member.#logLine = setInterval(() => void member.#signAsLog(), LOG_LINE_MS)
    return member
  }

  async stop(): Promise<void> {
    clearInterval(this.#logLine)
    await this.follower.stop()
    await this.#network.stop()
    await this.#qkd.close()
  }

  // ---- what it knows

  get ledger(): string {
    return this.genesis.parameters.ledger
  }

  /** The other validators. */
  get others(): readonly string[] {
    return this.genesis.membership.validators.map(({ name }) => name).filter((name) => name !== this.name)
  }

  /** Those that are connected. */
  get peers(): readonly string[] {
    return this.#network.peers()
  }

  get term(): number {
    return this.follower.driver.raft.term
  }

  get leads(): boolean {
    return this.follower.driver.raft.role === 'leader'
  }

  /** Throws NotTold if nobody leads, or it does so itself. */
  get leader(): string {
    const { leader } = this.follower.driver.raft
    if (leader === undefined || leader === this.name) throw new NotTold('no honest node leads at the moment')
    return leader
  }

  get certified(): Certified {
    return this.follower.driver.raft.certified
  }

  /** The newest certificate of a term that it was shown. Throws NotTold if there is none. */
  get lead(): Lead {
    const heard = this.follower.heard.findLast(({ message }) => message.kind === 'lead')
    if (heard?.message.kind === 'lead') return heard.message
    throw new NotTold('it was shown no certificate of a term lately')
  }

  /** Ports at which the others listen for their peers, by name. */
  get addresses(): ReadonlyMap<string, { readonly host: string; readonly port: number }> {
    const nodes = this.others.map((name) => this.genesis.membership.nodeByName.get(name)!)
    return new Map(
      nodes.map(({ name, addresses }) => {
        const [, , host, , port] = addresses[0]!.split('/')
        return [name, { host: host!, port: Number(port) }]
      }),
    )
  }

  // ---- what it says

  send(to: string, message: Message): boolean {
    return this.frame(to, FRAME.raft, encodeMessage(message))
  }

  tell(message: Message): void {
    for (const peer of this.peers) this.send(peer, message)
  }

  frame(to: string, kind: FrameKind, bytes: Uint8Array): boolean {
    return this.#network.send(to, kind, bytes)
  }

  /** A frame to all. */
  frames(kind: FrameKind, bytes: Uint8Array): void {
    for (const peer of this.peers) this.frame(peer, kind, bytes)
  }

  ask(to: string, question: Uint8Array): Promise<Uint8Array> {
    return this.#network.request(to, question, SYNC_MS)
  }

  /** Asks and does not read the answer. Resolves with what ends it. */
  async askDeaf(to: string, question: Uint8Array): Promise<() => void> {
    const stream = await this.#network.openRequest(to)
    stream.pause()
    await lpStream(stream).write(question, { signal: AbortSignal.timeout(SYNC_MS) })
    return () => stream.abort(new Error('not read'))
  }

  /** By gossip. Never rejects: whom nobody hears has told nothing. */
  async publish(topic: Topic, bytes: Uint8Array): Promise<void> {
    await this.#network.publish(topic, bytes).catch(() => {})
  }

  /** Closes its connections; they are opened anew. */
  hangUp(): void {
    for (const peer of this.peers) this.#network.misbehaved(peer, 'hung-up')
  }

  sign(statement: Statement): Promise<Uint8Array> {
    return this.nodeKey.sign(statementBytes(this.ledger, statement))
  }

  /** Its candidacy of `term` for this base, as it stands in a vote. */
  async candidacy(term: number, base: Certified): Promise<Message> {
    const signature = await this.sign({ kind: 'vote', term, candidate: this.name, base: base.block })
    return { kind: 'vote', term, base, signature }
  }

  async acknowledgement({ term, height, hash }: BlockRef): Promise<Message> {
    const signature = await this.sign({ kind: 'acknowledgement', term, height, hash })
    return { kind: 'acknowledge', term, height, hash, signature }
  }

  /** A note over this tree, under its own name and as the log. */
  async cosigned(checkpoint: Checkpoint, seconds: number): Promise<Uint8Array> {
    const names = [this.ledger, cosignerName(this.ledger, this.name)]
    const signatures = await Promise.all(
      names.map((name) => signCosignature(this.cosigner, name, checkpoint, seconds)),
    )
    return utf8(printNote({ text: printCheckpoint(checkpoint), signatures }))
  }

  /** Entries that its own gateway signs: valid ones, and nobody has asked for them. */
  async entries(count: number): Promise<Entry[]> {
    const made: Entry[] = []
    for (let i = 0; i < count; i++) made.push(await this.entry({}))
    return made
  }

  /** An entry with one event, which differs by `changes` from those that nobody wants. */
  entry(changes: JsonObject): Promise<Entry> {
    const event = {
      specversion: '1.0',
      id: randomUUID(),
      source: `/${this.name}`,
      type: 'example.liars.event',
      subject: 'uninvited',
      time: '2026-01-31T12:00:00Z',
      datacontenttype: 'application/json',
      ledger: this.ledger,
      ...changes,
    }
    return signEntry(PAYLOAD_TYPES.event, utf8(JSON.stringify(event)), this.gateway)
  }

  /** A block of its own in `term`, on the newest block that it has applied at the moment. */
  block(term: number, entries: readonly Entry[] = [], time = Date.now()): Promise<RaftBlock> {
    const { chain } = this.follower
    return chain.forge(chain.tip, { term, proposer: this.name, signer: this.nodeKey, entries, time })
  }

  /** Chance as it needs it: bytes, and a hash that nothing has. */
  random(bytes: number): Uint8Array {
    return new Uint8Array(randomBytes(bytes))
  }

  randomHash(): string {
    return toHex(this.random(32))
  }

  pause(ms: number): Promise<void> {
    return sleep(ms)
  }

  // ---- what it does

  /** Waits until it is connected to all others, and follows a leader and its blocks; throws NotTold if that takes too long. */
  async settle(ms = CONNECT_MS): Promise<void> {
    const connected = () => {
      const { leader, role } = this.follower.driver.raft
      return this.peers.length === this.others.length && (leader !== undefined || role === 'leader')
    }
    if (!(await this.until(connected, ms))) throw new NotTold('it is not connected to all, or nobody leads')
    // It has forgotten what the leader has an acknowledgement of, so an idle leader sends it nothing.
    if (this.follower.chain.applied.length === 1) await this.#pull(1)
  }

  async until(probe: () => boolean, ms: number): Promise<boolean> {
    const deadline = performance.now() + ms
    while (!probe()) {
      if (performance.now() > deadline) return false
      await sleep(POLL_MS)
    }
    return true
  }

  /**
   * Gets itself elected as any candidate may, when the leader's process has paused, and behaves like this for `ms` or
   * until it leads no more. Then it hands over. Throws NotTold if it was not elected.
   */
  async reign(ms: number, manners: Manners): Promise<void> {
    const { driver } = this.follower
    // Whom it votes for might be elected instead.
    const alone: Manners = {
      ...manners,
      hears: (_, { kind }) => kind !== 'pre-vote' && kind !== 'vote' && kind !== 'timeout-now',
    }
    this.follower.manners = alone
    try {
      if (!this.leads) await this.#getElected()
      await this.until(() => !this.leads, ms)
    } finally {
      this.follower.manners = {}
      if (driver.transfer().ok) await this.until(() => !this.leads, 2_000)
    }
  }

  async #getElected(): Promise<void> {
    const { driver } = this.follower
    const { leader } = this
    await this.#options.pause(leader)
    try {
      let stoodAt = Number.NEGATIVE_INFINITY
      const stands = () => {
        if (this.leads) return true
        if (performance.now() - stoodAt >= CAMPAIGN_MS && driver.raft.role !== 'candidate') {
          stoodAt = performance.now()
          driver.campaign()
        }
        return false
      }
      if (!(await this.until(stands, ELECTION_MS))) throw new NotTold('it was not elected')
    } finally {
      await this.#options.resume(leader)
    }
  }

  /** A node that does not lead: as it happens to any, its process dies and is started again. */
  restart(node: string): Promise<void> {
    return this.#options.restart(node)
  }

  /** One of those that do not lead. */
  get someFollower(): string {
    const { leader } = this
    return this.others.filter((name) => name !== leader).at(this.term % 2)!
  }

  #hear(from: string, kind: FrameKind, bytes: Uint8Array): void {
    try {
      if (kind === FRAME.raft) this.follower.hear(from, decodeMessage(bytes))
      else if (kind === FRAME.forward || kind === FRAME.late) {
        const entries = decodeEntryBundle(bytes, 65_536).map((leaf) => decodeEntry(leaf))
        this.seen.push(...entries)
        this.seen.splice(0, Math.max(0, this.seen.length - 256))
        this.follower.forwarded(from, entries)
      }
    } catch (error) {
      this.#logger.info({ from, kind, error: errorMessage(error) }, 'trouble with a frame')
    }
  }

  /** As leader, what makes its newest block final, unless the manners of the moment forbid it. */
  async #signAsLog(): Promise<void> {
    if (!this.leads || this.follower.manners.signsAsLog === false) return
    const { tip, root } = this.follower.chain
    const note = await this.cosigned(
      { origin: this.ledger, size: tip.size, root },
      Math.floor(Date.now() / 1_000),
    )
    this.frames(FRAME.cosignature, note)
  }

  async #pull(height: number): Promise<void> {
    if (this.#pulling) return
    this.#pulling = true
    const { driver, chain } = this.follower
    try {
      for (const peer of this.peers) {
        while (driver.raft.commit < height) {
          const before = driver.raft.commit
          const question = encodeSyncRequest({ from: before + 1, certified: 0 })
          const { blocks, certificate, path } = decodeSyncAnswer(await this.ask(peer, question))
          const read = blocks.map((bytes) => chain.read(toRaftBlock(decodeBlock(bytes))))
          const seal = read.at(-1)?.proposal?.seal
          if (seal) driver.install(read, encodeCovering({ certificate, seal, path }))
          if (!(await this.until(() => driver.raft.commit > before, 500))) break
        }
      }
    } catch (error) {
      this.#logger.info({ error: errorMessage(error) }, 'trouble with catching up')
    } finally {
      this.#pulling = false
    }
  }

  /** The keys of the KME, unless an act makes some up. */
  #lyingKeys(honest: KeyProvider): KeyProvider {
    return {
      status: (peer, signal) => honest.status(peer, signal),
      getKey: async (peer, bits, signal) => {
        if (!this.madeUpKeys) return honest.getKey(peer, bits, signal)
        return { id: randomUUID(), bytes: this.random(bits / 8) }
      },
      getKeyById: async (peer, id, bits, signal) => {
        if (!this.madeUpKeys) return honest.getKeyById(peer, id, bits, signal)
        return { id, bytes: this.random(bits / 8) }
      },
    }
  }
}

interface Parts {
  readonly name: string
  readonly genesis: Genesis
  readonly nodeKey: Signer
  readonly cosigner: Signer
  readonly gateway: Signer
  readonly logger: Logger
}
