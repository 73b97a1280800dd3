/** Evidence convicts whoever signed both sides, and nobody else: every way to make it up is refused. */
import assert from 'node:assert/strict'
import fc from 'fast-check'
import { opensslSuite } from '../../node/crypto/openssl.ts'
import { fromHex, fromUtf8, toHex, utf8 } from '../../src/bytes.ts'
import { keyId, publicKeyToJwk } from '../../src/crypto/keys.ts'
import { nobleSuite } from '../../src/crypto/noble.ts'
import { ML_DSA, type SignatureSuite } from '../../src/crypto/suite.ts'
import { QatError } from '../../src/errors.ts'
import { canonicalJson, type Json, type JsonObject } from '../../src/json.ts'
import { type Acknowledgement, acknowledgementEnvelope } from '../../src/ledger/acknowledgement.ts'
import type { SealPlace } from '../../src/ledger/block.ts'
import { accusedName, claimedName, verifyEvidence } from '../../src/ledger/contradiction.ts'
import { type Envelope, encodeEnvelope, envelopeBy, signEnvelope } from '../../src/ledger/dsse.ts'
import { signEntry } from '../../src/ledger/entry.ts'
import {
  decodeEvidence,
  type Evidence,
  encodeEvidence,
  STATEMENT_KINDS,
  type StatementKind,
  twoCosignatures,
  twoSeals,
  twoStatements,
} from '../../src/ledger/evidence.ts'
import { evidenceEvent, evidenceFromEntry, evidenceHash } from '../../src/ledger/evidence-event.ts'
import { cosignerName, policyOf } from '../../src/ledger/membership.ts'
import { PAYLOAD_TYPES } from '../../src/ledger/payload-types.ts'
import { encodeSeal, type Seal } from '../../src/ledger/seal.ts'
import { type Base, type Vote, voteEnvelope } from '../../src/ledger/vote.ts'
import { ENTRY_BYTES_MAX, EVIDENCE_BYTES_MAX } from '../../src/limits.ts'
import { leafHash } from '../../src/merkle/hash.ts'
import {
  cosigned,
  exampleAcknowledgement,
  exampleBrokenCandidacy,
  exampleTree,
  exampleTwoAcknowledgements,
  exampleTwoCosignatures,
  exampleTwoRoots,
  exampleTwoSeals,
  exampleTwoVotes,
  exampleVote,
  FORGED_ROOT,
  rivalBlock,
  signedAcknowledgement,
  signedVote,
} from './evidence-fixture.ts'
import {
  ADA,
  adminSigner,
  CI,
  cosigner,
  exampleBlock,
  exampleGenesis,
  LEDGER,
  nodeSigner,
  refused,
  signerOf,
  submitterSigner,
  TIME,
  validatorOf,
} from './fixture.ts'

const verify = (evidence: Evidence) => verifyEvidence(opensslSuite, evidence)
/** Refused as a whole: by the reader, or by the verifier. */
const acquits = (evidence: Evidence, code: string) =>
  assert.rejects(verify(evidence), refused(code), `expected ${code}`)
const { publicKey: NODE_KEY } = nodeSigner
const { publicKey: COSIGNER_KEY } = cosigner
/** Ada's node key, with signatures that differ from one time to the next. */
const hedged = nobleSuite.signer('ML-DSA-65', new Uint8Array(32).fill(2))

describe('evidence of two seals', () => {
  it('convicts the proposer of two blocks in one place', async () => {
    const found = await verify(await exampleTwoSeals())
    assert.equal(found.ledger, LEDGER)
    assert.equal(found.keyid, keyId(NODE_KEY))
    assert.equal(claimedName(found), 'ada')
    const hashes = [(await exampleBlock()).id, (await rivalBlock()).id]
    assert.ok(found.kind === 'two-seals')
    assert.deepEqual(found.seals.map(({ hash }) => hash).sort(), hashes.sort())
  })

  it('convicts also if nothing but the time differs', async () => {
    const place = { time: TIME + 3_001 }
    const [a, b] = [await rivalBlock(), await rivalBlock(place)]
    await verify(twoSeals(NODE_KEY, a.sealEnvelope, b.sealEnvelope))
  })

  it('convicts who signed one seal twice, which makes two blocks, and acquits who signed it once', async () => {
    const { sealEnvelope } = await exampleBlock()
    const signer = nobleSuite.signer('ML-DSA-65', new Uint8Array(32).fill(2))
    const again = await signEnvelope(PAYLOAD_TYPES.seal, sealEnvelope.payload, [
      { keyid: keyId(NODE_KEY), signer },
    ])
    assert.notDeepEqual(again.signatures, sealEnvelope.signatures)
    const twice = twoSeals(NODE_KEY, sealEnvelope, again)
    await verify(decodeEvidence(encodeEvidence(twice)))
    const [first, second] = twice.statements
    const swapped = { ...twice, statements: [second, first] as const }
    assert.throws(() => decodeEvidence(encodeEvidence(swapped)), refused('bad-evidence'))
    await acquits(twoSeals(NODE_KEY, sealEnvelope, sealEnvelope), 'no-contradiction')
  })

  it('acquits the proposer of blocks of another height, term, ledger or name', async () => {
    for (const place of [
      { height: 2 },
      { term: 2 },
      { ledger: 'audit.example/other' },
      { proposer: 'eve' },
    ]) {
      await acquits(await exampleTwoSeals(place), 'no-contradiction')
    }
  })

  it('acquits the admins, who may make as many geneses as they like', async () => {
    const { sealEnvelope, seal } = (await exampleGenesis()).block
    const payload = encodeSeal({ ...seal, time: seal.time + 1 })
    const other = await signEnvelope(PAYLOAD_TYPES.seal, payload, [
      { keyid: keyId(adminSigner.publicKey), signer: adminSigner },
    ])
    await acquits(twoSeals(adminSigner.publicKey, sealEnvelope, other), 'no-contradiction')
    for (const changes of [{ proposer: 'genesis' }, { height: 0 }]) {
      const [a, b] = [await rivalBlock(changes), await rivalBlock({ ...changes, time: TIME + 4_000 })]
      await acquits(twoSeals(NODE_KEY, a.sealEnvelope, b.sealEnvelope), 'no-contradiction')
    }
  })

  it('does not convict for what another key signed', async () => {
    const eve = signerOf('ML-DSA-65', 99)
    const { sealEnvelope: mine } = await exampleBlock()
    const { sealEnvelope: hers } = await rivalBlock({}, eve)
    await acquits(twoSeals(NODE_KEY, mine, hers), 'wrong-accused')
    // The key id is only a hint: hers under the name of the other key.
    const renamed: Envelope = { ...hers, signatures: [{ ...hers.signatures[0]!, keyid: keyId(NODE_KEY) }] }
    await acquits(twoSeals(NODE_KEY, mine, renamed), 'bad-signature')
    const both: Envelope = { ...hers, signatures: [...mine.signatures, ...hers.signatures] }
    await acquits(twoSeals(NODE_KEY, mine, both), 'wrong-accused')
    await acquits({ ...(await exampleTwoSeals()), accused: eve.publicKey }, 'wrong-accused')
  })

  it('takes nothing else for a seal, whoever signed it', async () => {
    const { payload } = (await rivalBlock()).sealEnvelope
    const { sealEnvelope } = await exampleBlock()
    for (const type of [PAYLOAD_TYPES.status, PAYLOAD_TYPES.event]) {
      const other = await signEnvelope(type, payload, [{ keyid: keyId(NODE_KEY), signer: nodeSigner }])
      await acquits(twoSeals(NODE_KEY, sealEnvelope, other), 'no-contradiction')
    }
  })
})

describe('evidence of two votes', () => {
  it('convicts who votes for two candidates in one term, or for one on two bases', async () => {
    const { base } = await exampleVote()
    for (const changes of [
      { candidate: 'bob' },
      { base: { ...base, height: 0 } },
      { base: { ...base, term: 0 } },
      { base: { ...base, hash: (await rivalBlock()).id } },
    ]) {
      const found = await verify(await exampleTwoVotes(changes))
      assert.ok(found.kind === 'two-votes')
      assert.deepEqual([found.ledger, found.keyid], [LEDGER, keyId(NODE_KEY)])
      assert.ok(found.votes.some(({ candidate }) => candidate === (changes.candidate ?? 'ada')))
      assert.equal(claimedName(found), keyId(NODE_KEY))
    }
  })

  it('acquits who votes once a term, or in two ledgers, or says the same again', async () => {
    for (const changes of [
      { term: 3, candidate: 'bob' },
      { ledger: 'audit.example/other', candidate: 'bob' },
    ]) {
      await acquits(await exampleTwoVotes(changes), 'no-contradiction')
    }
    const vote = await exampleVote()
    const again = await signedVote(vote, hedged)
    assert.notDeepEqual(again, await signedVote(vote))
    await acquits(twoStatements('two-votes', NODE_KEY, await signedVote(vote), again), 'no-contradiction')
  })
})

describe('evidence of two acknowledgements', () => {
  it('convicts who has two blocks of one term on its disk, at one height', async () => {
    const found = await verify(await exampleTwoAcknowledgements())
    assert.ok(found.kind === 'two-acknowledgements')
    assert.deepEqual([found.ledger, found.keyid], [LEDGER, keyId(NODE_KEY)])
    const hashes = [(await exampleBlock()).id, (await rivalBlock()).id]
    assert.deepEqual(found.acknowledgements.map(({ hash }) => hash).sort(), hashes.sort())
    assert.equal(claimedName(found), keyId(NODE_KEY))
  })

  it('acquits who follows another leader, goes on, keeps another ledger, or says the same again', async () => {
    for (const changes of [{ term: 2 }, { height: 2 }, { ledger: 'audit.example/other' }]) {
      await acquits(await exampleTwoAcknowledgements(changes), 'no-contradiction')
    }
    const said = await exampleAcknowledgement()
    const both = [await signedAcknowledgement(said), await signedAcknowledgement(said, hedged)] as const
    assert.notDeepEqual(both[0], both[1])
    await acquits(twoStatements('two-acknowledgements', NODE_KEY, ...both), 'no-contradiction')
  })
})

describe('evidence of a broken candidacy', () => {
  it('convicts a leader of a block at or below its base, or above it on another block', async () => {
    const { id, seal } = await exampleBlock()
    const [hash, other] = [fromHex(id), fromHex((await rivalBlock()).id)]
    // With any previous: at the height of the base stands the base.
    for (const place of [{}, { previous: hash }, { height: 2, previous: other }]) {
      const found = await verify(await exampleBrokenCandidacy(place))
      assert.ok(found.kind === 'broken-candidacy')
      assert.deepEqual([found.ledger, found.keyid], [LEDGER, keyId(NODE_KEY)])
      assert.deepEqual(found.vote.base, { height: seal.height, term: seal.term, hash: id })
      assert.equal(found.seal.term, 2)
      assert.equal(claimedName(found), 'ada')
    }
    const base = { height: 7, term: 1, hash: id }
    await verify(await exampleBrokenCandidacy({ height: 3, previous: hash }, { base }))
  })

  it('acquits a leader whose blocks stand on its base, and above the first of them', async () => {
    const hash = fromHex((await exampleBlock()).id)
    const other = fromHex((await rivalBlock()).id)
    await acquits(await exampleBrokenCandidacy({ height: 2, previous: hash }), 'no-contradiction')
    for (const height of [3, 4, 1_000]) {
      await acquits(await exampleBrokenCandidacy({ height, previous: other }), 'no-contradiction')
    }
  })

  it('acquits who stood in another term or ledger, or voted for somebody else', async () => {
    const cases: [Partial<SealPlace>, Partial<Vote>][] = [
      [{ term: 1 }, {}],
      [{ term: 3 }, {}],
      [{}, { term: 3 }],
      [{ ledger: 'audit.example/other' }, {}],
      [{}, { ledger: 'audit.example/other' }],
      [{}, { candidate: 'bob' }],
      [{ proposer: 'bob' }, {}],
      [{ proposer: 'genesis', height: 0 }, {}],
    ]
    for (const [seal, vote] of cases) {
      await acquits(await exampleBrokenCandidacy(seal, vote), 'no-contradiction')
    }
  })
})

describe('evidence of two statements', () => {
  const examples = async () => [
    await exampleTwoVotes(),
    await exampleTwoAcknowledgements(),
    await exampleBrokenCandidacy(),
  ]

  it('does not convict for what another key signed', async () => {
    const eve = signerOf('ML-DSA-65', 99)
    const resigned = async ({ payloadType, payload }: Envelope) =>
      signEnvelope(payloadType, payload, [{ keyid: keyId(eve.publicKey), signer: eve }])
    for (const evidence of await examples()) {
      const { kind, statements } = evidence
      await acquits({ ...evidence, accused: eve.publicKey }, 'wrong-accused')
      for (const i of [0, 1]) {
        const hers = await resigned(statements[i]!)
        const swapped = (side: Envelope): Evidence => {
          const sides = statements.map((mine, j) => (i === j ? side : mine)) as [Envelope, Envelope]
          return { kind, accused: NODE_KEY, statements: sides }
        }
        await acquits(swapped(hers), 'wrong-accused')
        // The key id is only a hint: hers under the name of the other key.
        const renamed = { ...hers, signatures: [{ ...hers.signatures[0]!, keyid: keyId(NODE_KEY) }] }
        await acquits(swapped(renamed), 'bad-signature')
        const both = { ...hers, signatures: [...statements[i]!.signatures, ...hers.signatures] }
        await acquits(swapped(both), 'wrong-accused')
        await acquits(swapped({ ...hers, signatures: [] }), 'wrong-accused')
      }
    }
  })

  it('takes no sort of statement for another one, whoever signed it', async () => {
    const sides = {
      seal: (await rivalBlock()).sealEnvelope,
      vote: await signedVote(await exampleVote()),
      acknowledgement: await signedAcknowledgement(await exampleAcknowledgement()),
    }
    const wanted: Record<StatementKind, string> = {
      'two-seals': 'seal seal',
      'two-votes': 'vote vote',
      'two-acknowledgements': 'acknowledgement acknowledgement',
      'broken-candidacy': 'vote seal',
    }
    for (const kind of STATEMENT_KINDS) {
      for (const [a, first] of Object.entries(sides)) {
        for (const [b, second] of Object.entries(sides)) {
          if (wanted[kind] === `${a} ${b}`) continue
          await acquits({ kind, accused: NODE_KEY, statements: [first, second] }, 'no-contradiction')
        }
      }
    }
    // One that is signed as a vote and reads like an acknowledgement says nothing.
    const { payload } = sides.acknowledgement
    const keyed = [{ keyid: keyId(NODE_KEY), signer: nodeSigner }]
    const odd = await signEnvelope(PAYLOAD_TYPES.vote, payload, keyed)
    await acquits(twoStatements('two-votes', NODE_KEY, odd, sides.vote), 'missing-field')
  })
})

describe('evidence of two cosignatures', () => {
  it('convicts for two roots of one size, whatever the times', async () => {
    const found = await verify(await exampleTwoRoots())
    assert.equal(found.kind === 'two-cosignatures' && found.prefixRoot, undefined)
    assert.equal(claimedName(found), 'ada')
    const [a, b] = [
      { size: 7, root: FORGED_ROOT, timestamp: 1 },
      { size: 7, root: new Uint8Array(32), timestamp: 9 },
    ]
    await verify(twoCosignatures(COSIGNER_KEY, await cosigned(a), await cosigned(b)))
  })

  it("convicts for a tree that the larger one did not grow from, under any of the key's names", async () => {
    const found = await verify(await exampleTwoCosignatures())
    assert.deepEqual(found.kind === 'two-cosignatures' && found.prefixRoot, (await exampleTree(5)).root)
    for (const name of [LEDGER, cosignerName(LEDGER, 'ada')]) {
      await verify(await exampleTwoCosignatures({ name }, { name: LEDGER }))
    }
  })

  it('convicts at sizes of every shape', async () => {
    for (const size of [1, 2, 3, 4, 6]) {
      const [small, large] = [await exampleTree(size), await exampleTree(7)]
      const sides = [
        await cosigned({ size, root: FORGED_ROOT }),
        await cosigned({ size: 7, root: large.root }),
      ] as const
      await verify(twoCosignatures(COSIGNER_KEY, ...sides, { root: small.root, path: small.proofTo(7) }))
    }
  })

  it('acquits who cosigned one tree as it grew, or one checkpoint twice', async () => {
    const five = await exampleTree(5)
    await acquits(await exampleTwoCosignatures({ root: five.root }), 'no-contradiction')
    const said = { size: 7, root: (await exampleTree(7)).root }
    const [a, b] = [await cosigned(said), await cosigned({ ...said, timestamp: 5, name: LEDGER })]
    await acquits(twoCosignatures(COSIGNER_KEY, a, b), 'no-contradiction')
  })

  it('acquits who cosigned trees of other ledgers, and knows no tree without leaves', async () => {
    const origin = 'audit.example/other'
    await acquits(await exampleTwoCosignatures({ origin }), 'no-contradiction')
    const foreign = cosignerName(origin, 'ada')
    await acquits(await exampleTwoCosignatures({ name: foreign }), 'no-contradiction')
    await acquits(await exampleTwoCosignatures({ name: `${LEDGER}x` }), 'no-contradiction')
    await acquits(await exampleTwoCosignatures({ name: `${LEDGER}/a/b` }), 'bad-field')
    const roots = [
      await cosigned({ size: 0, root: FORGED_ROOT }),
      await cosigned({ size: 0, root: new Uint8Array(32) }),
    ] as const
    await acquits(twoCosignatures(COSIGNER_KEY, ...roots), 'no-contradiction')
    const { prefix } = await exampleTwoCosignatures()
    const seven = await cosigned({ size: 7, root: (await exampleTree(7)).root })
    await acquits(twoCosignatures(COSIGNER_KEY, roots[0], seven, prefix), 'no-contradiction')
  })

  it('rests on a proof that holds, for these two sizes and this root', async () => {
    const evidence = await exampleTwoCosignatures()
    const { root, path } = evidence.prefix!
    const four = await exampleTree(4)
    const prefixes = [
      { root: new Uint8Array(32), path },
      { root, path: path.slice(1) },
      { root, path: [...path, root] },
      { root, path: path.toReversed() },
      { root, path: [] },
      { root: four.root, path: four.proofTo(7) },
    ]
    for (const prefix of prefixes) await acquits({ ...evidence, prefix }, 'bad-consistency')
    const { prefix: _, ...without } = evidence
    await acquits(without, 'no-contradiction')
    await acquits({ ...(await exampleTwoRoots()), prefix: { root, path } }, 'no-contradiction')
    // A true proof, and a larger tree that is not the one it is about.
    await acquits(await exampleTwoCosignatures({}, { root: FORGED_ROOT }), 'bad-consistency')
  })

  it('does not turn a false larger tree against the true smaller one', async () => {
    // Both were signed, and they do contradict each other; but how the false tree begins, nobody can prove.
    const [five, seven] = [await exampleTree(5), await exampleTree(7)]
    const [a, b] = [
      await cosigned({ size: 5, root: five.root }),
      await cosigned({ size: 7, root: FORGED_ROOT }),
    ]
    const prefix = { root: FORGED_ROOT, path: five.proofTo(7) }
    await acquits(twoCosignatures(COSIGNER_KEY, a, b, prefix), 'bad-consistency')
    assert.notDeepEqual(seven.root, FORGED_ROOT)
  })

  it('is refused with the sides in the wrong roles', async () => {
    const { sides, ...rest } = await exampleTwoCosignatures()
    await acquits({ ...rest, sides: [sides[1], sides[0]] }, 'no-contradiction')
  })

  it('does not convict for what another key signed', async () => {
    const eve = signerOf('ML-DSA-44', 98)
    const evidence = await exampleTwoCosignatures()
    const hers = await exampleTwoCosignatures({ signer: eve })
    await acquits(hers, 'wrong-accused')
    await acquits({ ...evidence, accused: eve.publicKey }, 'wrong-accused')
    // The key id is only a hint, and so is the time until the signature covers it.
    const [{ checkpoint, line }, other] = evidence.sides
    const forged = { ...hers.sides[0].line, keyId: line.keyId }
    await acquits({ ...evidence, sides: [{ checkpoint, line: forged }, other] }, 'bad-signature')
    const signature = line.signature.slice()
    signature[7]! ^= 1
    await acquits(
      { ...evidence, sides: [{ checkpoint, line: { ...line, signature } }, other] },
      'bad-signature',
    )
  })
})

describe('evidence as bytes', () => {
  const examples = async () => [
    await exampleTwoSeals(),
    await exampleTwoVotes(),
    await exampleTwoAcknowledgements(),
    await exampleBrokenCandidacy(),
    await exampleTwoCosignatures(),
    await exampleTwoRoots(),
  ]

  it('comes back as it went, fits an entry, and is read in one spelling', async () => {
    for (const evidence of await examples()) {
      const bytes = encodeEvidence(evidence)
      assert.ok(bytes.length < EVIDENCE_BYTES_MAX)
      assert.deepEqual(decodeEvidence(bytes), evidence)
      const text = fromUtf8(bytes)
      const value = JSON.parse(text) as JsonObject
      const respelled: [string, string][] = [
        [`${text}\n`, 'json-not-canonical'],
        [text.replace('"kind"', ' "kind"'), 'json-not-canonical'],
        [text.replace('"kty"', '"kid":"x","kty"'), 'json-not-canonical'],
        [text.slice(0, -1), 'json-syntax'],
        [`${' '.repeat(EVIDENCE_BYTES_MAX)}${text}`, 'too-large'],
      ]
      for (const [spelled, code] of respelled)
        assert.throws(() => decodeEvidence(utf8(spelled)), refused(code))
      const changed: [JsonObject, string][] = [
        [{ ...value, more: 1 }, 'unknown-field'],
        [{ ...value, kind: 'three-seals' }, 'bad-field'],
        [{ ...value, accused: { ...(value.accused as JsonObject), alg: 'ML-DSA-87' } }, 'bad-key'],
      ]
      for (const [json, code] of changed)
        assert.throws(() => decodeEvidence(canonicalJson(json)), refused(code))
      const { accused: _, ...without } = value
      assert.throws(() => decodeEvidence(canonicalJson(without)), refused('missing-field'))
    }
  })

  it('has one order of the two sides, and a prefix where there is something to prove', async () => {
    const cases: [Evidence, Record<string, (value: never) => unknown>][] = [
      [await exampleTwoSeals(), { seals: (seals: unknown[]) => seals.toReversed() }],
      [await exampleTwoVotes(), { statements: (both: unknown[]) => both.toReversed() }],
      [await exampleTwoAcknowledgements(), { statements: (both: unknown[]) => both.toReversed() }],
      [await exampleBrokenCandidacy(), { statements: (both: unknown[]) => both.toReversed() }],
      [await exampleTwoRoots(), { notes: (notes: unknown[]) => notes.toReversed() }],
      [await exampleTwoCosignatures(), { notes: (notes: unknown[]) => notes.toReversed() }],
      [await exampleTwoRoots(), { prefix: () => ({ path: [toHex(FORGED_ROOT)], root: toHex(FORGED_ROOT) }) }],
      [
        await exampleTwoCosignatures(),
        { notes: (notes: string[]) => notes.map((note) => note.replace('\n\n', '\nmore\n\n')) },
      ],
      [
        await exampleTwoCosignatures(),
        { notes: (notes: string[]) => notes.map((note) => `${note}${note.split('\n').at(-2)}\n`) },
      ],
    ]
    for (const [evidence, change] of cases) {
      const value = JSON.parse(fromUtf8(encodeEvidence(evidence)))
      for (const [name, edit] of Object.entries(change)) value[name] = edit(value[name] as never)
      assert.throws(() => decodeEvidence(canonicalJson(value)), refused('bad-evidence'))
    }
  })

  it('has two sides, and each kind its own name for them', async () => {
    const [seals, votes] = [await exampleTwoSeals(), await exampleTwoVotes()].map(
      (evidence) => JSON.parse(fromUtf8(encodeEvidence(evidence))) as JsonObject,
    ) as [JsonObject, JsonObject]
    const { seals: sides, ...noSeals } = seals
    const { statements, ...noStatements } = votes
    const cases: [JsonObject, string][] = [
      [{ ...noSeals, statements: sides! }, 'missing-field'],
      [{ ...noStatements, seals: statements! }, 'missing-field'],
      [{ ...seals, statements: sides! }, 'unknown-field'],
      [{ ...votes, statements: (statements as Json[]).slice(1) }, 'bad-field'],
      [{ ...votes, statements: [...(statements as Json[]), ...(statements as Json[])] }, 'bad-field'],
      [{ ...votes, accused: { ...publicKeyToJwk(COSIGNER_KEY) } }, 'bad-evidence'],
    ]
    for (const [value, code] of cases)
      assert.throws(() => decodeEvidence(canonicalJson(value)), refused(code))
  })

  it('convicts of nothing once any bit of it is flipped', async () => {
    for (const evidence of await examples()) {
      const bytes = encodeEvidence(evidence)
      const bit = fc.integer({ min: 0, max: 8 * bytes.length - 1 })
      await fc.assert(
        fc.asyncProperty(bit, async (at) => {
          const flipped = bytes.slice()
          flipped[at >> 3]! ^= 1 << (at & 7)
          await assert.rejects(async () => verify(decodeEvidence(flipped)), QatError)
        }),
        { numRuns: 150 },
      )
    }
  })

  it('convicts of nothing when parts of true pieces are put together', async () => {
    const cosignatures = await exampleTwoCosignatures()
    const eve = signerOf('ML-DSA-65', 99)
    const honest = [
      (await exampleBlock()).sealEnvelope,
      (await rivalBlock({ height: 2 })).sealEnvelope,
      (await rivalBlock({ term: 4 })).sealEnvelope,
      (await rivalBlock({}, eve)).sealEnvelope,
      await signedVote(await exampleVote()),
      await signedVote({ ...(await exampleVote()), term: 3 }),
      await signedVote({ ...(await exampleVote()), candidate: 'bob' }, eve),
      await signedAcknowledgement(await exampleAcknowledgement()),
      await signedAcknowledgement({ ...(await exampleAcknowledgement()), height: 2 }),
      await signedAcknowledgement({ ...(await exampleAcknowledgement()), hash: 'fe'.repeat(32) }, eve),
      // What ada seals in the term of its candidacy, on the base.
      (await rivalBlock({ height: 2, term: 2, previous: fromHex((await exampleBlock()).id) })).sealEnvelope,
    ]
    const trees = await Promise.all(
      [3, 5, 6, 7].map(async (size) => ({ size, ...(await exampleTree(size)) })),
    )
    const lines = await Promise.all(trees.map((tree) => cosigned(tree)))
    const prefixes = [
      undefined,
      cosignatures.prefix,
      ...trees.slice(0, 3).map(({ root, proofTo }) => ({ root, path: proofTo(7) })),
    ]
    const keys = [NODE_KEY, COSIGNER_KEY, eve.publicKey, CI.key]
    await fc.assert(
      fc.asyncProperty(
        fc.constantFrom(...keys),
        fc.tuple(fc.constantFrom(...honest), fc.constantFrom(...honest)),
        fc.tuple(fc.constantFrom(...lines), fc.constantFrom(...lines)),
        fc.constantFrom(...prefixes),
        fc.constantFrom(...STATEMENT_KINDS),
        async (key, [a, b], [c, d], prefix, kind) => {
          await assert.rejects(verify(twoStatements(kind, key, a, b)), QatError)
          await assert.rejects(verify(twoCosignatures(key, c, d, prefix)), QatError)
        },
      ),
      { numRuns: 500 },
    )
  })
})

describe('an honest validator', () => {
  /** Takes every signature for good: what is left to acquit are the rules alone. */
  const credulous: SignatureSuite = { ...opensslSuite, verify: async () => true }
  const sig = new Uint8Array(ML_DSA['ML-DSA-65'].signature)
  const SEAL: Seal = {
    ledger: LEDGER,
    height: 1,
    term: 1,
    proposer: 'ada',
    previous: new Uint8Array(32),
    firstIndex: 5,
    count: 0,
    entriesRoot: new Uint8Array(32),
    time: TIME,
  }
  const sealedBy = (seal: Seal) => envelopeBy(NODE_KEY, PAYLOAD_TYPES.seal, encodeSeal(seal), sig)

  /**
   * What a validator signs that keeps the rules, through some terms: in each it stands, or votes for bob, or does
   * not vote; the leader of the term begins on its base, and drops what stood above. Every leader is followed.
   */
  const lives = fc.array(
    fc.record({
      terms: fc.integer({ min: 1, max: 3 }),
      leader: fc.constantFrom('ada', 'bob', 'eve'),
      votes: fc.boolean(),
      dropped: fc.nat(2),
      blocks: fc.nat(3),
    }),
    { maxLength: 6 },
  )

  it('is acquitted of all that it ever signed, by any two statements', async () => {
    await fc.assert(
      fc.asyncProperty(lives, async (life) => {
        const chain: Base[] = [{ height: 0, term: 0, hash: '00'.repeat(32) }]
        const signed: Envelope[] = []
        let term = 0
        for (const { terms, leader, votes, dropped, blocks } of life) {
          term += terms
          chain.splice(Math.max(1, chain.length - dropped))
          const base = chain.at(-1)!
          if (votes || leader === 'ada') {
            const vote = { ledger: LEDGER, term, candidate: leader, base }
            signed.push(voteEnvelope(NODE_KEY, vote, sig))
          }
          for (let i = 0; i < blocks; i++) {
            const { height, hash } = chain.at(-1)!
            const seal = { ...SEAL, height: height + 1, term, proposer: leader, previous: fromHex(hash) }
            const envelope = sealedBy(seal)
            const ref = { height: seal.height, term, hash: toHex(leafHash(encodeEnvelope(envelope))) }
            chain.push(ref)
            if (leader === 'ada') signed.push(envelope)
            signed.push(acknowledgementEnvelope(NODE_KEY, { ledger: LEDGER, ...ref }, sig))
          }
        }
        for (const a of signed) {
          for (const b of signed) {
            for (const kind of STATEMENT_KINDS) {
              const evidence: Evidence = { kind, accused: NODE_KEY, statements: [a, b] }
              await assert.rejects(verifyEvidence(credulous, evidence), refused('no-contradiction'))
            }
          }
        }
      }),
      { numRuns: 100 },
    )
  })

  const few = <T>(a: T, b: T) => fc.constantFrom(a, b)
  const ledgers = few(LEDGER, 'other.example')
  const hashes = few('11'.repeat(32), '22'.repeat(32))
  const bases = fc.record({ height: fc.nat(3), term: fc.nat(1), hash: hashes })
  const votes = fc.record({ ledger: ledgers, term: few(1, 2), candidate: few('ada', 'bob'), base: bases })
  const convicts = async (evidence: Evidence) => {
    try {
      await verifyEvidence(credulous, evidence)
      return true
    } catch (error) {
      if (error instanceof QatError && error.code === 'no-contradiction') return false
      throw error
    }
  }

  it('is distinguished from others by exactly these rules', async () => {
    const counted = { votes: 0, acknowledgements: 0, candidacies: 0 }
    const said = fc.record({ ledger: ledgers, term: few(1, 2), height: few(1, 2), hash: hashes })
    const seals = fc.record({
      ledger: ledgers,
      term: few(1, 2),
      proposer: few('ada', 'bob'),
      height: fc.nat(4),
      previous: hashes.map((hash) => fromHex(hash)),
    })
    const check = async (sort: keyof typeof counted, evidence: Evidence, expected: boolean) => {
      assert.equal(await convicts(evidence), expected)
      if (expected) counted[sort]++
    }
    await fc.assert(
      fc.asyncProperty(votes, votes, said, said, seals, async (v, w, a, b, s) => {
        const vote = (of: Vote) => voteEnvelope(NODE_KEY, of, sig)
        const acknowledgement = (of: Acknowledgement) => acknowledgementEnvelope(NODE_KEY, of, sig)
        const isOther =
          v.candidate !== w.candidate ||
          v.base.hash !== w.base.hash ||
          v.base.height !== w.base.height ||
          v.base.term !== w.base.term
        const isRival = v.ledger === w.ledger && v.term === w.term && isOther
        await check('votes', twoStatements('two-votes', NODE_KEY, vote(v), vote(w)), isRival)
        const both = [acknowledgement(a), acknowledgement(b)] as const
        const isTwo = a.ledger === b.ledger && a.term === b.term && a.height === b.height && a.hash !== b.hash
        await check('acknowledgements', twoStatements('two-acknowledgements', NODE_KEY, ...both), isTwo)
        const isOwn = v.ledger === s.ledger && v.term === s.term && v.candidate === s.proposer
        const isOff =
          s.height <= v.base.height || (s.height === v.base.height + 1 && toHex(s.previous) !== v.base.hash)
        const broken = [vote(v), sealedBy({ ...SEAL, ...s })] as const
        await check('candidacies', twoStatements('broken-candidacy', NODE_KEY, ...broken), isOwn && isOff)
      }),
      { numRuns: 2_000 },
    )
    for (const [sort, count] of Object.entries(counted)) assert.ok(count > 20, `${sort}: ${count}`)
  })
})

describe('whom evidence accuses', () => {
  it('is said by those who know the key', async () => {
    const { membership } = await exampleGenesis()
    const policy = policyOf(LEDGER, membership)
    const [seals, cosignatures] = [await exampleTwoSeals(), await exampleTwoCosignatures()]
    const votes = await exampleTwoVotes()
    for (const evidence of [
      seals,
      cosignatures,
      votes,
      await exampleTwoAcknowledgements(),
      await exampleBrokenCandidacy(),
    ]) {
      assert.equal(accusedName(evidence, membership), 'ada')
      assert.equal(accusedName(evidence, { validators: [validatorOf('bob', 50)] }), undefined)
      assert.equal(accusedName(evidence, {}), undefined)
    }
    assert.equal(accusedName(cosignatures, { policy }), 'ada')
    for (const evidence of [seals, votes]) assert.equal(accusedName(evidence, { policy }), undefined)
    assert.equal(accusedName(seals, { validators: [{ ...ADA, nodeKey: ADA.cosignerKey }] }), undefined)
  })

  it('is else only claimed', async () => {
    const unnamed = await exampleTwoCosignatures({ name: LEDGER }, { name: LEDGER })
    assert.equal(claimedName(await verify(unnamed)), keyId(COSIGNER_KEY))
  })
})

describe('evidence as an entry', () => {
  const about = { reporter: 'bob', accused: 'ada', ledger: LEDGER, now: TIME }

  it('is a CloudEvent that names its piece, its reporter and its accused', async () => {
    for (const evidence of [
      await exampleTwoSeals(),
      await exampleTwoVotes(),
      await exampleTwoCosignatures(),
    ]) {
      const entry = await signEntry(
        PAYLOAD_TYPES.event,
        utf8(JSON.stringify(evidenceEvent(evidence, about))),
        submitterSigner,
      )
      const [claim] = entry.claims
      assert.deepEqual([claim?.id, claim?.source, claim?.subject], [evidenceHash(evidence), '/bob', 'ada'])
      assert.ok(entry.bytes.length < ENTRY_BYTES_MAX)
      assert.deepEqual(evidenceFromEntry(entry), evidence)
    }
  })

  it('is not taken from other entries', async () => {
    const event = evidenceEvent(await exampleTwoSeals(), about)
    const { data: _, ...empty } = event
    const cases: [JsonObject, string][] = [
      [{ ...event, type: 'com.example' }, 'bad-evidence'],
      [{ ...event, data: { ...(event.data as JsonObject), more: 1 } }, 'unknown-field'],
      [empty, 'bad-field'],
    ]
    for (const [value, code] of cases) {
      const entry = await signEntry(PAYLOAD_TYPES.event, utf8(JSON.stringify(value)), submitterSigner)
      assert.throws(() => evidenceFromEntry(entry), refused(code))
    }
    const batch = await signEntry(PAYLOAD_TYPES.batch, utf8(JSON.stringify([event])), submitterSigner)
    assert.throws(() => evidenceFromEntry(batch), refused('bad-evidence'))
  })
})
