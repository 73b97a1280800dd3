import { FormatError } from '../errors.ts'
import { ENTRY_BYTES_MAX } from '../limits.ts'

/** The media types that an entry's payload may have. Each fixes how the payload is read; there are no others. */
export const PAYLOAD_TYPES = {
  event: 'application/cloudevents+json',
  batch: 'application/cloudevents-batch+json',
  inToto: 'application/vnd.in-toto+json',
  genesis: 'application/vnd.quantum-audit-trail.genesis+json',
  member: 'application/vnd.quantum-audit-trail.member+json',
  /** A change of membership, signed by admins: the one submitted payload that is no event. */
  change: 'application/vnd.quantum-audit-trail.change+json',
  seal: 'application/vnd.quantum-audit-trail.seal+json',
  /** Never a leaf: what a node tells its peers of itself, over gossip. */
  status: 'application/vnd.quantum-audit-trail.status+json',
  /** Never a leaf: a validator's word for a candidate of a term. Among validators only its signature travels. */
  vote: 'application/vnd.quantum-audit-trail.vote+json',
  /** Never a leaf: a validator's word that a block is on its disk. It travels as a vote does. */
  acknowledgement: 'application/vnd.quantum-audit-trail.acknowledgement+json',
} as const

/** What does not fit into a leaf, and what to do about it. `bytes` is the size of `what`. */
export function tooLarge(what: string, payloadType: string, bytes: number): FormatError {
  const fewer = payloadType === PAYLOAD_TYPES.batch ? ' Send fewer events at once.' : ''
  return new FormatError(
    'too-large',
    `${what} has ${bytes} bytes, and an entry at most ${ENTRY_BYTES_MAX} with its signature: about 45,000 of payload.` +
      `${fewer} Log large evidence by its SHA-256.`,
    { bytes },
  )
}

/** What submitters may send, beside admins' changes; all others come from genesis or a block's proposer. */
export const SUBMITTED: readonly string[] = [PAYLOAD_TYPES.event, PAYLOAD_TYPES.batch, PAYLOAD_TYPES.inToto]
