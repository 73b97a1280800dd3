import assert from 'node:assert/strict'
import { fromUtf8, toHex } from '../../src/bytes.ts'
import { keyId } from '../../src/crypto/keys.ts'
import { nobleSuite } from '../../src/crypto/noble.ts'
import type { Signer } from '../../src/crypto/suite.ts'
import { canonicalJson, type Json, type JsonObject } from '../../src/json.ts'
import { type SealPlace, sealBlock } from '../../src/ledger/block.ts'
import { genesisState } from '../../src/ledger/chain.ts'
import { decodeEnvelope, encodeEnvelope, signEnvelope } from '../../src/ledger/dsse.ts'
import { createGenesis, type Genesis, readGenesis, verifyGenesis } from '../../src/ledger/genesis.ts'
import { encodeMember, type Member } from '../../src/ledger/member.ts'
import { PAYLOAD_TYPES } from '../../src/ledger/payload-types.ts'
import { leafHash } from '../../src/merkle/hash.ts'
import { encodeEntryBundle } from '../../src/merkle/tiles.ts'
import {
  ADA,
  ALICE,
  adminSigner,
  blankSigner,
  CI,
  exampleGenesis,
  PARAMETERS,
  refused,
  signerOf,
  validatorOf,
  verdictOn,
} from './fixture.ts'

const bellaSigner = signerOf('ML-DSA-87', 50)
const BELLA: Member = { ...ALICE, name: 'bella', key: bellaSigner.publicKey }
const blank = [blankSigner(adminSigner)]

/** Signs leaves, names them in the first one and seals them: genesis by hand, with anything wrong in it. */
async function forged({
  record = {} as Record<string, Json>,
  members = [ALICE, ADA, CI] as readonly Member[],
  types = {} as { first?: string; member?: string },
  place = {} as Partial<SealPlace>,
  without = '',
  /** The hashes that the first leaf names, from those of the records that follow it. */
  named = (hashes: readonly string[]): readonly Json[] => hashes,
} = {}): Promise<Uint8Array> {
  const signers = [{ keyid: keyId(adminSigner.publicKey), signer: blank[0]! }]
  const leaf = async (type: string, payload: Uint8Array) => {
    const bytes = encodeEnvelope(await signEnvelope(type, payload, signers))
    return { bytes, hash: leafHash(bytes) }
  }
  const records = await Promise.all(
    members.map((member) => leaf(types.member ?? PAYLOAD_TYPES.member, encodeMember(member))),
  )
  const fields: JsonObject = {
    ledger: PARAMETERS.ledger,
    time: '2026-01-31T12:00:00.000Z',
    cosigners: 1,
    adminQuorum: 1,
    limits: { ...PARAMETERS.limits },
    members: [...named(records.map(({ hash }) => toHex(hash)))],
    ...record,
  }
  delete fields[without]
  const first = await leaf(types.first ?? PAYLOAD_TYPES.genesis, canonicalJson(fields))
  const { ledger, time } = PARAMETERS
  const at = {
    ledger,
    height: 0,
    term: 0,
    proposer: 'genesis',
    previous: new Uint8Array(32),
    firstIndex: 0,
    time,
    ...place,
  }
  return (await sealBlock(at, [first, ...records], signers)).bytes
}

const refuse = async (code: string, options: Parameters<typeof forged>[0]) => {
  const bytes = await forged(options)
  assert.throws(() => readGenesis(bytes), refused(code), JSON.stringify(options).slice(0, 120))
}

describe('genesis', () => {
  let genesis: Genesis
  before(async () => {
    genesis = await exampleGenesis()
  })

  it('is read back as it was made, and verifies', async () => {
    assert.deepEqual(readGenesis(genesis.block.bytes), genesis)
    assert.deepEqual(genesis.parameters, PARAMETERS)
    assert.deepEqual(genesis.membership.validators, [ADA])
    assert.deepEqual(genesis.membership.admins, [ALICE])
    assert.deepEqual(genesis.membership.submitters, [CI])
    await verifyGenesis(nobleSuite, genesis)
    assert.deepEqual(genesisState(genesis), {
      parameters: PARAMETERS,
      membership: genesis.membership,
      height: 0,
      term: 0,
      hash: genesis.block.id,
      size: 5,
      time: PARAMETERS.time,
    })
  })

  it('can be made by hand as the tests below make it', async () => {
    const { parameters } = readGenesis(await forged())
    assert.deepEqual(parameters, PARAMETERS)
  })

  it('names every member record by its leaf hash, in order', async () => {
    const wrong: ((hashes: readonly string[]) => readonly Json[])[] = [
      (hashes) => hashes.toReversed(),
      (hashes) => hashes.with(2, 'ab'.repeat(32)),
      (hashes) => hashes.slice(0, 2),
      (hashes) => [...hashes, 'ab'.repeat(32)],
    ]
    for (const named of wrong) await refuse('bad-genesis', { named })
    await refuse('bad-hex', { named: (hashes) => hashes.map((hash) => hash.toUpperCase()) })
    await refuse('bad-hex', { named: (hashes) => hashes.map((hash) => hash.slice(2)) })
    await refuse('bad-field', { named: () => [] })
    await refuse('bad-field', { named: () => [1, 2, 3] })
  })

  it('has leaves of the right types in the right places', async () => {
    await refuse('bad-genesis', { types: { first: PAYLOAD_TYPES.member } })
    await refuse('bad-genesis', { types: { member: PAYLOAD_TYPES.genesis } })
    await refuse('bad-genesis', { types: { member: PAYLOAD_TYPES.event } })
  })

  it('has quorums that its members can meet', async () => {
    const members = [ALICE, ADA, validatorOf('bob', 20), CI]
    for (const cosigners of [0, 3]) await refuse('bad-genesis', { members, record: { cosigners } })
    assert.equal(readGenesis(await forged({ members, record: { cosigners: 2 } })).parameters.cosigners, 2)
    await refuse('bad-field', { record: { adminQuorum: 0 } })
    await refuse('bad-genesis', { record: { adminQuorum: 2 } })
    await refuse('bad-field', { record: { adminQuorum: 9 } })
    await refuse('bad-genesis', { members: [ADA, CI] })
    await refuse('bad-genesis', { members: [ALICE, CI] })
  })

  it('has all its parameters, within bounds, and no others', async () => {
    for (const without of ['ledger', 'time', 'cosigners', 'adminQuorum', 'limits', 'members']) {
      await refuse('missing-field', { without })
    }
    await refuse('unknown-field', { record: { version: 1 } })
    await refuse('bad-genesis', { record: { ledger: 'a b' } })
    await refuse('bad-field', { record: { ledger: 'a'.repeat(192) } })
    await refuse('bad-field', { record: { time: '2026-01-31T12:00:00Z' } })
    const { blockEntries, blockBytes, clockSkewMs } = PARAMETERS.limits
    const limits: [JsonObject, string][] = [
      [{ blockEntries, blockBytes }, 'missing-field'],
      [{ blockEntries, blockBytes, clockSkewMs, more: 1 }, 'unknown-field'],
      [{ blockEntries: 0, blockBytes, clockSkewMs }, 'bad-field'],
      [{ blockEntries: 4_097, blockBytes, clockSkewMs }, 'bad-field'],
      [{ blockEntries, blockBytes: 131_073, clockSkewMs }, 'bad-field'],
      [{ blockEntries, blockBytes: 4_194_305, clockSkewMs }, 'bad-field'],
      [{ blockEntries, blockBytes, clockSkewMs: 0 }, 'bad-field'],
      [{ blockEntries, blockBytes, clockSkewMs: 86_400_001 }, 'bad-field'],
    ]
    for (const [changed, code] of limits) await refuse(code, { record: { limits: changed } })
  })

  it('has a seal that agrees with them', async () => {
    const places: Partial<SealPlace>[] = [
      { ledger: 'audit.example/other' },
      { height: 1 },
      { term: 1 },
      { proposer: 'ada' },
      { previous: new Uint8Array(32).fill(1) },
      { firstIndex: 1 },
      { time: PARAMETERS.time + 1 },
    ]
    for (const place of places) await refuse('bad-genesis', { place })
  })

  it('is refused by verifyGenesis unless the admin quorum signed every leaf', async () => {
    const both = [adminSigner, bellaSigner]
    const make = (signers: readonly Signer[], adminQuorum: number) =>
      createGenesis({ ...PARAMETERS, adminQuorum }, [ALICE, BELLA, ADA], signers)
    await verifyGenesis(nobleSuite, await make(both, 2))
    const outsider = signerOf('ML-DSA-65', 60)
    for (const signers of [[adminSigner], [adminSigner, outsider], [adminSigner, blankSigner(bellaSigner)]]) {
      await assert.rejects(verifyGenesis(nobleSuite, await make(signers, 2)), refused('bad-signature'))
    }
    // A signature that does not verify is never passed over, even where the others would suffice.
    await assert.rejects(
      verifyGenesis(nobleSuite, await make([adminSigner, blankSigner(bellaSigner)], 1)),
      refused('bad-signature'),
    )
    await verifyGenesis(nobleSuite, await make([adminSigner, outsider], 1))
  })

  it('is refused by verifyGenesis if a single leaf, or its seal, lacks the signature', async () => {
    const unsigned = readGenesis(await forged())
    for (const [at] of genesis.block.leaves.entries()) {
      const leaves = genesis.block.leaves.map((leaf, i) => (i === at ? unsigned.block.leaves[i]! : leaf))
      const tampered = { ...genesis, block: { ...genesis.block, leaves } }
      await assert.rejects(verifyGenesis(nobleSuite, tampered), refused('bad-signature'), `leaf ${at}`)
    }
  })

  it('is refused or becomes another ledger when a leaf is tampered with', () => {
    const { leaves, bytes, id } = genesis.block
    for (let at = 0; at < bytes.length; at += 101) {
      const changed = bytes.slice()
      changed[at]! ^= 1 << (at % 8)
      const read = verdictOn(() => readGenesis(changed))
      if (read) assert.notEqual(read.block.id, id, `byte ${at}`)
    }
    // A member record exchanged for one with wider permissions, correctly counted and rooted or not.
    const record = decodeEnvelope(leaves[3]!)
    const wider = JSON.parse(fromUtf8(record.payload)) as JsonObject
    const leaf = encodeEnvelope({ ...record, payload: canonicalJson({ ...wider, sources: ['*'] }) })
    const exchanged = encodeEntryBundle([...leaves.slice(0, 3), leaf, leaves[4]!])
    assert.throws(() => readGenesis(exchanged), refused('bad-block'))
  })

  it('is no block of another height', async () => {
    assert.throws(() => readGenesis(new Uint8Array(0)), refused('bad-block'))
    assert.throws(() => readGenesis(genesis.block.bytes.subarray(1)), { name: 'FormatError' })
  })
})
