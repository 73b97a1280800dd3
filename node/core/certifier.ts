/**
 * From applied blocks to certificates: the leader signs a checkpoint as the log, validators that hold the same
 * tree cosign it, everyone assembles the certificate. What travels is a C2SP signed note: cosignatures straight to
 * every member, the finished certificate by gossip.
 *
 * A validator puts the pair (size, root) on disk before its signature leaves, and signs nothing smaller than
 * it has signed before, so it never signs two inconsistent checkpoints.
 *
 * The checkpoint of a block that changes the membership is a boundary: it is certified under the policy before,
 * and nothing larger is signed until it is, so that the way from policy to policy has no gap.
 */
import { equalBytes, toHex } from '../../src/bytes.ts'
import type { SignatureSuite, Signer } from '../../src/crypto/suite.ts'
import { errorMessage, InvariantError, invariant, ProofError } from '../../src/errors.ts'
import { cosignerName, policyOf } from '../../src/ledger/membership.ts'
import { CLOCK_SKEWS_MAX } from '../../src/limits.ts'
import { assembleCertificate, verifyCertificate } from '../../src/notes/certificate.ts'
import { type Checkpoint, parseCheckpoint, printCheckpoint } from '../../src/notes/checkpoint.ts'
import {
  claimedTime,
  cosignatureKey,
  signCosignature,
  verifyCosignature,
} from '../../src/notes/cosignature.ts'
import { type NoteSignature, parseNote, printNote } from '../../src/notes/note.ts'
import { type Policy, satisfied } from '../../src/notes/policy.ts'
import { YEAR_10000 } from '../../src/notes/time.ts'
import type { VerifierKey } from '../../src/notes/vkey.ts'
import { boundedLog } from '../bounded-log.ts'
import type { Logger } from '../logger.ts'
import type { Verdict } from '../net/network.ts'
import type { BlockFacts } from '../store/block-facts.ts'
import type { Checkpointed, LedgerStore } from '../store/ledger-store.ts'
import { StoreError } from '../store/store-error.ts'
import { type EvidenceCollector, forked } from './evidence.ts'
import type { ValidatorClocks } from './validator-clocks.ts'

/** A round that has not ended by then has lost a message: the next one may start. */
const ROUND_MS = 500

interface Round {
  readonly checkpoint: Checkpoint
  /** Verified lines by slot: `<key name> <key id>`. */
  readonly lines: Map<string, NoteSignature>
}

export interface CertifierPorts {
  readonly origin: string
  readonly name: string
  /** The cosigner key; it counts while the member record of `name` has it. Without one nothing is signed. */
  readonly signer: Signer | undefined
  readonly suite: SignatureSuite
  readonly store: LedgerStore
  readonly evidence: EvidenceCollector
  readonly logger: Logger
  /** Milliseconds since 1970 by this node's own clock. */
  readonly now: () => number
  /** By the validators' clocks, as ValidatorClocks has them; absent, this node's own is believed. */
  readonly clocks?: Pick<ValidatorClocks, 'sealTime' | 'latest'>
  /** A validator has itself sent a cosignature whose time cannot be. */
  readonly onBadTime?: (validator: string) => void
  /** Milliseconds that only grow. */
  readonly elapsed: () => number
  /** To every member that is connected: what this node has signed. */
  readonly send: (note: string) => void
  /** A certificate for a tree this node holds; sizes only grow. */
  readonly onCertificate: (size: number, note: string) => void
  readonly onCosigned: () => void
  /** Somebody shows a cosignature of this node's that its store knows nothing of: the store is an old one. */
  readonly onForgotten: (size: number) => void
  /** Whatever this node may not survive. */
  readonly onFatal: (error: Error) => void
}

/** A tree that this node has applied and that has no certificate yet. */
export interface Uncertified {
  readonly size: number
  /** Whether the checkpoint is that of a change of membership: it is certified by the validators before it. */
  readonly boundary: boolean
  /** How many validators must cosign; who has, as far as this node knows, and who has not. */
  readonly quorum: number
  readonly signed: readonly string[]
  readonly missing: readonly string[]
  /** Who has signed another tree than this node's: what was ordered differs, and is final on neither side. */
  readonly elsewhere: readonly string[]
}

export class Certifier {
  readonly #ports: CertifierPorts
  #joined = false
  /**
   * Checkpoints under way, by their text. A key counts only in the newest it has signed, so there are never more
   * rounds than keys, and a member that signs absurd sizes takes the place of nobody but itself.
   */
  readonly #rounds = new Map<string, Round>()
  /** Validators that have signed another tree than this node's above what is final, and the size of that. */
  readonly #elsewhere = new Map<string, number>()
  #cosigned: Checkpointed | undefined
  #size = 0
  #note: string | undefined
  /** A certificate of a tree larger than ours: adopted when we get there. */
  #ahead: { checkpoint: Checkpoint; note: string } | undefined
  #proposed = { size: 0, at: 0 }
  #policy: { readonly sequence: number; readonly policy: Policy } | undefined
  #working: Promise<unknown> = Promise.resolve()
  #stopped = false

  private constructor(ports: CertifierPorts, cosigned: Checkpointed | undefined) {
    this.#ports = { ...ports, logger: boundedLog(ports.logger, ports.elapsed) }
    this.#cosigned = cosigned
  }

  static async open(ports: CertifierPorts): Promise<Certifier> {
    const certifier = new Certifier(ports, await ports.store.cosigned())
    const note = await ports.store.certificate()
    if (note !== undefined) {
      const { text, signatures } = parseNote(note)
      const checkpoint = parseCheckpoint(text)
      certifier.#note = note
      certifier.#size = checkpoint.size
      certifier.#show(checkpoint, signatures)
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

  /** How many changes of the members the policy of the newest certificate has followed. */
  get sequence(): number {
    return this.#ports.store.members.at(Math.max(this.#size, 1)).sequence
  }

  /** The policy under which a checkpoint of `size` is certified, as far as this node knows. */
  policyAt(size: number): Policy {
    const membership = this.#ports.store.members.at(size)
    if (this.#policy?.sequence !== membership.sequence) {
      const policy = policyOf(this.#ports.origin, membership)
      this.#policy = { sequence: membership.sequence, policy }
    }
    return this.#policy!.policy
  }

  /** No checkpoint above this one may be signed or certified yet. */
  get #boundary(): number {
    return this.#ports.store.members.boundaryAbove(this.#size) ?? Number.POSITIVE_INFINITY
  }

  /** The largest checkpoint that may be signed now: the newest, or that of a boundary which is not certified yet. */
  get newestToSign(): number {
    return Math.min(this.#ports.store.tip.size, this.#boundary)
  }

  /** A boundary waits for its certificate. Then every validator asks for it, since the leader may be new. */
  get boundaryDue(): boolean {
    return this.#boundary <= this.#ports.store.tip.size
  }

  /** What is applied and not certified, if anything: for saying what that takes. */
  get uncertified(): Uncertified | undefined {
    const { members, tip } = this.#ports.store
    const size = Math.min(tip.size, this.#boundary)
    if (size <= this.#size) return undefined
    const signers = [...this.#rounds.values()]
      .filter(({ checkpoint }) => checkpoint.size <= size)
      .map((round) => this.#cosigners(round))
    const { validators, cosigners: quorum } = members.at(size)
    const names = validators.map(({ name }) => name)
    const elsewhere = names.filter((name) => this.#elsewhere.has(name))
    const [signed, missing] = [true, false].map((has) =>
      names.filter(
        (name) => !elsewhere.includes(name) && signers.some((cosigners) => cosigners.has(name)) === has,
      ),
    ) as [string[], string[]]
    return { size, boundary: this.boundaryDue, quorum, signed, missing, elsewhere }
  }

  /**
   * The leader starts a round for its newest checkpoint: signs it as the log, and as a validator. While a
   * round is under way it waits for that one to end, so that under load one certificate covers many blocks.
   */
  propose(): void {
    this.#enqueue(async () => {
      const { origin, elapsed } = this.#ports
      const size = this.newestToSign
      const underWay = this.#proposed.size > this.#size && elapsed() - this.#proposed.at < ROUND_MS
      if (!this.#joined || size <= this.#size || underWay) return
      const facts = await this.#factsAt(size)
      invariant(facts, 'No block ends at the boundary of a change.', { size })
      this.#proposed = { size, at: elapsed() }
      await this.#cosign({ origin, size, root: facts.root }, true)
    })
  }

  /**
   * Whoever does not lead cosigns its newest checkpoint, too. It waits for the log's line if anything before the
   * newest block lacks a certificate: then the leader may be about to choose another one.
   */
  follow(): void {
    this.#enqueue(async () => {
      const { origin, store } = this.#ports
      const { tip } = store
      if (tip.firstIndex !== this.#size || tip.size > this.newestToSign) return
      await this.#cosign({ origin, size: tip.size, root: tip.root }, false)
    })
  }

  /** Sends the newest cosignature of this node once more if it is in no certificate yet: it may have been lost. */
  repeat(): void {
    this.#enqueue(async () => {
      // This node may not have known the time when it was asked to sign, or when it saw the others' lines.
      for (const round of [...this.#rounds.values()]) {
        await this.#settle(round)
        await this.#answer(round)
      }
      for (const round of this.#rounds.values())
        if (round.checkpoint.size === this.#cosigned?.size) this.#send(round)
    })
  }

  /** The tree has grown: what was ahead of it may fit now. */
  applied(): void {
    this.#ports.evidence.treeGrew()
    this.#enqueue(async () => {
      await this.#catchUp()
      for (const round of [...this.#rounds.values()]) await this.#answer(round)
    })
  }

  /** The certificate that was ahead of the tree may fit now; it is judged anew, by what is known by now. */
  async #catchUp(): Promise<void> {
    const ahead = this.#ahead
    if (!ahead || ahead.checkpoint.size > this.newestToSign) return
    this.#ahead = undefined
    let note: string
    try {
      note = (await this.#judge(ahead.note)).note
    } catch (error) {
      this.#ports.logger.warn(
        { error: errorMessage(error) },
        'a certificate does not satisfy the policy of its size',
      )
      return
    }
    await this.#adopt(ahead.checkpoint, note)
  }

  /**
   * Takes a note with lines of one or more validators.
   * @param from the member that sent it: its signer, or one that passes it on
   */
  async receive(text: string, from?: string): Promise<Verdict> {
    const note = parseNote(text)
    const { extensions, ...checkpoint } = parseCheckpoint(note.text)
    if (checkpoint.origin !== this.#ports.origin || extensions.length > 0) return 'reject'
    if (checkpoint.size <= this.#size) return this.#late(checkpoint, note.signatures)
    const known = this.#rounds.get(note.text)?.lines
    // One line of each slot: more would only cost verifications.
    const lines = new Map(note.signatures.map((line) => [slotOf(line), line]))
    const fresh = [...lines.values()].filter((line) => !known?.has(slotOf(line)))
    const verdicts = await Promise.all(fresh.map((line) => this.#verify(checkpoint, line)))
    const refusal = verdicts.find((verdict) => verdict !== 'accept')
    if (refusal !== undefined) return refusal
    this.#show(checkpoint, fresh)
    let timely = true
    for (const line of fresh) {
      if (!(await this.#isTimely(checkpoint, line, from))) timely = false
      else this.#place(checkpoint, line)
    }
    const round = this.#rounds.get(note.text)
    if (!round) return 'ignore'
    this.#enqueue(async () => {
      await this.#answer(round)
      await this.#settle(round)
    })
    return timely ? 'accept' : 'ignore'
  }

  /** Takes a whole certificate from a peer. Throws ProofError or FormatError if it does not satisfy the policy. */
  async receiveCertificate(given: string): Promise<Checkpoint> {
    const { checkpoint, note } = await this.#judge(given)
    this.#show(checkpoint, parseNote(given).signatures)
    this.#enqueue(() => this.#adopt(checkpoint, note))
    return checkpoint
  }

  /** From now on this node cosigns: it knows what it has signed. */
  join(): void {
    this.#joined = true
    this.follow()
  }

  /** Whether a note bears a cosignature of this node's for a larger tree than any that its store says it has cosigned. */
  async cosignedBeyond(text: string): Promise<boolean> {
    const { signer, suite } = this.#ports
    const note = parseNote(text)
    const { extensions: _, ...checkpoint } = parseCheckpoint(note.text)
    if (!signer || checkpoint.size <= (this.#cosigned?.size ?? 0)) return false
    for (const line of note.signatures) {
      const key = this.#keyOf(checkpoint, line)
      if (!key || !equalBytes(key.bytes, signer.publicKey.bytes)) continue
      if (
        await verifyCosignature(suite, key, checkpoint, line).then(
          () => true,
          () => false,
        )
      )
        return true
    }
    return false
  }

  /** The checkpoint of a certificate. Throws ProofError or FormatError if it does not satisfy the policy of its size. */
  async judge(note: string): Promise<Checkpoint> {
    return (await this.#judge(note)).checkpoint
  }

  /** The certificate without lines whose time cannot be, which it must not need. */
  async #judge(given: string): Promise<{ checkpoint: Checkpoint; note: string }> {
    const { origin, suite } = this.#ports
    const { text, signatures } = parseNote(given)
    const { size } = parseCheckpoint(text)
    const { checkpoint } = await verifyCertificate(suite, this.policyAt(size), given)
    if (checkpoint.origin !== origin) throw new ProofError('wrong-origin', 'A certificate of another log.')
    const lines = new Map<string, NoteSignature>()
    for (const line of signatures) {
      const fault = this.#keyOf(checkpoint, line) && (await this.#timeFault(checkpoint, line))
      if (fault !== 'certain') lines.set(slotOf(line), line)
    }
    if (lines.size === signatures.length) return { checkpoint, note: given }
    if (!this.#suffices({ checkpoint, lines })) {
      throw new ProofError('bad-time', 'The certificate holds only with cosignatures whose time cannot be.')
    }
    return { checkpoint, note: assembleCertificate(checkpoint, [...lines.values()]) }
  }

  /** As far as can be told: that of a line lies after now, or before the block was sealed that the checkpoint ends with. */
  async #timeFault(checkpoint: Checkpoint, line: NoteSignature): Promise<'certain' | 'likely' | undefined> {
    const { store, clocks, now } = this.#ports
    const seconds = claimedTime(line)
    const isHere = checkpoint.size <= store.tip.size
    const sealed = isHere ? await this.#factsAt(checkpoint.size) : undefined
    // What contradicts this node's tree is held against its signers for that, and its time does not matter.
    if (isHere && !(sealed && equalBytes(sealed.root, checkpoint.root))) return undefined
    if (seconds >= YEAR_10000) return 'certain'
    const slackMs = CLOCK_SKEWS_MAX * store.genesis.parameters.limits.clockSkewMs
    // Both times are signed, so it does not matter how this node's clock goes.
    if (sealed && 1_000 * seconds < sealed.time - slackMs) return 'certain'
    const latest = clocks ? clocks.latest() : now()
    if (latest !== undefined) return 1_000 * seconds > latest + slackMs ? 'certain' : undefined
    // Where the others' clocks will be known in a moment, what is doubtful waits for that.
    const waits = clocks && clocks.sealTime() === undefined
    return waits && 1_000 * seconds > now() + slackMs ? 'likely' : undefined
  }

  /** Whether a verified line counts as far as its time goes; if not, its signer is named, and blamed if it brought it. */
  async #isTimely(checkpoint: Checkpoint, line: NoteSignature, from: string | undefined): Promise<boolean> {
    if ((await this.#timeFault(checkpoint, line)) !== 'certain') return true
    const key = this.#keyOf(checkpoint, line)
    const { witnesses } = this.policyAt(checkpoint.size)
    const validator = witnesses.find((witness) => key && equalBytes(witness.key.bytes, key.bytes))?.name
    const facts = { validator, code: 'bad-time', size: checkpoint.size, seconds: claimedTime(line) }
    this.#ports.logger.warn(facts, 'refused a cosignature whose time cannot be')
    // Who only passes it on may not know the time as well.
    if (validator !== undefined && validator === from) this.#ports.onBadTime?.(validator)
    return false
  }

  /** For a cosignature of a checkpoint, in seconds since 1970: never before its block was sealed. */
  async #signingTime(size: number): Promise<number | undefined> {
    const { clocks, now } = this.#ports
    const time = clocks ? clocks.sealTime() : now()
    const sealed = (await this.#factsAt(size))?.time ?? 0
    return time === undefined ? undefined : Math.floor(Math.max(time, sealed) / 1_000)
  }

  /** From now on nothing is signed, written or published: another certifier may take over the store. */
  stop(): void {
    this.#stopped = true
  }

  /** Waits for the work at hand. */
  async idle(): Promise<void> {
    await this.#working
  }

  /** One piece of work at a time: what was signed last must be known before the next is signed. */
  #enqueue(work: () => Promise<void>): void {
    const unlessStopped = () => (this.#stopped ? undefined : work())
    this.#working = this.#working.then(unlessStopped).catch((error: unknown) => {
      if (error instanceof InvariantError || error instanceof StoreError) this.#ports.onFatal(error)
      else
        this.#ports.logger.error({ err: error }, 'certifying failed; will try again with the next checkpoint')
    })
  }

  /** Lines that come too late to count. A few are looked at all the same: they may contradict what is final. */
  async #late(checkpoint: Checkpoint, lines: readonly NoteSignature[]): Promise<Verdict> {
    let verdict: Verdict = 'ignore'
    for (const line of lines) {
      const key = this.#keyOf(checkpoint, line)
      if (!key || !(await this.#ports.evidence.isDue(key, checkpoint))) continue
      if ((await this.#verify(checkpoint, line)) !== 'accept') return 'reject'
      this.#show(checkpoint, [line])
      verdict = 'accept'
    }
    return verdict
  }

  /** Shows verified lines to those who look for contradictions. */
  #show(checkpoint: Checkpoint, lines: readonly NoteSignature[]): void {
    const { evidence, signer, onForgotten } = this.#ports
    for (const line of lines) {
      const key = this.#keyOf(checkpoint, line)
      if (!key) continue
      const own = signer !== undefined && equalBytes(key.bytes, signer.publicKey.bytes)
      if (own && checkpoint.size > (this.#cosigned?.size ?? 0)) onForgotten(checkpoint.size)
      evidence.sawLine(key, checkpoint, line)
    }
  }

  /** The key of the policy that a line claims to be by. */
  #keyOf({ size }: Checkpoint, line: NoteSignature): VerifierKey | undefined {
    const { logs, witnesses } = this.policyAt(size)
    return [...logs, ...witnesses].find(({ key }) => slotOfKey(key) === slotOf(line))?.key
  }

  /** Whether a line is by a key of the policy and verifies. A key unknown here may be one of a change to come. */
  async #verify(checkpoint: Checkpoint, line: NoteSignature): Promise<Verdict> {
    const { suite, store } = this.#ports
    const key = this.#keyOf(checkpoint, line)
    if (!key) return checkpoint.size > store.tip.size ? 'ignore' : 'reject'
    return verifyCosignature(suite, key, checkpoint, line).then(
      () => 'accept',
      () => 'reject',
    )
  }

  /** Puts a verified line where it counts, unless its key has signed a larger checkpoint since. */
  #place(checkpoint: Checkpoint, line: NoteSignature): void {
    const slot = slotOf(line)
    const text = printCheckpoint(checkpoint)
    for (const [name, { checkpoint: other, lines }] of this.#rounds) {
      if (name === text || !lines.has(slot)) continue
      if (other.size > checkpoint.size) return
      lines.delete(slot)
      if (lines.size === 0) this.#rounds.delete(name)
    }
    const round = this.#rounds.get(text) ?? { checkpoint, lines: new Map() }
    round.lines.set(slot, line)
    this.#rounds.set(text, round)
  }

  /** The validators whose cosignatures a round has. */
  #cosigners({ checkpoint, lines }: Round): Set<string> {
    const { witnesses } = this.policyAt(checkpoint.size)
    return new Set(witnesses.filter(({ key }) => lines.has(slotOfKey(key))).map(({ name }) => name))
  }

  /** Whether its lines make a certificate. */
  #suffices(round: Round): boolean {
    return this.#hasLogLine(round) && satisfied(this.policyAt(round.checkpoint.size), this.#cosigners(round))
  }

  #hasLogLine({ checkpoint, lines }: Round): boolean {
    return this.policyAt(checkpoint.size).logs.some(({ key }) => lines.has(slotOfKey(key)))
  }

  /** Cosigns a checkpoint that the log has signed, once this node's own tree has the same root at that size. */
  async #answer(round: Round): Promise<void> {
    const { name } = this.#ports
    const { checkpoint } = round
    if (this.#cosigners(round).has(name)) return
    if (checkpoint.size > this.newestToSign || checkpoint.size <= this.#size) return
    const ours = await this.#factsAt(checkpoint.size)
    if (!ours || !equalBytes(ours.root, checkpoint.root)) this.#noteElsewhere(round)
    else if (this.#hasLogLine(round)) await this.#cosign(checkpoint, false)
  }

  #noteElsewhere(round: Round): void {
    const { size } = round.checkpoint
    for (const validator of this.#cosigners(round)) {
      if (!this.#elsewhere.has(validator)) {
        const facts = { validator, size }
        this.#ports.logger.error(
          facts,
          'a validator signed a checkpoint that contradicts the tree of this node',
        )
      }
      this.#elsewhere.set(validator, size)
    }
  }

  /** Signs under this validator's name, and as the log if it leads; the pair is on disk before it leaves. */
  async #cosign(checkpoint: Checkpoint, asLog: boolean): Promise<void> {
    const { store, signer, origin, name } = this.#ports
    const { size, root } = checkpoint
    const own = store.members.at(size).validatorByName.get(name)?.cosignerKey
    // Not a validator for this size, or one with another key: the signature would not count.
    if (!own || !signer || !equalBytes(own.bytes, signer.publicKey.bytes)) return
    if (!this.#joined) return
    const last = this.#cosigned
    if (this.#stopped) return
    if (last && size < last.size) {
      // A node that has recovered counts all that it holds as signed. If a boundary below still waits for its
      // certificate, the others may need this node for it; and it is a part of the same tree.
      if (size !== this.#boundary) return
    } else if (last && size === last.size) {
      invariant(equalBytes(root, last.root), 'This node has cosigned another root of the same size.', {
        size,
      })
    }
    const timestamp = await this.#signingTime(size)
    if (timestamp === undefined || this.#stopped) return
    const names = asLog ? [origin, cosignerName(origin, name)] : [cosignerName(origin, name)]
    const [lines] = await Promise.all([
      Promise.all(names.map((key) => signCosignature(signer, key, checkpoint, timestamp))),
      this.#promise(checkpoint),
    ])
    if (this.#stopped) return
    for (const line of lines) this.#place(checkpoint, line)
    this.#ports.onCosigned()
    const round = this.#rounds.get(printCheckpoint(checkpoint))
    if (!round) return
    this.#send(round)
    await this.#settle(round)
  }

  /** Puts the pair on disk unless it is there. */
  async #promise({ size, root }: Checkpoint): Promise<void> {
    const { store } = this.#ports
    if (size <= (this.#cosigned?.size ?? 0)) return
    await store.setCosigned({ size, root })
    this.#cosigned = { size, root }
  }

  /** Sends this node's cosignature of a round, if there is one, and its line as the log with it. */
  #send({ checkpoint, lines }: Round): void {
    const { origin, name, signer, send } = this.#ports
    if (!signer) return
    const [asLog, own] = [origin, cosignerName(origin, name)].map((key) =>
      lines.get(slotOfKey(cosignatureKey(key, signer.publicKey))),
    )
    if (own) send(printNote({ text: printCheckpoint(checkpoint), signatures: asLog ? [asLog, own] : [own] }))
  }

  /** The applied block that ends at `size`: most often the newest, which is at hand. */
  async #factsAt(size: number): Promise<BlockFacts | undefined> {
    const { store } = this.#ports
    return size === store.tip.size ? store.tip : store.factsAtSize(size)
  }

  /** Makes the certificate of a round once it has the log's line and the quorum. */
  async #settle(round: Round): Promise<void> {
    const { checkpoint } = round
    if (checkpoint.size <= this.#size || checkpoint.size > this.#boundary) return
    // Of lines that came before the block, or before the time was known, it can be told only now.
    const lines = new Map<string, NoteSignature>()
    for (const [slot, line] of round.lines) {
      const fault = await this.#timeFault(checkpoint, line)
      if (!fault) lines.set(slot, line)
      else if (fault === 'certain') round.lines.delete(slot)
    }
    if (!this.#suffices({ checkpoint, lines })) return
    await this.#adopt(checkpoint, assembleCertificate(checkpoint, [...lines.values()]))
  }

  /** Every line of `note` has been verified. */
  async #adopt(checkpoint: Checkpoint, note: string): Promise<void> {
    const { store, evidence, logger, onCertificate } = this.#ports
    const { size } = checkpoint
    if (note === this.#note) return
    const ours = size > this.#size ? await this.#factsAt(size) : undefined
    const agrees = ours !== undefined && equalBytes(ours.root, checkpoint.root)
    const contradicts = !agrees && (await evidence.contradicts(checkpoint))
    if (size <= this.#size) {
      // What is final here stays so. Validators that have left could make such a certificate with old keys.
      if (contradicts)
        logger.error({ size, note }, 'the ledger has forked: what is final here was certified twice')
      return
    }
    if (contradicts) return this.#stop(checkpoint, note)
    if (size > this.newestToSign) {
      if (size > (this.#ahead?.checkpoint.size ?? 0)) this.#ahead = { checkpoint, note }
      return
    }
    invariant(ours, 'The quorum has certified a size at which no block ends.', { size, note })
    const crossed = size === this.#boundary
    // Before it is told: what this node has shown as final it must not call ordered after a restart.
    await store.setCertificate(note, size)
    this.#size = size
    this.#note = note
    for (const [name, { checkpoint: other }] of this.#rounds)
      if (other.size <= size) this.#rounds.delete(name)
    for (const [name, other] of this.#elsewhere) if (other <= size) this.#elsewhere.delete(name)
    onCertificate(size, note)
    if (!crossed) return
    // What had to wait for the boundary may go on.
    await this.#catchUp()
    for (const round of [...this.#rounds.values()]) {
      await this.#answer(round)
      await this.#settle(round)
    }
  }

  /** The quorum has certified another tree than this node's: one of the two is a fork, and this node cannot say which. */
  async #stop({ size, root }: Checkpoint, note: string): Promise<never> {
    const { store, evidence } = this.#ports
    await evidence.idle()
    throw forked(evidence.accusations, {
      size,
      certified: toHex(root),
      ours: toHex(await store.tree.root(size)),
      certificate: note,
      ourCertificate: this.#note,
    })
  }
}

function slotOf({ name, keyId }: NoteSignature): string {
  return `${name} ${keyId}`
}

function slotOfKey({ name, id }: VerifierKey): string {
  return `${name} ${id}`
}
