import assert from 'node:assert/strict'
import fc from 'fast-check'
import { applyChange, type Change } from '../../src/ledger/change.ts'
import type { Member } from '../../src/ledger/member.ts'
import { type Membership, membershipOf, policyOf } from '../../src/ledger/membership.ts'
import { nextPolicy, policySequence, validatorsOf } from '../../src/light/next-policy.ts'
import { cosignatureKey } from '../../src/notes/cosignature.ts'
import { type Policy, parsePolicy, printPolicy } from '../../src/notes/policy.ts'
import { LEDGER, refused, verdictOn } from '../ledger/fixture.ts'
import { ORIGIN, policyOf as policyOfValidators, VALIDATORS } from '../notes/fixture.ts'
import { ADMINS, FOUNDERS, learner, SUBMITTER, validator } from './changing-ledger.ts'

const START = membershipOf([...ADMINS, ...FOUNDERS, SUBMITTER], { cosigners: 3, adminQuorum: 1 })
const ADA_2 = validator('ada', 50)
const POOL: readonly Member[] = [
  ...FOUNDERS,
  ADA_2,
  { ...FOUNDERS[1]!, url: 'https://moved.example' },
  { ...FOUNDERS[2]!, addresses: ['/dns4/moved.example/tcp/1'] },
  ...['aaa', 'lea', 'zoe'].flatMap((name, i) => [validator(name, 60 + 2 * i), learner(name, 60 + 2 * i)]),
  ...ADMINS,
  { ...SUBMITTER, types: ['*'] },
]

const changeOf = (membership: Membership, what: Change['what'], cosigners: number): Change => {
  const { sequence, adminQuorum } = membership
  return { ledger: LEDGER, sequence: sequence + 1, cosigners, adminQuorum, what }
}

/** Runs of changes that the rules allow. */
const histories = fc
  .array(
    fc.record({
      member: fc.constantFrom(...POOL),
      gone: fc.boolean(),
      cosigners: fc.integer({ min: 1, max: 5 }),
    }),
    { minLength: 6, maxLength: 14 },
  )
  .map((acts) => {
    const steps: { change: Change; after: Membership }[] = []
    for (const { member, gone, cosigners } of acts) {
      const before = steps.at(-1)?.after ?? START
      const change = changeOf(before, gone ? { remove: member.name } : { put: member }, cosigners)
      const after = verdictOn(() => applyChange(before, change))
      if (after) steps.push({ change, after })
    }
    return steps
  })

const keyNamed = (name: string) => cosignatureKey(name, FOUNDERS[0].cosignerKey)
const FOUNDING = policyOf(LEDGER, START)
const NEXT = changeOf(START, { put: ADA_2 }, 3)

/** What an owner of the founding policy has made of it: two outside witnesses, of whom one is asked for as well. */
const [outsider, other] = policyOfValidators(1, VALIDATORS.slice(2)).witnesses
const EDITED: Policy = {
  logs: FOUNDING.logs,
  witnesses: [{ ...outsider!, name: 'outsider' }, ...FOUNDING.witnesses, { ...other!, name: 'other' }],
  groups: [
    { name: 'outside', threshold: 1, members: ['other', 'outsider'] },
    ...FOUNDING.groups,
    { name: 'both', threshold: 2, members: ['validators', 'outside'] },
  ],
  quorum: 'both',
}

describe('the policy after a change', () => {
  it('is the one that the ledger makes of its members, byte for byte, after any changes', () => {
    let longest = 0
    fc.assert(
      fc.property(histories, (steps) => {
        longest = Math.max(longest, steps.length)
        let policy = FOUNDING
        for (const { change, after } of steps) {
          policy = nextPolicy(policy, change)
          assert.equal(printPolicy(policy), printPolicy(policyOf(LEDGER, after)))
          assert.equal(policySequence(policy), after.sequence)
        }
      }),
      { numRuns: 300 },
    )
    assert.ok(longest >= 5, 'the histories are too short to say anything')
  })

  it('keeps what its owner added, after any changes', () => {
    fc.assert(
      fc.property(histories, (steps) => {
        let policy = EDITED
        for (const { change, after } of steps) {
          policy = nextPolicy(policy, change)
          const { groups, witnesses, logs } = policyOf(LEDGER, after)
          const [validators] = groups
          assert.deepEqual(policy.logs, logs)
          assert.deepEqual(policy.witnesses, [...witnesses, EDITED.witnesses[0], EDITED.witnesses.at(-1)])
          assert.deepEqual(policy.groups, [
            EDITED.groups[0],
            validators,
            { name: 'both', threshold: 2, members: [validators!.name, 'outside'] },
          ])
          assert.equal(policy.quorum, 'both')
        }
      }),
      { numRuns: 100 },
    )
  })

  it('keeps the name by which its owner calls a validator', () => {
    const called = (name: string) => (name === 'ada' ? 'first' : name)
    const policy: Policy = {
      ...FOUNDING,
      witnesses: FOUNDING.witnesses.map((line) => ({ ...line, name: called(line.name) })),
      groups: FOUNDING.groups.map((group) => ({ ...group, members: group.members.map(called) })),
    }
    const next = nextPolicy(policy, NEXT)
    const ada = next.witnesses.find(({ name }) => name === 'first')
    assert.deepEqual(ada?.key.bytes, ADA_2.cosignerKey.bytes)
    assert.deepEqual(next.groups[0]!.members, ['bob', 'cyd', 'dee', 'first'])
    const gone = nextPolicy(next, { ...NEXT, sequence: 2, what: { remove: 'ada' } })
    assert.deepEqual(gone.groups[0], { name: 'validators/2', threshold: 3, members: ['bob', 'cyd', 'dee'] })
    assert.equal(gone.logs.length, 3)
  })

  it('cannot be made of a policy that does not say which change it follows', () => {
    const text = printPolicy(FOUNDING)
    const named = (name: string) => parsePolicy(text.replaceAll(' validators', ` ${name}`))
    for (const name of [
      'ours',
      'validators/0',
      'validators/01',
      'validators/x',
      'validators/9007199254740993',
    ]) {
      assert.equal(policySequence(named(name)), undefined, name)
      assert.throws(() => nextPolicy(named(name), NEXT), refused('bad-policy'), name)
    }
    assert.equal(validatorsOf(named('validators/41')).name, 'validators/41')
    const two: Policy = {
      ...EDITED,
      groups: EDITED.groups.map((group) =>
        group.name === 'outside' ? { ...group, name: 'validators/7' } : group,
      ),
    }
    assert.equal(policySequence(two), undefined)
  })

  it('cannot be made of a policy whose validators stand among others, or without their lines', () => {
    const [group] = FOUNDING.groups
    const withMember = (member: string): Policy => ({
      ...EDITED,
      groups: [{ ...group!, members: [...group!.members, member] }],
      quorum: 'validators',
    })
    const broken: Policy[] = [
      withMember('outsider'),
      { ...FOUNDING, logs: FOUNDING.logs.slice(1) },
      policyOf('audit.example/other', START),
      // A key under another name than a validator's, as a witness and as a log.
      { ...FOUNDING, witnesses: FOUNDING.witnesses.with(0, { name: 'ada', key: keyNamed('elsewhere') }) },
      { ...FOUNDING, logs: FOUNDING.logs.with(0, { key: keyNamed('elsewhere') }) },
    ]
    const elsewhere = changeOf(START, { remove: 'bob' }, 3)
    for (const policy of broken) {
      for (const change of [NEXT, elsewhere]) {
        assert.throws(() => nextPolicy(policy, change), refused('bad-policy'))
      }
    }
  })

  it('is refused if a validator comes whose name or key has another meaning in the policy', () => {
    const learned = nextPolicy(EDITED, changeOf(START, { put: learner('outside', 70) }, 3))
    const promote = (member: Member): Change => ({ ...NEXT, sequence: 2, what: { put: member } })
    assert.throws(() => nextPolicy(learned, promote(validator('outside', 70))), refused('bad-policy'))
    const namesake = { ...validator('lea', 72), cosignerKey: VALIDATORS[2].signer.publicKey }
    assert.throws(() => nextPolicy(learned, promote(namesake)), refused('bad-policy'))
    assert.equal(ORIGIN, LEDGER, 'the outside witnesses above have key names under this very ledger')
  })
})
