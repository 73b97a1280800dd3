/** The ledger's own records in a proof: who sent the entry, and when it was recorded. */
import assert from 'node:assert/strict'
import { opensslSuite } from '../../node/crypto/openssl.ts'
import { fromUtf8, utf8 } from '../../src/bytes.ts'
import { nobleSuite } from '../../src/crypto/noble.ts'
import { canonicalJson, type JsonObject, parseJson } from '../../src/json.ts'
import { extend, genesisState } from '../../src/ledger/chain.ts'
import { encodeChange } from '../../src/ledger/change.ts'
import { signEntry } from '../../src/ledger/entry.ts'
import { PAYLOAD_TYPES } from '../../src/ledger/payload-types.ts'
import type { Bundle } from '../../src/light/bundle.ts'
import { decodeRecords, encodeRecords, type RecordLeaves } from '../../src/light/records.ts'
import { type Verdict, verifyBundle } from '../../src/light/verify.ts'
import {
  adminSigner,
  blankSigner,
  blockOn,
  CI,
  cosigner,
  EVENT_BYTES,
  entryOf,
  exampleBlock,
  exampleEntry,
  exampleGenesis,
  LEDGER,
  nodeSigner,
  refused,
  signerOf,
  submitterSigner,
  TIME,
} from '../ledger/fixture.ts'
import {
  bundleIn,
  COSIGNED,
  exampleBundle,
  exampleLeaves,
  LEAF,
  recordsIn,
  sequelBundle,
  sequelLeaves,
  treeOf,
} from './fixture.ts'

const codeOf = (verdict: Verdict) => (verdict.ok ? 'ok' : verdict.code)
const judge = async (bundle: Bundle, now?: number) =>
  verifyBundle(opensslSuite, bundle, now === undefined ? {} : { now })

describe('the records in a proof', () => {
  it('say when it was recorded and who sent it, alike in every proof and implementation', async () => {
    for (const suite of [opensslSuite, nobleSuite]) {
      for (const [bundle, withinMs] of [
        [await exampleBundle(), 10_000],
        // Two seconds later still within the skew of ten seconds.
        [await sequelBundle(), 10_000],
      ] as const) {
        const verdict = await verifyBundle(suite, bundle)
        assert.ok(verdict.ok)
        const { recorded, submitter, entrySignature } = verdict.proves
        assert.deepEqual(recorded, { height: 1, proposer: 'ada', time: TIME + 1_000, withinMs })
        assert.deepEqual([submitter!.name, submitter!.team, entrySignature], [CI.name, CI.team, 'verified'])
      }
    }
  })

  it('say the same time years later, and how far from it the clocks may have been', async () => {
    const leaves = await exampleLeaves()
    const year = 365 * 86_400
    const late = await bundleIn(leaves, LEAF.entry, recordsIn(leaves, LEAF.entry), cosigner, COSIGNED + year)
    const verdict = await judge(late)
    assert.ok(verdict.ok)
    const { recorded, recordedBy } = verdict.proves
    assert.deepEqual([recorded!.time, recordedBy], [TIME + 1_000, COSIGNED + year])
    // Sealed a second before COSIGNED, which stands for any moment of its second.
    assert.equal(recorded!.withinMs, 1_000 * year + 2_000)
  })

  it('say of a record of the ledger when it was recorded, and name no submitter', async () => {
    for (const index of [LEAF.parameters, LEAF.submitter, LEAF.genesisSeal, LEAF.seal]) {
      const verdict = await judge(await exampleBundle(index))
      assert.ok(verdict.ok)
      assert.equal(verdict.proves.recorded!.height, index <= LEAF.genesisSeal ? 0 : 1)
      assert.equal(verdict.proves.submitter, undefined)
      assert.equal(verdict.proves.entrySignature, 'not-checked')
    }
  })

  it('may be missing, and then nothing is said of it', async () => {
    const { records: _, ...bare } = await exampleBundle()
    const verdict = await judge(bare)
    assert.ok(verdict.ok)
    const { recorded, submitter, entrySignature } = verdict.proves
    assert.deepEqual([recorded, submitter, entrySignature], [undefined, undefined, 'not-checked'])
  })

  it('are refused where they are not about this entry', async () => {
    const leaves = await sequelLeaves()
    const good = recordsIn(leaves, LEAF.entry)
    const sequel = await sequelBundle()
    const at = (index: number) => recordsIn(leaves, index)
    const cases: [Partial<RecordLeaves>, string][] = [
      [{ seal: at(LEAF.submitter).seal }, 'out-of-range'],
      [{ seal: at(LEAF.change).seal }, 'out-of-range'],
      [{ seal: { ...good.seal, index: LEAF.changeSeal } }, 'bad-inclusion'],
      [{ genesis: { ...good.genesis, index: 1 } }, 'bad-inclusion'],
      [{ genesis: { ...good.genesis, path: good.genesis.path.slice(1) } }, 'bad-inclusion'],
      [{ submitter: { ...good.submitter!, path: good.seal.path } }, 'bad-inclusion'],
      [{ submitter: undefined as never }, 'wrong-submitter'],
    ]
    for (const [wrong, code] of cases) {
      const { submitter, ...rest } = { ...good, ...wrong }
      const records = encodeRecords({ ...rest, ...(submitter && { submitter }) })
      const verdict = await judge({ ...sequel, records })
      assert.equal(codeOf(verdict), code)
      assert.ok(!verdict.ok && verdict.part === undefined)
    }
    const seal = await exampleBundle(LEAF.seal)
    const named = encodeRecords(recordsIn(await exampleLeaves(), LEAF.entry))
    assert.equal(codeOf(await judge({ ...seal, records: named })), 'wrong-submitter')
  })

  /** The bundle of an entry in a block after block 1 of the example ledger, with the leaf at `by` as its submitter's. */
  async function later(
    entry: Awaited<ReturnType<typeof entryOf>>,
    time = TIME + 2_000,
    putting?: Parameters<typeof encodeChange>[0],
  ) {
    let state = extend(genesisState(await exampleGenesis()), await exampleBlock(), [await exampleEntry()])
    const leaves = await exampleLeaves()
    let by: number = LEAF.submitter
    if (putting) {
      const change = await signEntry(PAYLOAD_TYPES.change, encodeChange(putting), adminSigner)
      const block = await blockOn(state, [change], { time: TIME + 2_000 }, nodeSigner)
      by = leaves.length
      state = extend(state, block, [change])
      leaves.push(...block.leaves)
    }
    const index = leaves.length
    leaves.push(...(await blockOn(state, [entry], { time }, nodeSigner)).leaves)
    const { placed } = treeOf(leaves)
    const records = { genesis: placed(0), seal: placed(index + 1), submitter: placed(by) }
    return bundleIn(leaves, index, records)
  }

  const NEXT = signerOf('ML-DSA-65', 9)
  const put = {
    ledger: LEDGER,
    sequence: 1,
    cosigners: 1,
    adminQuorum: 1,
    what: { put: { ...CI, name: 'ci-two', key: NEXT.publicKey } },
  }

  it('take the record of a submitter who came by a change', async () => {
    const entry = await signEntry(PAYLOAD_TYPES.event, EVENT_BYTES, NEXT)
    const verdict = await judge(await later(entry, TIME + 2_000, put))
    assert.ok(verdict.ok, JSON.stringify(verdict))
    assert.equal(verdict.proves.submitter!.name, 'ci-two')
  })

  it('refuse a record of another key, one that does not permit the event, and a signature that is none', async () => {
    const stranger = await signEntry(PAYLOAD_TYPES.event, EVENT_BYTES, signerOf('ML-DSA-65', 77))
    assert.equal(codeOf(await judge(await later(stranger))), 'wrong-submitter')
    const blank = await signEntry(PAYLOAD_TYPES.event, EVENT_BYTES, blankSigner(submitterSigner))
    assert.equal(codeOf(await judge(await later(blank))), 'bad-signature')
    const elsewhere = await entryOf({ source: 'https://elsewhere.example' })
    const signed = await signEntry(PAYLOAD_TYPES.event, elsewhere.envelope.payload, submitterSigner)
    assert.equal(codeOf(await judge(await later(signed))), 'not-permitted')
    const narrow = { ...put, what: { put: { ...put.what.put, types: ['none'] } } }
    const entry = await signEntry(PAYLOAD_TYPES.event, EVENT_BYTES, NEXT)
    assert.equal(codeOf(await judge(await later(entry, TIME + 2_000, narrow))), 'not-permitted')
  })

  it('bound the times: no cosignature long before the seal, no seal of the future', async () => {
    const entry = await exampleEntry()
    const again = await entryOf({ id: 'again' })
    assert.ok(entry.id !== again.id)
    const signed = await signEntry(PAYLOAD_TYPES.event, again.envelope.payload, submitterSigner)
    // The one cosigner says two seconds after genesis; the skew is ten seconds.
    const sealed = async (seconds: number) => codeOf(await judge(await later(signed, TIME + 1_000 * seconds)))
    assert.deepEqual([await sealed(31), await sealed(32), await sealed(34)], ['ok', 'ok', 'bad-time'])
    const bundle = await exampleBundle()
    assert.equal(codeOf(await judge(bundle, TIME + 1_000 - 86_400_000)), 'bad-time')
    assert.equal(codeOf(await judge(bundle, TIME + 2_000 - 86_400_000)), 'ok')
  })

  it('have one spelling, and refuse what they do not know', async () => {
    const { records } = await exampleBundle()
    const json = parseJson(records!, 1 << 20) as JsonObject
    const read = decodeRecords(records!)
    assert.deepEqual(encodeRecords(read), records)
    const wrong: [unknown, string][] = [
      [{ ...json, more: 1 }, 'unknown-field'],
      [{ seal: json.seal }, 'missing-field'],
      [{ ...json, seal: json.genesis }, 'unknown-payload-type'],
      [{ ...json, submitter: json.seal }, 'unknown-payload-type'],
      [
        { ...json, seal: { ...(json.seal as JsonObject), path: Array(64).fill('00'.repeat(32)) } },
        'bad-field',
      ],
      [{ ...json, seal: { ...(json.seal as JsonObject), path: ['00'] } }, 'bad-hex'],
    ]
    for (const [value, code] of wrong) {
      assert.throws(() => decodeRecords(canonicalJson(value as never)), refused(code), code)
    }
    assert.throws(() => decodeRecords(utf8(`${fromUtf8(records!)}\n`)), refused('json-not-canonical'))
    const validator = recordsIn(await exampleLeaves(), LEAF.entry)
    const { submitter } = { submitter: treeOf(await exampleLeaves()).placed(LEAF.validator) }
    assert.throws(() => encodeRecords({ ...validator, submitter }), refused('bad-field'))
    const verdict = await judge({ ...(await exampleBundle()), records: utf8('{}') })
    assert.ok(!verdict.ok)
    assert.deepEqual([verdict.part, verdict.code], ['records', 'missing-field'])
  })

  it('hold no byte that could be another', async () => {
    const bundle = await exampleBundle()
    for (let at = 0; at < bundle.records!.length; at += 97) {
      const records = bundle.records!.slice()
      records[at]! ^= 1
      const verdict = await judge({ ...bundle, records })
      assert.ok(!verdict.ok && verdict.code !== 'internal', `byte ${at}`)
    }
  })
})
