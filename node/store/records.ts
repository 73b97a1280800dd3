/** The single records of a store (META in keys.ts): what stands in each, and how it is written and read. */
import type { Ballot, Certified, HardState } from '../../consensus/types.ts'
import { decodeCertified, encodeCertified } from '../../consensus/wire.ts'
import { concat, fromU64, fromUtf8, u64 } from '../../src/bytes.ts'
import { errorMessage, FormatError } from '../../src/errors.ts'
import {
  canonicalJson,
  count,
  fields,
  type Json,
  object,
  parseCanonicalJson,
  text,
  texts,
} from '../../src/json.ts'
import { HASH_BYTES } from '../../src/limits.ts'
import { parseCheckpoint } from '../../src/notes/checkpoint.ts'
import { parseNote } from '../../src/notes/note.ts'
import { META, STORE_VERSION } from './keys.ts'
import type { Kv, KvWrite } from './kv.ts'
import { damaged, StoreError } from './store-error.ts'

export interface Checkpointed {
  readonly size: number
  readonly root: Uint8Array
}

/** What made a store forgetful. */
export const FORGETFUL = ['lost', 'restored', 'repaired', 'old', 'keys', 'unknown'] as const
export type Forgetful = (typeof FORGETFUL)[number]

/** Of a store that may have forgotten what its node has signed. */
export interface Recovering {
  /** Ids of the node and cosigner keys that must not sign any more; empty until the node has named its keys. */
  readonly keys: readonly string[]
  readonly why: Forgetful
}

const RECORD_BYTES_MAX = 65_536
/** A node names four at once, and two more only if its mark is set again before it is lifted. */
const SPENT_KEYS_MAX = 256

// ---- version: JSON {genesis, version}

export function versionWrite(genesis: string): KvWrite {
  return { key: META.version, value: canonicalJson({ version: STORE_VERSION, genesis }) }
}

/** Refuses a store of layout 1, whose values had no checksums; `raw` is the Kv below them. */
export async function checkLayout(raw: Kv): Promise<void> {
  const bytes = await raw.get(META.version)
  if (bytes === undefined) return
  let version: unknown
  try {
    version = readVersion(bytes).version
  } catch {
    return // Whatever is wrong with it, the checksum finds.
  }
  if (version !== STORE_VERSION) throw wrongVersion(version)
}

/** Refuses the store of another ledger. Throws StoreError: `store-damaged` for what no store ever said. */
export function checkVersion(bytes: Uint8Array, genesis: string): void {
  const found = record(bytes, 'The version record', readVersion)
  if (found.version !== STORE_VERSION) throw wrongVersion(found.version)
  if (found.genesis !== genesis) {
    throw new StoreError(
      'store-mismatch',
      `The store belongs to the ledger of genesis ${found.genesis.slice(0, 16)}…, the genesis file is ${genesis.slice(0, 16)}…. Point to the right folder or genesis file.`,
    )
  }
}

function readVersion(bytes: Uint8Array): { version: number; genesis: string } {
  const { version, genesis } = fields(parseCanonicalJson(bytes, RECORD_BYTES_MAX), 'The version', [
    'version',
    'genesis',
  ])
  return { version: count(version, '"version"'), genesis: text(genesis, '"genesis"', 2 * HASH_BYTES) }
}

function wrongVersion(version: unknown): StoreError {
  return new StoreError(
    'store-version',
    `The store has layout version ${version}; this program reads ${STORE_VERSION}. Use a matching release.`,
  )
}

// ---- hard state: JSON {term, vote: null or {candidate, base: {height, term, hash}}, abstains}

export const NO_HARD_STATE: HardState = { term: 0, vote: undefined, abstains: false }

export function hardStateWrite({ term, vote, abstains }: HardState): KvWrite {
  const { candidate, base } = vote ?? {}
  const ballot = candidate !== undefined && base ? { candidate, base: { ...base } } : null
  return { key: META.hardState, value: canonicalJson({ term, vote: ballot, abstains }) }
}

export function readHardState(bytes: Uint8Array | undefined): HardState {
  return record(bytes, "Raft's term and vote", (found) => {
    const names = ['term', 'vote', 'abstains']
    const state = fields(parseCanonicalJson(found, RECORD_BYTES_MAX), 'The hard state', names)
    if (typeof state.abstains !== 'boolean')
      throw new FormatError('bad-field', '"abstains" is true or false.')
    return {
      term: count(state.term, '"term"'),
      vote: state.vote === null ? undefined : readBallot(state.vote),
      abstains: state.abstains,
    }
  })
}

function readBallot(value: Json | undefined): Ballot {
  const { candidate, base } = fields(value, 'The vote', ['candidate', 'base'])
  const { height, term, hash } = fields(base, 'The base of the vote', ['height', 'term', 'hash'])
  return {
    candidate: text(candidate, '"candidate"', 255),
    base: {
      height: count(height, '"height"'),
      term: count(term, '"term"'),
      hash: text(hash, '"hash"', 2 * HASH_BYTES),
    },
  }
}

// ---- certified: the block and its proof, as in a message

export function certifiedWrite(certified: Certified): KvWrite {
  return { key: META.certified, value: encodeCertified(certified) }
}

export function readCertified(bytes: Uint8Array | undefined): Certified {
  return record(bytes, 'The highest certified block', decodeCertified)
}

// ---- cosigned: size u64, root; size 0 if there is none

export function cosignedWrite({ size, root }: Checkpointed): KvWrite {
  return { key: META.cosigned, value: concat(u64(size), root) }
}

export const NOTHING_COSIGNED: Checkpointed = { size: 0, root: new Uint8Array(HASH_BYTES) }

export function readCosigned(bytes: Uint8Array | undefined): Checkpointed | undefined {
  return record(bytes, 'What this node cosigned last', (found) => {
    const size = fromU64(found)
    return size === 0 ? undefined : { size, root: found.slice(8, 8 + HASH_BYTES) }
  })
}

// ---- heights: u64

export function logEndWrite(height: number): KvWrite {
  return { key: META.logEnd, value: u64(height) }
}

export function readLogEnd(bytes: Uint8Array | undefined): number {
  return record(bytes, 'The end of the log', fromU64)
}

export function appliedWrite(height: number): KvWrite {
  return { key: META.applied, value: u64(height) }
}

export function readApplied(bytes: Uint8Array | undefined): number {
  return record(bytes, 'The height of the applied chain', fromU64)
}

// ---- recovering: JSON {keys, why}, absent in a sound store

export function recoveringWrite({ keys, why }: Recovering): KvWrite {
  return { key: META.recovering, value: canonicalJson({ keys: [...keys], why }) }
}

export function readRecovering(bytes: Uint8Array | undefined): Recovering | undefined {
  if (bytes === undefined) return undefined
  return record(bytes, 'The mark of a recovering node', (found) => {
    const json = parseCanonicalJson(found, RECORD_BYTES_MAX)
    // As releases wrote it that let such a node sign again under its old keys.
    if (Object.hasOwn(object(json, 'The mark'), 'without')) return { keys: [], why: 'unknown' }
    const { keys, why } = fields(json, 'The mark', ['keys', 'why'])
    return {
      keys: texts(keys, '"keys"', 0, SPENT_KEYS_MAX, 255),
      why: FORGETFUL.find((known) => known === why) ?? 'unknown',
    }
  })
}

// ---- owner: JSON {keys, name}

/** Whose promises a store holds: a node, and the ids of its node and cosigner keys. */
export interface Owner {
  readonly name: string
  readonly keys: readonly string[]
}

export function ownerWrite({ name, keys }: Owner): KvWrite {
  return { key: META.owner, value: canonicalJson({ name, keys: [...keys] }) }
}

export function readOwner(bytes: Uint8Array | undefined): Owner | undefined {
  if (bytes === undefined) return undefined
  return record(bytes, 'The owner of the store', (found) => {
    const { name, keys } = fields(parseCanonicalJson(found, RECORD_BYTES_MAX), 'The owner', ['name', 'keys'])
    return { name: text(name, '"name"', 255), keys: texts(keys, '"keys"', 0, 2, 255) }
  })
}

// ---- certificates: text of a signed note

/** The text in a value, or something that is no note. */
export function textOf(bytes: Uint8Array | undefined): string | undefined {
  if (bytes === undefined) return undefined
  try {
    return fromUtf8(bytes)
  } catch {
    return ''
  }
}

/** The tree size that a certificate speaks of. Throws FormatError for what is none. */
export function certificateSize(note: string): number {
  return parseCheckpoint(parseNote(note).text).size
}

/** A record that cannot be absent, or unreadable, but by damage. */
function record<T>(bytes: Uint8Array | undefined, what: string, read: (bytes: Uint8Array) => T): T {
  if (bytes === undefined) throw damaged(`${what} is missing.`)
  try {
    return read(bytes)
  } catch (cause) {
    throw damaged(`${what} cannot be read: ${errorMessage(cause)}`, {}, cause)
  }
}
