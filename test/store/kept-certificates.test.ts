/** Certificates that are kept for ever, and the proofs that are made by them: a late one still shows an early time. */
import assert from 'node:assert/strict'
import { LedgerReader } from '../../node/core/reader.ts'
import { opensslSuite } from '../../node/crypto/openssl.ts'
import { LedgerStore, toRaftBlock } from '../../node/store/ledger-store.ts'
import { toHex, utf8 } from '../../src/bytes.ts'
import { policyOf } from '../../src/ledger/membership.ts'
import { bundleFromTexts } from '../../src/light/bundle.ts'
import { verifyBundle } from '../../src/light/verify.ts'
import { printPolicy } from '../../src/notes/policy.ts'
import { LEDGER, TIME } from '../ledger/fixture.ts'
import { memoryKv } from '../support/memory-kv.ts'
import { type Chain, certify, makeChain, VOTED } from './fixture.ts'

const DAY = 86_400
/** Seconds after genesis, a full minute, at which blocks 1 to 7 are sealed. Block 5 carries a change of the members. */
const SEALED = [1, 20, 40, 70, 80, 90, DAY]
const CHANGE_AT = 5

describe('certificates that are kept', function () {
  this.timeout(30_000)
  let chain: Chain
  let store: LedgerStore
  let reader: LedgerReader
  const sizes: number[] = []
  before(async () => {
    chain = await makeChain(SEALED.length, 1, CHANGE_AT, SEALED)
    store = await LedgerStore.open(memoryKv(), chain.genesis.block.bytes, { fresh: true })
    for (const [i, block] of chain.blocks.entries()) {
      await store.put({ hardState: VOTED, blocks: [toRaftBlock(block.block)] })
      await store.apply([block])
      const { size, root } = store.tip
      sizes.push(size)
      // Cosigned a second after it was sealed.
      await store.setCertificate(await certify(size, root, TIME / 1_000 + SEALED[i]! + 1), size)
    }
    const certified = {
      size: store.tip.size,
      note: await store.certificate(),
      sequence: 1,
      policyAt: (size: number) => policyOf(LEDGER, store.members.at(size)),
    }
    reader = new LedgerReader(store, certified)
  })

  it('are the last of each minute by the seals, and those of changes', async () => {
    const kept: number[] = []
    for (
      let found = await store.certificateFrom(0);
      found;
      found = await store.certificateFrom(found.size + 1)
    ) {
      kept.push(found.size)
    }
    // The third is the last of its minute, the fifth a boundary, the sixth the last of its minute; the newest is apart.
    assert.deepEqual(kept, [sizes[2], sizes[4], sizes[5]])
  })

  /** What the proof of the entry in block `height` says to a verifier that has followed so many changes. */
  async function proofOf(height: number, since?: number) {
    const [entry] = chain.blocks[height - 1]!.entries
    const files = await reader.bundle(entry!.id, since)
    const membership = store.members.at(since === 0 ? 1 : store.tip.size)
    const policy = utf8(printPolicy(policyOf(LEDGER, membership)))
    const verdict = await verifyBundle(opensslSuite, { ...bundleFromTexts(files), policy })
    assert.ok(verdict.ok, JSON.stringify(verdict))
    const { size, recorded, submitter, recordedBy } = verdict.proves
    assert.equal(submitter!.name, 'ci')
    assert.equal(recorded!.time, TIME + 1_000 * SEALED[height - 1]!)
    return { size, bySecond: recordedBy - TIME / 1_000 }
  }

  it('make a proof show the earliest that the policy of the verifier can come to', async () => {
    assert.deepEqual(await proofOf(1, 0), { size: sizes[2], bySecond: 41 })
    assert.deepEqual(await proofOf(3, 0), { size: sizes[2], bySecond: 41 })
    assert.deepEqual(await proofOf(4, 0), { size: sizes[4], bySecond: 81 })
    // Who has followed the change knows only the validators since.
    assert.deepEqual(await proofOf(1), { size: sizes[5], bySecond: 91 })
    assert.deepEqual(await proofOf(1, 1), { size: sizes[5], bySecond: 91 })
    assert.deepEqual(await proofOf(6), { size: sizes[5], bySecond: 91 })
    assert.deepEqual(await proofOf(7), { size: sizes[6], bySecond: DAY + 1 })
  })

  it('are taken for none where the verifier knows more changes than the node', async () => {
    const [entry] = chain.blocks[0]!.entries
    const { proof } = await reader.bundle(entry!.id, 9)
    assert.match(proof, new RegExp(`\n${sizes[6]}\n`))
  })

  it('prove a change, which no submitter has sent', async () => {
    const { leafHashes } = chain.blocks[CHANGE_AT - 1]!.block
    const id = toHex(leafHashes[1]!)
    const verdict = await verifyBundle(opensslSuite, bundleFromTexts(await reader.bundle(id)))
    assert.ok(verdict.ok)
    assert.deepEqual([verdict.proves.kind, verdict.proves.submitter], ['change', undefined])
    assert.equal(verdict.proves.recorded!.height, CHANGE_AT)
  })
})
