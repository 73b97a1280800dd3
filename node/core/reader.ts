/** Answers from the applied chain: entries, blocks, queries, proofs. Reads only. */
import { fromHex, fromUtf8, toBase64, toHex } from '../../src/bytes.ts'
import { invariant, type QatError } from '../../src/errors.ts'
import { formatInstant, type JsonObject } from '../../src/json.ts'
import { decodeBlock } from '../../src/ledger/block.ts'
import { decodeEnvelope } from '../../src/ledger/dsse.ts'
import { type Claim, readClaims } from '../../src/ledger/event.ts'
import { decodeMember } from '../../src/ledger/member.ts'
import { PAYLOAD_TYPES, SUBMITTED } from '../../src/ledger/payload-types.ts'
import { encodeRecords, type PlacedLeaf, type RecordLeaves } from '../../src/light/records.ts'
import { encodePolicyUpdates, type PolicyUpdate, readPolicyUpdate } from '../../src/light/updates.ts'
import { HASH_BYTES } from '../../src/limits.ts'
import { leafHash } from '../../src/merkle/hash.ts'
import { parseCheckpoint } from '../../src/notes/checkpoint.ts'
import { parseNote } from '../../src/notes/note.ts'
import { printPolicy } from '../../src/notes/policy.ts'
import { printTlogProof } from '../../src/notes/tlog-proof.ts'
import {
  type BlockView,
  type BundleFiles,
  type CheckpointView,
  type EntryQuery,
  type EntryView,
  type QueryPage,
  ServiceError,
  type Spend,
} from '../service.ts'
import type { BlockFacts } from '../store/block-facts.ts'
import type { LedgerStore } from '../store/ledger-store.ts'
import { readLeaf } from './admission.ts'
import type { Certifier } from './certifier.ts'

/** Of changes in one answer: about twenty. Whoever needs more asks again. */
const UPDATES_BYTES_PER_ANSWER = 524_288

/** What is certified, and under which policy. */
type Certified = Pick<Certifier, 'size' | 'note' | 'sequence' | 'policyAt'>

/** A page of a query ends when its entries, or what has been read to find them, are this much. */
export interface PageLimits {
  readonly bytesMax: number
  readonly readBytesMax: number
}

const PAGE_LIMITS: PageLimits = { bytesMax: 2_097_152, readBytesMax: 8_388_608 }
/** What it costs to find one leaf and look at it, beside reading it from the disk. */
const LEAF_COST = 4_096

export class LedgerReader {
  readonly #store: LedgerStore
  readonly #certifier: Certified
  readonly #page: PageLimits

  constructor(store: LedgerStore, certifier: Certified, page: PageLimits = PAGE_LIMITS) {
    this.#store = store
    this.#certifier = certifier
    this.#page = page
  }

  /** The policy that the newest certificate satisfies. */
  policy(): string {
    return printPolicy(this.#certifier.policyAt(Math.max(this.#certifier.size, 1)))
  }

  /** The changes after the first `since` that are final, each proven under the policy before it; oldest first. */
  async policyUpdates(since: number): Promise<Uint8Array> {
    const { members, tree } = this.#store
    const updates: PolicyUpdate[] = []
    for (let bytes = 0; bytes < UPDATES_BYTES_PER_ANSWER; ) {
      const sequence = since + updates.length + 1
      const size = members.boundaryOf(sequence)
      if (size === undefined) break
      const checkpoint = await this.#store.boundaryCertificate(size)
      const index = await this.#store.changeIndex(sequence)
      if (checkpoint === undefined || index === undefined) break
      const leaf = await readLeaf(this.#store, index)
      const path = await tree.inclusionPath(index, size)
      updates.push(readPolicyUpdate(leaf, { index, path, checkpoint }))
      bytes += leaf.length + checkpoint.length
    }
    return encodePolicyUpdates(updates)
  }

  /** The index of the leaf with this id (leaf hash in hex), if it stands in the applied chain. */
  async indexOf(id: string): Promise<number | undefined> {
    return this.#store.leafIndex(fromHex(id, HASH_BYTES))
  }

  async place(index: number): Promise<BlockFacts> {
    const facts = await this.#store.factsOfLeaf(index)
    if (!facts) throw new ServiceError('not-found', `There is no leaf ${index} in the tree yet.`, { index })
    return facts
  }

  async entryAt(index: number): Promise<EntryView> {
    const facts = await this.place(index)
    const { view } = this.#view(await readLeaf(this.#store, index), index, facts)
    return view
  }

  async block(height: number, spend: Spend): Promise<BlockView> {
    const facts = await this.#store.facts(height)
    const bytes = facts && (await this.#store.blockBytes(height))
    spend(bytes?.length ?? 0)
    if (!facts || !bytes) throw new ServiceError('not-found', `There is no block ${height} yet.`, { height })
    return blockView(bytes, facts)
  }

  async checkpoint(): Promise<CheckpointView> {
    const note = this.#certifier.note
    if (note === undefined) throw notFinal('No checkpoint has been certified yet. Ask again in a moment.')
    const { origin, size, root } = parseCheckpoint(parseNote(note).text)
    const facts = await this.place(size - 1)
    return { origin, size, root: toBase64(root), height: facts.height, note }
  }

  async inclusion(index: number, size: number): Promise<string[]> {
    this.#checkSize(size)
    return (await this.#store.tree.inclusionPath(index, size)).map(toHex)
  }

  async consistency(from: number, to: number): Promise<string[]> {
    this.#checkSize(to)
    return (await this.#store.tree.consistencyPath(from, to)).map(toHex)
  }

  /**
   * The files by which anyone can check the entry offline, for a verifier whose policy has followed `since` changes of
   * the members, by default all. Of the certificates that such a policy can come to it takes the oldest that is kept:
   * it shows who had cosigned soon after the entry was recorded.
   */
  async bundle(id: string, since = this.#certifier.sequence): Promise<BundleFiles> {
    const index = await this.indexOf(id)
    if (index === undefined) throw notFound(id)
    const newest = { size: this.#certifier.size, note: this.#certifier.note }
    if (newest.note === undefined || index >= newest.size) {
      throw notFinal(`Entry ${id} is recorded but no certificate covers it yet. Ask again in a moment.`)
    }
    const { members, tree } = this.#store
    const boundary = since === 0 ? 0 : (members.boundaryOf(since) ?? newest.size)
    const kept = await this.#store.certificateFrom(Math.max(index, boundary) + 1)
    const { size, note: checkpoint } = kept ?? newest
    const [leaf, path, records] = await Promise.all([
      readLeaf(this.#store, index),
      tree.inclusionPath(index, size),
      this.#records(index, size),
    ])
    return {
      id,
      entry: fromUtf8(leaf),
      proof: printTlogProof({ index, path, checkpoint: checkpoint! }),
      records: fromUtf8(encodeRecords(records)),
      policy: printPolicy(this.#certifier.policyAt(size)),
    }
  }

  /** What the ledger itself has recorded about the leaf `index`, each with its place in the tree of `size`. */
  async #records(index: number, size: number): Promise<RecordLeaves> {
    const placed = async (at: number): Promise<PlacedLeaf> => {
      const [leaf, path] = await Promise.all([
        readLeaf(this.#store, at),
        this.#store.tree.inclusionPath(at, size),
      ])
      return { index: at, leaf, path }
    }
    const facts = await this.place(index)
    const submitter = await this.#submitterRecord(index)
    const [genesis, seal, record] = await Promise.all([
      placed(0),
      placed(facts.size - 1),
      submitter === undefined ? undefined : placed(submitter),
    ])
    return { genesis, seal, ...(record && { submitter: record }) }
  }

  /** The index of the leaf by which the submitter of entry `index` was admitted; none for the ledger's own records. */
  async #submitterRecord(index: number): Promise<number | undefined> {
    const { members, genesis } = this.#store
    const { payloadType, signatures } = decodeEnvelope(await readLeaf(this.#store, index))
    if (!SUBMITTED.includes(payloadType)) return undefined
    const submitter = members.at(index + 1).submitterByKeyId.get(signatures[0]!.keyid)
    invariant(submitter, 'The submitter of a recorded entry is no member.', { index })
    const sequence = members.putBy(submitter, index + 1)
    if (sequence > 0) return this.#store.changeIndex(sequence)
    const { leaves } = genesis.block
    return leaves.findIndex((leaf) => {
      const { payloadType, payload } = decodeEnvelope(leaf)
      return payloadType === PAYLOAD_TYPES.member && decodeMember(payload).name === submitter.name
    })
  }

  /**
   * Entries by source, type, subject and time of recording. The rarest attribute's index leads, the others
   * filter; time is turned into a range of leaves, since block times never run backwards. A page that has cost as much
   * as a page may ends before it is full, even if it is empty: its `next` goes on where it stopped looking.
   */
  async query(query: EntryQuery, spend: Spend): Promise<QueryPage> {
    const { order, limit, after } = query
    let from = query.from === undefined ? 0 : await this.#firstLeafSince(query.from)
    let to = query.to === undefined ? this.#store.tip.size : await this.#firstLeafSince(query.to + 1)
    if (after !== undefined && order === 'asc') from = Math.max(from, after + 1)
    if (after !== undefined && order === 'desc') to = Math.min(to, after)
    // A cursor may name any leaf, and there is no number after the last.
    from = Math.min(from, this.#store.tip.size)
    const { bytesMax, readBytesMax } = this.#page
    const entries: EntryView[] = []
    let [last, bytes, read] = [0, 0, 0]
    const onRead = (cost: number) => {
      read += cost
      spend(cost)
    }
    for await (const index of this.#candidates(query, from, to)) {
      if (bytes >= bytesMax || read >= readBytesMax) return { entries, next: last }
      onRead(LEAF_COST)
      const facts = await this.place(index)
      const leaf = await readLeaf(this.#store, index, onRead)
      const { view, claims } = this.#view(leaf, index, facts)
      if (claims.some((claim) => fits(claim, query))) {
        if (entries.length === limit) return { entries, next: last }
        entries.push(view)
        bytes += leaf.length
      }
      last = index
    }
    return { entries }
  }

  async *#candidates(query: EntryQuery, from: number, to: number): AsyncIterable<number> {
    const reverse = query.order === 'desc'
    for (const attribute of ['subject', 'source', 'type'] as const) {
      const value = query[attribute]
      if (value !== undefined) return yield* this.#store.indexesWith(attribute, value, from, to, reverse)
    }
    for (let i = from; i < to; i++) yield reverse ? to - 1 - (i - from) : i
  }

  /** The first leaf of the first block sealed at or after `time`; the tree size if there is none. */
  async #firstLeafSince(time: number): Promise<number> {
    let low = 0
    let high = this.#store.tip.height + 1
    while (low < high) {
      const middle = Math.floor((low + high) / 2)
      const facts = (await this.#store.facts(middle))!
      if (facts.time < time) low = middle + 1
      else high = middle
    }
    const facts = await this.#store.facts(low)
    return facts ? facts.firstIndex : this.#store.tip.size
  }

  #view(leaf: Uint8Array, index: number, facts: BlockFacts): { view: EntryView; claims: readonly Claim[] } {
    const envelope = decodeEnvelope(leaf)
    const { submitterByKeyId } = this.#store.members.at(index + 1)
    const submitter = submitterByKeyId.get(envelope.signatures[0]!.keyid)
    const claims = SUBMITTED.includes(envelope.payloadType)
      ? readClaims(envelope.payloadType, envelope.payload)
      : []
    const view: EntryView = {
      id: toHex(leafHash(leaf)),
      status: index < this.#certifier.size ? 'final' : 'ordered',
      index,
      height: facts.height,
      recorded: formatInstant(facts.time),
      entry: JSON.parse(fromUtf8(leaf)) as JsonObject,
      ...(submitter ? { submitter: submitter.name } : {}),
    }
    return { view, claims }
  }

  #checkSize(size: number): void {
    if (size > this.#store.tip.size) {
      throw new ServiceError('not-found', `The tree has ${this.#store.tip.size} leaves so far.`, { size })
    }
  }
}

export function blockView(bytes: Uint8Array, facts: BlockFacts): BlockView {
  const { seal, id, leafHashes, leaves } = decodeBlock(bytes)
  return {
    height: seal.height,
    term: seal.term,
    hash: id,
    previous: toHex(seal.previous),
    proposer: seal.proposer,
    time: formatInstant(seal.time),
    firstIndex: seal.firstIndex,
    count: seal.count,
    entriesRoot: toHex(seal.entriesRoot),
    size: facts.size,
    root: toHex(facts.root),
    entries: leafHashes.slice(0, -1).map(toHex),
    seal: JSON.parse(fromUtf8(leaves.at(-1)!)) as JsonObject,
  }
}

/** `refusal`: it was known here, and will never be recorded; `facts.refusal` says why, `facts.recordedAs` what is. */
export function notFound(id: string, refusal?: QatError): ServiceError {
  if (!refusal) return new ServiceError('not-found', `This node knows no entry ${id}.`, { id })
  const { id: rival } = refusal.facts
  const recorded = typeof rival === 'string' && rival !== id ? rival : undefined
  const instead = recorded === undefined ? '' : ` Its event is recorded in entry ${recorded}.`
  return new ServiceError('not-found', `Entry ${id} was not recorded. ${refusal.message}${instead}`, {
    id,
    refusal: refusal.code,
    ...(recorded === undefined ? {} : { recordedAs: recorded }),
  })
}

function notFinal(message: string): ServiceError {
  return new ServiceError('not-final', message)
}

function fits(claim: Claim, { source, type, subject }: EntryQuery): boolean {
  return (
    (source === undefined || claim.source === source) &&
    (type === undefined || claim.type === type) &&
    (subject === undefined || claim.subject === subject)
  )
}
