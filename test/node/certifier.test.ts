/** The certifier of one validator of four, while the other three are silent. */
import assert from 'node:assert/strict'
import { Certifier, type CertifierPorts } from '../../node/core/certifier.ts'
import { EvidenceCollector } from '../../node/core/evidence.ts'
import { Standstill } from '../../node/core/standstill.ts'
import { opensslSuite } from '../../node/crypto/openssl.ts'
import { createLogger } from '../../node/logger.ts'
import { LedgerStore } from '../../node/store/ledger-store.ts'
import type { Signer } from '../../src/crypto/suite.ts'
import { genesisState } from '../../src/ledger/chain.ts'
import { createGenesis } from '../../src/ledger/genesis.ts'
import { cosignerName } from '../../src/ledger/membership.ts'
import { assembleCertificate } from '../../src/notes/certificate.ts'
import { printCheckpoint } from '../../src/notes/checkpoint.ts'
import { claimedTime, signCosignature } from '../../src/notes/cosignature.ts'
import { parseNote, printNote } from '../../src/notes/note.ts'
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

  async function certifying(more: Partial<CertifierPorts> = {}, joins = true) {
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
      ...more,
    })
    if (joins) certifier.join()
    await certifier.idle()
    return { certifier, store, time, published }
  }

  it('signs nothing before it may join', async () => {
    const { certifier, published } = await certifying({}, false)
    certifier.propose()
    await certifier.idle()
    assert.deepEqual(published, [])
    certifier.join()
    certifier.propose()
    await certifier.idle()
    assert.notDeepEqual(published, [])
  })

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

  it('learns that its store is an old one from a cosignature of its own that the store does not know', async () => {
    const forgotten: number[] = []
    const { certifier, store } = await certifying({ onForgotten: (size) => forgotten.push(size) }, false)
    const { size, root } = store.tip
    const noteOf = async (signer: Signer, name: string, size: number) => {
      const checkpoint = { origin: LEDGER, size, root }
      const line = await signCosignature(signer, cosignerName(LEDGER, name), checkpoint, TIME / 1_000)
      return printNote({ text: printCheckpoint(checkpoint), signatures: [line] })
    }
    await certifier.receive(await noteOf(signerOf('ML-DSA-44', 21), 'bob', size + 7))
    assert.deepEqual(forgotten, [])
    await certifier.receive(await noteOf(cosigner, 'ada', size + 7))
    assert.deepEqual(forgotten, [size + 7])
    certifier.join()
    certifier.propose()
    await certifier.idle()
    await certifier.receive(await noteOf(cosigner, 'ada', size))
    assert.deepEqual(forgotten, [size + 7], 'what it knows that it has signed')
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
      configuration: () => ({ voters: ['ada', 'bob', 'cleo', 'dan'], quorum: 3 }),
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
      configuration: () => ({ voters: ['ada'], quorum: 1 }),
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
      configuration: () => ({ voters: ['ada', 'bob', 'cleo', 'dan'], quorum: 3 }),
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

  describe('among whom one says absurd times', () => {
    const NAMES = ['bob', 'cleo', 'dan']
    const SECONDS = TIME / 1_000
    /** The newest block's seal; who is behind says that time. */
    const SEALED = SECONDS + 1
    const ABSURD = [1, SECONDS - 86_400, SECONDS + 86_400, 2 ** 53 - 1, 2n ** 64n - 1n]

    /** The checkpoint of the newest block, and the line of another validator, under its name or as the log. */
    function linesFor({ store }: Awaited<ReturnType<typeof certifying>>) {
      const { size, root } = store.tip
      const checkpoint = { origin: LEDGER, size, root }
      const lineOf = (name: string, time: number | bigint, asLog = false) => {
        const signer = signerOf('ML-DSA-44', 21 + 2 * NAMES.indexOf(name))
        return signCosignature(signer, asLog ? LEDGER : cosignerName(LEDGER, name), checkpoint, time)
      }
      type Line = Awaited<ReturnType<typeof lineOf>>
      const note = (...signatures: Line[]) => printNote({ text: printCheckpoint(checkpoint), signatures })
      return { checkpoint, lineOf, note }
    }

    it('makes its certificates without that line, blames who signed it, and no one who passes it on', async () => {
      for (const time of ABSURD) {
        const blamed: string[] = []
        const here = await certifying({ onBadTime: (name) => blamed.push(name) })
        const { certifier } = here
        const { lineOf, note } = linesFor(here)
        certifier.propose()
        await certifier.idle()
        const bad = note(await lineOf('bob', time), await lineOf('bob', time, true))
        assert.equal(await certifier.receive(bad, 'cleo'), 'ignore')
        assert.deepEqual(blamed, [])
        assert.equal(await certifier.receive(bad, 'bob'), 'ignore')
        assert.deepEqual(new Set(blamed), new Set(['bob']))
        for (const name of ['cleo', 'dan'])
          assert.equal(await certifier.receive(note(await lineOf(name, SECONDS)), name), 'accept')
        await certifier.idle()
        const { signatures } = parseNote(certifier.note!)
        assert.deepEqual(
          signatures.map(({ name }) => name),
          [LEDGER, ...['ada', 'cleo', 'dan'].map((name) => cosignerName(LEDGER, name))],
        )
        for (const line of signatures) assert.ok([SECONDS, SEALED].includes(claimedTime(line)))
      }
    })

    it('cosigns nothing on the word of a log line of that kind', async () => {
      const here = await certifying()
      const { lineOf, note } = linesFor(here)
      await here.certifier.receive(note(await lineOf('bob', 2 ** 53 - 1, true)), 'bob')
      await here.certifier.idle()
      assert.deepEqual(here.published, [])
    })

    it('takes a certificate without such a line, if that suffices', async () => {
      const blamed: string[] = []
      const here = await certifying({ onBadTime: (name) => blamed.push(name) })
      const { certifier } = here
      const { checkpoint, lineOf } = linesFor(here)
      const good = [
        await lineOf('cleo', SECONDS, true),
        ...(await Promise.all(NAMES.map((name) => lineOf(name, SECONDS)))),
      ]
      const absurd = await lineOf('bob', 2n ** 64n - 1n)
      const needed = assembleCertificate(checkpoint, good.with(1, absurd))
      await assert.rejects(certifier.receiveCertificate(needed), { code: 'bad-time' })
      const asLog = await lineOf('bob', 2 ** 53 - 1, true)
      await certifier.receiveCertificate(assembleCertificate(checkpoint, [...good, asLog]))
      await certifier.idle()
      assert.equal(certifier.note, assembleCertificate(checkpoint, good))
      assert.deepEqual(blamed, [])
    })

    it('blames nobody when it is its own clock that is wrong, and signs by those of the others', async () => {
      for (const hours of [-100, 100]) {
        const blamed: string[] = []
        const here = await certifying({
          now: () => TIME + 3_600_000 * hours,
          clocks: { sealTime: () => TIME, latest: () => TIME },
          onBadTime: (name) => blamed.push(name),
        })
        const { certifier } = here
        const { lineOf, note } = linesFor(here)
        certifier.propose()
        for (const name of NAMES)
          assert.equal(await certifier.receive(note(await lineOf(name, SECONDS)), name), 'accept')
        await certifier.idle()
        const { signatures } = parseNote(certifier.note!)
        for (const line of signatures) assert.ok([SECONDS, SEALED].includes(claimedTime(line)))
        assert.deepEqual(blamed, [])
      }
    })

    it('refuses only what no calendar has while it cannot tell whose clock is wrong', async () => {
      const here = await certifying({ clocks: { sealTime: () => TIME, latest: () => undefined } })
      const { lineOf, note } = linesFor(here)
      const { certifier } = here
      certifier.propose()
      assert.equal(await certifier.receive(note(await lineOf('bob', SECONDS + 86_400)), 'bob'), 'accept')
      assert.equal(await certifier.receive(note(await lineOf('cleo', 2 ** 53 - 1)), 'cleo'), 'ignore')
    })

    it('signs nothing before it can know the time, and then without being asked again', async () => {
      let time: number | undefined
      const here = await certifying({ clocks: { sealTime: () => time, latest: () => time && TIME } })
      const { certifier } = here
      const { lineOf, note } = linesFor(here)
      const log = note(await lineOf('bob', SECONDS, true), await lineOf('bob', SECONDS))
      await certifier.receive(log, 'bob')
      certifier.propose()
      await certifier.idle()
      assert.deepEqual(here.published, [])
      // Before the block was sealed it was not there to be signed.
      time = TIME - 3_600_000
      certifier.repeat()
      await certifier.idle()
      assert.ok(here.published.length > 0)
      const [own] = parseNote(here.published[0]!).signatures
      assert.equal(claimedTime(own!), SEALED)
    })

    it('logs that once for each validator, and then once a minute', async () => {
      const lines: object[] = []
      const quiet = createLogger('test', 'silent')
      const here = await certifying({
        logger: Object.assign(Object.create(quiet), { warn: (facts: object) => lines.push(facts) }),
      })
      const { lineOf, note } = linesFor(here)
      const bad = note(await lineOf('bob', 2 ** 53 - 1))
      for (let i = 0; i < 20; i++) await here.certifier.receive(bad, 'bob')
      assert.deepEqual(lines, [
        { validator: 'bob', code: 'bad-time', size: here.store.tip.size, seconds: 2 ** 53 - 1 },
      ])
    })
  })
})
