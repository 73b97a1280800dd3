/**
 * The rules by which one block follows another, as functions of values. Signatures are described, not
 * checked, and duplicates are asked for, so that nothing here waits or looks anything up.
 */

import { fromHex, toHex } from '../bytes.ts'
import { keyId } from '../crypto/keys.ts'
import { FormatError, RefusedError } from '../errors.ts'
import type { Block, SealPlace } from './block.ts'
import { adminsOf, applyChange, type Change, decodeChange } from './change.ts'
import type { Envelope } from './dsse.ts'
import { decodeEntry, type Entry, type SignatureCheck, signatureCheck } from './entry.ts'
import type { Claim } from './event.ts'
import type { Genesis, GenesisParameters } from './genesis.ts'
import type { Submitter } from './member.ts'
import type { Membership } from './membership.ts'
import { maySpeak } from './pattern.ts'
import { PAYLOAD_TYPES } from './payload-types.ts'

/** All that checking the next block needs to know of the chain so far. */
export interface ChainState {
  readonly parameters: GenesisParameters
  /** In force for the next block: that of genesis and the changes since. */
  readonly membership: Membership
  readonly height: number
  readonly term: number
  /** Block hash in hex. */
  readonly hash: string
  /** Leaves so far: the index of the next leaf. */
  readonly size: number
  /** Milliseconds since 1970. */
  readonly time: number
}

export function genesisState(genesis: Genesis): ChainState {
  const { parameters, membership, block } = genesis
  return { parameters, membership, ...tipOf(block) }
}

/** The state after `block` with these entries, which must have passed `checkBlock`. */
export function extend(state: ChainState, block: Block, entries: readonly Entry[]): ChainState {
  const change = entries.map(changeIn).find((found) => found !== undefined)
  const membership = change ? applyChange(state.membership, change) : state.membership
  return { ...state, membership, ...tipOf(block) }
}

/** The change that an entry carries, if it carries one. */
export function changeIn({ envelope }: Entry): Change | undefined {
  return envelope.payloadType === PAYLOAD_TYPES.change ? decodeChange(envelope.payload) : undefined
}

/** The learner that an entry would make a validator under `membership`, if it would. */
export function learnerPromotedBy(entry: Entry, membership: Membership): string | undefined {
  const what = changeIn(entry)?.what
  if (!what || !('put' in what) || what.put.kind !== 'validator') return undefined
  const { name } = what.put
  return membership.nodeByName.get(name)?.kind === 'learner' ? name : undefined
}

function tipOf(block: Block) {
  const { seal } = block
  return {
    height: seal.height,
    term: seal.term,
    hash: block.id,
    size: seal.firstIndex + seal.count + 1,
    time: seal.time,
  }
}

/** What the seal of the next block must say. Time never runs backwards, whatever the proposer's clock does. */
export function nextPlace(state: ChainState, term: number, proposer: string, now: number): SealPlace {
  return {
    ledger: state.parameters.ledger,
    height: state.height + 1,
    term,
    proposer,
    previous: fromHex(state.hash),
    firstIndex: state.size,
    time: Math.max(now, state.time),
  }
}

export interface CheckedBlock {
  readonly entries: readonly Entry[]
  /** The block is valid only if all of these verify. */
  readonly sealSignature: SignatureCheck
  /** Those of each entry, in the order of the entries. */
  readonly entrySignatures: readonly (readonly SignatureCheck[])[]
}

/**
 * Everything about `block` as successor of `state` but signatures. Throws RefusedError or FormatError.
 * @param now this node's clock in ms, against seals from the future; Infinity when re-reading the past
 * @param decode reads the leaf at a place of the block; a node hands in what it has read already
 * @param seen whether a leaf with this id stands earlier in the chain
 */
export function checkBlock(
  state: ChainState,
  block: Block,
  now: number,
  seen: (id: string) => boolean,
  decode: (leaf: Uint8Array, place: number) => Entry = (leaf, place) =>
    decodeEntry(leaf, block.leafHashes[place]),
): CheckedBlock {
  const { seal, sealEnvelope } = block
  const { ledger, limits } = state.parameters
  if (seal.ledger !== ledger)
    throw new RefusedError('wrong-ledger', `The block belongs to ledger ${seal.ledger}.`)
  if (
    seal.height !== state.height + 1 ||
    toHex(seal.previous) !== state.hash ||
    seal.firstIndex !== state.size
  ) {
    throw new RefusedError('bad-chain', `Block ${seal.height} does not follow block ${state.height}.`)
  }
  if (seal.term < state.term)
    throw new RefusedError('bad-chain', "The term of a block is lower than its predecessor's.")
  if (seal.time < state.time) throw new RefusedError('bad-time', 'The block is older than its predecessor.')
  if (seal.time > now + limits.clockSkewMs) {
    throw new RefusedError(
      'bad-time',
      `The block's time lies more than ${limits.clockSkewMs} ms in the future.`,
    )
  }
  if (block.bytes.length > limits.blockBytes || seal.count > limits.blockEntries) {
    throw new FormatError('too-large', 'The block exceeds the limits of this ledger.')
  }
  const proposer = state.membership.validatorByName.get(seal.proposer)
  if (!proposer) throw new RefusedError('not-a-member', `The proposer ${seal.proposer} is no validator.`)
  if (sealEnvelope.signatures.length !== 1 || sealEnvelope.signatures[0]!.keyid !== keyId(proposer.nodeKey)) {
    throw new RefusedError('unknown-key', 'The seal is not signed by its proposer.')
  }
  const ids = new Set<string>()
  const entrySignatures: (readonly SignatureCheck[])[] = []
  let changes = 0
  const entries = block.leaves.slice(0, -1).map((leaf, i) => {
    const id = toHex(block.leafHashes[i]!)
    if (ids.has(id) || seen(id))
      throw new RefusedError('duplicate-entry', `Entry ${id} stands in the chain already.`)
    ids.add(id)
    const entry = decode(leaf, i)
    entrySignatures.push(checkEntry(state, entry))
    if (entry.envelope.payloadType === PAYLOAD_TYPES.change) changes++
    return entry
  })
  if (changes > 1) throw new RefusedError('bad-change', 'A block carries at most one change of membership.')
  return { entries, sealSignature: signatureCheck(sealEnvelope, 0, proposer.nodeKey), entrySignatures }
}

/**
 * Whether this ledger takes an entry: known submitter key, that may speak for each source and type it claims,
 * bound to no other ledger; or a change of membership that fits and that enough admins have signed. Returns the
 * signatures still to be verified. Throws RefusedError.
 */
export function checkEntry(
  state: Pick<ChainState, 'parameters' | 'membership'>,
  entry: Entry,
): SignatureCheck[] {
  const { envelope, claims } = entry
  const change = changeIn(entry)
  if (change) return checkChange(state, envelope, change)
  if (envelope.signatures.length !== 1) {
    throw new RefusedError('bad-signature', "An entry carries exactly one signature, its submitter's.")
  }
  const { keyid } = envelope.signatures[0]!
  const submitter = state.membership.submitterByKeyId.get(keyid)
  if (!submitter) {
    throw new RefusedError('unknown-key', `No submitter of this ledger has the key ${keyid}.`, { keyid })
  }
  checkPermission(submitter, claims, state.parameters.ledger)
  return [signatureCheck(envelope, 0, submitter.key)]
}

/** Whether a submitter may log what an entry claims, on the ledger of this origin. Throws RefusedError. */
export function checkPermission(submitter: Submitter, claims: readonly Claim[], origin: string): void {
  for (const claim of claims) {
    const { source, type, ledger } = claim
    if (ledger !== undefined && ledger !== origin) {
      throw new RefusedError('wrong-ledger', `The event was signed for ledger ${ledger}.`, { ledger })
    }
    if (!maySpeak(submitter, claim)) {
      const facts = { submitter: submitter.name, source, type }
      throw new RefusedError(
        'not-permitted',
        `${submitter.name} may not log type ${type} from ${source}.`,
        facts,
      )
    }
  }
}

function checkChange(
  { parameters, membership }: Pick<ChainState, 'parameters' | 'membership'>,
  envelope: Envelope,
  change: Change,
): SignatureCheck[] {
  const { ledger } = change
  if (ledger !== parameters.ledger) {
    throw new RefusedError('wrong-ledger', `The change was signed for ledger ${ledger}.`, { ledger })
  }
  applyChange(membership, change)
  return adminsOf(membership, envelope).map((admin, i) => signatureCheck(envelope, i, admin.key))
}
