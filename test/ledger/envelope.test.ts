import assert from 'node:assert/strict'
import fc from 'fast-check'
import { fromUtf8, toBase64, toHex, utf8 } from '../../src/bytes.ts'
import { keyId } from '../../src/crypto/keys.ts'
import { nobleSuite } from '../../src/crypto/noble.ts'
import { ML_DSA } from '../../src/crypto/suite.ts'
import { type Json, parseJson } from '../../src/json.ts'
import {
  decodeEnvelope,
  type Envelope,
  encodeEnvelope,
  envelopeFromJson,
  pae,
} from '../../src/ledger/dsse.ts'
import { decodeEntry, entryFromJson, signatureCheck, verifyAll } from '../../src/ledger/entry.ts'
import { ENTRY_BYTES_MAX } from '../../src/limits.ts'
import { leafHash } from '../../src/merkle/hash.ts'
import { EVENT_BYTES, exampleEntry, refused, signerOf, submitterSigner, verdictOn } from './fixture.ts'

const KEY_ID = keyId(submitterSigner.publicKey)
const SIG = toBase64(new Uint8Array(ML_DSA['ML-DSA-44'].signature))
const TYPE = 'application/cloudevents+json'

/** Envelope text with any of its parts replaced. */
function spelled({ payload = 'e30=', type = TYPE, keyid = KEY_ID, sig = SIG, sigs = '' } = {}): string {
  const list = sigs || `{"keyid":"${keyid}","sig":"${sig}"}`
  return `{"payload":"${payload}","payloadType":"${type}","signatures":[${list}]}`
}

const decode = (text: string) => decodeEnvelope(utf8(text))

describe('the envelope', () => {
  it('is read in its canonical spelling, with signatures of each size', () => {
    for (const { signature } of Object.values(ML_DSA)) {
      const envelope = decode(spelled({ sig: toBase64(new Uint8Array(signature)) }))
      assert.equal(envelope.signatures[0]!.sig.length, signature)
      assert.equal(fromUtf8(envelope.payload), '{}')
    }
    assert.equal(decode(spelled({ payload: '' })).payload.length, 0)
  })

  it('is refused in any other spelling', () => {
    const text = spelled()
    const cases: [string, string][] = [
      [` ${text}`, 'json-not-canonical'],
      [`${text}\n`, 'json-not-canonical'],
      [text.replace('":"', '": "'), 'json-not-canonical'],
      [text.replace('payloadType', 'payload\\u0054ype'), 'json-not-canonical'],
      [text.replace('application/', 'application\\/'), 'json-not-canonical'],
      [text.replace('"e30="', '"\\u006530="'), 'json-not-canonical'],
      [`{"signatures":[],${text.slice(1)}`, 'json-duplicate-key'],
      [
        `{"payloadType":"${TYPE}","payload":"e30=",${text.slice(text.indexOf('"signatures'))}`,
        'json-not-canonical',
      ],
      [text.replace(/\{"keyid":("[^"]*"),"sig":("[^"]*")\}/, '{"sig":$2,"keyid":$1}'), 'json-not-canonical'],
      [`${text}${text}`, 'json-syntax'],
      [`${text}\u0000`, 'json-syntax'],
      [text.slice(0, -1), 'json-syntax'],
      [text.replace('"payload":"e30="', '"payload":"e30=","payload":"e30="'), 'json-duplicate-key'],
      [text.replace('"payload":"e30="', '"payload":"e30=","pay\\u006coad":"e30="'), 'json-duplicate-key'],
      [text.replace('{', '{"extra":1,'), 'unknown-field'],
      [text.replace('{"keyid"', '{"__proto__":{},"keyid"'), 'unknown-field'],
      [text.replace('"payload":"e30=",', ''), 'missing-field'],
      [text.replace('"payload":"e30="', '"payload":{}'), 'bad-field'],
      ['[]', 'bad-field'],
      ['null', 'bad-field'],
      ['', 'json-syntax'],
      [`${'['.repeat(65)}${']'.repeat(65)}`, 'json-too-deep'],
      [text.replace('e30=', '\\ud800'), 'bad-utf8'],
    ]
    for (const [changed, code] of cases)
      assert.throws(() => decode(changed), refused(code), changed.slice(0, 90))
  })

  it('is read exactly if parsing it and spelling it again gives the same bytes', () => {
    const text = spelled({
      sigs: `{"keyid":"${KEY_ID}","sig":"${SIG}"},{"keyid":"${'A'.repeat(43)}","sig":"${SIG}"}`,
    })
    // Outside the long runs of base64, where every character is like the next.
    const places = [...text.matchAll(/[^A]|A(?=[^A])/g)].map(({ index }) => index)
    const piece = fc.constantFrom(
      '"',
      '\\',
      ',',
      ':',
      '{',
      '}',
      '[',
      ']',
      'A',
      '=',
      ' ',
      '\n',
      '\u00e9',
      '\u2014',
      '"sig":"',
      '',
    )
    fc.assert(
      fc.property(fc.constantFrom(...places), fc.nat(2), piece, (at, cut, put) => {
        const changed = text.slice(0, at) + put + text.slice(at + cut)
        const read = verdictOn(() => decode(changed))
        const parsed = verdictOn(() => envelopeFromJson(parseJson(changed, ENTRY_BYTES_MAX)))
        const canonical = parsed && fromUtf8(encodeEnvelope(parsed)) === changed ? parsed : undefined
        assert.deepEqual(read, canonical)
      }),
      { numRuns: 2_000 },
    )
  })

  it('is refused with base64 that is not the one spelling of its bytes', () => {
    // e30= is {}; e31= to e33= differ in spare bits only.
    for (const payload of [
      'e30',
      'e31=',
      'e33=',
      'e30=\\n',
      ' e30=',
      'e3-=',
      'e30==',
      '=e30',
      'e30=e30=',
      'é30=',
    ]) {
      assert.throws(() => decode(spelled({ payload })), refused('bad-base64'), payload)
    }
    assert.throws(() => decode(spelled({ sig: `${SIG.slice(0, -1)}` })), refused('bad-base64'))
    assert.throws(() => decode(spelled({ sig: SIG.replace(/A=$/, 'B=') })), refused('bad-base64'))
  })

  it('is refused with a signature of a size that ML-DSA does not have', () => {
    for (const bytes of [0, 64, 2419, 2421, 3308, 3310, 4626, 4628]) {
      assert.throws(
        () => decode(spelled({ sig: toBase64(new Uint8Array(bytes)) })),
        refused('bad-field'),
        `${bytes}`,
      )
    }
  })

  it('is refused with key ids that are not thumbprints', () => {
    // The last character may carry four bits: its spare bits would be a second spelling.
    const spare = `${KEY_ID.slice(0, -1)}${KEY_ID.endsWith('A') ? 'B' : 'b'}`
    for (const keyid of [
      '',
      KEY_ID.slice(1),
      `${KEY_ID}A`,
      `${KEY_ID.slice(0, -1)}=`,
      `${KEY_ID.slice(0, -1)}+`,
      spare,
    ]) {
      assert.throws(() => decode(spelled({ keyid })), refused('bad-field'), keyid)
    }
    for (let seed = 0; seed < 40; seed++) {
      const keyid = toBase64(leafHash(Uint8Array.of(seed)))
        .replace(/=$/, '')
        .replaceAll('+', '-')
        .replaceAll('/', '_')
      assert.equal(decode(spelled({ keyid })).signatures[0]!.keyid, keyid)
    }
  })

  it('is refused with payload types that are not plain media types', () => {
    for (const type of [
      '',
      'json',
      'Application/json',
      'application/json; charset=utf-8',
      'a/b/c',
      '/json',
      'a/',
      `a/${'b'.repeat(127)}`,
      'ä/b',
      'a/b\\u0000',
    ]) {
      assert.throws(() => decode(spelled({ type })), refused('bad-field'), type)
    }
    assert.ok(decode(spelled({ type: `a/${'b'.repeat(126)}` })))
  })

  it('carries one to eight signatures by different keys', () => {
    const sigs = (n: number) =>
      Array.from({ length: n }, (_, i) => `{"keyid":"${'ABCDEFGHI'[i]!.repeat(42)}A","sig":"${SIG}"}`).join(
        ',',
      )
    assert.equal(decode(spelled({ sigs: sigs(8) })).signatures.length, 8)
    assert.throws(() => decode(spelled({ sigs: sigs(9) })), refused('bad-field'))
    assert.throws(() => decode(spelled({ sigs: `${sigs(1)},${sigs(1)}` })), refused('bad-field'))
    assert.throws(() => decode(spelled().replace(/\[.*\]/, '[]')), refused('bad-field'))
  })

  it('is no longer than a leaf, read or written', () => {
    const bytesOver = ENTRY_BYTES_MAX - spelled({ payload: '' }).length
    const fits = 'A'.repeat(bytesOver - (bytesOver % 4))
    assert.ok(decode(spelled({ payload: fits })))
    assert.throws(() => decode(spelled({ payload: `${fits}AAAA` })), refused('too-large'))
    // Too long is refused before anything of it is read, even as text.
    assert.throws(() => decodeEnvelope(new Uint8Array(ENTRY_BYTES_MAX + 1).fill(0xff)), refused('too-large'))
    const envelope = decode(spelled({ payload: fits }))
    assert.equal(encodeEnvelope(envelope).length, spelled({ payload: fits }).length)
    const larger = { ...envelope, payload: new Uint8Array(envelope.payload.length + 3) }
    assert.throws(() => encodeEnvelope(larger), refused('too-large'))
  })

  it('signs the pre-authentication encoding of DSSE, counted in bytes', () => {
    assert.equal(
      fromUtf8(pae('http://example.com/HelloWorld', utf8('hello world'))),
      'DSSEv1 29 http://example.com/HelloWorld 11 hello world',
    )
    assert.equal(fromUtf8(pae('é', utf8('☺'))), 'DSSEv1 2 é 3 ☺')
    assert.equal(fromUtf8(pae('', new Uint8Array(0))), 'DSSEv1 0  0 ')
  })

  it('survives a round trip', () => {
    const signature = fc.record(
      {
        keyid: fc
          .uint8Array({ minLength: 32, maxLength: 32 })
          .map((bytes) => Buffer.from(bytes).toString('base64url')),
        sig: fc.constantFrom(2420, 3309, 4627).map((size) => new Uint8Array(size).fill(size)),
      },
      { noNullPrototype: true },
    )
    const envelopes: fc.Arbitrary<Envelope> = fc.record(
      {
        payload: fc.uint8Array({ maxLength: 300 }),
        payloadType: fc.stringMatching(/^[a-z0-9][a-z0-9.+-]{0,40}\/[a-z0-9][a-z0-9.+-]{0,40}$/),
        signatures: fc.uniqueArray(signature, { minLength: 1, maxLength: 4, selector: ({ keyid }) => keyid }),
      },
      { noNullPrototype: true },
    )
    fc.assert(
      fc.property(envelopes, (envelope) => {
        const bytes = encodeEnvelope(envelope)
        assert.deepEqual(decodeEnvelope(bytes), envelope)
        assert.deepEqual(envelopeFromJson(JSON.parse(fromUtf8(bytes)) as Json), envelope)
        // RFC 8785 by an implementation that is not ours.
        assert.equal(fromUtf8(bytes), JSON.stringify(JSON.parse(fromUtf8(bytes))))
      }),
    )
  })
})

describe('the entry', () => {
  it('is one leaf, in whatever order its JSON came', async () => {
    const entry = await exampleEntry()
    const { payload, payloadType, signatures } = JSON.parse(fromUtf8(entry.bytes)) as Record<string, Json>
    assert.deepEqual(
      entryFromJson({ signatures: signatures!, payloadType: payloadType!, payload: payload! }),
      entry,
    )
    assert.deepEqual(decodeEntry(entry.bytes), entry)
    assert.equal(entry.id, toHex(leafHash(entry.bytes)))
  })

  it('verifies with its own key and no other', async () => {
    const { envelope } = await exampleEntry()
    const check = signatureCheck(envelope, 0, submitterSigner.publicKey)
    assert.deepEqual(check.message, pae(TYPE, EVENT_BYTES))
    assert.ok(await verifyAll(nobleSuite, [check, check]))
    assert.ok(!(await verifyAll(nobleSuite, [check, { ...check, key: signerOf('ML-DSA-65', 99).publicKey }])))
    assert.ok(!(await verifyAll(nobleSuite, [{ ...check, message: pae('a/b', EVENT_BYTES) }])))
  })

  it('changes its id or is refused when a byte changes; the decoder throws only typed errors', async () => {
    const { bytes, id } = await exampleEntry()
    for (let at = 0; at < bytes.length; at += at < 700 ? 1 : 37) {
      for (const bit of [1, 0x80]) {
        const changed = bytes.slice()
        changed[at]! ^= bit
        const read = verdictOn(() => decodeEntry(changed))
        if (read) assert.notEqual(read.id, id)
      }
      assert.equal(
        verdictOn(() => decodeEntry(bytes.subarray(0, at))),
        undefined,
        `cut at ${at}`,
      )
    }
  })

  it('throws only typed errors on any bytes', () => {
    const jsonish = fc.json({ maxDepth: 3 }).map(utf8)
    fc.assert(
      fc.property(fc.oneof(fc.uint8Array({ maxLength: 200 }), jsonish), (bytes) => {
        assert.equal(
          verdictOn(() => decodeEntry(bytes)),
          undefined,
        )
      }),
      { numRuns: 1_000 },
    )
    fc.assert(
      fc.property(fc.jsonValue(), (value) => {
        assert.equal(
          verdictOn(() => entryFromJson(value as Json)),
          undefined,
        )
      }),
    )
  })
})
