import assert from 'node:assert/strict'
import fc from 'fast-check'
import { toHex, utf8 } from '../../src/bytes.ts'
import { keyId } from '../../src/crypto/keys.ts'
import { canonicalJson, type JsonObject, parseJson } from '../../src/json.ts'
import { type ChainState, checkBlock, checkEntry, extend, genesisState } from '../../src/ledger/chain.ts'
import { adminsOf, applyChange, type Change, decodeChange, encodeChange } from '../../src/ledger/change.ts'
import { decodeEntry, type Entry, signEntry } from '../../src/ledger/entry.ts'
import type { Admin, Learner, Member, Validator } from '../../src/ledger/member.ts'
import { defaultCosigners, type Membership, membershipOf, policyOf } from '../../src/ledger/membership.ts'
import { PAYLOAD_TYPES } from '../../src/ledger/payload-types.ts'
import {
  ADA,
  ALICE,
  adminSigner,
  blankSigner,
  blockOn,
  CI,
  entryOf,
  exampleGenesis,
  LEDGER,
  refused,
  signerOf,
  TIME,
  validatorOf,
  verdictOn,
} from './fixture.ts'

const bella = signerOf('ML-DSA-65', 90)
const BELLA: Admin = { ...ALICE, name: 'bella', key: bella.publicKey }
const BOB: Validator = validatorOf('bob', 20)
const LEA: Learner = { ...validatorOf('lea', 24), kind: 'learner' }
const start = membershipOf([ALICE, BELLA, ADA, BOB, CI], { cosigners: 2, adminQuorum: 2 })

function changeOf(membership: Membership, what: Change['what'], changes: Partial<Change> = {}): Change {
  const { sequence, cosigners, adminQuorum } = membership
  return { ledger: LEDGER, sequence: sequence + 1, cosigners, adminQuorum, what, ...changes }
}
const put = (membership: Membership, member: Member, changes: Partial<Change> = {}) =>
  applyChange(membership, changeOf(membership, { put: member }, changes))
const remove = (membership: Membership, name: string, changes: Partial<Change> = {}) =>
  applyChange(membership, changeOf(membership, { remove: name }, changes))

describe('a change of membership', () => {
  it('has one spelling', () => {
    for (const what of [{ put: LEA }, { remove: 'bob' }]) {
      const change = changeOf(start, what)
      assert.deepEqual(decodeChange(encodeChange(change)), change)
    }
    const json = parseJson(encodeChange(changeOf(start, { put: LEA })), 65_536) as JsonObject
    const decode = (changes: JsonObject) => () => decodeChange(canonicalJson({ ...json, ...changes }))
    assert.throws(decode({ remove: 'bob' }), refused('bad-field'))
    assert.throws(decode({ extra: 1 }), refused('unknown-field'))
    assert.throws(decode({ sequence: -1 }), refused('bad-field'))
    const { put: record, ...neither } = json
    assert.throws(() => decodeChange(canonicalJson(neither)), refused('bad-field'))
    const withKid = {
      ...(record as JsonObject),
      nodeKey: { ...((record as JsonObject).nodeKey as JsonObject), kid: 'x' },
    }
    assert.throws(decode({ put: withKid }), refused('json-not-canonical'))
    const spaced = utf8(` ${new TextDecoder().decode(encodeChange(changeOf(start, { remove: 'bob' })))}`)
    assert.throws(() => decodeChange(spaced), refused('json-not-canonical'))
  })

  it('adds a learner, promotes it, removes it, and lets it come back', () => {
    const added = put(start, LEA)
    assert.deepEqual([added.sequence, added.learners, added.validators.length], [1, [LEA], 2])
    assert.equal(added.nodeByName.get('lea'), LEA)
    const promoted = put(added, { ...LEA, kind: 'validator' }, { cosigners: 3 })
    assert.deepEqual([promoted.learners.length, promoted.cosigners], [0, 3])
    assert.equal(promoted.validatorByName.get('lea')?.kind, 'validator')
    const removed = remove(promoted, 'lea', { cosigners: 2 })
    assert.deepEqual([removed.leaving, removed.former.get(LEA.peerId)], ['lea', 'lea'])
    assert.equal(removed.nodeByName.has('lea'), false)
    const back = put(removed, LEA)
    assert.deepEqual([back.leaving, back.former.has(LEA.peerId), back.sequence], [undefined, false, 4])
    // Under its name nobody else comes: what was promised under it, only the node itself can keep.
    const stranger: Learner = { ...validatorOf('lea', 60), kind: 'learner', peerId: 'a-stranger' }
    assert.throws(() => put(removed, stranger), refused('bad-change'))
    assert.ok(put(removed, { ...stranger, name: 'lena' }))
  })

  it('replaces keys, addresses and patterns, and remembers the peer id that was', () => {
    const rotated = { ...validatorOf('bob', 40), peerId: 'another-peer' }
    const after = put(start, rotated)
    assert.equal(after.validatorByName.get('bob'), rotated)
    assert.equal(after.former.get(BOB.peerId), 'bob')
    assert.deepEqual(put(start, { ...CI, types: ['*'] }).submitters, [{ ...CI, types: ['*'] }])
  })

  it('is refused when its turn is over or has not come', () => {
    const after = put(start, LEA)
    for (const sequence of [0, 1, 3]) {
      assert.throws(() => remove(after, 'bob', { cosigners: 1, sequence }), refused('stale-change'))
    }
  })

  it('is refused when it makes no sense for these members', () => {
    const senseless: [Change['what'], Partial<Change>?][] = [
      [{ put: { ...LEA, kind: 'validator' } }],
      [{ put: BOB }],
      [{ put: { ...LEA, name: 'bob' } }],
      [{ put: { ...BELLA, name: 'ci' } }],
      [{ put: { ...LEA, peerId: BOB.peerId } }],
      [{ put: { ...LEA, nodeKey: CI.key } }],
      [{ remove: 'nobody' }],
      [{ remove: 'bob' }],
      [{ remove: 'bella' }],
      [{ remove: 'ci' }, { cosigners: 3 }],
      [{ remove: 'ci' }, { cosigners: 0 }],
      [{ remove: 'ci' }, { adminQuorum: 0 }],
      [{ remove: 'ci' }, { adminQuorum: 3 }],
    ]
    for (const [what, changes] of senseless) {
      assert.throws(() => applyChange(start, changeOf(start, what, changes)), refused('bad-change'))
    }
    const others = [1, 2, 3, 4, 5, 6, 7].map((i) => ({
      ...ALICE,
      name: `admin-${i}`,
      key: signerOf('ML-DSA-44', 100 + i).publicKey,
    }))
    const crowd = membershipOf([...start.members, ...others], start)
    assert.equal(remove(crowd, 'ci', { adminQuorum: 8 }).adminQuorum, 8)
    // An envelope has room for eight signatures.
    assert.throws(() => remove(crowd, 'ci', { adminQuorum: 9 }), refused('bad-change'))
    const added = put(start, LEA)
    const other = { ...validatorOf('lea', 60), peerId: LEA.peerId }
    assert.throws(() => put(added, other), refused('bad-change'))
    // The same record is a change if it changes a quorum.
    assert.equal(put(start, BOB, { adminQuorum: 1 }).adminQuorum, 1)
    assert.throws(() => put(start, BOB, { cosigners: 1 }), refused('bad-change'))
  })

  it('names itself in the policy, so that a verifier knows which change it follows', () => {
    assert.equal(policyOf(LEDGER, start).quorum, 'validators')
    const promoted = put(put(start, LEA), { ...LEA, kind: 'validator' })
    const policy = policyOf(LEDGER, promoted)
    assert.equal(policy.quorum, 'validators/2')
    assert.deepEqual(policy.groups, [{ name: 'validators/2', threshold: 2, members: ['ada', 'bob', 'lea'] }])
  })

  it('makes the same membership as any twin that starts from its members', () => {
    const pool: Member[] = [BOB, LEA, { ...LEA, kind: 'validator' }, CI, BELLA, ADA]
    const act = fc.record({
      member: fc.constantFrom(...pool),
      gone: fc.boolean(),
      cosigners: fc.integer({ min: 1, max: 3 }),
    })
    fc.assert(
      fc.property(fc.array(act, { maxLength: 12 }), (acts) => {
        let membership = start
        for (const { member, gone, cosigners } of acts) {
          const what = gone ? { remove: member.name } : { put: member }
          const change = changeOf(membership, what, { cosigners, adminQuorum: 1 })
          const after = verdictOn(() => applyChange(membership, change))
          if (!after) continue
          const twin = membershipOf(after.members, { cosigners, adminQuorum: 1 })
          for (const list of ['validators', 'learners', 'admins', 'submitters'] as const) {
            assert.deepEqual(after[list], twin[list])
          }
          assert.equal(after.sequence, membership.sequence + 1)
          membership = after
        }
      }),
    )
  })
})

describe('an entry that changes membership', () => {
  let state: ChainState
  const sign = (change: Change, ...signers: (typeof adminSigner)[]) =>
    signEntry(PAYLOAD_TYPES.change, encodeChange(change), ...signers.map(blankSigner))
  before(async () => {
    state = { ...genesisState(await exampleGenesis()), membership: start }
  })

  it('needs the admin quorum in force, each admin once, and nobody else', async () => {
    const change = changeOf(start, { put: LEA })
    const checks = checkEntry(state, await sign(change, adminSigner, bella))
    assert.deepEqual(
      checks.map(({ key }) => keyId(key)),
      [ALICE, BELLA].map(({ key }) => keyId(key)),
    )
    const refuse = async (code: string, ...signers: (typeof adminSigner)[]) => {
      const entry = await sign(change, ...signers)
      assert.throws(() => checkEntry(state, entry), refused(code))
    }
    await refuse('not-permitted', adminSigner)
    await refuse('unknown-key', adminSigner, signerOf('ML-DSA-65', 4))
    const twice = await sign(change, adminSigner, bella)
    const [first] = twice.envelope.signatures
    const envelope = { ...twice.envelope, signatures: [first!, first!] }
    assert.throws(() => adminsOf(start, envelope), refused('bad-change'))
  })

  it('belongs to one ledger', async () => {
    const entry = await sign(
      changeOf(start, { put: LEA }, { ledger: 'audit.example/other' }),
      adminSigner,
      bella,
    )
    assert.throws(() => checkEntry(state, entry), refused('wrong-ledger'))
  })

  it('counts from the next block on, and stands alone in its block', async () => {
    const change = changeOf(start, { remove: 'ci' })
    const entry = await sign(change, adminSigner, bella)
    const event = await entryOf()
    const check = (on: ChainState, block: Parameters<typeof checkBlock>[1]) =>
      checkBlock(on, block, TIME + 5_000, () => false)
    // The submitter is still a member for the block that removes it.
    const block = await blockOn(state, [entry, event])
    const { entries, entrySignatures } = check(state, block)
    assert.deepEqual(
      entrySignatures.map((checks) => checks.length),
      [2, 1],
    )
    const after = extend(state, block, entries)
    assert.equal(after.membership.sequence, 1)
    const late = await blockOn(after, [await entryOf({ id: 'late' })])
    assert.throws(() => check(after, late), refused('unknown-key'))
    const again: Entry = decodeEntry((await sign(change, adminSigner, bella)).bytes)
    assert.throws(() => checkEntry(after, again), refused('stale-change'))
    const rival = await sign(changeOf(start, { put: LEA }), adminSigner, bella)
    const both = await blockOn(state, [entry, rival])
    assert.throws(() => check(state, both), refused('bad-change'))
    assert.equal(toHex(rival.hash) === toHex(entry.hash), false)
  })

  it('keeps the founding thresholds intact for any number of validators', () => {
    let membership = start
    for (let i = 0; i < 4; i++) {
      const learner: Learner = { ...validatorOf(`n${i}`, 100 + 2 * i), kind: 'learner' }
      membership = put(membership, learner)
      const cosigners = defaultCosigners(membership.validators.length + 1)
      membership = put(membership, { ...learner, kind: 'validator' }, { cosigners })
    }
    assert.deepEqual([membership.validators.length, membership.cosigners, membership.sequence], [6, 5, 8])
  })
})
