/**
 * What a node hears and says by gossip: committed blocks, certificates, announcements. Everything is signed with
 * ML-DSA inside and verified before it is passed on; what shows that this node has fallen behind sets it pulling.
 */
import type { Driver } from '../../consensus/driver.ts'
import { fromUtf8, toHex, utf8 } from '../../src/bytes.ts'
import type { SignatureSuite, Signer } from '../../src/crypto/suite.ts'
import { errorCode, errorMessage, FormatError, ProofError, RefusedError } from '../../src/errors.ts'
import { type Block, decodeBlock } from '../../src/ledger/block.ts'
import { BLOCK_ENTRIES_MAX } from '../../src/limits.ts'
import { leafHash } from '../../src/merkle/hash.ts'
import { decodeEntryBundle, encodeEntryBundle } from '../../src/merkle/tiles.ts'
import { boundedLog } from '../bounded-log.ts'
import type { Clock } from '../clock.ts'
import type { Logger } from '../logger.ts'
import type { Metrics } from '../metrics.ts'
import type { Network, Topic, Verdict } from '../net/network.ts'
import type { LedgerStore } from '../store/ledger-store.ts'
import { type Announcement, readAnnouncement, signAnnouncement } from './announcement.ts'
import type { Certifier } from './certifier.ts'
import type { EvidenceCollector } from './evidence.ts'
import type { Pool } from './pool.ts'
import type { Puller } from './puller.ts'
import { verifySeal } from './verify-seal.ts'

/** Blocks up to this size are gossiped whole; of a larger one only the seal, and who lacks it pulls it. */
const BLOCK_BYTES_WHOLE_MAX = 16_384
/**
 * Gossip costs every node as much for a block of one entry as for a block of hundreds, and who keeps up has it by
 * then. So of the blocks and certificates of this time the newest is told of, which names all before it.
 */
const TELL_MS = 100
/** A gap that ordering has not closed by itself after this time is closed by pulling. */
const GAP_PATIENCE_MS = 1_000

/** A node that has said nothing new for so long may have set its clock back: from then on it counts again. */
const SILENCE_MS = 6_000

/**
 * Nothing is wrong with a message by someone who is no member here, or has other keys here: one of the two nodes
 * does not know of a change of membership yet.
 */
const OTHER_MEMBERS: ReadonlySet<string> = new Set(['not-a-member', 'unknown-key'])

export interface GossipPorts {
  readonly name: string
  readonly store: LedgerStore
  readonly network: Network
  readonly clock: Clock
  readonly suite: SignatureSuite
  readonly nodeKey: Signer
  readonly driver: Driver
  readonly certifier: Certifier
  readonly evidence: EvidenceCollector
  readonly puller: Puller
  readonly pool: Pool
  readonly logger: Logger
  readonly metrics: Metrics
  readonly onAnnouncement: () => void
}

interface Heard {
  readonly said: Announcement
  /** When, by `Clock.elapsed`. */
  readonly at: number
}

export class Gossip {
  readonly #ports: GossipPorts
  readonly #announcements = new Map<string, Heard>()
  /** What is about to be told, by topic. */
  readonly #newest = new Map<Topic, Uint8Array>()

  constructor(ports: GossipPorts) {
    this.#ports = { ...ports, logger: boundedLog(ports.logger, () => ports.clock.elapsed()) }
  }

  /** What the other validators last said of themselves, and how long ago. */
  announcements(): { said: Announcement; ageMs: number }[] {
    const now = this.#ports.clock.elapsed()
    return [...this.#announcements.values()].map(({ said, at }) => ({ said, ageMs: now - at }))
  }

  /** Judges a message; never throws. */
  async receive(from: string, topic: Topic, bytes: Uint8Array): Promise<Verdict> {
    const { certifier, logger, metrics } = this.#ports
    let verdict: Verdict
    try {
      if (topic === 'cosignatures') verdict = await certifier.receive(fromUtf8(bytes), from)
      else if (topic === 'blocks') verdict = await this.#onBlock(bytes)
      else verdict = await this.#onAnnouncement(bytes)
    } catch (error) {
      const code = errorCode(error)
      verdict = isSendersFault(error) ? 'reject' : 'ignore'
      if (verdict === 'reject') logger.warn({ from, topic, code }, 'rejected a gossip message')
    }
    metrics.gossip.inc({ topic, verdict })
    return verdict
  }

  /** The leader tells of a block that has committed. */
  tellOfBlock({ bytes, leaves }: Block): void {
    const message = bytes.length <= BLOCK_BYTES_WHOLE_MAX ? bytes : encodeEntryBundle([leaves.at(-1)!])
    this.#tell('blocks', message)
  }

  /** The leader tells of a certificate: for those who have no part in it, or missed a cosignature. */
  tellOfCertificate(note: string): void {
    this.#tell('cosignatures', utf8(note))
  }

  #tell(topic: Topic, message: Uint8Array): void {
    const waits = this.#newest.has(topic)
    this.#newest.set(topic, message)
    if (waits) return
    this.#ports.clock.after(TELL_MS, () => {
      const newest = this.#newest.get(topic)
      this.#newest.delete(topic)
      if (newest) this.#ports.network.publish(topic, newest).catch(() => {})
    })
  }

  /** What waits to be told is not told any more. */
  stop(): void {
    this.#newest.clear()
  }

  /** This node tells of itself. */
  async announce(): Promise<void> {
    const { name, store, network, nodeKey, driver, certifier, pool, clock, logger } = this.#ports
    const announcement: Announcement = {
      ledger: store.genesis.parameters.ledger,
      name,
      role: driver.raft.role,
      term: driver.raft.term,
      height: store.tip.height,
      size: store.tip.size,
      finalSize: certifier.size,
      pending: pool.size,
      time: clock.now(),
    }
    try {
      await network.publish('status', await signAnnouncement(announcement, nodeKey))
    } catch (error) {
      logger.debug({ error: errorMessage(error) }, 'the announcement was not sent')
    }
  }

  async #onBlock(bytes: Uint8Array): Promise<Verdict> {
    const leaves = decodeEntryBundle(bytes, BLOCK_ENTRIES_MAX + 1)
    const { suite, store, evidence } = this.#ports
    // More than the seal must be the whole block: nobody passes on leaves that the seal does not vouch for.
    if (leaves.length > 1) decodeBlock(bytes)
    const sealLeaf = leaves.at(-1)
    // Of the block that it holds already this node has verified everything.
    if (sealLeaf && toHex(leafHash(sealLeaf)) === store.tip.hash) return 'accept'
    const { seal, envelope, key } = await verifySeal(suite, store.state, sealLeaf)
    evidence.sawSeal(key, envelope, seal)
    this.#closeGap(seal.height)
    return 'accept'
  }

  async #onAnnouncement(bytes: Uint8Array): Promise<Verdict> {
    const { store, suite, clock, name, certifier, puller, onAnnouncement } = this.#ports
    const { parameters, membership } = store.state
    const said = await readAnnouncement(bytes, parameters.ledger, membership, suite)
    const before = this.#announcements.get(said.name)
    const now = clock.elapsed()
    if (said.name === name || (before && isOlder(said, before, now))) return 'ignore'
    this.#announcements.set(said.name, { said, at: now })
    onAnnouncement()
    this.#closeGap(said.height)
    const lacksCertificate = said.finalSize > certifier.size && said.finalSize <= store.tip.size
    if (lacksCertificate) void puller.refreshCertificate(said.name)
    return 'accept'
  }

  /** There is a committed block of this height: if ordering does not bring it soon, it is pulled. */
  #closeGap(height: number): void {
    const { driver, puller, clock } = this.#ports
    if (height <= driver.raft.commit) return
    clock.after(GAP_PATIENCE_MS, () => {
      if (height > driver.raft.commit) puller.pullTo(height)
    })
  }
}

/** Of what else goes wrong meanwhile, such as a disk that cannot be read, no peer is guilty. */
function isSendersFault(error: unknown): boolean {
  const says = error instanceof FormatError || error instanceof RefusedError || error instanceof ProofError
  return says && !OTHER_MEMBERS.has(error.code)
}

/** Whether an announcement comes late, or once more. */
function isOlder(said: Announcement, before: Heard, now: number): boolean {
  if (now - before.at < SILENCE_MS) return said.time <= before.said.time
  return said.time === before.said.time
}
