/** What a node that has just started lets the others show it of its own signatures. */
import assert from 'node:assert/strict'
import type { HardState } from '../../consensus/types.ts'
import {
  decodeHeld,
  encodeHeld,
  type Held,
  heldOf,
  isSignaturesRequest,
  OwnSignatures,
} from '../../node/core/own-signatures.ts'
import { opensslSuite } from '../../node/crypto/openssl.ts'
import { utf8 } from '../../src/bytes.ts'
import type { Signer } from '../../src/crypto/suite.ts'
import {
  type Acknowledgement,
  acknowledgementEnvelope,
  acknowledgementMessage,
} from '../../src/ledger/acknowledgement.ts'
import type { Envelope } from '../../src/ledger/dsse.ts'
import { type Vote, voteEnvelope, voteMessage } from '../../src/ledger/vote.ts'

const LEDGER = 'sim.example/ledger'
const own = opensslSuite.signer('ML-DSA-65', new Uint8Array(32).fill(1))
const other = opensslSuite.signer('ML-DSA-65', new Uint8Array(32).fill(2))
const HASH = 'ab'.repeat(32)
const BASE = { height: 3, term: 2, hash: HASH }
const STATE: HardState = { term: 5, vote: { candidate: 'bob', base: BASE }, abstains: false }

async function vote(changes: Partial<Vote> = {}, signer: Signer = own): Promise<Envelope> {
  const said = { ledger: LEDGER, term: 5, candidate: 'bob', base: BASE, ...changes }
  return voteEnvelope(signer.publicKey, said, await signer.sign(voteMessage(said)))
}

async function acknowledgement(
  changes: Partial<Acknowledgement> = {},
  signer: Signer = own,
): Promise<Envelope> {
  const said = { ledger: LEDGER, term: 5, height: 4, hash: HASH, ...changes }
  return acknowledgementEnvelope(signer.publicKey, said, await signer.sign(acknowledgementMessage(said)))
}

describe('what a node has signed before', function () {
  this.timeout(20_000)

  /** What comes of it when the others answer this, of four validators with a quorum of three. */
  function asked(
    answers: Record<string, Partial<Held> | undefined>,
    hardState = STATE,
    holds = true,
    quorum = { others: ['bob', 'cleo', 'dan'], count: 3 },
  ) {
    const questions: string[] = []
    const check = new OwnSignatures({
      ledger: LEDGER,
      key: own.publicKey,
      suite: opensslSuite,
      hardState,
      holds: async () => holds,
      cosignedBeyond: async (note) => note === 'beyond',
      quorum: () => quorum,
      request: async (to, bytes) => {
        questions.push(to)
        assert.ok(isSignaturesRequest(bytes))
        const answer = answers[to]
        if (answer === undefined) throw new Error('is down')
        return encodeHeld({ statements: [], notes: [], ...answer })
      },
    })
    return { check, questions }
  }
  const found = (held: Partial<Held>, hardState = STATE, holds = true) =>
    asked({ bob: held, cleo: {} }, hardState, holds).check.ask()

  it('waits until a quorum has a say, and asks nobody twice who has answered', async () => {
    const answers: Record<string, Partial<Held> | undefined> = { bob: {} }
    const { check, questions } = asked(answers)
    assert.equal(await check.ask(), 'open')
    answers.dan = {}
    assert.equal(await check.ask(), 'sound')
    assert.deepEqual(questions, ['bob', 'cleo', 'dan', 'cleo', 'dan'])
  })

  it('needs nobody where one validator is a quorum', async () => {
    assert.equal(await asked({}, STATE, true, { others: [], count: 1 }).check.ask(), 'sound')
  })

  it('knows the vote and the acknowledgements that its store knows', async () => {
    assert.equal(await found({ statements: [await vote(), await acknowledgement()] }), 'sound')
    assert.equal(await found({ statements: [await vote({ term: 4, candidate: 'dan' })] }), 'sound')
    const gone = await acknowledgement({ term: 4 })
    assert.equal(
      await found({ statements: [gone] }, STATE, false),
      'sound',
      'of an earlier term it may be replaced',
    )
    assert.equal(
      await found({ statements: [await acknowledgement()] }, { ...STATE, abstains: true }, false),
      'sound',
    )
  })

  it('finds a vote that its store does not know', async () => {
    assert.equal(await found({ statements: [await vote({ term: 6 })] }), 'forgotten')
    assert.equal(await found({ statements: [await vote({ candidate: 'dan' })] }), 'forgotten')
    assert.equal(
      await found({ statements: [await vote({ base: { ...BASE, hash: 'cd'.repeat(32) } })] }),
      'forgotten',
    )
    assert.equal(await found({ statements: [await vote()] }, { ...STATE, vote: undefined }), 'forgotten')
  })

  it('finds an acknowledgement of a block that is not on its disk, or of a later term', async () => {
    assert.equal(await found({ statements: [await acknowledgement()] }, STATE, false), 'forgotten')
    assert.equal(await found({ statements: [await acknowledgement({ term: 6 })] }), 'forgotten')
  })

  it('finds a cosignature beyond those that its store knows', async () => {
    assert.equal(await found({ notes: ['beyond'] }), 'forgotten')
    assert.equal(await found({ notes: ['known'] }), 'sound')
  })

  it('believes no signature but its own, on this ledger', async () => {
    const forged = await vote({ term: 9 }, other)
    const claimed = {
      ...forged,
      signatures: [{ ...forged.signatures[0]!, keyid: (await vote()).signatures[0]!.keyid }],
    }
    const elsewhere = await vote({ term: 9, ledger: 'another.example/ledger' })
    assert.equal(await found({ statements: [forged, claimed, elsewhere] }), 'sound')
    assert.equal(await found({ statements: [await acknowledgement({ term: 9 }, other)] }), 'sound')
  })

  it('takes a malformed answer for none', async () => {
    const { check } = asked({ bob: {}, cleo: {} })
    assert.throws(() => decodeHeld(utf8('nonsense')))
    assert.equal(await check.ask(), 'sound')
  })

  it('finds its acknowledgement and its vote in the certificates that another node keeps, once each', async () => {
    const block = { height: 4, term: 5, hash: HASH }
    const signature = await own.sign(acknowledgementMessage({ ledger: LEDGER, ...block }))
    const acknowledgements = [1, 2, 3].map(() => ({ from: 'ada', signature }))
    const proof = { kind: 'acknowledgements', seal: utf8('seal'), acknowledgements } as const
    const ballot = { ledger: LEDGER, term: 6, candidate: 'bob', base: BASE }
    const voted = await own.sign(voteMessage(ballot))
    const votes = Array.from({ length: 9 }, () => ({ from: 'ada', signature: voted }))
    const base = { block: BASE, proof: { kind: 'genesis' } } as const
    const lead = { kind: 'lead', term: 6, leader: 'bob', base, votes } as const
    const nothing = { statements: [], notes: [] }
    const held = (name: string, raft: Parameters<typeof heldOf>[3]) =>
      heldOf({ name, nodeKey: own.publicKey }, LEDGER, nothing, raft, undefined)

    const certified = { block, proof }
    const both = held('ada', { certified, lead })
    assert.equal(both.statements.length, 2)
    assert.deepEqual(decodeHeld(encodeHeld(both)), both)
    for (const statement of both.statements)
      assert.equal(await found({ statements: [statement] }, STATE, false), 'forgotten')
    assert.deepEqual(held('bob', { certified, lead }), nothing)
    assert.deepEqual(held('ada', { certified: base, lead: undefined }), nothing)
  })
})
