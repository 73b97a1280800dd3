/**
 * Evidence as an entry: a CloudEvent whose `data` is the evidence, so that it is recorded in the ledger that it
 * is about. `source` is the reporting node, `subject` the accused, `id` the hash of the evidence.
 */
import { toHex } from '../bytes.ts'
import { sha256 } from '../crypto/hash.ts'
import { FormatError } from '../errors.ts'
import { canonicalJson, formatInstant, type JsonObject, object, parseJson } from '../json.ts'
import { ENTRY_BYTES_MAX } from '../limits.ts'
import type { Entry } from './entry.ts'
import { readEvent } from './event.ts'
import { decodeEvidence, type Evidence, encodeEvidence, evidenceToJson } from './evidence.ts'
import { PAYLOAD_TYPES } from './payload-types.ts'

export const EVIDENCE_EVENT_TYPE = 'dev.quantum-audit-trail.evidence.v1'

/** SHA-256 of the canonical bytes, in hex: the name of a piece of evidence. */
export function evidenceHash(evidence: Evidence): string {
  return toHex(sha256(encodeEvidence(evidence)))
}

/** What the node `reporter` says in the ledger `ledger` about the member `accused`; `now` in ms since 1970. */
export function evidenceEvent(
  evidence: Evidence,
  { reporter, accused, ledger, now }: { reporter: string; accused: string; ledger: string; now: number },
): JsonObject {
  return {
    specversion: '1.0',
    id: evidenceHash(evidence),
    source: `/${reporter}`,
    type: EVIDENCE_EVENT_TYPE,
    subject: accused,
    time: formatInstant(now),
    datacontenttype: 'application/json',
    ledger,
    data: evidenceToJson(evidence),
  }
}

/** The evidence in an entry's event. Whoever sent the entry vouches for nothing. Throws FormatError. */
export function evidenceFromEntry({ envelope }: Entry): Evidence {
  if (envelope.payloadType !== PAYLOAD_TYPES.event) throw bad(`It is of type ${envelope.payloadType}.`)
  const event = object(parseJson(envelope.payload, ENTRY_BYTES_MAX), 'The event')
  const { type } = readEvent(event)
  if (type !== EVIDENCE_EVENT_TYPE) throw bad(`Its event is of type ${type}.`)
  // An entry's payload is not canonical; the evidence in it must be no other for that.
  return decodeEvidence(canonicalJson(event.data ?? null))
}

function bad(why: string): FormatError {
  return new FormatError('bad-evidence', `The entry holds no evidence. ${why}`)
}
