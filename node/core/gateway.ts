/**
 * The gateway signs events for senders who cannot sign: it fills in what a plain sender leaves out, records how
 * the sender was authenticated, and never lets the sender claim that for itself.
 */
import { randomUUID } from 'node:crypto'
import { utf8 } from '../../src/bytes.ts'
import type { Signer } from '../../src/crypto/suite.ts'
import { FormatError, RefusedError } from '../../src/errors.ts'
import { formatInstant, type JsonObject } from '../../src/json.ts'
import { type Entry, signEntry } from '../../src/ledger/entry.ts'
import { defaultContentType, readEvent, withoutUnset } from '../../src/ledger/event.ts'
import { fillIn } from '../../src/ledger/filled-in.ts'
import { maySpeak } from '../../src/ledger/pattern.ts'
import { PAYLOAD_TYPES } from '../../src/ledger/payload-types.ts'
import type { Principal } from '../service.ts'

/** The CloudEvents "Auth Context" extension, and our own binding to one ledger: set by the gateway alone. */
const RESERVED = ['authtype', 'authid', 'authclaims', 'ledger', 'filledin']

/** The submitter whose key the gateway of a node signs with. */
export function gatewayName(node: string): string {
  return `gateway-${node}`
}

/** Signs one event, or several as one batch entry, for the holder of a bearer token. */
export async function signForPrincipal(
  events: readonly JsonObject[],
  principal: Principal,
  ledger: string,
  now: number,
  signer: Signer,
): Promise<Entry> {
  const stamped = events.map((event) => stamp(event, principal, ledger, now))
  const [only] = stamped
  if (only === undefined) throw new FormatError('missing-field', 'There is no event to log.')
  return stamped.length === 1
    ? signEntry(PAYLOAD_TYPES.event, utf8(JSON.stringify(only)), signer)
    : signEntry(PAYLOAD_TYPES.batch, utf8(JSON.stringify(stamped)), signer)
}

function stamp(sent: JsonObject, principal: Principal, ledger: string, now: number): JsonObject {
  const event = withoutUnset(sent)
  for (const name of RESERVED) {
    if (Object.hasOwn(event, name)) {
      throw new FormatError('bad-event', `"${name}" is set by the gateway; leave it out.`, { name })
    }
  }
  const complete = fillIn(
    { specversion: '1.0', id: randomUUID(), datacontenttype: defaultContentType(event), ...event },
    { time: formatInstant(now), authtype: 'api_key', authid: principal.name, ledger },
  )
  const claim = readEvent(complete)
  if (!maySpeak(principal, claim)) {
    const { source, type } = claim
    const facts = { principal: principal.name, source, type }
    throw new RefusedError('not-permitted', `This token may not log type ${type} from ${source}.`, facts)
  }
  return complete
}
