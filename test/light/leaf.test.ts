import assert from 'node:assert/strict'
import fc from 'fast-check'
import { opensslSuite } from '../../node/crypto/openssl.ts'
import { utf8 } from '../../src/bytes.ts'
import { keyId } from '../../src/crypto/keys.ts'
import type { Signer } from '../../src/crypto/suite.ts'
import { encodeEnvelope, signEnvelope } from '../../src/ledger/dsse.ts'
import { PAYLOAD_TYPES } from '../../src/ledger/payload-types.ts'
import { checkSignatures, type LeafKind, readLeaf } from '../../src/light/leaf.ts'
import { type Verdict, type VerifyOptions, verifyBundle } from '../../src/light/verify.ts'
import {
  ADA,
  ALICE,
  adminSigner,
  blankSigner,
  CI,
  EVENT,
  EVENT_BYTES,
  entryOf,
  exampleEntry,
  LEDGER,
  nodeSigner,
  refused,
  signerOf,
  submitterSigner,
  verdictOn,
} from '../ledger/fixture.ts'
import { bundleIn, exampleBundle, exampleLeaves, LEAF } from './fixture.ts'

const stranger = signerOf('ML-DSA-65', 77)

/** An envelope with any payload, signed by anyone. */
async function leafOf(type: string, payload: Uint8Array, ...signers: Signer[]): Promise<Uint8Array> {
  const keyed = signers.map((signer) => ({ keyid: keyId(signer.publicKey), signer }))
  return encodeEnvelope(await signEnvelope(type, payload, keyed))
}

const codeOf = (verdict: Verdict) => (verdict.ok ? verdict.proves.entrySignature : verdict.code)

describe('what a leaf is', () => {
  it('is said of every kind of leaf that the ledger has', async () => {
    const expected: [number, LeafKind, Signer][] = [
      [LEAF.parameters, 'genesis', adminSigner],
      [LEAF.admin, 'member', adminSigner],
      [LEAF.validator, 'member', adminSigner],
      [LEAF.submitter, 'member', adminSigner],
      [LEAF.genesisSeal, 'seal', adminSigner],
      [LEAF.entry, 'entry', submitterSigner],
      [LEAF.seal, 'seal', nodeSigner],
    ]
    const leaves = await exampleLeaves()
    for (const [index, kind, signer] of expected) {
      const leaf = readLeaf(leaves[index]!)
      assert.equal(leaf.kind, kind)
      assert.equal(leaf.claims.length, kind === 'entry' ? 1 : 0)

      const verdict = await verifyBundle(opensslSuite, await exampleBundle(index), {
        keys: [signer.publicKey],
      })
      assert.ok(verdict.ok)
      const { kind: proven, index: at, entrySignature, keyids, payloadType } = verdict.proves
      assert.deepEqual([proven, at, entrySignature], [kind, index, 'verified'])
      assert.deepEqual(keyids, [keyId(signer.publicKey)])
      assert.equal(payloadType, leaf.envelope.payloadType)
    }
  })

  it('names the claims of batches and statements', async () => {
    const batch = utf8(JSON.stringify([EVENT, { ...EVENT, id: 'second', ledger: LEDGER }]))
    const { claims } = readLeaf(await leafOf(PAYLOAD_TYPES.batch, batch, blankSigner(submitterSigner)))
    assert.deepEqual(
      claims.map(({ id, ledger }) => [id, ledger]),
      [
        ['build-42', undefined],
        ['second', LEDGER],
      ],
    )
  })

  it('is refused where a record of the ledger is not one', async () => {
    const cases: [string, Uint8Array, string][] = [
      [PAYLOAD_TYPES.seal, utf8('{}'), 'missing-field'],
      [PAYLOAD_TYPES.member, utf8('{"kind":"reader"}'), 'bad-field'],
      [PAYLOAD_TYPES.genesis, utf8('{}'), 'missing-field'],
      [PAYLOAD_TYPES.event, utf8('{}'), 'missing-field'],
      [PAYLOAD_TYPES.status, EVENT_BYTES, 'reserved-payload-type'],
      [PAYLOAD_TYPES.vote, EVENT_BYTES, 'reserved-payload-type'],
      [PAYLOAD_TYPES.acknowledgement, EVENT_BYTES, 'reserved-payload-type'],
      ['application/json', EVENT_BYTES, 'unknown-payload-type'],
    ]
    for (const [type, payload, code] of cases) {
      const leaf = await leafOf(type, payload, blankSigner(submitterSigner))
      assert.throws(() => readLeaf(leaf), refused(code), type)
      // Certified all the same: an honest quorum would not have, and this is how one notices.
      assert.equal(codeOf(await verifyBundle(opensslSuite, await bundleIn([leaf], 0))), code)
    }
  })

  it('throws only typed errors', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 100 }), (bytes) => {
        assert.equal(
          verdictOn(() => readLeaf(bytes)),
          undefined,
        )
      }),
    )
  })
})

describe("the entry's own signature", () => {
  const judge = async (leaf: Uint8Array, options?: VerifyOptions) =>
    codeOf(await verifyBundle(opensslSuite, await bundleIn([leaf], 0), options))

  it('is verified where the key is known, and only then', async () => {
    const { bytes } = await exampleEntry()
    assert.equal(await judge(bytes), 'not-checked')
    assert.equal(await judge(bytes, { keys: [] }), 'unknown-key')
    assert.equal(await judge(bytes, { keys: [ADA.nodeKey, ADA.cosignerKey, ALICE.key] }), 'unknown-key')
    assert.equal(await judge(bytes, { keys: [ALICE.key, CI.key] }), 'verified')
  })

  it('is asked for where only known submitters will do', async () => {
    const { bytes } = await exampleEntry()
    const requireKnownKey = true
    const verdict = await verifyBundle(opensslSuite, await bundleIn([bytes], 0), { requireKnownKey })
    assert.ok(!verdict.ok && verdict.code === 'unknown-key')
    const others = { keys: [ALICE.key], requireKnownKey }
    assert.ok(!(await verifyBundle(opensslSuite, await bundleIn([bytes], 0), others)).ok)
    assert.equal(await judge(bytes, { keys: [CI.key], requireKnownKey }), 'verified')
  })

  it('refuses the bundle if it does not verify, though the ledger certified it', async () => {
    const unsigned = await entryOf()
    assert.equal(await judge(unsigned.bytes), 'not-checked')
    assert.equal(await judge(unsigned.bytes, { keys: [ALICE.key] }), 'unknown-key')
    assert.equal(await judge(unsigned.bytes, { keys: [ALICE.key, CI.key] }), 'bad-signature')
    // Signed by a stranger under the submitter's key id: the id is only a hint.
    const forged = { publicKey: CI.key, sign: (message: Uint8Array) => stranger.sign(message) }
    assert.equal(
      await judge(await leafOf(PAYLOAD_TYPES.event, EVENT_BYTES, forged), { keys: [CI.key] }),
      'bad-signature',
    )
  })

  it('of several signatures takes those whose keys are known, and each of them must verify', async () => {
    const two = readLeaf(
      await leafOf(PAYLOAD_TYPES.event, EVENT_BYTES, adminSigner, blankSigner(stranger)),
    ).envelope
    assert.equal(await checkSignatures(opensslSuite, two, [ALICE.key]), 'verified')
    await assert.rejects(checkSignatures(opensslSuite, two, [stranger.publicKey]), refused('bad-signature'))
    await assert.rejects(
      checkSignatures(opensslSuite, two, [ALICE.key, stranger.publicKey]),
      refused('bad-signature'),
    )
    assert.equal(await checkSignatures(opensslSuite, two, [CI.key]), 'unknown-key')
  })
})
