/** Pulls committed blocks when this node has fallen behind, from one peer after another, until it has caught up. */
import type { Driver } from '../../consensus/driver.ts'
import { toHex } from '../../src/bytes.ts'
import { errorMessage, InvariantError, ProofError } from '../../src/errors.ts'
import { decodeBlock } from '../../src/ledger/block.ts'
import type { Clock } from '../clock.ts'
import type { Logger } from '../logger.ts'
import type { Network } from '../net/network.ts'
import { type LedgerStore, toRaftBlock } from '../store/ledger-store.ts'
import type { Certifier } from './certifier.ts'
import { type EvidenceCollector, forked } from './evidence.ts'
import { decodeSyncAnswer, encodeSyncRequest, proveCommitted } from './sync.ts'
import type { Unapplied } from './unapplied.ts'

const REQUEST_TIMEOUT_MS = 10_000
const RETRY_MS = 500
/** How far back the two sides of a fork are searched for a proposer that sealed both. */
const FORK_BLOCKS = 32
/** Every peer is asked this often without success before the search ends until there is news. */
const ROUNDS_MAX = 4

export interface PullerPorts {
  readonly network: Pick<Network, 'peers' | 'request' | 'misbehaved'>
  readonly driver: Driver
  readonly store: LedgerStore
  readonly unapplied: Unapplied
  readonly certifier: Certifier
  readonly evidence: EvidenceCollector
  readonly clock: Clock
  readonly logger: Logger
  readonly onFatal: (error: unknown) => void
}

export class Puller {
  readonly #ports: PullerPorts
  #target = 0
  #pulling = false
  #refreshing = false
  #stopped = false
  #turn = 0

  constructor(ports: PullerPorts) {
    this.#ports = ports
  }

  /** There are committed blocks up to `height`: get what is missing. */
  pullTo(height: number): void {
    this.#target = Math.max(this.#target, height)
    if (!this.#pulling && !this.#stopped) void this.#pull()
  }

  /** Asks one peer for its certificate alone: this node holds the blocks but missed the cosignatures. */
  async refreshCertificate(peer: string): Promise<void> {
    // Whoever says often that it has one is asked no more often for that.
    if (this.#refreshing || this.#stopped) return
    this.#refreshing = true
    try {
      await this.#ask(peer)
    } catch (error) {
      if (error instanceof InvariantError) this.#ports.onFatal(error)
      else this.#ports.logger.debug({ peer, error: errorMessage(error) }, 'no newer certificate')
    }
    this.#refreshing = false
  }

  /**
   * Asks one peer after another for what is final, without having heard of anything: how a node outside of the
   * membership follows. True if this node now holds all that the peer has.
   */
  async follow(): Promise<boolean> {
    if (this.#pulling || this.#stopped) return false
    this.#pulling = true
    try {
      const peers = this.#ports.network.peers()
      const peer = peers[this.#turn++ % Math.max(peers.length, 1)]
      return peer === undefined ? false : await this.#ask(peer)
    } catch (error) {
      if (error instanceof InvariantError) this.#ports.onFatal(error)
      else this.#ports.logger.debug({ error: errorMessage(error) }, 'following failed with this peer')
      return false
    } finally {
      this.#pulling = false
    }
  }

  stop(): void {
    this.#stopped = true
  }

  async #pull(): Promise<void> {
    const { driver, network, clock, logger, onFatal } = this.#ports
    this.#pulling = true
    try {
      for (let idle = 0; !this.#stopped && driver.raft.commit < this.#target; idle++) {
        const peers = network.peers()
        const peer = peers[this.#turn++ % Math.max(peers.length, 1)]
        const before = driver.raft.commit
        if (peer !== undefined) {
          await this.#ask(peer).catch((error: unknown) => {
            if (error instanceof InvariantError) throw error
            logger.info(
              { peer, error: errorMessage(error) },
              'catching up failed with this peer; trying another',
            )
          })
        }
        if (driver.raft.commit > before) {
          idle = 0
          continue
        }
        // Nobody could bring it: the height was a lie, or its certificate is yet to come and then we hear of it.
        if (idle >= ROUNDS_MAX * peers.length) this.#target = driver.raft.commit
        else await new Promise<void>((resolve) => clock.after(RETRY_MS, resolve))
      }
    } catch (error) {
      onFatal(error)
    }
    this.#pulling = false
  }

  /**
   * One question and answer: verify the certificate, prove and check the blocks, hand them to Raft, wait. True if
   * there was nothing beyond what this node holds then, by a certificate newer than every boundary it knows.
   */
  async #ask(peer: string): Promise<boolean> {
    const { network, driver, store, unapplied, certifier, clock } = this.#ports
    const from = store.tip.height + 1
    const { boundaryDue } = certifier
    const answer = decodeSyncAnswer(
      await network.request(peer, encodeSyncRequest({ from, certified: certifier.size }), REQUEST_TIMEOUT_MS),
    )
    if (answer.certificate === '') return false
    const checkpoint = await certifier.receiveCertificate(answer.certificate)
    const blocks = proveCommitted(answer, checkpoint).filter(({ seal }) => seal.height > store.tip.height)
    const first = blocks[0]
    const last = blocks.at(-1)
    if (!first || !last) return !boundaryDue && store.tip.size >= checkpoint.size
    if (first.seal.height > store.tip.height + 1) {
      throw new ProofError('bad-inclusion', 'The answer leaves out the first block that was asked for.')
    }
    const parent = toHex(first.seal.previous)
    // What stands on this node's disk below is committed too, so proven blocks that do not follow it are a fork.
    if (parent !== store.tip.hash) {
      await this.#stop(peer, answer.certificate)
    }
    driver.install(await unapplied.check(parent, blocks.map(toRaftBlock), Number.POSITIVE_INFINITY))
    const waits = () => !this.#stopped && store.tip.height < last.seal.height
    for (let waited = 0; waits() && waited < REQUEST_TIMEOUT_MS; waited += 5) {
      await new Promise<void>((resolve) => clock.after(5, resolve))
    }
    return !boundaryDue && store.members.boundaryAbove(certifier.size) === undefined
      ? store.tip.size >= checkpoint.size
      : false
  }

  /** The quorum has certified another chain than this node has applied: finds who sealed both, and stops the node. */
  async #stop(peer: string, certificate: string): Promise<never> {
    const { network, store, evidence, certifier } = this.#ports
    const { height, hash } = store.tip
    const from = Math.max(1, height - FORK_BLOCKS)
    const rivals = await network
      .request(peer, encodeSyncRequest({ from, certified: certifier.size }), REQUEST_TIMEOUT_MS)
      .then((bytes) => decodeSyncAnswer(bytes).blocks.map((block) => decodeBlock(block)))
      .catch(() => [])
    for (const rival of rivals) await evidence.examine(rival.leaves.at(-1))
    await evidence.idle()
    throw forked(evidence.accusations, { height, ours: hash, certificate, from: peer })
  }
}
