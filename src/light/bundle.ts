/** A proof bundle: three files that prove one entry, offline and for ever, to whoever trusts the policy. */
import { utf8 } from '../bytes.ts'
import { FormatError } from '../errors.ts'
import { ENTRY_BYTES_MAX, NOTE_BYTES_MAX, POLICY_BYTES_MAX } from '../limits.ts'
import { type Policy, printPolicy } from '../notes/policy.ts'
import { printTlogProof, type TlogProof } from '../notes/tlog-proof.ts'

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
}

/** The names of the files, alike in folders, archives and downloads. */
export const BUNDLE_FILES = {
  entry: 'entry.dsse.json',
  proof: 'entry.tlog-proof',
  policy: 'policy',
} as const satisfies Record<keyof Bundle, string>

const BYTES_MAX = {
  entry: ENTRY_BYTES_MAX,
  proof: NOTE_BYTES_MAX,
  policy: POLICY_BYTES_MAX,
} as const satisfies Record<keyof Bundle, number>

/** The files that prove `entry`. Nothing is verified; a malformed part is FormatError. */
export function makeBundle(entry: Uint8Array, proof: TlogProof, policy: Policy): Bundle {
  const bundle = { entry, proof: utf8(printTlogProof(proof)), policy: utf8(printPolicy(policy)) }
  checkBundleSizes(bundle)
  return bundle
}

/** Throws FormatError too-large if a file is longer than any that could be valid, before anyone reads it. */
export function checkBundleSizes(bundle: Bundle): void {
  for (const part of ['entry', 'proof', 'policy'] as const) {
    const bytes = bundle[part].length
    if (bytes > BYTES_MAX[part]) {
      throw new FormatError('too-large', `${BUNDLE_FILES[part]} has more than ${BYTES_MAX[part]} bytes.`, {
        bytes,
      })
    }
  }
}
