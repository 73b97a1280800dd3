/** What a node makes of the votes, acknowledgements and candidacies of one key, however they come to it. */
import assert from 'node:assert/strict'
import fc from 'fast-check'
import { StatementWatch } from '../../node/core/statement-watch.ts'
import { opensslSuite } from '../../node/crypto/openssl.ts'
import { fromHex, fromUtf8, toHex } from '../../src/bytes.ts'
import { ML_DSA, type PublicKey, type SignatureSuite } from '../../src/crypto/suite.ts'
import { type Acknowledgement, acknowledgementEnvelope } from '../../src/ledger/acknowledgement.ts'
import { verifyEvidence } from '../../src/ledger/contradiction.ts'
import { type Envelope, envelopeBy } from '../../src/ledger/dsse.ts'
import type { TwoStatements } from '../../src/ledger/evidence.ts'
import { PAYLOAD_TYPES } from '../../src/ledger/payload-types.ts'
import { decodeSeal, encodeSeal, type Seal } from '../../src/ledger/seal.ts'
import { decodeVote, type Vote, voteEnvelope } from '../../src/ledger/vote.ts'
import { ADA, LEDGER, TIME, validatorOf } from '../ledger/fixture.ts'

const KEY = ADA.nodeKey
const BOB_KEY = validatorOf('bob', 50).nodeKey
const SIG = new Uint8Array(ML_DSA['ML-DSA-65'].signature)
const OTHER_SIG = SIG.map(() => 1)
/** The watch is told only of what is verified; here every signature is taken for good. */
const credulous: SignatureSuite = { ...opensslSuite, verify: async () => true }
const HASHES = ['11'.repeat(32), '22'.repeat(32)] as const

const vote = (term: number, changes: Partial<Vote> = {}): Vote => ({
  ledger: LEDGER,
  term,
  candidate: 'ada',
  base: { height: 7, term: 1, hash: HASHES[0] },
  ...changes,
})
const said = (term: number, height: number, hash: string = HASHES[0]): Acknowledgement => ({
  ledger: LEDGER,
  term,
  height,
  hash,
})
const sealed = (term: number, height: number, previous: string = HASHES[0]): Seal => ({
  ledger: LEDGER,
  height,
  term,
  proposer: 'ada',
  previous: fromHex(previous),
  firstIndex: 9,
  count: 0,
  entriesRoot: new Uint8Array(32),
  time: TIME,
})
const envelopeOf = (seal: Seal, key: PublicKey = KEY): Envelope =>
  envelopeBy(key, PAYLOAD_TYPES.seal, encodeSeal(seal), SIG)

describe('the watch over statements', () => {
  let watch: StatementWatch
  let found: TwoStatements[]
  beforeEach(() => {
    watch = new StatementWatch()
    found = []
  })
  const sawVote = (of: Vote, key = KEY, sig = SIG, present = of.term) =>
    void found.push(...watch.sawVote(key, of, sig, present))
  const sawAcknowledgement = (of: Acknowledgement, key = KEY, sig = SIG) => {
    const evidence = watch.sawAcknowledgement(key, of, sig)
    if (evidence) found.push(evidence)
  }
  const sawSeal = (of: Seal, key = KEY) => {
    const evidence = watch.sawSeal(key, envelopeOf(of, key), of)
    if (evidence) found.push(evidence)
  }
  /** What was found since the last call; each piece would convince anyone. */
  const kinds = async () => {
    for (const evidence of found) await verifyEvidence(credulous, evidence)
    return found.splice(0).map(({ kind }) => kind)
  }

  it('sees two votes in one term, for two candidates or on two bases', async () => {
    sawVote(vote(4))
    sawVote(vote(4, { candidate: 'bob' }))
    assert.deepEqual(await kinds(), ['two-votes'])
    sawVote(vote(5, { candidate: 'bob' }))
    sawVote(vote(5, { candidate: 'bob', base: { height: 8, term: 1, hash: HASHES[0] } }))
    assert.deepEqual(await kinds(), ['two-votes'])
  })

  it('sees two votes of a far term, also when the first has brought this node there', async () => {
    sawVote(vote(50), KEY, SIG, 5)
    // Votes of other far terms, as in certificates that do not hold, push out neither of them.
    for (let term = 1_000; term < 1_100; term++) sawVote(vote(term), KEY, SIG, 50)
    sawVote(vote(50, { candidate: 'bob' }), KEY, SIG, 50)
    assert.deepEqual(await kinds(), ['two-votes'])
    sawVote(vote(90), KEY, SIG, 50)
    sawVote(vote(90, { candidate: 'bob' }), KEY, SIG, 50)
    assert.deepEqual(await kinds(), ['two-votes'], 'both far')
    sawSeal(sealed(90, 3))
    assert.deepEqual(await kinds(), ['broken-candidacy'])
  })

  it('keeps the votes of terms near its own, however many of far ones come', async () => {
    sawVote(vote(5), KEY, SIG, 5)
    for (let term = 1_000; term < 1_100; term++) sawVote(vote(term), KEY, SIG, 5)
    sawVote(vote(5, { candidate: 'bob' }), KEY, SIG, 5)
    assert.deepEqual(await kinds(), ['two-votes'])
  })

  it('answers with what ranks highest of a key, also when something older is shown later', () => {
    const newest = () => watch.newestBy(KEY).map(({ payload }) => fromUtf8(payload))
    const payloads = (a: Vote, b: Acknowledgement) => [
      fromUtf8(voteEnvelope(KEY, a, SIG).payload),
      fromUtf8(acknowledgementEnvelope(KEY, b, SIG).payload),
    ]
    sawVote(vote(7))
    sawAcknowledgement(said(6, 9))
    sawVote(vote(4))
    for (let height = 1; height < 9; height++) sawAcknowledgement(said(6, height))
    sawAcknowledgement(said(5, 30))
    assert.deepEqual(newest(), payloads(vote(7), said(6, 9)))
    sawVote(vote(500), KEY, SIG, 7)
    sawAcknowledgement(said(7, 2))
    assert.deepEqual(newest(), payloads(vote(500), said(7, 2)))
  })

  it('sees two acknowledgements for one term and height', async () => {
    sawAcknowledgement(said(4, 8))
    sawAcknowledgement(said(4, 9))
    sawAcknowledgement(said(4, 8, HASHES[1]))
    assert.deepEqual(await kinds(), ['two-acknowledgements'])
  })

  it('sees a candidacy that is broken, whichever side comes first', async () => {
    const broken = [sealed(4, 7), sealed(4, 3), sealed(4, 8, HASHES[1])]
    for (const seal of broken) {
      for (const isVoteFirst of [true, false]) {
        watch = new StatementWatch()
        const steps = [() => sawVote(vote(4)), () => sawSeal(seal)]
        for (const step of isVoteFirst ? steps : steps.toReversed()) step()
        assert.deepEqual(await kinds(), ['broken-candidacy'], `height ${seal.height}, ${isVoteFirst}`)
      }
    }
  })

  it('keeps of a term the seal that leaves the base first, among those that fit', async () => {
    for (const heights of [
      [8, 9, 6, 10],
      [6, 8],
      [12, 11, 7],
    ]) {
      watch = new StatementWatch()
      for (const height of heights) sawSeal(sealed(4, height))
      sawVote(vote(4))
      assert.deepEqual(await kinds(), ['broken-candidacy'], String(heights))
    }
  })

  it('takes of an envelope only what the proposer signed first', async () => {
    const seal = sealed(4, 7)
    const envelope = envelopeOf(seal)
    const more = { keyid: 'x'.repeat(42).concat('A'), sig: new Uint8Array(2_420) }
    sawVote(vote(4))
    const evidence = watch.sawSeal(KEY, { ...envelope, signatures: [...envelope.signatures, more] }, seal)
    found.push(evidence!)
    assert.deepEqual(await kinds(), ['broken-candidacy'])
  })

  it('holds nothing against who repeats itself, with whatever signature', async () => {
    for (const sig of [SIG, OTHER_SIG, SIG]) {
      sawVote(vote(4), KEY, sig)
      sawAcknowledgement(said(4, 8), KEY, sig)
      sawSeal(sealed(4, 8))
    }
    assert.deepEqual(await kinds(), [])
  })

  it('holds nothing against who keeps the rules from term to term', async () => {
    for (let again = 0; again < 2; again++) {
      sawVote(vote(2, { candidate: 'bob' }))
      sawAcknowledgement(said(2, 8, HASHES[1]))
      sawVote(vote(4))
      for (const height of [8, 9, 10]) {
        sawSeal(sealed(4, height, height === 8 ? HASHES[0] : HASHES[1]))
        sawAcknowledgement(said(4, height))
      }
      sawVote(vote(5, { base: { height: 9, term: 4, hash: HASHES[1] } }))
      sawSeal(sealed(5, 10, HASHES[1]))
      sawAcknowledgement(said(5, 10, HASHES[1]))
    }
    assert.deepEqual(await kinds(), [])
  })

  it('holds nothing against one key for what another one has signed', async () => {
    sawVote(vote(4))
    sawVote(vote(4, { candidate: 'eve' }), BOB_KEY)
    sawAcknowledgement(said(4, 8))
    sawAcknowledgement(said(4, 8, HASHES[1]), BOB_KEY)
    sawSeal({ ...sealed(4, 7), proposer: 'bob' }, BOB_KEY)
    // Ada follows bob, and has sealed in a term of its own before.
    sawVote(vote(6, { candidate: 'bob' }))
    sawSeal(sealed(5, 7))
    assert.deepEqual(await kinds(), [])
  })

  it('remembers the last statements of each key, and no more', async () => {
    const first = vote(1, { candidate: 'bob' })
    const last = vote(1_000, { candidate: 'bob' })
    for (const key of [KEY, BOB_KEY]) {
      sawVote(first, key)
      sawAcknowledgement(said(1, 1), key)
      sawSeal(sealed(1, 7), key)
    }
    for (let i = 1; i <= 600; i++) {
      sawVote(vote(400 + i, { candidate: 'bob' }))
      sawAcknowledgement(said(1, 1 + i))
      sawSeal(sealed(400 + i, 7))
    }
    assert.deepEqual(await kinds(), [])
    // What ada has pushed out is forgotten; what bob said is not.
    for (const key of [KEY, BOB_KEY]) {
      sawVote(vote(1), key)
      sawAcknowledgement(said(1, 1, HASHES[1]), key)
    }
    const found = await kinds()
    assert.deepEqual(found.sort(), ['broken-candidacy', 'two-acknowledgements', 'two-votes'])
    sawVote({ ...last, candidate: 'ada' })
    sawAcknowledgement(said(1, 601, HASHES[1]))
    assert.deepEqual((await kinds()).sort(), ['broken-candidacy', 'two-acknowledgements', 'two-votes'])
  })

  it('finds something if and only if two of a few statements contradict each other, in any order', async () => {
    const few = <T>(...items: T[]) => fc.constantFrom(...items)
    const base = fc.record(
      { height: few(6, 7), term: few(1), hash: few(...HASHES) },
      { noNullPrototype: true },
    )
    const statement = fc.oneof(
      fc.record({ term: few(3, 4), candidate: few('ada', 'bob'), base }).map((v) => vote(v.term, v)),
      fc
        .record({ term: few(3, 4), height: few(7, 8), hash: few(...HASHES) })
        .map((a) => said(a.term, a.height, a.hash)),
      fc
        .record({ term: few(3, 4), height: few(6, 7, 8, 9), previous: few(...HASHES) })
        .map((s) => sealed(s.term, s.height, s.previous)),
    )
    const tally = { some: 0, none: 0 }
    await fc.assert(
      fc.asyncProperty(fc.array(statement, { maxLength: 4 }), async (statements) => {
        watch = new StatementWatch()
        for (const one of statements) {
          if ('candidate' in one) sawVote(one)
          else if ('proposer' in one) sawSeal(one)
          else sawAcknowledgement(one)
        }
        const isGuilty = statements.some((a) => statements.some((b) => exclude(a, b)))
        // Two seals for one height are the seal watch's to see: one of them may hide the other from this one.
        const isTwice = statements.some((a) => statements.some((b) => twice(a, b)))
        const isFound = (await kinds()).length > 0
        if (!isTwice || isFound) assert.equal(isFound, isGuilty)
        tally[isFound ? 'some' : 'none']++
      }),
      { numRuns: 3_000 },
    )
    assert.ok(tally.some > 300 && tally.none > 300, JSON.stringify(tally))
  })

  it('gives evidence that names the statements as they were signed', () => {
    const seal = sealed(4, 7)
    sawVote(vote(4), KEY, OTHER_SIG)
    sawSeal(seal)
    const [evidence] = found
    assert.deepEqual(decodeVote(evidence!.statements[0].payload), vote(4))
    assert.deepEqual(evidence!.statements[0].signatures[0]!.sig, OTHER_SIG)
    assert.deepEqual(decodeSeal(evidence!.statements[1].payload), seal)
    assert.deepEqual(evidence!.accused, KEY)
  })
})

type Statement = Vote | Acknowledgement | Seal

/** The rules once more, spelled out for statements by one key in one ledger. */
function exclude(a: Statement, b: Statement): boolean {
  if (a.term !== b.term) return false
  if ('candidate' in a && 'candidate' in b) return JSON.stringify(a) !== JSON.stringify(b)
  if ('candidate' in a && 'proposer' in b) {
    if (a.candidate !== b.proposer) return false
    const isOnBase = toHex(b.previous) === a.base.hash
    return b.height <= a.base.height || (b.height === a.base.height + 1 && !isOnBase)
  }
  return 'hash' in a && 'hash' in b && a.height === b.height && a.hash !== b.hash
}

function twice(a: Statement, b: Statement): boolean {
  if (!('proposer' in a && 'proposer' in b)) return false
  return a.term === b.term && a.height === b.height && toHex(a.previous) !== toHex(b.previous)
}
