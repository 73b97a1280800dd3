/** Votes and acknowledgements as bytes: one spelling each, and every other one is refused. */
import assert from 'node:assert/strict'
import fc from 'fast-check'
import { opensslSuite } from '../../node/crypto/openssl.ts'
import { fromUtf8, toHex, utf8 } from '../../src/bytes.ts'
import { keyId } from '../../src/crypto/keys.ts'
import { canonicalJson, type Json, type JsonObject } from '../../src/json.ts'
import {
  type Acknowledgement,
  acknowledgementEnvelope,
  acknowledgementMessage,
  decodeAcknowledgement,
  encodeAcknowledgement,
} from '../../src/ledger/acknowledgement.ts'
import { encodeEnvelope, pae } from '../../src/ledger/dsse.ts'
import { decodeEntry, signatureCheck } from '../../src/ledger/entry.ts'
import { PAYLOAD_TYPES } from '../../src/ledger/payload-types.ts'
import { decodeVote, encodeVote, type Vote, voteEnvelope, voteMessage } from '../../src/ledger/vote.ts'
import { ENTRY_BYTES_MAX } from '../../src/limits.ts'
import { exampleAcknowledgement, exampleVote, signedAcknowledgement, signedVote } from './evidence-fixture.ts'
import { LEDGER, nodeSigner, refused, verdictOn } from './fixture.ts'

const HASH = 'a5'.repeat(32)

/** Each sort of statement: an example as JSON, its reader, and the bytes that the reader's result is written as. */
const SORTS = [
  {
    name: 'a vote',
    example: { base: { hash: HASH, height: 7, term: 3 }, candidate: 'ada', ledger: LEDGER, term: 4 },
    read: decodeVote as (bytes: Uint8Array) => unknown,
    respell: (bytes: Uint8Array) => encodeVote(decodeVote(bytes)),
    wrong: [
      [{ candidate: 'Ada' }, 'bad-field'],
      [{ candidate: 'genesis' }, 'bad-field'],
      [{ candidate: '' }, 'bad-field'],
      [{ candidate: 'a'.repeat(64) }, 'bad-field'],
      [{ base: null }, 'bad-field'],
      [{ base: { hash: HASH, height: 7 } }, 'missing-field'],
      [{ base: { hash: HASH, height: 7, term: 3, more: 1 } }, 'unknown-field'],
      [{ base: { hash: HASH.toUpperCase(), height: 7, term: 3 } }, 'bad-hex'],
      [{ base: { hash: HASH.slice(2), height: 7, term: 3 } }, 'bad-hex'],
      [{ base: { hash: HASH, height: -1, term: 3 } }, 'bad-field'],
      [{ base: { hash: HASH, height: 7, term: '3' } }, 'bad-field'],
    ] as [JsonObject, string][],
  },
  {
    name: 'an acknowledgement',
    example: { hash: HASH, height: 7, ledger: LEDGER, term: 4 },
    read: decodeAcknowledgement as (bytes: Uint8Array) => unknown,
    respell: (bytes: Uint8Array) => encodeAcknowledgement(decodeAcknowledgement(bytes)),
    wrong: [
      [{ hash: HASH.toUpperCase() }, 'bad-hex'],
      [{ hash: `${HASH}a5` }, 'bad-hex'],
      [{ hash: 7 }, 'bad-field'],
      [{ height: 7.5 }, 'bad-field'],
      [{ height: 2 ** 53 }, 'bad-field'],
    ] as [JsonObject, string][],
  },
]

for (const { name, example, read, respell, wrong } of SORTS) {
  describe(`the payload of ${name}`, () => {
    const text = fromUtf8(canonicalJson(example as Json))

    it('comes back as it went, and is canonical JSON of exactly its fields', () => {
      assert.deepEqual(read(utf8(text)), example)
      assert.deepEqual(respell(utf8(text)), utf8(text))
    })

    it('is refused with other fields or other values', () => {
      const both: [JsonObject, string][] = [
        ...wrong,
        [{ more: 1 }, 'unknown-field'],
        [{ ledger: '' }, 'bad-field'],
        [{ ledger: 'x'.repeat(192) }, 'bad-field'],
        [{ term: -1 }, 'bad-field'],
        [{ term: 2 ** 53 }, 'bad-field'],
        [{ term: true }, 'bad-field'],
      ]
      for (const [changes, code] of both) {
        const payload = canonicalJson({ ...(example as JsonObject), ...changes })
        assert.throws(() => read(payload), refused(code), JSON.stringify(changes))
      }
      for (const field of Object.keys(example)) {
        const { [field]: _, ...rest } = example as JsonObject
        assert.throws(() => read(canonicalJson(rest)), refused('missing-field'), field)
      }
      for (const value of [null, 1, 'x', []]) {
        assert.throws(() => read(canonicalJson(value)), refused('bad-field'))
      }
    })

    it('is refused in another spelling', () => {
      const spelled: [string, string][] = [
        [`${text}\n`, 'json-not-canonical'],
        [text.replace(',', ', '), 'json-not-canonical'],
        [text.replace('"term":4', '"term":4.0'), 'json-not-canonical'],
        [text.replace('"term":4', '"term":4e0'), 'json-not-canonical'],
        [text.replace('"term":4', '"term":4,"term":4'), 'json-duplicate-key'],
        [text.replace('audit', '\\u0061udit'), 'json-not-canonical'],
        [JSON.stringify(Object.fromEntries(Object.entries(example).toReversed())), 'json-not-canonical'],
        [text.slice(0, -1), 'json-syntax'],
        [' '.repeat(ENTRY_BYTES_MAX) + text, 'too-large'],
      ]
      for (const [payload, code] of spelled) assert.throws(() => read(utf8(payload)), refused(code), payload)
    })

    it('says something else, or nothing, when any bit of it is flipped', () => {
      const bytes = utf8(text)
      fc.assert(
        fc.property(fc.integer({ min: 0, max: 8 * bytes.length - 1 }), (at) => {
          const flipped = bytes.slice()
          flipped[at >> 3]! ^= 1 << (at & 7)
          const found = verdictOn(() => read(flipped))
          if (found === undefined) return
          assert.notDeepEqual(found, example)
          assert.deepEqual(respell(flipped), flipped)
        }),
        { numRuns: 1_000 },
      )
    })
  })
}

describe('what validators sign', () => {
  it('is the same for all who say the same, and differs in every field', () => {
    const count = fc.nat({ max: Number.MAX_SAFE_INTEGER })
    const hash = fc.uint8Array({ minLength: 32, maxLength: 32 }).map(toHex)
    const exact = { noNullPrototype: true }
    const near = {
      height: fc.nat(2),
      term: fc.nat(2),
      hash: fc.constantFrom(HASH, HASH.replaceAll('a', 'b')),
    }
    const base = fc.oneof(fc.record(near, exact), fc.record({ height: count, term: count, hash }, exact))
    const ledger = fc.constantFrom(LEDGER, 'other.example')
    const candidate = fc.constantFrom('ada', 'bob')
    const vote = fc.record({ ledger, term: fc.nat(2), candidate, base }, exact)
    const same = (a: Uint8Array, b: Uint8Array) => toHex(a) === toHex(b)
    fc.assert(
      fc.property(vote, vote, (a: Vote, b: Vote) => {
        assert.deepEqual(decodeVote(encodeVote(a)), a)
        assert.equal(
          same(voteMessage(a), voteMessage(b)),
          JSON.stringify(fieldsOf(a)) === JSON.stringify(fieldsOf(b)),
        )
        const [c, d]: [Acknowledgement, Acknowledgement] = [
          { ledger: a.ledger, ...a.base },
          { ledger: b.ledger, ...b.base },
        ]
        assert.deepEqual(decodeAcknowledgement(encodeAcknowledgement(c)), c)
        const equal = c.ledger === d.ledger && c.term === d.term && c.height === d.height && c.hash === d.hash
        assert.equal(same(acknowledgementMessage(c), acknowledgementMessage(d)), equal)
      }),
    )
  })

  it('holds nothing but its fields, whatever else the caller knows of the block', async () => {
    const vote = await exampleVote()
    const more = { body: new Uint8Array(3), prev: HASH }
    const wider = { ...vote, ...more, base: { ...vote.base, ...more } }
    assert.deepEqual(encodeVote(wider), encodeVote(vote))
    const said = await exampleAcknowledgement()
    assert.deepEqual(
      encodeAcknowledgement({ ...said, ...more } as Acknowledgement),
      encodeAcknowledgement(said),
    )
  })

  it('stands by itself in an envelope with the signature that was sent', async () => {
    const key = nodeSigner.publicKey
    const [vote, said] = [await exampleVote(), await exampleAcknowledgement()]
    const sent = [
      await nodeSigner.sign(voteMessage(vote)),
      await nodeSigner.sign(acknowledgementMessage(said)),
    ]
    const envelopes = [voteEnvelope(key, vote, sent[0]!), acknowledgementEnvelope(key, said, sent[1]!)]
    const types = [PAYLOAD_TYPES.vote, PAYLOAD_TYPES.acknowledgement]
    for (const [i, envelope] of envelopes.entries()) {
      assert.equal(envelope.payloadType, types[i])
      assert.deepEqual(envelope.signatures, [{ keyid: keyId(key), sig: sent[i] }])
      const { message, signature } = signatureCheck(envelope, 0, key)
      assert.ok(await opensslSuite.verify(key, message, signature))
    }
    // Signed as one sort, it is no other: not even with the same payload.
    const { payload, signatures } = envelopes[0]!
    for (const type of [PAYLOAD_TYPES.acknowledgement, PAYLOAD_TYPES.seal, PAYLOAD_TYPES.status]) {
      assert.ok(!(await opensslSuite.verify(key, pae(type, payload), signatures[0]!.sig)))
    }
  })

  it('is never a leaf', async () => {
    for (const envelope of [
      await signedVote(await exampleVote()),
      await signedAcknowledgement(await exampleAcknowledgement()),
    ]) {
      assert.throws(() => decodeEntry(encodeEnvelope(envelope)), refused('reserved-payload-type'))
    }
  })
})

function fieldsOf({ ledger, term, candidate, base }: Vote): unknown[] {
  return [ledger, term, candidate, base.height, base.term, base.hash]
}
