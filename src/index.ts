/**
 * What the package offers to programs: reading and signing entries, and verifying what a ledger proves. Pure, so
 * it runs in browsers as it does in Node. The formats are described in FORMATS.md.
 */

// Keys
export { keyId, publicKeyFromJwk, publicKeyFromPem, publicKeyToJwk, publicKeyToPem } from './crypto/keys.ts'
// Verifying
export { nobleSuite } from './crypto/noble.ts'
export {
  type PrivateKey,
  privateKeyFromJwk,
  privateKeyToJwk,
  seedFromPem,
  seedToPem,
} from './crypto/private-keys.ts'
export type { MlDsaAlg, PublicKey, SignatureSuite, Signer } from './crypto/suite.ts'
// Failures
export { FormatError, ProofError, QatError, RefusedError } from './errors.ts'
export type { Change } from './ledger/change.ts'
// Evidence
export { accusedName, type Contradiction, verifyEvidence } from './ledger/contradiction.ts'
// Entries
export { decodeEntry, type Entry, entryFromJson, signEntry } from './ledger/entry.ts'
export type { Claim } from './ledger/event.ts'
export { decodeEvidence, type Evidence } from './ledger/evidence.ts'
export { evidenceFromEntry } from './ledger/evidence-event.ts'
// The parts of which proofs are made
export { type Genesis, readGenesis, verifyGenesis } from './ledger/genesis.ts'
export { type Membership, policyOf } from './ledger/membership.ts'
export { PAYLOAD_TYPES } from './ledger/payload-types.ts'
export { BUNDLE_FILES, type Bundle, type BundleTexts, bundleFromTexts, makeBundle } from './light/bundle.ts'
export type { EntrySignature, LeafKind } from './light/leaf.ts'
// Following changes of membership
export { policySequence } from './light/next-policy.ts'
export {
  decodePolicyUpdates,
  encodePolicyUpdates,
  type FollowedChange,
  followChanges,
  followMemberships,
  followPolicy,
  type PolicyUpdate,
  readPolicyUpdate,
} from './light/updates.ts'
// The verdict on a proof
export {
  type Proven,
  type ProvenChange,
  type ProvenSubmitter,
  type Recorded,
  type Verdict,
  type VerifyOptions,
  verifyBundle,
} from './light/verify.ts'
export { leafHash } from './merkle/hash.ts'
export { verifyConsistency, verifyInclusion } from './merkle/verify.ts'
export { type Certificate, verifyCertificate } from './notes/certificate.ts'
export { type Policy, parsePolicy, printPolicy } from './notes/policy.ts'
export { parseTlogProof, printTlogProof, type TlogProof } from './notes/tlog-proof.ts'
