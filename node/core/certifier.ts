/**
 * From applied blocks to certificates: the leader signs a checkpoint as the log, validators that hold the same
 * tree cosign it, everyone assembles the certificate. What travels by gossip is a C2SP signed note.
 *
 * A validator puts the pair (size, root) on disk before its signature leaves, and signs nothing smaller than
 * it has signed before, so it never signs two inconsistent checkpoints.
 */
import { equalBytes } from '../../src/bytes.ts'
import type { SignatureSuite, Signer } from '../../src/crypto/suite.ts'
import { InvariantError, invariant, ProofError } from '../../src/errors.ts'
import { cosignerName } from '../../src/ledger/membership.ts'
import { assembleCertificate, verifyCertificate } from '../../src/notes/certificate.ts'
import { type Checkpoint, parseCheckpoint, printCheckpoint } from '../../src/notes/checkpoint.ts'
import { signCosignature, verifyCosignature } from '../../src/notes/cosignature.ts'
import { type NoteSignature, parseNote, printNote } from '../../src/notes/note.ts'
import { type Policy, satisfied } from '../../src/notes/policy.ts'
import type { VerifierKey } from '../../src/notes/vkey.ts'
import type { Logger } from '../logger.ts'
import type { Verdict } from '../net/network.ts'
import type { Checkpointed, LedgerStore } from '../store/ledger-store.ts'

/** Checkpoints under way at once: the leader starts one at a time, leaders may change. */
const ROUNDS_MAX = 8
/** A round that has not ended by then has lost a message: the next one may start. */
const ROUND_MS = 500

interface Round {
  readonly checkpoint: Checkpoint
  /** Verified lines by key: `<name> <key id>`. */
  readonly lines: Map<string, NoteSignature>
  /** Members of the policy that cosigned. */
  readonly cosigners: Set<string>
  hasLogLine: boolean
}

export interface CertifierPorts {
  readonly origin: string
  readonly name: string
  readonly policy: Policy
  readonly signer: Signer
  readonly suite: SignatureSuite
  readonly store: LedgerStore
  readonly logger: Logger
  /** Milliseconds since 1970. */
  readonly now: () => number
  readonly publish: (note: string) => void
  /** A certificate for a tree this node holds; sizes only grow. */
  readonly onCertificate: (size: number, note: string) => void
  readonly onCosigned: () => void
  /** Whatever this node may not survive. */
  readonly onFatal: (error: Error) => void
}

export class Certifier {
  readonly #ports: CertifierPorts
  readonly #rounds = new Map<string, Round>()
  #cosigned: Checkpointed | undefined
  #size = 0
  #note: string | undefined
  /** A certificate of a tree larger than ours: adopted when we get there. */
  #ahead: { checkpoint: Checkpoint; note: string } | undefined
  #proposed = { size: 0, at: 0 }
  #working: Promise<unknown> = Promise.resolve()

  private constructor(ports: CertifierPorts, cosigned: Checkpointed | undefined) {
    this.#ports = ports
    this.#cosigned = cosigned
  }

  static async open(ports: CertifierPorts): Promise<Certifier> {
    const certifier = new Certifier(ports, await ports.store.cosigned())
    const note = await ports.store.certificate()
    if (note !== undefined) {
      certifier.#note = note
      certifier.#size = parseCheckpoint(parseNote(note).text).size
    }
    return certifier
  }

  /** Size of the newest certificate; 0 if there is none. */
  get size(): number {
    return this.#size
  }

  /** Text of the newest certificate. */
  get note(): string | undefined {
    return this.#note
  }

  /**
   * The leader starts a round for its newest checkpoint: signs it as the log, and as a validator. While a
   * round is under way it waits for that one to end, so that under load one certificate covers many blocks.
   */
  propose(): void {
    this.#enqueue(async () => {
      const { origin, store, now } = this.#ports
      const { size, root } = store.tip
      const underWay = this.#proposed.size > this.#size && now() - this.#proposed.at < ROUND_MS
      if (size <= this.#size || underWay) return
      this.#proposed = { size, at: now() }
      await this.#cosign({ origin, size, root }, true)
    })
  }

  /** The tree has grown: what was ahead of it may fit now. */
  applied(): void {
    this.#enqueue(async () => {
      const ahead = this.#ahead
      if (ahead && ahead.checkpoint.size <= this.#ports.store.tip.size) {
        this.#ahead = undefined
        await this.#adopt(ahead.checkpoint, ahead.note)
      }
      for (const round of this.#rounds.values()) await this.#answer(round)
    })
  }

  /** Takes a note with lines of one or more validators from gossip. */
  async receive(text: string): Promise<Verdict> {
    const note = parseNote(text)
    const { extensions, ...checkpoint } = parseCheckpoint(note.text)
    if (checkpoint.origin !== this.#ports.origin || extensions.length > 0) return 'reject'
    if (checkpoint.size <= this.#size) return 'ignore'
    const round = this.#round(checkpoint)
    if (!round) return 'ignore'
    for (const line of note.signatures) {
      if (!(await this.#take(round, line))) return 'reject'
    }
    this.#enqueue(async () => {
      await this.#answer(round)
      await this.#settle(round)
    })
    return 'accept'
  }

  /** Takes a whole certificate from a peer. Throws ProofError or FormatError if it does not satisfy the policy. */
  async receiveCertificate(note: string): Promise<Checkpoint> {
    const { checkpoint } = await verifyCertificate(this.#ports.suite, this.#ports.policy, note)
    if (checkpoint.origin !== this.#ports.origin)
      throw new ProofError('wrong-origin', 'A certificate of another log.')
    this.#enqueue(() => this.#adopt(checkpoint, note))
    return checkpoint
  }

  /** Waits for the work at hand, for an orderly stop. */
  async idle(): Promise<void> {
    await this.#working
  }

  /** One piece of work at a time: what was signed last must be known before the next is signed. */
  #enqueue(work: () => Promise<void>): void {
    this.#working = this.#working.then(work).catch((error: unknown) => {
      if (error instanceof InvariantError) this.#ports.onFatal(error)
      else
        this.#ports.logger.error({ err: error }, 'certifying failed; will try again with the next checkpoint')
    })
  }

  #round(checkpoint: Checkpoint): Round | undefined {
    const name = printCheckpoint(checkpoint)
    const found = this.#rounds.get(name)
    if (found) return found
    if (this.#rounds.size >= ROUNDS_MAX) {
      const smallest = [...this.#rounds].sort(([, a], [, b]) => a.checkpoint.size - b.checkpoint.size)[0]!
      if (smallest[1].checkpoint.size >= checkpoint.size) return undefined
      this.#rounds.delete(smallest[0])
    }
    const round: Round = { checkpoint, lines: new Map(), cosigners: new Set(), hasLogLine: false }
    this.#rounds.set(name, round)
    return round
  }

  /** Adds a line if it is by a key of the policy and verifies; false if it is by such a key and does not. */
  async #take(round: Round, line: NoteSignature): Promise<boolean> {
    const { policy, suite } = this.#ports
    const mine = ({ key }: { key: VerifierKey }) => key.name === line.name && key.id === line.keyId
    const log = policy.logs.find(mine)
    const witness = policy.witnesses.find(mine)
    const key = log?.key ?? witness?.key
    if (!key) return false
    const slot = `${line.name} ${line.keyId}`
    if (round.lines.has(slot)) return true
    try {
      await verifyCosignature(suite, key, round.checkpoint, line)
    } catch {
      return false
    }
    round.lines.set(slot, line)
    if (witness) round.cosigners.add(witness.name)
    if (log) round.hasLogLine = true
    return true
  }

  /** Cosigns a checkpoint that the log has signed, once this node's own tree has the same root at that size. */
  async #answer(round: Round): Promise<void> {
    const { store, logger, name } = this.#ports
    const { checkpoint } = round
    if (!round.hasLogLine || round.cosigners.has(name) || checkpoint.size > store.tip.size) return
    if (checkpoint.size <= this.#size) return
    const ours = await store.factsAtSize(checkpoint.size)
    if (!ours || !equalBytes(ours.root, checkpoint.root)) {
      logger.error(
        { size: checkpoint.size },
        'a validator signed a checkpoint that contradicts the tree of this node',
      )
      return
    }
    await this.#cosign(checkpoint, false)
  }

  /** Signs under this validator's name, and as the log if it leads; the pair is on disk before it leaves. */
  async #cosign(checkpoint: Checkpoint, asLog: boolean): Promise<void> {
    const { store, signer, origin, name, now } = this.#ports
    const { size, root } = checkpoint
    const last = this.#cosigned
    if (last && size < last.size) return
    if (last && size === last.size) {
      invariant(equalBytes(root, last.root), 'This node has cosigned another root of the same size.', {
        size,
      })
    } else {
      await store.setCosigned({ size, root })
      this.#cosigned = { size, root }
    }
    const timestamp = Math.floor(now() / 1000)
    const names = asLog ? [origin, cosignerName(origin, name)] : [cosignerName(origin, name)]
    const lines = await Promise.all(names.map((key) => signCosignature(signer, key, checkpoint, timestamp)))
    const round = this.#round(checkpoint)
    if (!round) return
    for (const line of lines) round.lines.set(`${line.name} ${line.keyId}`, line)
    round.cosigners.add(name)
    round.hasLogLine ||= asLog
    this.#ports.onCosigned()
    this.#ports.publish(printNote({ text: printCheckpoint(checkpoint), signatures: lines }))
    await this.#settle(round)
  }

  /** Makes the certificate of a round once it has the log's line and the quorum. */
  async #settle(round: Round): Promise<void> {
    const { checkpoint, lines, cosigners, hasLogLine } = round
    if (!hasLogLine || checkpoint.size <= this.#size || !satisfied(this.#ports.policy, cosigners)) return
    await this.#adopt(checkpoint, assembleCertificate(checkpoint, [...lines.values()]))
  }

  /** Every line of `note` has been verified. */
  async #adopt(checkpoint: Checkpoint, note: string): Promise<void> {
    const { store, onCertificate } = this.#ports
    const { size, root } = checkpoint
    if (size <= this.#size) return
    if (size > store.tip.size) {
      if (size > (this.#ahead?.checkpoint.size ?? 0)) this.#ahead = { checkpoint, note }
      return
    }
    const ours = await store.factsAtSize(size)
    invariant(
      ours && equalBytes(ours.root, root),
      'A certificate that satisfies the policy contradicts the tree of this node.',
      { size, note },
    )
    await store.setCertificate(note)
    this.#size = size
    this.#note = note
    for (const [name, { checkpoint: other }] of this.#rounds)
      if (other.size <= size) this.#rounds.delete(name)
    onCertificate(size, note)
  }
}
