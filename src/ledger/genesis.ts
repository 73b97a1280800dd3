/**
 * Genesis: block 0. Its first leaf holds the ledger's parameters and the leaf hashes of the founding member
 * records; each further leaf is one of those records; all, and the seal, are signed by the admin quorum.
 */
import { fromHex, toHex } from '../bytes.ts'
import { keyId } from '../crypto/keys.ts'
import type { SignatureSuite, Signer } from '../crypto/suite.ts'
import { FormatError, RefusedError } from '../errors.ts'
import {
  array,
  canonicalJson,
  count,
  fields,
  formatInstant,
  instant,
  parseCanonicalJson,
  text,
} from '../json.ts'
import {
  BLOCK_BYTES_MAX,
  BLOCK_ENTRIES_MAX,
  CLOCK_SKEW_MS_MAX,
  ENTRY_BYTES_MAX,
  ENVELOPE_SIGNATURES_MAX,
  HASH_BYTES,
} from '../limits.ts'
import { leafHash } from '../merkle/hash.ts'
import { type Block, decodeBlock, sealBlock } from './block.ts'
import { decodeEnvelope, type Envelope, encodeEnvelope, signEnvelope } from './dsse.ts'
import { signatureCheck, verifyAll } from './entry.ts'
import { type Admin, decodeMember, encodeMember, type Member } from './member.ts'
import { type Membership, membershipOf } from './membership.ts'
import { checkOrigin, GENESIS_PROPOSER, ORIGIN_BYTES_MAX } from './names.ts'
import { PAYLOAD_TYPES } from './payload-types.ts'

export interface GenesisParameters {
  /** The ledger's name and C2SP checkpoint origin: a schema-less URL such as `audit.example/payments`. */
  readonly ledger: string
  /** Milliseconds since 1970. */
  readonly time: number
  /** Cosignatures that make a certificate. */
  readonly cosigners: number
  /** Admin signatures that membership needs. */
  readonly adminQuorum: number
  readonly limits: {
    readonly blockEntries: number
    readonly blockBytes: number
    readonly clockSkewMs: number
  }
}

export interface Genesis {
  readonly parameters: GenesisParameters
  readonly membership: Membership
  readonly block: Block
}

export const DEFAULT_LIMITS: GenesisParameters['limits'] = {
  blockEntries: BLOCK_ENTRIES_MAX,
  blockBytes: 2_097_152,
  clockSkewMs: CLOCK_SKEW_MS_MAX,
}

/** Makes block 0. `signers` are admins' keys and must meet the admin quorum, or `verifyGenesis` will refuse it. */
export async function createGenesis(
  parameters: GenesisParameters,
  members: readonly Member[],
  signers: readonly Signer[],
): Promise<Genesis> {
  const keyed = signers.map((signer) => ({ keyid: keyId(signer.publicKey), signer }))
  const leaf = async (type: string, payload: Uint8Array) => {
    const bytes = encodeEnvelope(await signEnvelope(type, payload, keyed))
    return { bytes, hash: leafHash(bytes) }
  }
  const records = []
  for (const member of members) records.push(await leaf(PAYLOAD_TYPES.member, encodeMember(member)))
  const first = await leaf(
    PAYLOAD_TYPES.genesis,
    canonicalJson({
      ledger: parameters.ledger,
      time: formatInstant(parameters.time),
      cosigners: parameters.cosigners,
      adminQuorum: parameters.adminQuorum,
      limits: { ...parameters.limits },
      members: records.map(({ hash }) => toHex(hash)),
    }),
  )
  const place = {
    ledger: parameters.ledger,
    height: 0,
    term: 0,
    proposer: GENESIS_PROPOSER,
    previous: new Uint8Array(HASH_BYTES),
    firstIndex: 0,
    time: parameters.time,
  }
  const block = await sealBlock(place, [first, ...records], keyed)
  return readGenesis(block.bytes)
}

/** Reads block 0 without checking signatures: structure, member records against their hashes, sane quorums. */
export function readGenesis(bytes: Uint8Array): Genesis {
  const block = decodeBlock(bytes)
  const { seal } = block
  const envelopes = block.leaves.slice(0, -1).map(decodeEnvelope)
  const [first, ...rest] = envelopes
  if (first?.payloadType !== PAYLOAD_TYPES.genesis) throw bad('Its first leaf must hold the parameters.')
  const { parameters, members: hashes } = readParameters(first)
  if (hashes.length !== rest.length) throw bad(`It names ${hashes.length} members and holds ${rest.length}.`)
  const members = rest.map((envelope, i) => {
    if (envelope.payloadType !== PAYLOAD_TYPES.member)
      throw bad('Every further leaf must be a member record.')
    if (toHex(block.leafHashes[i + 1]!) !== hashes[i])
      throw bad(`Member record ${i} is not the one it names.`)
    return decodeMember(envelope.payload)
  })
  const membership = membershipOf(members, parameters)
  const sealed =
    seal.ledger === parameters.ledger &&
    seal.height === 0 &&
    seal.term === 0 &&
    seal.proposer === GENESIS_PROPOSER &&
    seal.firstIndex === 0 &&
    seal.time === parameters.time &&
    seal.previous.every((byte) => byte === 0)
  if (!sealed) throw bad('Its seal does not agree with its parameters.')
  return { parameters, membership, block }
}

/** Checks that the admin quorum signed every leaf. Throws RefusedError `bad-signature` if not. */
export async function verifyGenesis(suite: SignatureSuite, genesis: Genesis): Promise<void> {
  const { admins } = genesis.membership
  for (const leaf of genesis.block.leaves) {
    const signed = await signedBy(suite, decodeEnvelope(leaf), admins)
    if (signed < genesis.parameters.adminQuorum) {
      throw new RefusedError('bad-signature', 'The admin quorum did not sign every leaf of genesis.')
    }
  }
}

async function signedBy(
  suite: SignatureSuite,
  envelope: Envelope,
  admins: readonly Admin[],
): Promise<number> {
  const byKeyId = new Map(admins.map((admin) => [keyId(admin.key), admin]))
  const checks = envelope.signatures.flatMap(({ keyid }, i) => {
    const admin = byKeyId.get(keyid)
    return admin ? [signatureCheck(envelope, i, admin.key)] : []
  })
  return (await verifyAll(suite, checks)) ? checks.length : 0
}

/** Reads the first leaf of genesis; `members` are the leaf hashes of the others, in hex. Throws FormatError. */
export function readParameters(envelope: Envelope): { parameters: GenesisParameters; members: string[] } {
  const names = ['ledger', 'time', 'cosigners', 'adminQuorum', 'limits', 'members']
  const found = fields(parseCanonicalJson(envelope.payload, ENTRY_BYTES_MAX), 'The genesis record', names)
  const limits = fields(found.limits, '"limits"', ['blockEntries', 'blockBytes', 'clockSkewMs'])
  return {
    parameters: {
      ledger: checkOrigin(text(found.ledger, '"ledger"', ORIGIN_BYTES_MAX)),
      time: instant(found.time, '"time"'),
      cosigners: count(found.cosigners, '"cosigners"'),
      adminQuorum: bounded(found.adminQuorum, '"adminQuorum"', 1, ENVELOPE_SIGNATURES_MAX),
      limits: {
        blockEntries: bounded(limits.blockEntries, '"blockEntries"', 1, BLOCK_ENTRIES_MAX),
        // A block must have room for one entry and its seal.
        blockBytes: bounded(limits.blockBytes, '"blockBytes"', 2 * (ENTRY_BYTES_MAX + 2), BLOCK_BYTES_MAX),
        clockSkewMs: bounded(limits.clockSkewMs, '"clockSkewMs"', 1, 86_400_000),
      },
    },
    members: array(found.members, '"members"', 1, BLOCK_ENTRIES_MAX).map((hash) => {
      const hex = text(hash, 'A member hash', 2 * HASH_BYTES)
      fromHex(hex, HASH_BYTES)
      return hex
    }),
  }
}

function bounded(value: Parameters<typeof count>[0], what: string, min: number, max: number): number {
  const found = count(value, what)
  if (found < min || found > max) throw new FormatError('bad-field', `${what} must be from ${min} to ${max}.`)
  return found
}

function bad(why: string): FormatError {
  return new FormatError('bad-genesis', `This is not a usable genesis block. ${why}`)
}
