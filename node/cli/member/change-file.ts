/** Member records and signed changes as files, handed from one person to the next. */
import { writeFile } from 'node:fs/promises'
import { keyId } from '../../../src/crypto/keys.ts'
import type { Signer } from '../../../src/crypto/suite.ts'
import { RefusedError } from '../../../src/errors.ts'
import { type Change, decodeChange } from '../../../src/ledger/change.ts'
import { encodeEnvelope, pae } from '../../../src/ledger/dsse.ts'
import { decodeEntry, type Entry, entryFromJson } from '../../../src/ledger/entry.ts'
import { type Member, memberFromJson } from '../../../src/ledger/member.ts'
import { PAYLOAD_TYPES } from '../../../src/ledger/payload-types.ts'
import { ENTRY_BYTES_MAX, ENVELOPE_SIGNATURES_MAX } from '../../../src/limits.ts'
import { replaceFile } from '../../durable-file.ts'
import { CliError } from '../exit.ts'
import { inFile, readJsonInput, reasonOf } from '../files.ts'

export async function readRecord(path: string): Promise<Member> {
  const value = await readJsonInput(path, ENTRY_BYTES_MAX)
  return inFile(path, () => memberFromJson(value))
}

export interface SignedChange {
  readonly entry: Entry
  readonly change: Change
}

export async function readChangeFile(path: string): Promise<SignedChange> {
  // Written by people's tools, perhaps over several lines: twice what a leaf may hold is enough.
  const value = await readJsonInput(path, 2 * ENTRY_BYTES_MAX)
  return inFile(path, () => {
    const entry = entryFromJson(value)
    if (entry.envelope.payloadType !== PAYLOAD_TYPES.change) {
      throw new RefusedError('bad-change', 'It holds a signed entry, but not a change of membership.')
    }
    return { entry, change: decodeChange(entry.envelope.payload) }
  })
}

/** The same change with one signature more. Throws RefusedError bad-change if that key has signed already. */
export async function addSignature(entry: Entry, signer: Signer): Promise<Entry> {
  const { payload, payloadType, signatures } = entry.envelope
  const keyid = keyId(signer.publicKey)
  if (signatures.some((signature) => signature.keyid === keyid)) {
    throw new RefusedError('bad-change', `The key ${keyid} has signed this change already.`, { keyid })
  }
  if (signatures.length === ENVELOPE_SIGNATURES_MAX) {
    throw new RefusedError('bad-change', `A change carries at most ${ENVELOPE_SIGNATURES_MAX} signatures.`)
  }
  const sig = await signer.sign(pae(payloadType, payload))
  return decodeEntry(encodeEnvelope({ payload, payloadType, signatures: [...signatures, { keyid, sig }] }))
}

/** Whole or not at all; with `replace`, in place of an earlier version of the same change. */
export async function writeChangeFile(path: string, { bytes }: Entry, replace = false): Promise<void> {
  try {
    if (!replace) return await writeFile(path, bytes, { flag: 'wx' })
    await replaceFile(path, bytes)
  } catch (cause) {
    const taken = cause instanceof Error && 'code' in cause && cause.code === 'EEXIST'
    const why = taken ? 'it exists already' : reasonOf(cause)
    throw new CliError('file', `${path} could not be written: ${why}.`, { path }, { cause })
  }
}
