/**
 * Every bound of the ledger in one table. Units are in the names. A decoder takes its bound from here, so
 * that no input can make a node allocate more than the table says.
 */

/** C2SP tlog-tiles gives an entry a u16 length, so a leaf can be no longer. */
export const ENTRY_BYTES_MAX = 65_535
/** The certificate of 16 cosigners (what C2SP obliges a verifier to read) is about 53 kB; room for base64. */
export const NOTE_BYTES_MAX = 262_144
/** C2SP signed-note: verifiers must accept at least 16 signature lines; we read a few more. */
export const NOTE_SIGNATURES_MAX = 64
/** A path in a tree of 2^53 leaves has at most 53 hashes; C2SP tlog-witness allows 63. */
export const PROOF_HASHES_MAX = 63
/** A policy of 64 ML-DSA-44 keys is about 240 kB. */
export const POLICY_BYTES_MAX = 524_288
/** Of the records in a proof: genesis, a seal of 5 kB and a member or a change, with three paths of 4 kB at most. */
export const RECORDS_BYTES_MAX = 196_608
/** Changes of membership that a light client follows at once; who is further behind asks again. */
export const POLICY_UPDATES_MAX = 1_000
/** Of all of them together: one of four cosigners has about 30 kB. In base64 they still fit into one answer. */
export const POLICY_UPDATES_BYTES_MAX = 33_554_432
/** Two seals and a key are about 13 kB, two cosignatures with a full proof 14 kB; in base64 it still fits a leaf. */
export const EVIDENCE_BYTES_MAX = 32_768
/** Deepest nesting of JSON that we parse: real webhook payloads stay below 12. */
export const JSON_DEPTH_MAX = 64
/** Events in one batch entry; a 64 kB entry holds fewer in practice. */
export const BATCH_EVENTS_MAX = 512
/** Text attributes of an event that are indexed (source, type, subject, id). */
export const ATTRIBUTE_BYTES_MAX = 1_024
/** Signatures on one envelope: submitters sign once, membership needs an admin quorum. */
export const ENVELOPE_SIGNATURES_MAX = 8
/** Leaves of a block before its seal: bounds what a follower must verify before it can acknowledge. */
export const BLOCK_ENTRIES_MAX = 4_096
/** Bytes of a block: one block is one message between validators and one LevelDB value. */
export const BLOCK_BYTES_MAX = 4_194_304
/** Validators: Raft's quorums and C2SP's 16 signature lines both ask for few. */
export const VALIDATORS_MAX = 15
/** Index arithmetic is exact up to here; beyond it every function refuses. */
export const INDEX_MAX = Number.MAX_SAFE_INTEGER
/** How far in the future a seal's time may lie before a follower refuses it. */
export const CLOCK_SKEW_MS_MAX = 10_000
/**
 * Two honest clocks may differ by the skew of the ledger, and from a third by as much, and a seal may lie ahead by it:
 * beyond so many skews no honest validator's time comes.
 */
export const CLOCK_SKEWS_MAX = 3
/** How far ahead of a verifier's clock a signed time may lie: that clock, or its time zone, may be wrong by as much. */
export const VERIFIER_SKEW_MS = 86_400_000
/** SHA-256. */
export const HASH_BYTES = 32
