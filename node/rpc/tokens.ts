/**
 * Bearer tokens (RFC 6750 section 2.1) of senders who cannot sign. The node keeps only SHA-256 hashes: whoever
 * reads its configuration cannot log in anyone's name. Tokens must be random, so that a plain hash suffices.
 */
import { createHash, timingSafeEqual } from 'node:crypto'
import { fromHex } from '../../src/bytes.ts'
import { FormatError } from '../../src/errors.ts'
import { array, fields, type Json, text, texts } from '../../src/json.ts'
import { ATTRIBUTE_BYTES_MAX, HASH_BYTES } from '../../src/limits.ts'
import { type Principal, ServiceError } from '../service.ts'
import { TOKENS_MAX } from './limits.ts'

export interface TokenRecord extends Principal {
  /** Lower-case hex of the token's SHA-256. */
  readonly sha256: string
}

export interface TokenStore {
  /** Takes other tokens in place of those that it knows. Throws FormatError as createTokenStore, and keeps those. */
  replace(records: readonly TokenRecord[]): void
  /** Whom an Authorization header stands for, or undefined. Never throws. */
  find(header: string | undefined): Principal | undefined
  /** The same, for callers who need one. Throws ServiceError `unauthorized` with a sentence that helps. */
  principalOf(header: string | undefined): Principal
}

/** Printable ASCII of RFC 6750's b64token. */
const BEARER = /^Bearer +([A-Za-z0-9._~+/-]{1,512}=*)$/i

/** Reads `[{name, sha256, sources, types}]`. Throws FormatError. */
export function tokensFromJson(value: Json): TokenRecord[] {
  return array(value, 'The list of tokens', 0, TOKENS_MAX).map((item) => {
    const record = fields(item, 'A token', ['name', 'sha256', 'sources', 'types'])
    const sha256 = text(record.sha256, '"sha256"', 2 * HASH_BYTES)
    fromHex(sha256, HASH_BYTES)
    return {
      name: text(record.name, '"name"', ATTRIBUTE_BYTES_MAX),
      sha256,
      sources: texts(record.sources, '"sources"', 1, 64, ATTRIBUTE_BYTES_MAX),
      types: texts(record.types, '"types"', 1, 64, ATTRIBUTE_BYTES_MAX),
    }
  })
}

/** Throws FormatError if two records share a hash: nobody could say whose token it is. */
export function createTokenStore(records: readonly TokenRecord[]): TokenStore {
  let known = knownOf(records)

  function find(header: string | undefined): Principal | undefined {
    const token = header === undefined ? undefined : BEARER.exec(header)?.[1]
    if (token === undefined) return undefined
    const hash = createHash('sha256').update(token).digest()
    let found: Principal | undefined
    // All of them, whichever matches: the time taken tells nothing of the list.
    for (const record of known) if (timingSafeEqual(record.hash, hash)) found = record.principal
    return found
  }
  return {
    find,
    replace(records) {
      known = knownOf(records)
    },
    principalOf(header) {
      if (header === undefined) {
        throw new ServiceError(
          'unauthorized',
          'This takes a bearer token of the node: a header "Authorization: Bearer <token>".',
        )
      }
      const principal = find(header)
      if (principal === undefined) {
        throw new ServiceError('unauthorized', 'The Authorization header holds no bearer token known here.')
      }
      return principal
    },
  }
}

function knownOf(
  records: readonly TokenRecord[],
): { readonly hash: Uint8Array; readonly principal: Principal }[] {
  if (new Set(records.map(({ sha256 }) => sha256)).size !== records.length) {
    throw new FormatError('bad-field', 'Two tokens have the same SHA-256.')
  }
  return records.map(({ sha256, name, sources, types }) => ({
    hash: fromHex(sha256, HASH_BYTES),
    principal: { name, sources, types },
  }))
}
