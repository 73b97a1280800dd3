/** The certifier of one validator of four, while the other three are silent. */
import assert from 'node:assert/strict'
import { Certifier } from '../../node/core/certifier.ts'
import { EvidenceCollector } from '../../node/core/evidence.ts'
import { Standstill } from '../../node/core/standstill.ts'
import { opensslSuite } from '../../node/crypto/openssl.ts'
import { createLogger } from '../../node/logger.ts'
import { LedgerStore } from '../../node/store/ledger-store.ts'
import { genesisState } from '../../src/ledger/chain.ts'
import { createGenesis } from '../../src/ledger/genesis.ts'
import { cosignerName } from '../../src/ledger/membership.ts'
import { printCheckpoint } from '../../src/notes/checkpoint.ts'
import { signCosignature } from '../../src/notes/cosignature.ts'
import { printNote } from '../../src/notes/note.ts'
import {
  ADA,
  ALICE,
  adminSigner,
  blockOn,
  cosigner,
  LEDGER,
  PARAMETERS,
  signerOf,
  TIME,
  validatorOf,
} from '../ledger/fixture.ts'
import { memoryKv } from '../support/memory-kv.ts'

describe('a validator whose peers are silent', () => {
  const logger = createLogger('test', 'silent')

  async function certifying() {
    const others = ['bob', 'cleo', 'dan'].map((name, i) => validatorOf(name, 20 + 2 * i))
    const genesis = await createGenesis(
      { ...PARAMETERS, cosigners: 3 },
      [ALICE, ADA, ...others],
      [adminSigner],
    )
    const store = await LedgerStore.open(memoryKv(), genesis.block.bytes, { fresh: true })
    await store.apply([{ block: await blockOn(genesisState(genesis), []), entries: [] }])
    const evidence = await EvidenceCollector.open({
      store,
      suite: opensslSuite,
      logger,
      elapsed: () => 0,
      known: [],
      onEvidence: async () => {},
    })
    const time = { now: TIME, elapsed: 0 }
    const published: string[] = []
    const certifier = await Certifier.open({
      origin: LEDGER,
      name: 'ada',
      signer: cosigner,
      suite: opensslSuite,
      store,
      evidence,
      logger,
      now: () => time.now,
      elapsed: () => time.elapsed,
      send: (note) => published.push(note),
      onCertificate() {},
      onCosigned() {},
      onForgotten() {},
      onFatal: (error) => assert.fail(error),
    })
    return { certifier, store, time, published }
  }

  it('repeats a round that was lost, also when its clock has been set back', async () => {
    const { certifier, time, published } = await certifying()
    certifier.propose()
    await certifier.idle()
    time.now -= 3_600_000
    certifier.propose()
    await certifier.idle()
    assert.equal(published.length, 1)
    time.elapsed += 600
    certifier.propose()
    await certifier.idle()
    assert.equal(published.length, 2)
  })

  it('signs nothing once it is stopped, whatever it had begun', async () => {
    const { certifier, store, published } = await certifying()
    certifier.propose()
    certifier.stop()
    certifier.propose()
    await certifier.idle()
    assert.deepEqual(published, [])
    assert.equal((await store.cosigned())?.size ?? 0, 0)
  })

  it('tells its operator whose cosignatures are missing, and that nobody leads, after a while', async () => {
    const { certifier, time } = await certifying()
    let leader: string | undefined = 'ada'
    const standstill = new Standstill({
      name: 'ada',
      certifier,
      network: { peers: () => ['bob'] },
      clock: { elapsed: () => time.elapsed },
      logger,
      leader: () => leader,
      clocks: { note: undefined },
      voters: () => ['ada', 'bob', 'cleo', 'dan'],
    })
    certifier.propose()
    await certifier.idle()
    standstill.look()
    assert.equal(standstill.note, undefined)
    time.elapsed += 10_000
    standstill.look()
    assert.equal(
      standstill.note,
      'What is ordered does not become final. That takes 3 cosignatures; ada signed. Missing: bob, cleo, dan.',
    )
    leader = undefined
    standstill.look()
    time.elapsed += 10_000
    standstill.look()
    assert.equal(
      standstill.note,
      'Nobody leads, so nothing is ordered. That takes 3 of 4 validators; this node reaches bob. ' +
        'Start those that are down, or mend the network.',
    )
  })

  it('says of a change that it waits for the validators before it', () => {
    let elapsed = 0
    const uncertified = {
      size: 9,
      boundary: true,
      quorum: 2,
      signed: ['ada'],
      missing: ['bob', 'cleo'],
      elsewhere: [],
    }
    const certifier = { size: 7, uncertified }
    const standstill = new Standstill({
      name: 'ada',
      certifier,
      network: { peers: () => [] },
      clock: { elapsed: () => elapsed },
      logger,
      leader: () => 'ada',
      clocks: { note: undefined },
      voters: () => ['ada'],
    })
    standstill.look()
    elapsed = 6_000
    standstill.look()
    // Something became final: the patience begins anew.
    certifier.size = 8
    standstill.look()
    elapsed = 12_000
    standstill.look()
    assert.equal(standstill.note, undefined)
    elapsed = 16_000
    standstill.look()
    assert.match(
      standstill.note ?? '',
      /2 of the validators from before the change; ada signed.*: bob, cleo\.$/,
    )
  })

  it('says who holds another tree, once neither side can have a quorum', async () => {
    const { certifier, time, store } = await certifying()
    const standstill = new Standstill({
      name: 'ada',
      certifier,
      network: { peers: () => ['bob', 'cleo', 'dan'] },
      clock: { elapsed: () => time.elapsed },
      logger,
      leader: () => 'ada',
      clocks: { note: undefined },
      voters: () => ['ada', 'bob', 'cleo', 'dan'],
    })
    certifier.propose()
    standstill.look()
    time.elapsed += 10_000
    const other = { origin: LEDGER, size: store.tip.size, root: new Uint8Array(32).fill(7) }
    for (const [i, name] of ['bob', 'cleo'].entries()) {
      standstill.look()
      assert.match(standstill.note ?? '', /^What is ordered does not become final/)
      const signer = signerOf('ML-DSA-44', 21 + 2 * i)
      const line = await signCosignature(signer, cosignerName(LEDGER, name), other, TIME / 1000)
      const note = printNote({ text: printCheckpoint(other), signatures: [line] })
      assert.equal(await certifier.receive(note), 'accept')
      await certifier.idle()
    }
    assert.deepEqual(certifier.uncertified?.elsewhere, ['bob', 'cleo'])
    standstill.look()
    assert.match(standstill.note ?? '', /differs from what bob, cleo signed, and is final on neither side/)
  })
})
