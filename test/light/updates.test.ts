import assert from 'node:assert/strict'
import fc from 'fast-check'
import { opensslSuite } from '../../node/crypto/openssl.ts'
import { concat, equalBytes } from '../../src/bytes.ts'
import { Writer } from '../../src/codec/writer.ts'
import { nobleSuite } from '../../src/crypto/noble.ts'
import type { Genesis } from '../../src/ledger/genesis.ts'
import type { Validator } from '../../src/ledger/member.ts'
import { type Membership, policyOf } from '../../src/ledger/membership.ts'
import { makeBundle } from '../../src/light/bundle.ts'
import {
  decodePolicyUpdates,
  encodePolicyUpdates,
  followChanges,
  followMemberships,
  followPolicy,
  type PolicyUpdate,
  readPolicyUpdate,
} from '../../src/light/updates.ts'
import { type Verdict, verifyBundle } from '../../src/light/verify.ts'
import { POLICY_UPDATES_BYTES_MAX, POLICY_UPDATES_MAX } from '../../src/limits.ts'
import { type Policy, printPolicy } from '../../src/notes/policy.ts'
import type { TlogProof } from '../../src/notes/tlog-proof.ts'
import { exampleEntry, LEDGER, refused, verdictOn } from '../ledger/fixture.ts'
import { policyOf as outsidersOf, VALIDATORS } from '../notes/fixture.ts'
import { ADMINS, ChangingLedger, FOUNDERS, foundingGenesis, learner, validator } from './changing-ledger.ts'

const [ada, bob, cyd, dee] = FOUNDERS
const ADA_2 = validator('ada', 30)
const LEA = learner('lea', 32)

const textOf = (membership: Membership) => printPolicy(policyOf(LEDGER, membership))
const holds = (policy: Policy, { cosignerKey }: Validator) =>
  policy.witnesses.some(({ key }) => equalBytes(key.bytes, cosignerKey.bytes))
const codeOf = (verdict: Verdict) => (verdict.ok ? 'ok' : verdict.code)

describe('policy updates', () => {
  let genesis: Genesis
  let founding: Policy
  let ledger: ChangingLedger
  /** ada rotates her keys, lea comes and is promoted, bob leaves, an admin leaves. */
  let updates: PolicyUpdate[]
  /** The policy after so many of them. */
  let policies: Policy[]
  before(async () => {
    genesis = await foundingGenesis()
    founding = policyOf(LEDGER, genesis.membership)
    ledger = await ChangingLedger.found()
    updates = []
    policies = [founding]
    for (const what of [
      { put: ADA_2 },
      { put: LEA },
      { put: { ...LEA, kind: 'validator' } },
      { remove: 'bob' },
      { remove: 'carol' },
    ] as const) {
      updates.push(await ledger.change(what))
      policies.push(policyOf(LEDGER, ledger.membership))
    }
  })

  /** As the founding ledger, and then one change by other means. */
  async function changed(...[what, means]: Parameters<ChangingLedger['change']>): Promise<PolicyUpdate> {
    return (await ChangingLedger.found()).change(what, means)
  }
  const follow = (policy: Policy, ...given: (PolicyUpdate | undefined)[]) =>
    followPolicy(opensslSuite, policy, given as PolicyUpdate[])

  it('lead from any policy on the way to the newest, with either implementation of ML-DSA', async () => {
    const newest = textOf(ledger.membership)
    assert.match(newest, /\nquorum validators\/5\n$/)
    for (const [i, policy] of policies.entries()) {
      assert.equal(printPolicy(await follow(policy, ...updates.slice(i))), newest)
    }
    assert.equal(printPolicy(await followPolicy(nobleSuite, founding, updates)), newest)
    assert.equal(await follow(founding), founding)
  })

  it('tell every step', async () => {
    const steps = await followChanges(opensslSuite, founding, updates)
    assert.deepEqual(
      steps.map(({ change }) => change),
      updates.map(({ change }) => change),
    )
    const start = genesis.block.leaves.length
    assert.deepEqual(
      steps.map(({ size }) => size),
      [2, 4, 6, 8, 10].map((leaves) => start + leaves),
    )
    for (const [i, { policy, id }] of steps.entries()) {
      assert.equal(printPolicy(policy), printPolicy(policies[i + 1]!))
      assert.match(id, /^[0-9a-f]{64}$/)
    }
  })

  describe('do not convince', () => {
    it('when an old one is played back on a newer policy, to bring retired keys back', async () => {
      const replayed = [policies[1]!, policies[4]!, policies[5]!]
      for (const policy of replayed) await assert.rejects(follow(policy, updates[0]), refused('stale-change'))
      // Where enough of the old keys are still in force, the old certificate satisfies the newer policy as well,
      // and the turn alone stands in the way.
      const history = await ChangingLedger.found()
      const retired = validator('dee', 36)
      const comes = await history.change({ put: retired })
      const goes = await history.change({ put: dee })
      const rotated = await follow(founding, comes, goes)
      assert.ok(!holds(rotated, retired))
      await assert.rejects(follow(rotated, comes), refused('stale-change'))
      const asIfInTurn = { ...comes, change: { ...comes.change, sequence: 3 } }
      assert.ok(holds(await follow(rotated, asIfInTurn), retired))
    })

    it('when one is missing, doubled or out of order', async () => {
      const [first, second, third] = updates
      for (const given of [[second], [first, third], [first, first], [second, first]]) {
        await assert.rejects(follow(founding, ...given), refused('stale-change'))
      }
    })

    it('when too few validators certify them, or none as the log', async () => {
      await assert.rejects(
        follow(founding, await changed({ put: LEA }, { cosigners: [ada, bob] })),
        refused('quorum-not-met'),
      )
      const strangers = ['x', 'y', 'z'].map((name, i) => validator(name, 80 + 2 * i))
      await assert.rejects(
        follow(founding, await changed({ put: LEA }, { cosigners: strangers })),
        refused('no-log-signature'),
      )
    })

    it('when keys certify them that are not in force: removed ones, or those that only the change brings', async () => {
      const history = await ChangingLedger.found()
      const removal = await history.change({ remove: 'dee' }, { quorums: { cosigners: 3 } })
      const byRemoved = await history.change({ put: LEA }, { cosigners: [ada, bob, dee] })
      await assert.rejects(follow(founding, removal, byRemoved), refused('quorum-not-met'))
      const rotation = await ChangingLedger.found()
      const first = await rotation.change({ put: ADA_2 })
      const byOldKey = await rotation.change({ put: LEA }, { cosigners: [bob, cyd, ada] })
      await assert.rejects(follow(founding, first, byOldKey), refused('quorum-not-met'))
      const byNewKey = await changed({ put: ADA_2 }, { cosigners: [bob, cyd, ADA_2] })
      await assert.rejects(follow(founding, byNewKey), refused('quorum-not-met'))
    })

    it('when the change was made for another ledger, or certified by one', async () => {
      const foreign = await changed({ put: LEA }, { ledger: 'audit.example/other' })
      await assert.rejects(follow(founding, foreign), refused('wrong-ledger'))
      const elsewhere = await changed({ put: LEA }, { origin: 'audit.example/other' })
      await assert.rejects(follow(founding, elsewhere), refused('wrong-origin'))
    })

    it('when the certificate does not cover the change', async () => {
      const history = await ChangingLedger.found()
      const { index, path, checkpoint } = await history.prove(2)
      const { leaf, proof } = updates[0]!
      const cases: [TlogProof, string][] = [
        [{ index, path, checkpoint }, 'bad-inclusion'],
        [{ index: history.leaves.length, path, checkpoint }, 'out-of-range'],
        [{ ...proof, index: 0 }, 'bad-inclusion'],
        [{ ...proof, path: [] }, 'bad-inclusion'],
      ]
      for (const [wrong, code] of cases) {
        await assert.rejects(follow(founding, readPolicyUpdate(leaf, wrong)), refused(code))
      }
    })

    it('when the tree of a later one is not larger', async () => {
      const history = await ChangingLedger.found()
      const first = await history.change({ put: LEA })
      const second = await history.change({ remove: 'carol' })
      const late = readPolicyUpdate(first.leaf, await history.prove(first.proof.index))
      await assert.rejects(follow(founding, late, second), refused('out-of-range'))
      await assert.rejects(followMemberships(opensslSuite, genesis, [late, second]), refused('out-of-range'))
    })

    it('when they leave the policy with a quorum that its validators cannot meet', async () => {
      const [first] = updates
      const absurd = { ...first!, change: { ...first!.change, cosigners: 5 } }
      await assert.rejects(follow(founding, absurd), refused('bad-policy'))
    })
  })

  it('are certified by the validators alone, whomever else the policy asks for', async () => {
    const [outsider] = outsidersOf(1, VALIDATORS.slice(2)).witnesses
    const edited: Policy = {
      logs: founding.logs,
      witnesses: [...founding.witnesses, { ...outsider!, name: 'outsider' }],
      groups: [...founding.groups, { name: 'both', threshold: 2, members: ['validators', 'outsider'] }],
      quorum: 'both',
    }
    const newest = await follow(edited, ...updates)
    assert.deepEqual(newest.witnesses.at(-1), edited.witnesses.at(-1))
    assert.deepEqual(newest.groups.at(-1)!.members, ['validators/5', 'outsider'])
    assert.equal(newest.quorum, 'both')
    // The outsider's word is no substitute for the validators'.
    const either = { ...edited, groups: [founding.groups[0]!, { ...edited.groups[1]!, threshold: 1 }] }
    const few = await changed({ put: LEA }, { cosigners: [ada, bob] })
    await assert.rejects(follow(either, few), refused('quorum-not-met'))
    // Nor is a policy that asks for nobody followed on nobody's word.
    await assert.rejects(follow({ ...founding, quorum: 'none' }, few), refused('quorum-not-met'))
  })

  describe('from genesis', () => {
    const followed = (...given: (PolicyUpdate | undefined)[]) =>
      followMemberships(opensslSuite, genesis, given as PolicyUpdate[])

    it('lead by those of each policy to the members in force', async () => {
      const memberships = await followed(...updates)
      assert.deepEqual(memberships.map(textOf), policies.map(printPolicy))
      assert.deepEqual(memberships.at(-1)!.members, ledger.membership.members)
    })

    it('do not convince when the admins did not sign, whatever the validators certify', async () => {
      const [alice, bella] = ADMINS
      const forgeries: [string, PolicyUpdate][] = [
        ['not-permitted', await changed({ put: LEA }, { admins: [alice!.key] })],
        ['unknown-key', await changed({ put: LEA }, { admins: [alice!.key, ada.nodeKey] })],
      ]
      const { envelope, ...honest } = await changed({ put: LEA })
      const signatures = envelope.signatures.map(({ keyid, sig }) => ({
        keyid,
        sig: sig.map((byte) => byte ^ 1),
      }))
      forgeries.push(['bad-signature', { ...honest, envelope: { ...envelope, signatures } }])
      for (const [code, forged] of forgeries) {
        await assert.rejects(followed(forged), refused(code))
        // Whoever trusts a policy trusts its validators to have looked at this.
        await follow(founding, forged)
      }
      // An admin who has left signs no more.
      const history = await ChangingLedger.found()
      const left = await history.change({ remove: 'bella' })
      const late = await history.change({ put: LEA }, { admins: [alice!.key, bella!.key] })
      await assert.rejects(followed(left, late), refused('unknown-key'))
    })

    it('do not convince when they are out of turn, senseless or certified by too few', async () => {
      await assert.rejects(followed(updates[1]), refused('stale-change'))
      await assert.rejects(followed(updates[0], updates[0]), refused('stale-change'))
      const few = await changed({ put: LEA }, { cosigners: [ada, bob] })
      await assert.rejects(followed(few), refused('quorum-not-met'))
      const senseless = await changed({ put: LEA })
      const nobody = { ...senseless, change: { ...senseless.change, what: { remove: 'nobody' } } }
      await assert.rejects(followed(nobody), refused('bad-change'))
    })
  })

  describe('in a file', () => {
    it('have one spelling', () => {
      const bytes = encodePolicyUpdates(updates)
      assert.deepEqual(decodePolicyUpdates(bytes), updates)
      assert.deepEqual(encodePolicyUpdates([]), Uint8Array.of(0, 0))
      assert.deepEqual(decodePolicyUpdates(Uint8Array.of(0, 0)), [])
      assert.throws(() => decodePolicyUpdates(concat(bytes, Uint8Array.of(0))), refused('trailing-bytes'))
      assert.throws(() => decodePolicyUpdates(bytes.subarray(1)), refused('too-large'))
    })

    it('are refused with any byte missing or changed, or read as something else', () => {
      const bytes = encodePolicyUpdates(updates.slice(0, 2))
      fc.assert(
        fc.property(fc.nat(bytes.length - 1), fc.integer({ min: 1, max: 255 }), (at, mask) => {
          assert.equal(
            verdictOn(() => decodePolicyUpdates(bytes.subarray(0, at))),
            undefined,
          )
          const spoiled = bytes.slice()
          spoiled[at]! ^= mask
          const read = verdictOn(() => decodePolicyUpdates(spoiled))
          if (read) assert.deepEqual(encodePolicyUpdates(read), spoiled)
        }),
        { numRuns: 300 },
      )
    })

    it('are bounded in number and size, before anything is read', () => {
      const many = new Array<PolicyUpdate>(POLICY_UPDATES_MAX + 1).fill(updates[0]!)
      assert.throws(() => encodePolicyUpdates(many), refused('too-large'))
      const announced = new Writer().u16(POLICY_UPDATES_MAX + 1).finish()
      assert.throws(() => decodePolicyUpdates(announced), refused('too-large'))
      const huge = new Uint8Array(POLICY_UPDATES_BYTES_MAX + 1)
      assert.throws(() => decodePolicyUpdates(huge), refused('too-large'))
      const long = new Writer().u16(1).u32(65_536).bytes(new Uint8Array(65_536)).finish()
      assert.throws(() => decodePolicyUpdates(long), refused('too-large'))
    })

    it('hold changes and nothing else', async () => {
      const { proof } = updates[0]!
      const { bytes } = await exampleEntry()
      assert.throws(() => readPolicyUpdate(bytes, proof), refused('unknown-payload-type'))
    })
  })

  describe('in a bundle', () => {
    let entry: Uint8Array
    let index: number
    before(async () => {
      entry = (await exampleEntry()).bytes
      index = ledger.leaves.length
      ledger.append(entry)
    })
    const bundle = async (policy: Policy, given: readonly PolicyUpdate[]) =>
      makeBundle(entry, await ledger.prove(index), policy, given)

    it('let a verifier with an older policy judge it, and say what was followed', async () => {
      for (const [i, policy] of policies.entries()) {
        // The same bundle for all of them: what a policy has followed already is passed over.
        const verdict = await verifyBundle(opensslSuite, await bundle(policy, updates))
        assert.ok(verdict.ok, `policy ${i}`)
        assert.equal(verdict.proves.policySequence, i)
        assert.deepEqual(
          verdict.proves.changes.map(({ sequence }) => sequence),
          [1, 2, 3, 4, 5].slice(i),
        )
        assert.deepEqual(
          verdict.proves.cosigners.map(({ name }) => name),
          ['ada', 'cyd', 'dee'],
        )
      }
      const verdict = await verifyBundle(opensslSuite, await bundle(founding, updates))
      assert.ok(verdict.ok)
      assert.deepEqual(
        verdict.proves.changes.map(({ what }) => what),
        [
          { put: { kind: 'validator', name: 'ada' } },
          { put: { kind: 'learner', name: 'lea' } },
          { put: { kind: 'validator', name: 'lea' } },
          { remove: 'bob' },
          { remove: 'carol' },
        ],
      )
      assert.deepEqual(JSON.parse(JSON.stringify(verdict.proves)), verdict.proves)
    })

    it('are needed by an older policy, and all of them', async () => {
      const judge = async (given: readonly PolicyUpdate[]) =>
        codeOf(await verifyBundle(opensslSuite, await bundle(founding, given)))
      assert.equal(await judge([]), 'no-log-signature')
      assert.equal(await judge(updates.slice(1)), 'stale-change')
      assert.equal(await judge(updates.slice(0, 3)), 'quorum-not-met')
      assert.equal(await judge([...updates].reverse()), 'stale-change')
    })

    it('count for larger trees only: later ones leave the verdict as it is', async () => {
      const before = await ChangingLedger.found()
      const at = before.leaves.length
      before.append(entry)
      const proof = await before.prove(at)
      const later = await before.change({ put: ADA_2 })
      const boundary = later.proof
      const judge = async (...parts: Parameters<typeof makeBundle>) => {
        const verdict = await verifyBundle(opensslSuite, makeBundle(...parts))
        assert.ok(verdict.ok, JSON.stringify(verdict))
        return verdict.proves.changes.length
      }
      assert.equal(await judge(entry, proof, founding, [later]), 0)
      // The tree that holds the change is certified under the policy before it.
      assert.equal(await judge(later.leaf, boundary, founding, [later]), 0)
      before.append(entry.slice(1))
      assert.equal(await judge(later.leaf, await before.prove(boundary.index), founding, [later]), 1)
    })

    it('are no use to a policy that does not say which change it follows', async () => {
      const text = printPolicy(policies.at(-1)!).replaceAll('validators/5', 'ours')
      const verdict = await verifyBundle(opensslSuite, {
        ...(await bundle(founding, updates)),
        policy: new TextEncoder().encode(text),
      })
      assert.ok(verdict.ok)
      assert.deepEqual([verdict.proves.changes, 'policySequence' in verdict.proves], [[], false])
    })

    it('are judged whatever their bytes', async () => {
      const good = await bundle(founding, updates.slice(0, 1))
      const bytes = fc.oneof(
        fc.uint8Array({ maxLength: 200 }),
        fc.nat(good.updates!.length - 1).map((end) => good.updates!.subarray(0, end)),
      )
      await fc.assert(
        fc.asyncProperty(bytes, async (given) => {
          const verdict = await verifyBundle(opensslSuite, { ...good, updates: given })
          assert.ok(!verdict.ok && verdict.code !== 'internal')
        }),
        { numRuns: 200 },
      )
      const huge = { ...good, updates: new Uint8Array(POLICY_UPDATES_BYTES_MAX + 1) }
      assert.equal(codeOf(await verifyBundle(opensslSuite, huge)), 'too-large')
    })
  })
})
