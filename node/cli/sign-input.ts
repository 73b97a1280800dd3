/** Signing on the submitter's own machine: the private key stays there, and the node can only accept or refuse. */

import { utf8 } from '../../src/bytes.ts'
import type { Signer } from '../../src/crypto/suite.ts'
import { formatInstant, type Json, type JsonObject, parseJson } from '../../src/json.ts'
import { type Entry, signEntry } from '../../src/ledger/entry.ts'
import { fillIn } from '../../src/ledger/filled-in.ts'
import { PAYLOAD_TYPES } from '../../src/ledger/payload-types.ts'
import { ENTRY_BYTES_MAX } from '../../src/limits.ts'
import { givenPassphrase } from '../crypto/given-passphrase.ts'
import { readKeyFile } from '../crypto/keyfile.ts'
import { opensslSuite } from '../crypto/openssl.ts'
import { keyPassphrase } from './passphrase.ts'

/** The signer of a key file or a pipe, opened by the passphrase that the environment gives or somebody types. */
export async function openSigner(path: string): Promise<Signer> {
  const given = (await givenPassphrase()) || (() => keyPassphrase(path))
  const { alg, seed } = await readKeyFile(path, given)
  try {
    return opensslSuite.signer(alg, seed)
  } finally {
    seed.fill(0)
  }
}

/**
 * Signs one event, or several as one batch entry. Each is bound to the ledger, so that nobody can submit it to
 * another one as well, and has a time: now, if its producer gave none.
 */
export function signEvents(events: readonly JsonObject[], ledger: string, signer: Signer): Promise<Entry> {
  const bound = events.map((event) => fillIn(event, { time: formatInstant(Date.now()), ledger }))
  const [only] = bound
  return bound.length === 1 && only !== undefined
    ? signEntry(PAYLOAD_TYPES.event, utf8(JSON.stringify(only)), signer)
    : signEntry(PAYLOAD_TYPES.batch, utf8(JSON.stringify(bound)), signer)
}

/** Signs an in-toto statement, byte for byte as its producer wrote it. */
export function signStatement(statement: Uint8Array, signer: Signer): Promise<Entry> {
  return signEntry(PAYLOAD_TYPES.inToto, statement, signer)
}

/** The entry as entry.submit takes it. */
export function envelopeJson(entry: Entry): Json {
  return parseJson(entry.bytes, ENTRY_BYTES_MAX)
}
