/** Envelopes as other writers of DSSE v1.0.2 spell them become the one leaf that the strict reader knows. */
import assert from 'node:assert/strict'
import { Admission } from '../../node/core/admission.ts'
import { Pool } from '../../node/core/pool.ts'
import { opensslSuite } from '../../node/crypto/openssl.ts'
import type { LedgerStore } from '../../node/store/ledger-store.ts'
import { fromUtf8, toBase64, toHex, utf8 } from '../../src/bytes.ts'
import { publicKeyFromJwk, publicKeyToPem } from '../../src/crypto/keys.ts'
import type { Json, JsonObject } from '../../src/json.ts'
import { genesisState } from '../../src/ledger/chain.ts'
import { entryFromJson, signEntry } from '../../src/ledger/entry.ts'
import { keyIdsOf, readForeignEnvelope, withKeyIds } from '../../src/ledger/foreign-envelope.ts'
import { createGenesis } from '../../src/ledger/genesis.ts'
import { PAYLOAD_TYPES } from '../../src/ledger/payload-types.ts'
import {
  ADA,
  ALICE,
  adminSigner,
  CI,
  EVENT,
  exampleEntry,
  PARAMETERS,
  refused,
  signerOf,
  submitterSigner,
  TIME,
} from './fixture.ts'

const urlSafe = (text: string) => text.replaceAll('+', '-').replaceAll('/', '_')
const unpadded = (text: string) => text.replace(/=+$/, '')

interface Spelled {
  readonly payload: string
  readonly payloadType: string
  readonly signatures: [{ readonly keyid: string; readonly sig: string }]
}

async function example() {
  // Its payload has base64 digits in which the alphabets differ.
  const data = '<<???>>~~~ÿÿÿ'
  const entry = await signEntry(
    PAYLOAD_TYPES.event,
    utf8(JSON.stringify({ ...EVENT, data })),
    submitterSigner,
  )
  const envelope = JSON.parse(fromUtf8(entry.bytes)) as Spelled
  assert.match(envelope.payload + envelope.signatures[0].sig, /\+.*\/|\/.*\+/)
  return { entry, envelope }
}

describe('a DSSE envelope of another writer', () => {
  it('is the same leaf in either alphabet, padded or not, with members that we do not know', async () => {
    const { entry, envelope } = await example()
    const [{ keyid, sig }] = envelope.signatures
    const spellings: JsonObject[] = [
      { ...envelope },
      { ...envelope, payload: urlSafe(envelope.payload) },
      { ...envelope, signatures: [{ keyid, sig: urlSafe(unpadded(sig)) }] },
      {
        ...envelope,
        payload: unpadded(envelope.payload),
        x: { y: 1 },
        signatures: [{ keyid, sig, cert: 'pem' }],
      },
    ]
    for (const spelling of spellings) {
      const given = readForeignEnvelope(spelling)
      assert.deepEqual(entryFromJson(withKeyIds(given, keyIdsOf(given)!)), entry)
    }
  })

  it('may name its key in a way of its own, or not at all', async () => {
    const { entry, envelope } = await example()
    const [{ keyid, sig }] = envelope.signatures
    for (const named of [
      {},
      { keyid: '' },
      { keyid: null },
      { keyid: 'team-key-1' },
      { keyid: toHex(entry.hash) },
    ]) {
      const given = readForeignEnvelope({ ...envelope, signatures: [{ ...named, sig }] })
      assert.equal(keyIdsOf(given), undefined)
      assert.deepEqual(entryFromJson(withKeyIds(given, [keyid])), entry)
    }
  })

  it('is refused where it is none', async () => {
    const { envelope } = await example()
    const [{ keyid, sig }] = envelope.signatures
    const cases: [Json, string][] = [
      [[], 'bad-field'],
      [{ ...envelope, payload: 7 }, 'bad-field'],
      [{ ...envelope, payload: 'e3$=' }, 'bad-base64'],
      [{ ...envelope, payload: 'e31=' }, 'bad-base64'],
      [{ ...envelope, payload: 'e30=\n' }, 'bad-base64'],
      [{ ...envelope, signatures: [] }, 'bad-field'],
      [{ ...envelope, signatures: [{ keyid }] }, 'bad-field'],
      [{ ...envelope, signatures: Array(9).fill({ keyid, sig }) }, 'bad-field'],
      [{ ...envelope, payloadType: undefined as unknown as Json }, 'bad-field'],
      [{ ...envelope, signatures: [{ keyid, sig: toBase64(new Uint8Array(64)) }] }, 'bad-field'],
    ]
    for (const [value, code] of cases) {
      const read = () => {
        const given = readForeignEnvelope(value)
        return entryFromJson(withKeyIds(given, keyIdsOf(given)!))
      }
      assert.throws(read, refused(code), JSON.stringify(value).slice(0, 80))
    }
  })
})

describe('a signature that does not name its key', () => {
  const submitter = (name: string, seed: number, sources = ['*']) => {
    const { publicKey } = signerOf('ML-DSA-44', seed)
    return { ...CI, name, key: publicKey, sources }
  }
  const admissionOf = async (count: number) => {
    const others = Array.from({ length: count }, (_, i) => submitter(`small-${i}`, 20 + i))
    const strangers = [submitter('elsewhere', 90, ['/elsewhere'])]
    const genesis = await createGenesis(PARAMETERS, [ALICE, ADA, CI, ...others, ...strangers], [adminSigner])
    const store = { state: genesisState(genesis) } as unknown as LedgerStore
    return new Admission(
      store,
      new Pool(),
      opensslSuite,
      () => true,
      () => TIME,
    )
  }
  const unnamed = async (seed: number) => {
    const entry = await signEntry(
      PAYLOAD_TYPES.event,
      utf8(JSON.stringify(EVENT)),
      signerOf('ML-DSA-44', seed),
    )
    const { signatures, ...rest } = JSON.parse(fromUtf8(entry.bytes)) as Spelled
    const given = readForeignEnvelope({ ...rest, signatures: [{ sig: signatures[0].sig }] })
    return { keyid: entry.envelope.signatures[0]!.keyid, given }
  }

  it('is that of the member whose key verifies it, among those who may speak', async () => {
    const admission = await admissionOf(16)
    for (const seed of [20, 35]) {
      const { keyid, given } = await unnamed(seed)
      assert.deepEqual(await admission.signers(given), [keyid])
    }
    for (const seed of [90, 99]) {
      await assert.rejects(admission.signers((await unnamed(seed)).given), refused('unknown-key'))
    }
    const example = await exampleEntry()
    const { signatures, ...rest } = JSON.parse(fromUtf8(example.bytes)) as Spelled
    const given = readForeignEnvelope({ ...rest, signatures: [{ sig: signatures[0].sig }] })
    assert.deepEqual(await admission.signers(given), [signatures[0].keyid])
  })

  it('is not looked for among many: anyone may ask', async () => {
    const { given } = await unnamed(20)
    const asked = (await admissionOf(17)).signers(given)
    await assert.rejects(asked, {
      code: 'unknown-key',
      message: /17 members may have signed.*Give its "keyid"/,
    })
  })
})

describe('a public key of WebCrypto', () => {
  it('is read as it is exported', async () => {
    const algorithm = { name: 'ML-DSA-65' }
    const pair = (await crypto.subtle.generateKey(algorithm, true, ['sign', 'verify'])) as CryptoKeyPair
    const jwk = await crypto.subtle.exportKey('jwk', pair.publicKey)
    assert.deepEqual([jwk.key_ops, jwk.ext], [['verify'], true])
    assert.match(publicKeyToPem(publicKeyFromJwk(jwk)), /BEGIN PUBLIC KEY/)
    const secret = await crypto.subtle.exportKey('jwk', pair.privateKey)
    assert.throws(() => publicKeyFromJwk(secret), /private key/)
  })
})
