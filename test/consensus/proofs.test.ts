import { deepEqual, equal } from 'node:assert/strict'
import fc from 'fast-check'
import type { Message } from '../../consensus/messages.ts'
import { isCertified, judge } from '../../consensus/proofs.ts'
import type { Certified, Configuration, Signed } from '../../consensus/types.ts'
import { utf8 } from '../../src/bytes.ts'
import { fakeCover, fakeProofs, fakeSign } from './fakes.ts'
import {
  acknowledge,
  block,
  certified,
  chain,
  GENESIS,
  GENESIS_PROVEN,
  lead,
  of,
  refTo,
  vote,
} from './support.ts'

let known = of('abcd', 'x', 3)
const PORTS = fakeProofs(GENESIS, () => known)

/** A server that knows no block but the first, and the voters a to d with a quorum of three. */
function judges(
  configuration: Configuration = of('abcd', 'x', 3),
  ballot: { candidate: string } | undefined = undefined,
) {
  known = configuration
  return {
    id: 'a',
    ballot: ballot && { ...ballot, base: refTo(GENESIS) },
  }
}

const [ONE] = chain([1])
const blockProof = (each: Certified) => isCertified(PORTS, each)
const judged = (message: Message, raft = judges(), from = 'b') => judge(raft, PORTS, from, message)

describe('a certificate of a block', () => {
  it('has the seal and the acknowledgements of a quorum together', async () => {
    equal(await blockProof(certified(ONE!, 'cd')), true)
    equal(await blockProof(certified(ONE!, 'acd')), true)
    equal(await blockProof(certified(block(GENESIS, 1, '', 'x'), 'acd')), true, 'sealed by who is no voter')
  })

  for (const [why, proof] of [
    ['one too few', certified(ONE!, 'c')],
    ['one of them twice', certified(ONE!, 'cc')],
    ['the proposer again', certified(ONE!, 'bc')],
    ['a learner', certified(ONE!, 'cx')],
    ['a stranger', certified(ONE!, 'cz')],
    ['a proposer that is no voter, counted', certified(block(GENESIS, 1, '', 'x'), 'cd')],
    [
      'acknowledgements of another block',
      { ...certified(block(GENESIS, 1, 'other', 'b'), 'cd'), block: refTo(ONE!) },
    ],
    ['another term', { ...certified(ONE!, 'cd'), block: { ...refTo(ONE!), term: 2 } }],
    ['another height', { ...certified(ONE!, 'cd'), block: { ...refTo(ONE!), height: 2 } }],
    ['another hash', { ...certified(ONE!, 'cd'), block: { ...refTo(ONE!), hash: 'other' } }],
    ['genesis that is none', { block: refTo(ONE!), proof: { kind: 'genesis' } }],
    ['genesis of a later term', { block: { ...refTo(GENESIS), term: 9 }, proof: { kind: 'genesis' } }],
    [
      'a certificate of another block',
      { block: refTo(ONE!), proof: { kind: 'ledger', bytes: fakeCover(GENESIS) } },
    ],
  ] as const satisfies readonly (readonly [string, Certified])[]) {
    it(`is refused with ${why}`, async () => equal(await blockProof(proof), false))
  }

  it('is refused with a signature that is not the one it is said to be', async () => {
    const { block, proof } = certified(ONE!, 'cd')
    if (proof.kind !== 'acknowledgements') throw new Error('not of acknowledgements')
    const [c, d] = proof.acknowledgements as [Signed, Signed]
    for (const acknowledgements of [
      [c, { ...d, signature: c.signature }],
      [c, { ...c, from: 'd' }],
      [c, { ...d, signature: utf8('none') }],
    ]) {
      equal(await blockProof({ block, proof: { ...proof, acknowledgements } }), false)
    }
    equal(await blockProof({ block, proof: { ...proof, seal: utf8('no seal') } }), false)
  })

  it('may also be one of the ledger, or that it is the first block', async () => {
    equal(await blockProof({ block: refTo(ONE!), proof: { kind: 'ledger', bytes: fakeCover(ONE!) } }), true)
    equal(await blockProof(GENESIS_PROVEN), true)
  })

  it('counts as a set of voters does', async () => {
    const signers = fc.array(fc.constantFrom(...'abcdxz'), { maxLength: 8 })
    await fc.assert(
      fc.asyncProperty(signers, fc.integer({ min: 3, max: 4 }), async (each, quorum) => {
        const configuration = of('abcd', 'x', quorum)
        const voters = new Set([...each, 'b'].filter((name) => configuration.voters.includes(name)))
        known = configuration
        const right = await isCertified(PORTS, certified(ONE!, each.join('')))
        equal(right, voters.size >= quorum)
      }),
    )
  })
})

describe('a certificate of a term', () => {
  it('has the votes of a quorum for the leader and its base, and a proof of the base', async () => {
    equal(await judged(lead(2, 'b', 'bcd', certified(ONE!, 'cd'))), 'proven')
    for (const [why, message] of [
      ['one too few', lead(2, 'b', 'bc')],
      ['one twice', lead(2, 'b', 'bcc')],
      ['a learner', lead(2, 'b', 'bcx')],
      ['a base without proof', lead(2, 'b', 'bcd', certified(ONE!, 'c'))],
      ['votes of another term', { ...lead(2, 'b', 'bcd'), term: 3 }],
      ['votes for another', { ...lead(2, 'b', 'bcd'), leader: 'c' }],
      ['votes for another base', { ...lead(2, 'b', 'bcd'), base: certified(ONE!, 'cd') }],
    ] as const) {
      equal(await judged(message), 'unproven', why)
    }
  })
})

describe('a statement', () => {
  it('of a candidacy is signed by the candidate, with a base that is proven', async () => {
    equal(await judged(vote(2, 'b', certified(ONE!, 'cd'))), 'proven')
    equal(await judged(vote(2, 'b', certified(ONE!, 'c'))), 'unproven')
    equal(await judged(vote(2, 'c')), 'unproven', 'of another')
    equal(await judged({ ...vote(2, 'b'), term: 3 }), 'unproven')
    equal(await judged({ ...vote(2, 'b'), base: certified(ONE!, 'cd') }), 'unproven')
  })

  it('of a vote is on what this candidate stands for', async () => {
    const statement = { kind: 'vote', term: 2, candidate: 'a', base: refTo(GENESIS) } as const
    const reply = { kind: 'vote-reply', term: 2, signature: fakeSign('b', statement) } as const
    const candidate = judges(undefined, { candidate: 'a' })
    equal(await judged(reply, candidate), 'proven')
    equal(await judged(reply, candidate, 'c'), 'unproven')
    equal(await judged({ ...reply, term: 3 }, candidate), 'unproven')
    equal(await judged({ ...reply, signature: undefined }, candidate), 'unproven')
    equal(await judged(reply, judges(undefined, { candidate: 'b' })), 'unproven', 'it stands for nothing')
    equal(await judged(reply, judges()), 'unproven')
  })

  it('of an acknowledgement is signed by its sender', async () => {
    const said = acknowledge('b', ONE!)
    deepEqual(
      [
        await judged(said),
        await judged(said, judges(), 'c'),
        await judged({ ...said, height: 2 }),
        await judged({ ...said, hash: 'other' }),
        await judged({ ...said, term: 2 }),
      ],
      ['proven', 'unproven', 'unproven', 'unproven', 'unproven'],
    )
  })
})
