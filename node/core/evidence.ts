/**
 * Collects evidence against validators from what this node sees and verifies anyway: seals, votes, acknowledgements
 * and cosignatures. It takes part in nothing. It holds a bounded number of statements for each key.
 */
import { keyId } from '../../src/crypto/keys.ts'
import type { PublicKey, SignatureSuite } from '../../src/crypto/suite.ts'
import { errorMessage, InvariantError } from '../../src/errors.ts'
import { type Acknowledgement, decodeAcknowledgement } from '../../src/ledger/acknowledgement.ts'
import { accusedName, claimedName, verifyEvidence } from '../../src/ledger/contradiction.ts'
import type { Envelope } from '../../src/ledger/dsse.ts'
import type { Evidence } from '../../src/ledger/evidence.ts'
import { evidenceHash } from '../../src/ledger/evidence-event.ts'
import type { NodeMember } from '../../src/ledger/member.ts'
import { decodeSeal, type Seal } from '../../src/ledger/seal.ts'
import { decodeVote, type Vote } from '../../src/ledger/vote.ts'
import { type Checkpoint, printCheckpoint } from '../../src/notes/checkpoint.ts'
import { type NoteSignature, printNote } from '../../src/notes/note.ts'
import type { VerifierKey } from '../../src/notes/vkey.ts'
import type { Logger } from '../logger.ts'
import type { LedgerStore } from '../store/ledger-store.ts'
import { CosignatureWatch } from './cosignature-watch.ts'
import type { Held } from './own-signatures.ts'
import { SealWatch } from './seal-watch.ts'
import { StatementWatch } from './statement-watch.ts'
import { verifySeal } from './verify-seal.ts'

/** One piece convicts; a few show how it went on. More would let a liar fill disks and the ledger itself. */
const PIECES_PER_KEY_MAX = 4
/** Of each key a line that comes too late to count is verified once in this time. */
const LATE_MS = 250
/** What comes while this much waits to be looked at is dropped. */
const WAITING_MAX = 1_024

/** A piece of evidence, with the accused's name as this node knows it. */
export interface Accusation {
  readonly evidence: Evidence
  readonly accused: string
  /** SHA-256 of the evidence in hex. */
  readonly hash: string
}

export interface EvidencePorts {
  readonly store: LedgerStore
  readonly suite: SignatureSuite
  readonly logger: Logger
  /** Milliseconds that only grow. */
  readonly elapsed: () => number
  /** What earlier runs of this node have kept: it is not collected again. */
  readonly known: readonly Evidence[]
  /** Keeps a piece for good: on disk when the promise resolves. Called once for each. */
  readonly onEvidence: (accusation: Accusation) => Promise<void>
}

export class EvidenceCollector {
  readonly #ports: EvidencePorts
  readonly #seals: SealWatch
  readonly #cosignatures: CosignatureWatch
  readonly #statements = new StatementWatch()
  readonly #accusations: Accusation[] = []
  /** Kind, key and place of each piece: where a key was convicted once, it is not convicted again. */
  readonly #places = new Set<string>()
  readonly #lateAt = new Map<string, number>()
  #waiting = 0
  #working: Promise<unknown> = Promise.resolve()

  private constructor(ports: EvidencePorts) {
    this.#ports = ports
    this.#seals = new SealWatch(ports.store)
    this.#cosignatures = new CosignatureWatch(ports.store.tree)
  }

  static async open(ports: EvidencePorts): Promise<EvidenceCollector> {
    const collector = new EvidenceCollector(ports)
    for (const evidence of ports.known) {
      try {
        collector.#accusations.push(await collector.#accusation(evidence))
        collector.#places.add(placeOf(evidence))
      } catch (error) {
        ports.logger.error(
          { error: errorMessage(error) },
          'a file of evidence does not hold and is left aside',
        )
      }
    }
    return collector
  }

  /** All evidence that this node keeps. */
  get accusations(): readonly Accusation[] {
    return this.#accusations
  }

  /** A seal whose first signature has been verified to be by `key`. */
  sawSeal(key: PublicKey, envelope: Envelope, seal: Seal): void {
    this.#enqueue(async () => {
      const rival = await this.#seals.see(key, envelope, seal)
      const candidacy = this.#statements.sawSeal(key, envelope, seal)
      for (const found of [rival, candidacy]) if (found) await this.#keep(found)
    })
  }

  /** A vote whose signature has been verified to be by `key`, while this node was in the term `present`. */
  sawVote(key: PublicKey, vote: Vote, signature: Uint8Array, present: number): void {
    this.#enqueue(async () => {
      for (const found of this.#statements.sawVote(key, vote, signature, present)) await this.#keep(found)
    })
  }

  /** An acknowledgement whose signature has been verified to be by `key`. */
  sawAcknowledgement(key: PublicKey, acknowledgement: Acknowledgement, signature: Uint8Array): void {
    this.#enqueue(async () => {
      const found = this.#statements.sawAcknowledgement(key, acknowledgement, signature)
      if (found) await this.#keep(found)
    })
  }

  /** What this node remembers of a validator's signatures, the newest of each sort. */
  newestBy({ nodeKey, cosignerKey }: Pick<NodeMember, 'nodeKey' | 'cosignerKey'>): Held {
    const cosigned = this.#cosignatures.newestBy(cosignerKey)
    const note =
      cosigned && printNote({ text: printCheckpoint(cosigned.checkpoint), signatures: [cosigned.line] })
    return { statements: this.#statements.newestBy(nodeKey), notes: note === undefined ? [] : [note] }
  }

  /** A seal that nobody has verified yet, from the other side of a fork. One that is none is passed over. */
  async examine(leaf: Uint8Array | undefined): Promise<void> {
    const { suite, store } = this.#ports
    const verified = await verifySeal(suite, store.state, leaf).catch(() => undefined)
    if (verified) this.sawSeal(verified.key, verified.envelope, verified.seal)
  }

  /** A cosignature that has been verified to be by `key`. */
  sawLine(key: VerifierKey, checkpoint: Checkpoint, line: NoteSignature): void {
    const publicKey: PublicKey = { alg: 'ML-DSA-44', bytes: key.bytes }
    this.#enqueue(async () => {
      for (const found of await this.#cosignatures.see(publicKey, { checkpoint, line }))
        await this.#keep(found)
    })
  }

  /** The tree of this node has grown. */
  treeGrew(): void {
    this.#enqueue(async () => {
      for (const found of await this.#cosignatures.grew()) await this.#keep(found)
    })
  }

  /** Whether this node's tree has another root at the checkpoint's size. */
  contradicts(checkpoint: Checkpoint): Promise<boolean> {
    return this.#cosignatures.contradicts(checkpoint)
  }

  /**
   * Whether a line that comes too late to count should be verified all the same. Lines that contradict this node's
   * tree have a turn of their own, so that no flood of others keeps them out.
   */
  async isDue({ name, id }: VerifierKey, checkpoint: Checkpoint): Promise<boolean> {
    const turn = `${name} ${id} ${await this.contradicts(checkpoint)}`
    const now = this.#ports.elapsed()
    if (now - (this.#lateAt.get(turn) ?? Number.NEGATIVE_INFINITY) < LATE_MS) return false
    this.#lateAt.set(turn, now)
    return true
  }

  /** Waits until all that was seen has been looked at, and all that was found is kept. */
  async idle(): Promise<void> {
    await this.#working
  }

  /** One after the other: what one statement contradicts may be the one before it. */
  #enqueue(work: () => Promise<void>): void {
    if (this.#waiting >= WAITING_MAX) return
    this.#waiting++
    this.#working = this.#working
      .then(work)
      .catch((error: unknown) => {
        this.#ports.logger.error(
          { error: errorMessage(error) },
          'a statement could not be compared with others',
        )
      })
      .finally(() => this.#waiting--)
  }

  async #keep(evidence: Evidence): Promise<void> {
    const place = placeOf(evidence)
    if (this.#places.has(place) || this.#isConvicted(evidence)) return
    // Nobody is accused because this node, or its disk, has made a mistake: others will verify it as well.
    const accusation = await this.#accusation(evidence)
    this.#places.add(place)
    this.#accusations.push(accusation)
    await this.#ports.onEvidence(accusation)
  }

  async #accusation(evidence: Evidence): Promise<Accusation> {
    const contradiction = await verifyEvidence(this.#ports.suite, evidence)
    const accused = this.#nameOf(evidence) ?? claimedName(contradiction)
    return { evidence, accused, hash: evidenceHash(evidence) }
  }

  /** Whose key it is, or was: keys are replaced, and their holders leave. */
  #nameOf(evidence: Evidence): string | undefined {
    const { state, members } = this.#ports.store
    let name = accusedName(evidence, state.membership)
    if (name !== undefined) return name
    members.some((membership) => {
      name = accusedName(evidence, membership)
      return name !== undefined
    })
    return name
  }

  #isConvicted({ kind, accused }: Evidence): boolean {
    const prefix = `${kind} ${keyId(accused)} `
    return [...this.#places].filter((place) => place.startsWith(prefix)).length >= PIECES_PER_KEY_MAX
  }
}

/** Why a node stops that has applied another history than the one that the quorum has certified. */
export function forked(accusations: readonly Accusation[], facts: Record<string, unknown>): InvariantError {
  const accused = [...new Set(accusations.map((accusation) => accusation.accused))]
  const who =
    accused.length > 0
      ? `Signed two sides, by the files in the folder evidence: ${accused.join(', ')}.`
      : 'No validator is known to have signed both sides.'
  return new InvariantError(
    `The ledger has forked: a certificate that satisfies the policy contradicts what stands on this node's disk. ${who} ` +
      'This node stops, so that it adds to neither side. Keep its folder as it is, compare evidence and certificates ' +
      'with the other teams, and agree on the history that stands before any store is deleted.',
    { ...facts, accused },
  )
}

/** Where it happened: the term, with the height if it is about blocks; the size of the tree that another contradicts. */
function placeOf(evidence: Evidence): string {
  const { kind, accused } = evidence
  if (kind === 'two-cosignatures') return `${kind} ${keyId(accused)} ${evidence.sides[0].checkpoint.size}`
  const [{ payload }] = evidence.statements
  const place = `${kind} ${keyId(accused)}`
  if (kind === 'two-votes' || kind === 'broken-candidacy') return `${place} ${decodeVote(payload).term}`
  const { term, height } = kind === 'two-seals' ? decodeSeal(payload) : decodeAcknowledgement(payload)
  return `${place} ${term} ${height}`
}
