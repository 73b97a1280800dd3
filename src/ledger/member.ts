/**
 * Member records: who may order, sign, administer and read. Each is one leaf of its own, canonical JSON in an
 * envelope that the admin quorum signs.
 */
import { equalBytes } from '../bytes.ts'
import { publicKeyFromJwk, publicKeyToJwk } from '../crypto/keys.ts'
import type { MlDsaAlg, PublicKey } from '../crypto/suite.ts'
import { FormatError } from '../errors.ts'
import { canonicalJson, fields, type Json, oneOf, parseJson, text, texts } from '../json.ts'
import { ATTRIBUTE_BYTES_MAX, ENTRY_BYTES_MAX } from '../limits.ts'
import { checkMemberName, MEMBER_NAME_BYTES_MAX } from './names.ts'

interface Common {
  /** Unique in the ledger: lower-case letters, digits, hyphens. */
  readonly name: string
  readonly team: string
}

/** What a node that orders or follows is known by. */
interface NodeFields extends Common {
  /** ML-DSA-65: seals, announcements, link handshakes. */
  readonly nodeKey: PublicKey
  /** ML-DSA-44, as C2SP type 0x06 demands: cosignatures. */
  readonly cosignerKey: PublicKey
  /** libp2p peer id (a classical key: it names the connection, nothing rests on it alone). */
  readonly peerId: string
  /** libp2p multiaddrs. */
  readonly addresses: readonly string[]
  /** Where its JSON-RPC and proofs are served; stands in the policy file, where C2SP parsers demand one. */
  readonly url: string
}

/** Orders blocks and cosigns checkpoints. */
export interface Validator extends NodeFields {
  readonly kind: 'validator'
}

/** Follows and serves, and will be a validator once it has caught up; its word does not count yet. */
export interface Learner extends NodeFields {
  readonly kind: 'learner'
}

export type NodeMember = Validator | Learner

/** Signs membership. */
export interface Admin extends Common {
  readonly kind: 'admin'
  readonly key: PublicKey
}

/** May sign entries whose source and type match one of its patterns (`*` stands for any run of characters). */
export interface Submitter extends Common {
  readonly kind: 'submitter'
  readonly key: PublicKey
  readonly sources: readonly string[]
  readonly types: readonly string[]
}

export type Member = Validator | Learner | Admin | Submitter

const PATTERNS_MAX = 64
const ADDRESSES_MAX = 8

/** The canonical payload of a member record. */
export function encodeMember(member: Member): Uint8Array {
  return canonicalJson(memberToJson(member))
}

/** Reads what `encodeMember` writes and nothing else. Throws FormatError. */
export function decodeMember(payload: Uint8Array): Member {
  const member = memberFromJson(parseJson(payload, ENTRY_BYTES_MAX))
  // Besides other JSON for the same values: a JWK may carry members that mean nothing here.
  if (!equalBytes(encodeMember(member), payload)) {
    throw new FormatError(
      'json-not-canonical',
      'The member record is not in canonical form (RFC 8785), or a key in it has more than kty, alg and pub.',
    )
  }
  return member
}

export function memberToJson(member: Member): Json {
  const { kind, name, team } = member
  switch (member.kind) {
    case 'validator':
    case 'learner': {
      const { peerId, url } = member
      const keys = {
        nodeKey: { ...publicKeyToJwk(member.nodeKey) },
        cosignerKey: { ...publicKeyToJwk(member.cosignerKey) },
      }
      return { kind, name, team, ...keys, peerId, addresses: [...member.addresses], url }
    }
    case 'admin':
      return { kind, name, team, key: { ...publicKeyToJwk(member.key) } }
    case 'submitter': {
      const patterns = { sources: [...member.sources], types: [...member.types] }
      return { kind, name, team, key: { ...publicKeyToJwk(member.key) }, ...patterns }
    }
  }
}

const NODE_FIELDS = ['kind', 'name', 'team', 'nodeKey', 'cosignerKey', 'peerId', 'addresses', 'url'] as const
const FIELDS = {
  validator: NODE_FIELDS,
  learner: NODE_FIELDS,
  admin: ['kind', 'name', 'team', 'key'],
  submitter: ['kind', 'name', 'team', 'key', 'sources', 'types'],
} as const

export function memberFromJson(value: Json): Member {
  const kinds = Object.keys(FIELDS) as (keyof typeof FIELDS)[]
  const kind = oneOf((value as { kind?: Json } | null)?.kind, 'A member\'s "kind"', kinds)
  const found = fields(value, `The ${kind} record`, FIELDS[kind])
  const name = checkMemberName(text(found.name, '"name"', MEMBER_NAME_BYTES_MAX))
  const team = text(found.team, '"team"', 128)
  switch (kind) {
    case 'validator':
    case 'learner':
      return {
        kind,
        name,
        team,
        nodeKey: key(found.nodeKey, 'ML-DSA-65'),
        cosignerKey: key(found.cosignerKey, 'ML-DSA-44'),
        peerId: visible(text(found.peerId, '"peerId"', 128), '"peerId"'),
        addresses: texts(found.addresses, '"addresses"', 1, ADDRESSES_MAX, 256).map((address) => {
          if (!address.startsWith('/')) throw new FormatError('bad-field', 'An address must be a multiaddr.')
          return visible(address, 'An address')
        }),
        url: httpUrl(found.url),
      }
    case 'admin':
      return { kind, name, team, key: key(found.key) }
    case 'submitter': {
      const patterns = (list: Json | undefined, what: string) =>
        texts(list, what, 1, PATTERNS_MAX, ATTRIBUTE_BYTES_MAX)
      const sources = patterns(found.sources, '"sources"')
      const types = patterns(found.types, '"types"')
      return { kind, name, team, key: key(found.key), sources, types }
    }
  }
}

function key(value: Json | undefined, alg?: MlDsaAlg): PublicKey {
  const found = publicKeyFromJwk(value ?? null)
  if (alg !== undefined && found.alg !== alg)
    throw new FormatError('bad-key', `Expected an ${alg} key, got ${found.alg}.`)
  return found
}

/** What is a peer id, or an address, libp2p knows; here it must only be fit to be printed. */
function visible(value: string, what: string): string {
  if (!/^[!-~]+$/.test(value)) {
    throw new FormatError('bad-field', `${what} may hold visible ASCII characters only, and no spaces.`)
  }
  return value
}

function httpUrl(value: Json | undefined): string {
  const url = text(value, '"url"', 256)
  if (!/^https?:\/\/[^\s]+$/.test(url))
    throw new FormatError('bad-field', '"url" must be an http or https URL.')
  return url
}
