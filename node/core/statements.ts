/**
 * What ordering signs and has verified: votes, acknowledgements, seals, and certificates of the ledger as proofs.
 *
 * Where a statement stands in the chain says by which key it is made, and nothing else does: an acknowledgement by the
 * members before its block, a vote by those after its base. So all nodes judge it alike, and a key that was replaced
 * counts for nothing above the block that replaced it.
 */
import type { Statement } from '../../consensus/messages.ts'
import type { ProofPorts } from '../../consensus/proofs.ts'
import type { BlockRef, Certified, Configuration } from '../../consensus/types.ts'
import { equalBytes, toHex } from '../../src/bytes.ts'
import type { PublicKey, SignatureSuite, Signer } from '../../src/crypto/suite.ts'
import { FormatError, ProofError, RefusedError } from '../../src/errors.ts'
import { type Acknowledgement, acknowledgementMessage } from '../../src/ledger/acknowledgement.ts'
import { decodeEnvelope } from '../../src/ledger/dsse.ts'
import type { Membership } from '../../src/ledger/membership.ts'
import { PAYLOAD_TYPES } from '../../src/ledger/payload-types.ts'
import { decodeSeal } from '../../src/ledger/seal.ts'
import { type Vote, voteMessage } from '../../src/ledger/vote.ts'
import { leafHash } from '../../src/merkle/hash.ts'
import { verifyInclusion } from '../../src/merkle/verify.ts'
import type { LedgerStore } from '../store/ledger-store.ts'
import type { Certifier } from './certifier.ts'
import type { EvidenceCollector } from './evidence.ts'
import { decodeCovering, encodeCovering } from './sync.ts'
import { configurationOf, type Unapplied } from './unapplied.ts'
import { verifySeal } from './verify-seal.ts'

export interface StatementPorts {
  readonly store: LedgerStore
  readonly name: string
  readonly unapplied: Pick<Unapplied, 'stateAfter' | 'get'>
  readonly certifier: Pick<Certifier, 'judge'>
  readonly suite: SignatureSuite
  readonly nodeKey: Signer
  /** The node's other keys: a vote may be due by the one that a change of membership has just named. */
  readonly nodeSigner: (key: PublicKey) => Promise<Signer | undefined>
  /** In which this node is. */
  readonly term: () => number
  /** Hash of the last block of the log. */
  readonly tail: () => string
  readonly evidence: Pick<EvidenceCollector, 'sawVote' | 'sawAcknowledgement' | 'sawSeal'>
}

export class Statements implements ProofPorts {
  readonly #ports: StatementPorts

  constructor(ports: StatementPorts) {
    this.#ports = ports
  }

  /** Undefined if the key that it takes is not at hand: then this node says nothing. */
  async sign(statement: Statement): Promise<Uint8Array | undefined> {
    const { name, nodeKey, nodeSigner } = this.#ports
    const key = await this.#keyOf(name, statement)
    if (key === undefined) return undefined
    const signer = equalBytes(key.bytes, nodeKey.publicKey.bytes) ? nodeKey : await nodeSigner(key)
    return signer?.sign(this.#message(statement))
  }

  async verify(by: string, statement: Statement, signature: Uint8Array): Promise<boolean> {
    const { suite, evidence } = this.#ports
    const key = await this.#keyOf(by, statement)
    if (key === undefined || !(await suite.verify(key, this.#message(statement), signature))) return false
    if (statement.kind === 'vote') evidence.sawVote(key, this.#vote(statement), signature, this.#ports.term())
    else evidence.sawAcknowledgement(key, this.#acknowledgement(statement), signature)
    return true
  }

  async sealer(block: BlockRef, leaf: Uint8Array): Promise<string | undefined> {
    const { store, suite, evidence } = this.#ports
    return unlessFalse(async () => {
      const place = placeOf(leaf)
      if (!isAt(block, place)) return undefined
      const before = { height: block.height - 1, hash: place.previous }
      const members = { ...store.state, membership: await this.#membersAfter(before) }
      const { seal, envelope, key } = await verifySeal(suite, members, leaf)
      evidence.sawSeal(key, envelope, seal)
      return seal.proposer
    })
  }

  async configurationAfter(block: BlockRef): Promise<Configuration> {
    return configurationOf(await this.#membersAfter(block))
  }

  /** With the term, which gives it its rank: a false, later one would outrank every lock. */
  async configurationsFor(block: BlockRef): Promise<Configuration[]> {
    const [before, after] = [await this.#membersBefore(block), await this.#membersAfter(block)]
    return before === after ? [configurationOf(after)] : [configurationOf(before), configurationOf(after)]
  }

  isGenesis({ height, term, hash }: BlockRef): boolean {
    return height === 0 && term === 0 && hash === this.#ports.store.genesis.block.id
  }

  async isCovered(block: BlockRef, bytes: Uint8Array): Promise<boolean> {
    const covered = await unlessFalse(async () => {
      const { certificate, seal, path } = decodeCovering(bytes)
      const place = placeOf(seal)
      if (!isAt(block, place)) return undefined
      const { size, root } = await this.#ports.certifier.judge(certificate)
      verifyInclusion({ index: place.index, size, leafHash: place.leafHash, path, root })
      return true
    })
    return covered === true
  }

  async #keyOf(name: string, statement: Statement): Promise<PublicKey | undefined> {
    const members =
      statement.kind === 'vote'
        ? await this.#membersAfter(statement.base)
        : await this.#membersBefore(statement)
    return members.nodeByName.get(name)?.nodeKey
  }

  async #membersAfter({ height, hash }: Pick<BlockRef, 'height' | 'hash'>): Promise<Membership> {
    const { store, unapplied } = this.#ports
    const state = unapplied.stateAfter(hash)
    if (state) return state.membership
    const facts = await store.facts(height)
    return facts?.hash === hash ? store.members.at(facts.size + 1) : this.#newest
  }

  async #membersBefore({ height, hash }: Pick<BlockRef, 'height' | 'hash'>): Promise<Membership> {
    const { store, unapplied } = this.#ports
    const seal = unapplied.get(hash)?.block.seal
    if (seal) return this.#membersAfter({ height: height - 1, hash: toHex(seal.previous) })
    const facts = await store.facts(height)
    return facts?.hash === hash ? store.members.at(facts.firstIndex + 1) : this.#newest
  }

  /** After the last block of the log: what is not known here yet comes above it. */
  get #newest(): Membership {
    const { store, unapplied, tail } = this.#ports
    return unapplied.stateAfter(tail())?.membership ?? store.members.newest
  }

  #message(statement: Statement): Uint8Array {
    if (statement.kind === 'vote') return voteMessage(this.#vote(statement))
    return acknowledgementMessage(this.#acknowledgement(statement))
  }

  #vote({ term, candidate, base }: Statement & { kind: 'vote' }): Vote {
    return { ledger: this.#ports.store.genesis.parameters.ledger, term, candidate, base }
  }

  #acknowledgement({ term, height, hash }: Statement & { kind: 'acknowledgement' }): Acknowledgement {
    return { ledger: this.#ports.store.genesis.parameters.ledger, term, height, hash }
  }
}

/** The applied block that the certificate covers up to, with the certificate as its proof; undefined if there is none. */
export async function certifiedByLedger(
  store: LedgerStore,
  certificate: string | undefined,
  size: number,
): Promise<Certified | undefined> {
  const facts = certificate === undefined ? undefined : await store.factsAtSize(size)
  const seal = facts && (await store.leaf(size - 1))
  if (certificate === undefined || !facts || !seal) return undefined
  const path = await store.tree.inclusionPath(size - 1, size)
  const { height, term, hash } = facts
  return {
    block: { height, term, hash },
    proof: { kind: 'ledger', bytes: encodeCovering({ certificate, seal, path }) },
  }
}

/** Where a seal says that it stands. */
function placeOf(leaf: Uint8Array) {
  const envelope = decodeEnvelope(leaf)
  if (envelope.payloadType !== PAYLOAD_TYPES.seal) throw new FormatError('bad-block', 'This leaf is no seal.')
  const { height, term, previous, firstIndex, count } = decodeSeal(envelope.payload)
  const hash = leafHash(leaf)
  return {
    height,
    term,
    hash: toHex(hash),
    leafHash: hash,
    previous: toHex(previous),
    index: firstIndex + count,
  }
}

function isAt(block: BlockRef, { height, term, hash }: BlockRef): boolean {
  return block.height === height && block.term === term && block.hash === hash
}

/** What is malformed, or does not hold, proves nothing. */
async function unlessFalse<T>(judge: () => Promise<T | undefined>): Promise<T | undefined> {
  try {
    return await judge()
  } catch (error) {
    const isFalse =
      error instanceof FormatError || error instanceof RefusedError || error instanceof ProofError
    if (isFalse) return undefined
    throw error
  }
}
