/** Pulls committed blocks when this node has fallen behind, from one peer after another, until it has caught up. */
import type { Driver } from '../../consensus/driver.ts'
import { toHex } from '../../src/bytes.ts'
import { errorMessage, InvariantError, ProofError } from '../../src/errors.ts'
import { decodeBlock } from '../../src/ledger/block.ts'
import type { Checkpoint } from '../../src/notes/checkpoint.ts'
import type { Clock } from '../clock.ts'
import type { Logger } from '../logger.ts'
import type { Network } from '../net/network.ts'
import type { AppliedBlock, LedgerStore } from '../store/ledger-store.ts'
import type { Certifier } from './certifier.ts'
import { type EvidenceCollector, forked } from './evidence.ts'
import { decodeSyncAnswer, encodeCovering, encodeSyncRequest, proveCommitted } from './sync.ts'
import type { Unapplied } from './unapplied.ts'

const REQUEST_TIMEOUT_MS = 10_000
const RETRY_MS = 500
/** For so long others are asked instead of a peer that gave no answer, a wrong one, or one as late as this. */
const USELESS_MS = 60_000
const LATE_MS = 2_000
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
  /** Outside of the membership: it follows, and what it hears of blocks to come does not matter. */
  readonly outside: boolean
  readonly onFatal: (error: unknown) => void
}

/** Blocks that a peer has proven committed, read and not yet checked. */
interface Part {
  readonly peer: string
  readonly certificate: string
  readonly checkpoint: Checkpoint
  readonly blocks: readonly AppliedBlock[]
  /** Of the last block's seal in the certified tree. */
  readonly path: readonly Uint8Array[]
}

function lastHeight(part: Part | undefined): number | undefined {
  return part?.blocks.at(-1)?.block.seal.height
}

export class Puller {
  readonly #ports: PullerPorts
  #target = 0
  #pulling = false
  #refreshing = false
  #stopped = false
  #turn = 0
  /** Peers that gave no answer of use lately, and until when others are asked instead. */
  readonly #uselessUntil = new Map<string, number>()
  /** Blocks that were committed because they were pulled. */
  #installed = 0

  constructor(ports: PullerPorts) {
    this.#ports = ports
  }

  /** There are committed blocks up to `height`: get what is missing. */
  pullTo(height: number): void {
    if (this.#ports.outside) return
    this.#target = Math.max(this.#target, height)
    if (!this.#pulling && !this.#stopped) void this.#pull()
  }

  /** Asks one peer for its certificate alone: this node holds the blocks but missed the cosignatures. */
  async refreshCertificate(peer: string): Promise<void> {
    // Whoever says often that it has one is asked no more often for that.
    if (this.#refreshing || this.#stopped) return
    this.#refreshing = true
    try {
      await this.#fetch(peer, Number.MAX_SAFE_INTEGER)
    } catch (error) {
      if (error instanceof InvariantError) this.#ports.onFatal(error)
      else this.#ports.logger.debug({ peer, error: errorMessage(error) }, 'no newer certificate')
    }
    this.#refreshing = false
  }

  /**
   * Pulls what is final, without having heard of anything: how a node outside of the membership follows. Returns,
   * if this node now holds all that a peer has: that peer, which may lie.
   */
  async follow(): Promise<string | undefined> {
    if (this.#pulling || this.#stopped) return undefined
    this.#pulling = true
    const peer = this.#nextPeer()
    try {
      return (await this.#run(Number.POSITIVE_INFINITY, peer)) ? peer : undefined
    } catch (error) {
      if (error instanceof InvariantError) this.#ports.onFatal(error)
      else this.#ports.logger.debug({ error: errorMessage(error) }, 'following failed with this peer')
      return undefined
    } finally {
      this.#pulling = false
    }
  }

  /** The tree has grown: the next part may be handed to Raft. */
  applied(): void {
    this.#wake()
  }

  stop(): void {
    this.#stopped = true
    this.#wake()
  }

  async #pull(): Promise<void> {
    const { driver, network, clock, logger, onFatal } = this.#ports
    this.#pulling = true
    try {
      for (let idle = 0; !this.#stopped && driver.raft.commit < this.#target; idle++) {
        const before = this.#installed
        await this.#run(this.#target).catch((error: unknown) => {
          if (error instanceof InvariantError) throw error
          logger.info({ error: errorMessage(error) }, 'catching up failed with this peer; trying another')
        })
        // What ordering commits meanwhile does not count: under load it would keep a search for a lie going for ever.
        if (this.#installed > before) {
          idle = 0
          continue
        }
        // Nobody could bring it: the height was a lie, or its certificate is yet to come and then we hear of it.
        if (idle >= ROUNDS_MAX * network.peers().length) this.#target = driver.raft.commit
        else await new Promise<void>((resolve) => clock.after(RETRY_MS, resolve))
      }
    } catch (error) {
      onFatal(error)
    }
    this.#pulling = false
  }

  /**
   * Pulls up to `height` or until a peer has no more: while the signatures of one part are being verified the next
   * is fetched and read, and the one before is applied. True if this node then holds all that the first peer had when
   * it was asked, by a certificate newer than every boundary: under load there is always more a moment later.
   */
  async #run(height: number, peer = this.#nextPeer()): Promise<boolean> {
    const { store, certifier, driver } = this.#ports
    // What an earlier run has handed to Raft is not asked for again.
    await this.#appliedTo(driver.raft.commit)
    const { boundaryDue, size: certified } = certifier
    const { sequence } = store.members.newest
    let part = await this.#fetch(peer, store.tip.height + 1)
    if (part?.blocks.length === 0) {
      // A boundary may wait for this very node, under the keys that it names: then no more will come.
      const { size } = part.checkpoint
      return size <= certified || (!boundaryDue && store.tip.size >= size)
    }
    const there = part?.checkpoint.size
    for (let last = lastHeight(part); part && last !== undefined && !this.#stopped; last = lastHeight(part)) {
      const next = last < height ? this.#fetch(this.#nextPeer(), last + 1) : undefined
      next?.catch(() => {}) // heard below, unless this part fails first
      await this.#take(part)
      part = await next
    }
    await this.#appliedTo(driver.raft.commit)
    // With a change of membership comes the certificate of that boundary, whatever the peer has beyond it.
    const sameMembers = store.members.newest.sequence === sequence
    return there !== undefined && !boundaryDue && sameMembers && store.tip.size >= there
  }

  /** In turn; those that were of no use lately only if nobody else is there. */
  #nextPeer(): string | undefined {
    const { network, clock } = this.#ports
    const peers = network.peers()
    const useful = peers.filter((peer) => (this.#uselessUntil.get(peer) ?? 0) <= clock.elapsed())
    const asked = useful.length > 0 ? useful : peers
    return asked[this.#turn++ % Math.max(asked.length, 1)]
  }

  /** One question and answer. Rejects if the peer does not answer, or not with what it has proven. */
  async #fetch(peer: string | undefined, from: number): Promise<Part | undefined> {
    if (peer === undefined) return undefined
    const { clock } = this.#ports
    const asked = clock.elapsed()
    try {
      const part = await this.#ask(peer, from)
      if (clock.elapsed() - asked < LATE_MS) this.#uselessUntil.delete(peer)
      // A liar that lets each question wait would slow down all catching up.
      else this.#uselessUntil.set(peer, clock.elapsed() + USELESS_MS)
      return part
    } catch (error) {
      this.#uselessUntil.set(peer, clock.elapsed() + USELESS_MS)
      throw error
    }
  }

  /** The certificate verified, the blocks proven committed, their entries read. */
  async #ask(peer: string, from: number): Promise<Part | undefined> {
    const { network, certifier, unapplied } = this.#ports
    const request = encodeSyncRequest({ from, certified: certifier.size })
    const answer = decodeSyncAnswer(await network.request(peer, request, REQUEST_TIMEOUT_MS))
    if (answer.certificate === '') return undefined
    const checkpoint = await certifier.receiveCertificate(answer.certificate)
    const proven = proveCommitted(answer, checkpoint)
    if ((proven[0]?.seal.height ?? from) > from) {
      throw new ProofError('bad-inclusion', 'The answer leaves out the first block that was asked for.')
    }
    const blocks: AppliedBlock[] = []
    for (const block of proven) blocks.push(await unapplied.read(block))
    return { peer, certificate: answer.certificate, checkpoint, blocks, path: answer.path }
  }

  /** Checks the blocks, signatures included, and hands them to Raft when the part before is applied. */
  async #take({ peer, certificate, blocks: all, path }: Part): Promise<void> {
    const { driver, store, unapplied } = this.#ports
    const blocks = all.filter(({ block }) => block.seal.height > store.tip.height)
    const seal = blocks[0]?.block.seal
    if (!seal) return
    const parent = toHex(seal.previous)
    // What stands on this node's disk below is committed too, so proven blocks that do not follow it are a fork.
    if (seal.height === store.tip.height + 1 && parent !== store.tip.hash) await this.#stop(peer, certificate)
    const checked = await unapplied.checkProven(parent, blocks)
    await this.#appliedTo(seal.height - 1)
    const last = blocks.at(-1)!.block.leaves.at(-1)!
    if (this.#stopped) return
    const before = driver.raft.commit
    driver.install(checked, encodeCovering({ certificate, seal: last, path }))
    this.#installed += driver.raft.commit - before
  }

  /** Waits until this block is applied, or the node stops. */
  async #appliedTo(height: number): Promise<void> {
    while (!this.#stopped && this.#ports.store.tip.height < height) {
      await new Promise<void>((resolve) => {
        this.#wake = resolve
      })
    }
  }
  #wake: () => void = () => {}

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
