import assert from 'node:assert/strict'
import fc from 'fast-check'
import { fromUtf8, toHex, utf8 } from '../../src/bytes.ts'
import { canonicalJson, type JsonObject } from '../../src/json.ts'
import { type Block, decodeBlock } from '../../src/ledger/block.ts'
import { genesisState, nextPlace } from '../../src/ledger/chain.ts'
import { encodeEnvelope } from '../../src/ledger/dsse.ts'
import { PAYLOAD_TYPES } from '../../src/ledger/payload-types.ts'
import { decodeSeal, encodeSeal, type Seal } from '../../src/ledger/seal.ts'
import { leafHash } from '../../src/merkle/hash.ts'
import { encodeEntryBundle } from '../../src/merkle/tiles.ts'
import { mth } from '../support/naive-tree.ts'
import { blockOn, entryOf, exampleGenesis, LEDGER, refused, TIME, verdictOn } from './fixture.ts'

const SEAL: Seal = {
  ledger: LEDGER,
  height: 7,
  term: 3,
  proposer: 'ada',
  previous: new Uint8Array(32).fill(0xaa),
  firstIndex: 40,
  count: 2,
  entriesRoot: new Uint8Array(32).fill(0xbb),
  time: TIME,
}

describe('the seal', () => {
  const changed = (changes: JsonObject) =>
    canonicalJson({ ...(JSON.parse(fromUtf8(encodeSeal(SEAL))) as JsonObject), ...changes })

  it('is canonical JSON', () => {
    assert.equal(
      fromUtf8(encodeSeal(SEAL)),
      `{"count":2,"entriesRoot":"${'bb'.repeat(32)}","firstIndex":40,"height":7,"ledger":"${LEDGER}",` +
        `"previous":"${'aa'.repeat(32)}","proposer":"ada","term":3,"time":"2026-01-31T12:00:00.000Z"}`,
    )
    assert.deepEqual(decodeSeal(encodeSeal(SEAL)), SEAL)
  })

  it('is refused with any field missing, unknown or out of bounds', () => {
    const text = fromUtf8(encodeSeal(SEAL))
    for (const name of Object.keys(SEAL)) {
      const { [name]: _, ...rest } = JSON.parse(text) as JsonObject
      assert.throws(() => decodeSeal(canonicalJson(rest)), refused('missing-field'), name)
      for (const value of [null, -1, 0.5, '', {}, []]) {
        assert.throws(
          () => decodeSeal(changed({ [name]: value })),
          { name: 'FormatError' },
          `${name}: ${value}`,
        )
      }
    }
    const cases: [JsonObject, string][] = [
      [{ version: 1 }, 'unknown-field'],
      [{ height: '7' }, 'bad-field'],
      [{ term: 2 ** 53 }, 'bad-field'],
      [{ ledger: 'l'.repeat(192) }, 'bad-field'],
      [{ proposer: 'p'.repeat(64) }, 'bad-field'],
      [{ previous: 'AA'.repeat(32) }, 'bad-hex'],
      [{ previous: 'aa'.repeat(31) }, 'bad-hex'],
      [{ entriesRoot: 'bb'.repeat(33) }, 'bad-hex'],
      [{ time: '2026-01-31T12:00:00Z' }, 'bad-field'],
      [{ time: '+010000-01-01T00:00:00.000Z' }, 'bad-field'],
    ]
    for (const [changes, code] of cases) {
      assert.throws(() => decodeSeal(changed(changes)), refused(code), JSON.stringify(changes).slice(0, 80))
    }
    assert.throws(() => decodeSeal(utf8(` ${text}`)), refused('json-not-canonical'))
    assert.throws(() => decodeSeal(utf8(`${text}{}`)), refused('json-syntax'))
    assert.throws(() => decodeSeal(utf8(text.replace('{', '{"count":2,'))), refused('json-duplicate-key'))
  })

  it('survives a round trip', () => {
    const whole = fc.nat({ max: Number.MAX_SAFE_INTEGER })
    const hash = fc.uint8Array({ minLength: 32, maxLength: 32 })
    const seals: fc.Arbitrary<Seal> = fc.record(
      {
        ledger: fc.stringMatching(/^[a-z.é/]{1,80}$/),
        height: whole,
        term: whole,
        proposer: fc.stringMatching(/^[a-z]{1,63}$/),
        previous: hash,
        firstIndex: whole,
        count: whole,
        entriesRoot: hash,
        time: fc.nat({ max: 253_402_300_799_999 }),
      },
      { noNullPrototype: true },
    )
    fc.assert(fc.property(seals, (seal) => assert.deepEqual(decodeSeal(encodeSeal(seal)), seal)))
  })
})

describe('a block', () => {
  let block: Block

  before(async () => {
    const state = genesisState(await exampleGenesis())
    block = await blockOn(state, await Promise.all(['a', 'b', 'c'].map((id) => entryOf({ id }))))
  })

  /** The block's seal with other claims, over these leaves. */
  const sealed = (changes: Partial<Seal>, leaves = block.leaves.slice(0, -1)) => {
    const payload = encodeSeal({ ...block.seal, ...changes })
    return encodeEntryBundle([...leaves, encodeEnvelope({ ...block.sealEnvelope, payload })])
  }

  it('survives a round trip: it is the bundle of its leaves, and its seal is the last of them', () => {
    assert.deepEqual(decodeBlock(block.bytes), block)
    assert.deepEqual(encodeEntryBundle(block.leaves), block.bytes)
    assert.equal(block.id, toHex(leafHash(block.leaves.at(-1)!)))
    assert.deepEqual(block.seal.entriesRoot, mth(block.leaves.slice(0, -1)))
    assert.equal(block.seal.count, 3)
  })

  it('may be empty but for its seal', async () => {
    const state = genesisState(await exampleGenesis())
    const empty = await blockOn(state, [])
    assert.deepEqual(decodeBlock(empty.bytes), empty)
    assert.deepEqual(empty.seal.entriesRoot, mth([]))
    assert.deepEqual(nextPlace(state, 1, 'ada', TIME + 1_000).previous.length, 32)
  })

  it('is refused where its seal and its leaves disagree', () => {
    const [first, second, third, last] = block.leaves as [Uint8Array, Uint8Array, Uint8Array, Uint8Array]
    const cases: [string, Uint8Array, string][] = [
      ['count too low', sealed({ count: 2 }), 'bad-block'],
      ['count too high', sealed({ count: 4 }), 'bad-block'],
      ['another root', sealed({ entriesRoot: new Uint8Array(32) }), 'bad-block'],
      ['another order', encodeEntryBundle([second, first, third, last]), 'bad-block'],
      ['a leaf missing', encodeEntryBundle([first, second, last]), 'bad-block'],
      ['a leaf added', encodeEntryBundle([first, second, third, third, last]), 'bad-block'],
      ['no seal', encodeEntryBundle([first, second, third]), 'bad-block'],
      ['the seal first', encodeEntryBundle([last, first, second, third]), 'bad-block'],
      ['nothing', new Uint8Array(0), 'bad-block'],
      ['an empty leaf last', encodeEntryBundle([first, new Uint8Array(0)]), 'json-syntax'],
      ['cut within a leaf', block.bytes.subarray(0, -1), 'truncated'],
      ['a byte more', Uint8Array.of(...block.bytes, 0), 'truncated'],
      ['a bundle of no bytes more', Uint8Array.of(...block.bytes, 0, 0), 'json-syntax'],
      ['too many bytes', encodeEntryBundle([...Array(64).fill(new Uint8Array(65_535)), last]), 'too-large'],
      ['too many leaves', new Uint8Array(2 * 4_098), 'too-large'],
    ]
    for (const [what, bytes, code] of cases) assert.throws(() => decodeBlock(bytes), refused(code), what)
  })

  it('is refused with another leaf in the place of the seal', () => {
    const { payload, signatures } = block.sealEnvelope
    const other = encodeEnvelope({ payload, payloadType: PAYLOAD_TYPES.event, signatures })
    assert.throws(
      () => decodeBlock(encodeEntryBundle([...block.leaves.slice(0, -1), other])),
      refused('bad-block'),
    )
  })

  it('has another id or is refused when any byte changes', () => {
    for (let at = 0; at < block.bytes.length; at += 11) {
      const changed = block.bytes.slice()
      changed[at]! ^= 1 << (at % 8)
      const read = verdictOn(() => decodeBlock(changed))
      if (read) assert.notEqual(read.id, block.id, `byte ${at}`)
    }
  })

  it('is decoded with typed errors only', () => {
    const leaf = fc.oneof(
      fc.uint8Array({ maxLength: 40 }),
      fc.constant(block.leaves[0]!),
      fc.constant(block.leaves.at(-1)!),
    )
    const bundles = fc.array(leaf, { maxLength: 5 }).map(encodeEntryBundle)
    fc.assert(
      fc.property(fc.oneof(bundles, fc.uint8Array({ maxLength: 300 })), (bytes) => {
        const read = verdictOn(() => decodeBlock(bytes))
        assert.ok(read === undefined || read.id === block.id)
      }),
      { numRuns: 500 },
    )
  })
})
