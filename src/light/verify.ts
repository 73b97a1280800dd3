/** The light client: what a bundle proves, by its bytes and the policy alone. Runs unchanged in a browser. */
import { fromUtf8, toHex } from '../bytes.ts'
import type { SignatureSuite } from '../crypto/suite.ts'
import { errorCode, errorMessage } from '../errors.ts'
import { leafHash } from '../merkle/hash.ts'
import { verifyInclusion } from '../merkle/verify.ts'
import { type Certificate, type Cosigner, verifyCertificate } from '../notes/certificate.ts'
import { type Policy, parsePolicy, satisfied } from '../notes/policy.ts'
import { parseTlogProof } from '../notes/tlog-proof.ts'
import { type Bundle, checkBundleSizes } from './bundle.ts'

/** What holds if the policy's quorum is honest: this entry stands at this place of this ledger, for ever. */
export interface Proven {
  readonly origin: string
  /** The entry's place, from 0, and the number of leaves of the certified tree. */
  readonly index: number
  readonly size: number
  /** The root of the certified tree, 64 hex digits. */
  readonly root: string
  /** The entry's id: its RFC 6962 leaf hash, 64 hex digits. */
  readonly leafHash: string
  /** The witnesses of the policy that cosigned, and when by their own clocks. */
  readonly cosigners: readonly Cosigner[]
  /** Seconds since 1970. By then a quorum vouched for the entry; it may have been recorded earlier. */
  readonly recordedBy: number
}

export type Verdict =
  | { readonly ok: true; readonly proves: Proven }
  /** `code` is that of a QatError; `reason` is a sentence for people. */
  | { readonly ok: false; readonly code: string; readonly reason: string }

/**
 * Verifies a bundle. Every failure is a verdict, whatever the bytes: this never throws. An `ok` takes the
 * leaf as opaque bytes: the ledger's validators admitted the entry, and whoever knows the submitter's key can
 * check the entry's own signature besides.
 */
export async function verifyBundle(suite: SignatureSuite, bundle: Bundle): Promise<Verdict> {
  try {
    return { ok: true, proves: await prove(suite, bundle) }
  } catch (error) {
    return { ok: false, code: errorCode(error), reason: errorMessage(error) }
  }
}

async function prove(suite: SignatureSuite, bundle: Bundle): Promise<Proven> {
  checkBundleSizes(bundle)
  const policy = parsePolicy(fromUtf8(bundle.policy))
  const proof = parseTlogProof(fromUtf8(bundle.proof))
  const leaf = leafHash(bundle.entry)

  const certificate = await verifyCertificate(suite, policy, proof.checkpoint)
  const { origin, size, root } = certificate.checkpoint
  verifyInclusion({ index: proof.index, size, leafHash: leaf, path: proof.path, root })

  return {
    origin,
    index: proof.index,
    size,
    root: toHex(root),
    leafHash: toHex(leaf),
    cosigners: certificate.cosigners,
    recordedBy: quorumTime(policy, certificate),
  }
}

/** The earliest time at which the log's line and enough of the cosignatures had been made. */
function quorumTime(policy: Policy, { cosigners, logTimestamp }: Certificate): number {
  const names = new Set<string>()
  let time = logTimestamp
  for (const { name, timestamp } of cosigners.toSorted((a, b) => a.timestamp - b.timestamp)) {
    if (satisfied(policy, names)) break
    names.add(name)
    time = Math.max(time, timestamp)
  }
  return time
}
