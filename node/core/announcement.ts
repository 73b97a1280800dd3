/**
 * What a node tells its peers of itself every two seconds: a DSSE envelope over canonical JSON, signed with
 * its ML-DSA-65 node key. For dashboards, and for noticing that one has fallen behind.
 */
import { keyId } from '../../src/crypto/keys.ts'
import type { SignatureSuite, Signer } from '../../src/crypto/suite.ts'
import { FormatError, RefusedError } from '../../src/errors.ts'
import {
  canonicalJson,
  count,
  fields,
  formatInstant,
  instant,
  parseCanonicalJson,
  text,
} from '../../src/json.ts'
import { decodeEnvelope, encodeEnvelope, signEnvelope } from '../../src/ledger/dsse.ts'
import { signatureCheck } from '../../src/ledger/entry.ts'
import type { Membership } from '../../src/ledger/membership.ts'
import { PAYLOAD_TYPES } from '../../src/ledger/payload-types.ts'

export interface Announcement {
  readonly ledger: string
  readonly name: string
  readonly role: string
  readonly term: number
  readonly height: number
  readonly size: number
  readonly finalSize: number
  readonly pending: number
  /** Milliseconds since 1970, by the announcer's clock. */
  readonly time: number
}

const FIELDS = ['ledger', 'name', 'role', 'term', 'height', 'size', 'finalSize', 'pending', 'time']
const BYTES_MAX = 8_192

export async function signAnnouncement(announcement: Announcement, signer: Signer): Promise<Uint8Array> {
  const payload = canonicalJson({ ...announcement, time: formatInstant(announcement.time) })
  const keyed = [{ keyid: keyId(signer.publicKey), signer }]
  return encodeEnvelope(await signEnvelope(PAYLOAD_TYPES.status, payload, keyed))
}

/** Reads and verifies an announcement. Throws FormatError or RefusedError. */
export async function readAnnouncement(
  bytes: Uint8Array,
  ledger: string,
  membership: Membership,
  suite: SignatureSuite,
): Promise<Announcement> {
  if (bytes.length > BYTES_MAX) throw new FormatError('too-large', 'The announcement is too long.')
  const envelope = decodeEnvelope(bytes)
  if (envelope.payloadType !== PAYLOAD_TYPES.status)
    throw new FormatError('unknown-payload-type', 'No announcement.')
  const found = fields(parseCanonicalJson(envelope.payload, BYTES_MAX), 'The announcement', FIELDS)
  const announcement: Announcement = {
    ledger: text(found.ledger, '"ledger"', 255),
    name: text(found.name, '"name"', 63),
    role: text(found.role, '"role"', 32),
    term: count(found.term, '"term"'),
    height: count(found.height, '"height"'),
    size: count(found.size, '"size"'),
    finalSize: count(found.finalSize, '"finalSize"'),
    pending: count(found.pending, '"pending"'),
    time: instant(found.time, '"time"'),
  }
  const node = membership.nodeByName.get(announcement.name)
  if (announcement.ledger !== ledger)
    throw new RefusedError('wrong-ledger', 'An announcement of another ledger.')
  if (!node) throw new RefusedError('not-a-member', `${announcement.name} is no node of this ledger.`)
  if (envelope.signatures.length !== 1 || envelope.signatures[0]!.keyid !== keyId(node.nodeKey)) {
    throw new RefusedError('unknown-key', `The announcement is not signed by a key of ${announcement.name}.`)
  }
  const { key, message, signature } = signatureCheck(envelope, 0, node.nodeKey)
  if (!(await suite.verify(key, message, signature))) {
    throw new RefusedError('bad-signature', `The announcement is not signed by ${announcement.name}.`)
  }
  return announcement
}
