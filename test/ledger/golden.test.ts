/**
 * The bytes of each format of our own, pinned. A change here is a change of format: ledgers that exist, proofs
 * that people keep and other implementations would stop agreeing with us. `src/FORMATS.md` tells the same
 * example, and the last test holds it to these values.
 */
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { sha256 as opensslSha256, opensslSuite } from '../../node/crypto/openssl.ts'
import { fromUtf8, toHex } from '../../src/bytes.ts'
import { keyId } from '../../src/crypto/keys.ts'
import { acknowledgementMessage, encodeAcknowledgement } from '../../src/ledger/acknowledgement.ts'
import { decodeEnvelope, pae } from '../../src/ledger/dsse.ts'
import { encodeEvidence } from '../../src/ledger/evidence.ts'
import { EVIDENCE_EVENT_TYPE } from '../../src/ledger/evidence-event.ts'
import { policyOf } from '../../src/ledger/membership.ts'
import { PAYLOAD_TYPES } from '../../src/ledger/payload-types.ts'
import { encodeVote, voteMessage } from '../../src/ledger/vote.ts'
import { BUNDLE_FILES, BUNDLE_PARTS } from '../../src/light/bundle.ts'
import { followPolicy } from '../../src/light/updates.ts'
import { verifyBundle } from '../../src/light/verify.ts'
import { printPolicy } from '../../src/notes/policy.ts'
import {
  CHANGE,
  COSIGNED,
  exampleBundle,
  exampleLeaves,
  exampleUpdate,
  LEAF,
  sequelBundle,
  sequelLeaves,
} from '../light/fixture.ts'
import { mth } from '../support/naive-tree.ts'
import {
  exampleAcknowledgement,
  exampleBrokenCandidacy,
  exampleTwoAcknowledgements,
  exampleTwoCosignatures,
  exampleTwoRoots,
  exampleTwoSeals,
  exampleTwoVotes,
  exampleVote,
} from './evidence-fixture.ts'
import { CI, exampleBlock, exampleGenesis, LEDGER, nodeSigner, TIME } from './fixture.ts'
import { BLOCK_1, BUNDLE, EVIDENCE, GENESIS, KEYS, LEAVES, ROOT, SEQUEL, STATEMENTS } from './golden.ts'

const sha256 = (bytes: Uint8Array) => toHex(opensslSha256(bytes))

const brief = (payload: string) => payload.replace(/"pub":"([^"]{24})[^"]*"/g, '"pub":"$1…"')

describe('the golden bytes', () => {
  it('of keys: from the seed to the key id', () => {
    for (const [{ publicKey }, id, digest] of KEYS) {
      assert.equal(keyId(publicKey), id)
      assert.equal(sha256(publicKey.bytes), digest)
    }
  })

  for (const golden of LEAVES) {
    it(`of leaf ${golden.index}, ${golden.type}`, async () => {
      const leaf = (await sequelLeaves())[golden.index]!
      const { payload, payloadType, signatures } = decodeEnvelope(leaf)
      const [signature] = signatures
      assert.equal(payloadType, golden.type)
      assert.equal(brief(fromUtf8(payload)), golden.payload)
      const message = pae(payloadType, payload)
      assert.deepEqual(
        { payload: sha256(payload), pae: sha256(message), sig: sha256(signature!.sig), leaf: sha256(leaf) },
        golden.sha256,
      )
      assert.equal(sha256(Uint8Array.of(0, ...leaf)), golden.leafHash)
      assert.equal(leaf.length, golden.bytes)
      assert.equal(signature!.keyid, keyId(golden.signer.publicKey))
      assert.ok(await opensslSuite.verify(golden.signer.publicKey, message, signature!.sig))
    })
  }

  it('of blocks', async () => {
    const genesis = (await exampleGenesis()).block
    const block = await exampleBlock()
    assert.deepEqual({ sha256: sha256(genesis.bytes), bytes: genesis.bytes.length }, GENESIS)
    assert.deepEqual({ sha256: sha256(block.bytes), bytes: block.bytes.length }, BLOCK_1)
    assert.equal(genesis.id, LEAVES[LEAF.genesisSeal]!.leafHash)
    assert.equal(block.id, LEAVES[LEAF.seal]!.leafHash)
    assert.equal(toHex(mth(await exampleLeaves())), ROOT)
    const leaves = await sequelLeaves()
    assert.equal(toHex(mth(leaves.slice(0, LEAF.lastSeal))), SEQUEL.boundary)
    assert.equal(toHex(mth(leaves)), SEQUEL.root)
  })

  it('of a proof bundle, kept as files that anyone can verify', async () => {
    const bundle = await exampleBundle()
    for (const part of ['entry', 'proof', 'records', 'policy'] as const) {
      const file = readFileSync(new URL(`../light/example/${BUNDLE_FILES[part]}`, import.meta.url))
      assert.deepEqual(new Uint8Array(file), bundle[part], part)
      assert.deepEqual({ sha256: sha256(file), bytes: file.length }, BUNDLE[part])
    }
    const verdict = await verifyBundle(opensslSuite, bundle, { keys: [CI.key], requireKnownKey: true })
    assert.ok(verdict.ok)
    assert.equal(verdict.proves.root, ROOT)
    assert.equal(verdict.proves.recordedBy, COSIGNED)
    const { recorded, submitter } = verdict.proves
    assert.deepEqual(recorded, { height: 1, proposer: 'ada', time: TIME + 1_000, withinMs: 10_000 })
    assert.deepEqual(submitter, {
      name: CI.name,
      team: CI.team,
      record: LEAVES[LEAF.submitter]!.leafHash,
    })
  })

  it('of votes and acknowledgements', async () => {
    const [vote, said] = [await exampleVote(), await exampleAcknowledgement()]
    const sorts = {
      vote: [encodeVote(vote), voteMessage(vote)],
      acknowledgement: [encodeAcknowledgement(said), acknowledgementMessage(said)],
    } as const
    for (const sort of ['vote', 'acknowledgement'] as const) {
      const [payload, message] = sorts[sort]
      const sig = sha256(await nodeSigner.sign(message))
      assert.deepEqual({ payload: fromUtf8(payload), pae: sha256(message), sig }, STATEMENTS[sort])
      assert.deepEqual(message, pae(PAYLOAD_TYPES[sort], payload))
    }
  })

  it('of evidence', async () => {
    const pieces = [
      await exampleTwoSeals(),
      await exampleTwoRoots(),
      await exampleTwoCosignatures(),
      await exampleTwoVotes(),
      await exampleTwoAcknowledgements(),
      await exampleBrokenCandidacy(),
    ]
    const golden = pieces.map(encodeEvidence).map((bytes) => ({ sha256: sha256(bytes), bytes: bytes.length }))
    assert.deepEqual(golden, EVIDENCE)
  })

  it('of a change, and of the bundle that follows it from the founding policy', async () => {
    const update = await exampleUpdate()
    assert.deepEqual(update.change, CHANGE)
    const { membership } = await exampleGenesis()
    const founding = policyOf(LEDGER, membership)
    const bundle = await sequelBundle()
    for (const part of BUNDLE_PARTS) {
      const file = readFileSync(new URL(`../light/example-sequel/${BUNDLE_FILES[part]}`, import.meta.url))
      assert.deepEqual(new Uint8Array(file), bundle[part], part)
      assert.deepEqual({ sha256: sha256(file), bytes: file.length }, SEQUEL.bundle[part])
    }
    assert.equal(printPolicy(await followPolicy(opensslSuite, founding, [update])), fromUtf8(bundle.policy))
    const verdict = await verifyBundle(opensslSuite, { ...bundle, policy: (await exampleBundle()).policy })
    assert.ok(verdict.ok)
    assert.equal(verdict.proves.root, SEQUEL.root)
    assert.deepEqual(verdict.proves.changes, [
      { sequence: 1, id: LEAVES[LEAF.change]!.leafHash, what: { put: { kind: 'validator', name: 'ada' } } },
    ])
  })

  it('are the ones that FORMATS.md tells', () => {
    const formats = readFileSync(new URL('../../src/FORMATS.md', import.meta.url), 'utf8')
    const entry = LEAVES[LEAF.entry]!
    const seal = LEAVES[LEAF.seal]!
    const change = LEAVES[LEAF.change]!
    const told = [
      ...KEYS.map(([, id]) => id),
      ...LEAVES.map(({ leafHash }) => leafHash),
      ...[entry, seal, change].flatMap(({ payload, sha256 }) => [
        payload,
        sha256.pae,
        sha256.sig,
        sha256.leaf,
      ]),
      GENESIS.sha256,
      BLOCK_1.sha256,
      ROOT,
      BUNDLE.proof.sha256,
      BUNDLE.records.sha256,
      BUNDLE.policy.sha256,
      ...Object.values(STATEMENTS).flatMap(({ payload, pae, sig }) => [payload, pae, sig]),
      ...EVIDENCE.map(({ sha256 }) => sha256),
      EVIDENCE_EVENT_TYPE,
      change.sha256.payload,
      SEQUEL.boundary,
      SEQUEL.root,
      ...Object.values(SEQUEL.bundle).map(({ sha256 }) => sha256),
      ...Object.values(PAYLOAD_TYPES),
      ...Object.values(BUNDLE_FILES),
    ]
    for (const value of told) assert.ok(formats.includes(value), value)
  })
})
