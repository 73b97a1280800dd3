/**
 * What an entry says happened: CloudEvents 1.0 in JSON (single or batch) or an in-toto Statement v1, read
 * strictly, and reduced to the claims that the ledger checks permissions and answers queries by.
 */
import { fromBase64 } from '../bytes.ts'
import { FormatError, RefusedError } from '../errors.ts'
import { array, type Json, type JsonObject, object, parseJson, text } from '../json.ts'
import { ATTRIBUTE_BYTES_MAX, BATCH_EVENTS_MAX, ENTRY_BYTES_MAX } from '../limits.ts'
import { filledIn } from './filled-in.ts'
import { isJsonType, isMediaType } from './media-type.ts'
import { PAYLOAD_TYPES, SUBMITTED, tooLarge } from './payload-types.ts'
import { isTimestamp } from './timestamp.ts'
import { isUri, isUriReference } from './uri.ts'

/** One thing that an entry claims. The ledger proves that it was claimed, by whom and when; not that it is true. */
export interface Claim {
  readonly source: string
  readonly type: string
  readonly subject: string
  /** CloudEvents id; `source` and `id` together name an event once. In-toto statements have none. */
  readonly id?: string
  /** When the producer says it happened, as it was spelled. */
  readonly time?: string
  /** The producer gave no time: this is when `qat log` or a gateway signed the event. */
  readonly timeFilledIn?: true
  /** The ledger's origin, if the producer bound the event to one (extension attribute `ledger`). */
  readonly ledger?: string
}

const ENCODE = 'Percent-encode what may not stand in one, such as spaces and ü.'

const STATEMENT_TYPE = 'https://in-toto.io/Statement/v1'

/** In-toto statements name no source; permissions and queries see them under this one. */
export const IN_TOTO_SOURCE = 'in-toto'

/** Together with the colon between them, no longer than an attribute. */
const DIGEST_NAME_BYTES_MAX = 64
const DIGEST_BYTES_MAX = ATTRIBUTE_BYTES_MAX - DIGEST_NAME_BYTES_MAX - 1

const REQUIRED = ['specversion', 'id', 'source', 'type', 'subject', 'time', 'datacontenttype'] as const

const RESERVED: readonly string[] = Object.values(PAYLOAD_TYPES).filter((type) => !SUBMITTED.includes(type))

/**
 * Reads a submitted payload of the given type; at least one claim. Throws FormatError, and RefusedError
 * reserved-payload-type for what only the ledger itself may write.
 */
export function readClaims(payloadType: string, payload: Uint8Array): readonly Claim[] {
  if (payload.length > ENTRY_BYTES_MAX) throw tooLarge('The payload', payloadType, payload.length)
  switch (payloadType) {
    case PAYLOAD_TYPES.event:
      return [readEvent(parseJson(payload, ENTRY_BYTES_MAX))]
    case PAYLOAD_TYPES.batch:
      return readBatch(parseJson(payload, ENTRY_BYTES_MAX))
    case PAYLOAD_TYPES.inToto:
      return readStatement(parseJson(payload, ENTRY_BYTES_MAX))
    default:
      if (RESERVED.includes(payloadType)) {
        throw new RefusedError('reserved-payload-type', `Submitters may not send ${payloadType}.`)
      }
      throw new FormatError(
        'unknown-payload-type',
        `Entries of type ${payloadType} are not known to this ledger.`,
      )
  }
}

/** The event without attributes that are null, which the JSON format of CloudEvents takes for unset; `data` may be null. */
export function withoutUnset(event: JsonObject): JsonObject {
  return Object.fromEntries(
    Object.entries(event).filter(([name, value]) => value !== null || name === 'data'),
  )
}

/**
 * A CloudEvents 1.0 event. Beyond the specification's required attributes we ask for `subject`, `time` and
 * `datacontenttype`: an audit record without them cannot be found or read years later.
 */
export function readEvent(value: Json): Claim {
  const event = withoutUnset(object(value, 'The event'))
  for (const name of REQUIRED) {
    if (!Object.hasOwn(event, name))
      throw new FormatError('missing-field', `The event lacks "${name}".`, { name })
  }
  for (const [name, attribute] of Object.entries(event)) checkAttribute(name, attribute)
  if (event.specversion !== '1.0') throw new FormatError('bad-event', '"specversion" must be "1.0".')
  if (Object.hasOwn(event, 'data') && Object.hasOwn(event, 'data_base64')) {
    throw new FormatError('bad-event', 'An event has "data" or "data_base64", not both.')
  }
  checkContent(event)
  if (event.dataschema !== undefined && !isUri(attributeText(event, 'dataschema'))) {
    throw new FormatError('bad-event', `"dataschema" must be a URI (RFC 3986) with its scheme. ${ENCODE}`)
  }
  const source = attributeText(event, 'source')
  if (!isUriReference(source)) {
    const such = 'such as https://ci.example/build or /ci/build'
    throw new FormatError('bad-event', `"source" must be a URI reference (RFC 3986), ${such}. ${ENCODE}`)
  }
  return {
    id: attributeText(event, 'id'),
    source,
    type: attributeText(event, 'type'),
    subject: attributeText(event, 'subject'),
    time: timestamp(event.time),
    ...(filledIn(event).includes('time') && { timeFilledIn: true as const }),
    ...(event.ledger === undefined ? {} : { ledger: attributeText(event, 'ledger') }),
  }
}

function readBatch(value: Json): Claim[] {
  const claims = array(value, 'The batch', 1, BATCH_EVENTS_MAX).map(readEvent)
  const names = new Set(claims.map(({ source, id }) => JSON.stringify([source, id])))
  if (names.size !== claims.length)
    throw new FormatError('bad-event', 'Two events of the batch share source and id.')
  return claims
}

/**
 * https://in-toto.io/Statement/v1: one claim for each subject, found by its name, or if it has none by
 * `<algorithm>:<digest>` of the algorithm that sorts first.
 */
function readStatement(value: Json): Claim[] {
  const statement = object(value, 'The statement')
  if (statement._type !== STATEMENT_TYPE) {
    const older = statement._type === 'https://in-toto.io/Statement/v0.1'
    const why = older
      ? 'This is a statement of version 0.1; entries hold version 1'
      : 'This is no in-toto statement'
    throw new FormatError(
      'bad-event',
      `${why}: its "_type" must be "${STATEMENT_TYPE}". Have its producer write that, or log it as the data of an event.`,
    )
  }
  const type = attributeText(statement, 'predicateType')
  const subjects = Array.isArray(statement.subject) ? statement.subject.length : 0
  if (subjects > BATCH_EVENTS_MAX) {
    throw new FormatError(
      'bad-field',
      `The statement names ${subjects} subjects, and an entry at most ${BATCH_EVENTS_MAX}. Sign several statements, ` +
        'or log it by its SHA-256 as the data of an event.',
      { subjects },
    )
  }
  return array(statement.subject, '"subject"', 1, BATCH_EVENTS_MAX).map((item) => {
    const subject = object(item, 'A subject')
    const digests = Object.entries(object(subject.digest, 'A subject\'s "digest"'))
    if (digests.length === 0) throw new FormatError('bad-event', 'A subject needs at least one digest.')
    for (const [algorithm, digest] of digests) {
      text(algorithm, 'The name of a digest algorithm', DIGEST_NAME_BYTES_MAX)
      text(digest, `The ${algorithm} digest`, DIGEST_BYTES_MAX)
    }
    // The order of members is the writer's and the engine's whim; the smallest name is neither.
    const [algorithm, digest] = digests.sort(([a], [b]) => (a < b ? -1 : 1))[0]!
    const name = subject.name === undefined ? `${algorithm}:${digest}` : attributeText(subject, 'name')
    return { source: IN_TOTO_SOURCE, type, subject: name }
  })
}

function checkContent(event: JsonObject): void {
  const type = attributeText(event, 'datacontenttype')
  if (!isMediaType(type)) {
    throw new FormatError(
      'bad-event',
      '"datacontenttype" must be a media type such as application/json or text/plain.',
    )
  }
  const { data } = event
  if (data === undefined || data === null || typeof data === 'string' || isJsonType(type)) return
  throw new FormatError(
    'bad-event',
    `"data" of the type ${type} must be a text. Give "datacontenttype" a JSON type, or the bytes as "data_base64".`,
  )
}

/** What stands for a content type that nobody gave: JSON is what "data" holds, and nothing is known of bytes. */
export function defaultContentType(event: JsonObject): string {
  return Object.hasOwn(event, 'data_base64') ? 'application/octet-stream' : 'application/json'
}

function checkAttribute(name: string, value: Json): void {
  if (name === 'data') return
  if (name === 'data_base64') {
    if (typeof value !== 'string') throw new FormatError('bad-event', '"data_base64" must be a base64 text.')
    fromBase64(value)
    return
  }
  if (!/^[a-z0-9]{1,64}$/.test(name)) {
    throw new FormatError(
      'unknown-field',
      `${JSON.stringify(name.slice(0, 64))} is no CloudEvents attribute name.`,
    )
  }
  if (typeof value === 'boolean') return
  // CloudEvents 1.0 Integer: signed 32 bits.
  if (typeof value === 'number' && value === Math.trunc(value) && value >= -(2 ** 31) && value < 2 ** 31)
    return
  if (typeof value !== 'string') {
    const kinds = 'a text, true, false, or an integer from -2^31 to 2^31 - 1 in digits only'
    throw new FormatError('bad-field', `The attribute "${name}" must be ${kinds}.`)
  }
  text(value, `"${name}"`, ATTRIBUTE_BYTES_MAX)
}

function attributeText(holder: JsonObject, name: string): string {
  return text(holder[name], `"${name}"`, ATTRIBUTE_BYTES_MAX)
}

/** Kept as spelled. */
function timestamp(value: Json | undefined): string {
  const spelled = text(value, '"time"', 64)
  if (!isTimestamp(spelled)) {
    throw new FormatError('bad-event', '"time" must be an RFC 3339 time such as 2026-01-31T12:00:00Z.')
  }
  return spelled
}
