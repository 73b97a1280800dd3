/** A proof bundle: the files that prove one entry, offline and for ever, to whoever trusts the policy. */
import { utf8 } from '../bytes.ts'
import { FormatError } from '../errors.ts'
import { decodeEnvelope, type Envelope } from '../ledger/dsse.ts'
import {
  ENTRY_BYTES_MAX,
  NOTE_BYTES_MAX,
  POLICY_BYTES_MAX,
  POLICY_UPDATES_BYTES_MAX,
  RECORDS_BYTES_MAX,
} from '../limits.ts'
import { parseCheckpoint } from '../notes/checkpoint.ts'
import { parseNote } from '../notes/note.ts'
import { type Policy, parsePolicy, printPolicy } from '../notes/policy.ts'
import { textOfFile } from '../notes/text-file.ts'
import { parseTlogProof, printTlogProof, type TlogProof } from '../notes/tlog-proof.ts'
import { decodeRecords, encodeRecords, type RecordLeaves, type Records } from './records.ts'
import { decodePolicyUpdates, encodePolicyUpdates, type PolicyUpdate } from './updates.ts'

export interface Bundle {
  /** The leaf, byte for byte. */
  readonly entry: Uint8Array
  /** C2SP tlog-proof: index, inclusion path and certificate. */
  readonly proof: Uint8Array
  /**
   * C2SP tlog-policy. A verifier takes it from where it trusts, not from whoever hands it the proof: with a
   * policy of their own, anyone can prove anything.
   */
  readonly policy: Uint8Array
  /** The ledger's own records about the entry: when it was recorded, and who sent it. */
  readonly records?: Uint8Array
  /** Changes of membership by which a verifier whose policy is older comes to the one that holds for this proof. */
  readonly updates?: Uint8Array
}

/** In the order in which they are read and checked. */
export const BUNDLE_PARTS = [
  'entry',
  'proof',
  'records',
  'policy',
  'updates',
] as const satisfies (keyof Bundle)[]

/** The names of the files, alike in folders, archives and downloads. */
export const BUNDLE_FILES = {
  entry: 'entry.dsse.json',
  proof: 'entry.tlog-proof',
  records: 'entry.records.json',
  policy: 'policy',
  updates: 'policy-updates',
} as const satisfies Record<keyof Bundle, string>

export const BUNDLE_BYTES_MAX = {
  entry: ENTRY_BYTES_MAX,
  proof: NOTE_BYTES_MAX,
  records: RECORDS_BYTES_MAX,
  policy: POLICY_BYTES_MAX,
  updates: POLICY_UPDATES_BYTES_MAX,
} as const satisfies Record<keyof Bundle, number>

/** The files that prove `entry`. Nothing is verified; a malformed part is FormatError. */
export function makeBundle(
  entry: Uint8Array,
  proof: TlogProof,
  policy: Policy,
  updates: readonly PolicyUpdate[] = [],
  records?: RecordLeaves,
): Bundle {
  const bundle = {
    entry,
    proof: utf8(printTlogProof(proof)),
    ...(records && { records: encodeRecords(records) }),
    policy: utf8(printPolicy(policy)),
    ...(updates.length > 0 && { updates: encodePolicyUpdates(updates) }),
  }
  checkBundleSizes(bundle)
  return bundle
}

/** The texts of the files, as nodes hand them out. */
export interface BundleTexts {
  readonly entry: string
  readonly proof: string
  readonly records?: string
  readonly policy: string
}

export function bundleFromTexts({ entry, proof, records, policy }: BundleTexts): Bundle {
  const recorded = records === undefined ? {} : { records: utf8(records) }
  return { entry: utf8(entry), proof: utf8(proof), ...recorded, policy: utf8(policy) }
}

/** A bundle as read: each file is what its format says. Nothing is verified. */
export interface ReadBundle {
  readonly envelope: Envelope
  readonly proof: TlogProof
  /** The leaves of the tree that the proof speaks of. */
  readonly size: number
  readonly records: Records | undefined
  readonly policy: Policy
  readonly updates: readonly PolicyUpdate[]
}

/** Reads the files. Throws FormatError, whose `facts.part` says which of them is not in its format. */
export function readBundle(bundle: Bundle): ReadBundle {
  checkBundleSizes(bundle)
  const policy = inPart('policy', () => parsePolicy(textOfFile(bundle.policy)))
  const { proof, size } = inPart('proof', () => {
    const proof = parseTlogProof(textOfFile(bundle.proof))
    return { proof, size: parseCheckpoint(parseNote(proof.checkpoint).text).size }
  })
  const { records: ofLedger, updates: given } = bundle
  const records = ofLedger && inPart('records', () => decodeRecords(ofLedger))
  const updates = given ? inPart('updates', () => decodePolicyUpdates(given)) : []
  const envelope = inPart('entry', () => {
    if (bundle.entry.length === 0) throw new FormatError('truncated', 'It is empty.')
    return decodeEnvelope(bundle.entry)
  })
  return { envelope, proof, size, records, policy, updates }
}

/** Runs `read`; a FormatError says of which file it is. */
function inPart<T>(part: keyof Bundle, read: () => T): T {
  try {
    return read()
  } catch (error) {
    throw ofPart(part, error)
  }
}

/** A FormatError, as one about this file of a bundle; any other error as it is. */
export function ofPart(part: keyof Bundle, error: unknown): unknown {
  if (!(error instanceof FormatError)) return error
  return new FormatError(error.code, error.message, { ...error.facts, part }, { cause: error })
}

/** Throws FormatError too-large if a file is longer than any that could be valid, before anyone reads it. */
export function checkBundleSizes(bundle: Bundle): void {
  for (const part of BUNDLE_PARTS) {
    const bytes = bundle[part]?.length ?? 0
    const max = BUNDLE_BYTES_MAX[part]
    if (bytes > max) {
      throw new FormatError('too-large', `${BUNDLE_FILES[part]} has more than ${max} bytes.`, {
        bytes,
        part,
      })
    }
  }
}
