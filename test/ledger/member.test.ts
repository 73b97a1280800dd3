import assert from 'node:assert/strict'
import fc from 'fast-check'
import { fromUtf8, toBase64Url, utf8 } from '../../src/bytes.ts'
import { keyId } from '../../src/crypto/keys.ts'
import { canonicalJson, type Json, type JsonObject } from '../../src/json.ts'
import {
  type Admin,
  decodeMember,
  encodeMember,
  type Member,
  memberFromJson,
  memberToJson,
} from '../../src/ledger/member.ts'
import { defaultCosigners, membershipOf, policyOf } from '../../src/ledger/membership.ts'
import { checkMemberName, checkOrigin, ORIGIN_BYTES_MAX } from '../../src/ledger/names.ts'
import { VALIDATORS_MAX } from '../../src/limits.ts'
import { cosignedMessage } from '../../src/notes/cosignature.ts'
import { parsePolicy, printPolicy, satisfied } from '../../src/notes/policy.ts'
import { ADA, ALICE, CI, LEDGER, refused, signerOf, validatorOf, verdictOn } from './fixture.ts'

const MEMBERS: readonly Member[] = [ALICE, ADA, CI, { ...validatorOf('lea', 24), kind: 'learner' }]
const decode = (value: Json) => decodeMember(canonicalJson(value))
const json = (member: Member, changes: Record<string, Json> = {}) => ({
  ...(memberToJson(member) as JsonObject),
  ...changes,
})

describe('a member record', () => {
  it('survives a round trip, whatever its kind', () => {
    for (const member of MEMBERS) {
      assert.deepEqual(decodeMember(encodeMember(member)), member)
      assert.deepEqual(memberFromJson(memberToJson(member)), member)
    }
  })

  it('has exactly the fields of its kind', () => {
    for (const member of MEMBERS) {
      for (const name of Object.keys(memberToJson(member) as JsonObject)) {
        const { [name]: _, ...rest } = json(member)
        assert.throws(() => decode(rest), refused(name === 'kind' ? 'bad-field' : 'missing-field'), name)
        for (const value of [null, 7, true, '', [], {}, ['']]) {
          assert.throws(
            () => decode(json(member, { [name]: value })),
            { name: 'FormatError' },
            `${name}: ${value}`,
          )
        }
      }
      assert.throws(() => decode(json(member, { note: 'x' })), refused('unknown-field'))
      assert.throws(() => decode(json(member, { kind: 'reader' })), refused('bad-field'))
    }
    assert.throws(() => decode(json(ALICE, { sources: ['*'] })), refused('unknown-field'))
    for (const value of [null, [], 'admin', 1]) assert.throws(() => decode(value), refused('bad-field'))
  })

  it('is read in one spelling', () => {
    const text = fromUtf8(encodeMember(CI))
    for (const changed of [
      ` ${text}`,
      text.replace('"kind"', '"\\u006bind"'),
      text.replace(/("kind":"submitter"),("name":"ci")/, '$2,$1'),
    ]) {
      assert.throws(() => decodeMember(utf8(changed)), refused('json-not-canonical'), changed.slice(0, 40))
    }
    assert.throws(
      () => decodeMember(utf8(text.replace('{', '{"kind":"admin",'))),
      refused('json-duplicate-key'),
    )
    const jwk = json(CI).key as JsonObject
    assert.throws(() => decode(json(CI, { key: { ...jwk, kid: 'my key' } })), refused('json-not-canonical'))
  })

  it('holds public keys of the right kind and never a private one', () => {
    const jwk = json(ALICE).key as JsonObject
    assert.throws(
      () => decode(json(ALICE, { key: { ...jwk, priv: toBase64Url(new Uint8Array(32)) } })),
      refused('bad-key'),
    )
    assert.throws(() => decode(json(ALICE, { key: { ...jwk, alg: 'ML-DSA-44' } })), refused('bad-key'))
    assert.throws(() => decode(json(ALICE, { key: { ...jwk, use: 'sig' } })), refused('json-not-canonical'))
    const { nodeKey, cosignerKey } = json(ADA)
    assert.throws(() => decode(json(ADA, { nodeKey: cosignerKey! })), refused('bad-key'))
    assert.throws(() => decode(json(ADA, { cosignerKey: nodeKey! })), refused('bad-key'))
    for (const alg of ['ML-DSA-44', 'ML-DSA-65', 'ML-DSA-87'] as const) {
      const member = { ...CI, key: signerOf(alg, 9).publicKey }
      assert.deepEqual(decodeMember(encodeMember(member)), member)
    }
  })

  it('bounds its lists and texts', () => {
    const list = (n: number) => Array.from({ length: n }, (_, i) => `p${i}`)
    assert.ok(decode(json(CI, { sources: list(64), types: list(64) })))
    for (const name of ['sources', 'types'])
      assert.throws(() => decode(json(CI, { [name]: list(65) })), refused('bad-field'))
    const addresses = list(9).map((part) => `/${part}`)
    assert.ok(decode(json(ADA, { addresses: addresses.slice(1) })))
    assert.throws(() => decode(json(ADA, { addresses })), refused('bad-field'))
    assert.throws(() => decode(json(ADA, { team: 't'.repeat(129) })), refused('bad-field'))
    for (const peerId of ['', 'two words', 'p\u00e9er', 'line\n', 'p'.repeat(129)]) {
      assert.throws(() => decode(json(ADA, { peerId })), refused('bad-field'), peerId)
    }
    for (const address of [
      '',
      '127.0.0.1:4001',
      '/dns4/n1 /tcp/1',
      '/dns4/n1\u0007/tcp/1',
      `/${'a'.repeat(256)}`,
    ]) {
      assert.throws(() => decode(json(ADA, { addresses: [address] })), refused('bad-field'), address)
    }
    for (const url of [
      'ftp://x',
      'https://',
      'https://a b',
      'javascript:alert(1)',
      'https://a\n',
      ` https://a`,
    ]) {
      assert.throws(() => decode(json(ADA, { url })), refused('bad-field'), url)
    }
  })

  it('is read with typed errors only', () => {
    const values = fc.oneof(
      fc.jsonValue(),
      fc.constantFrom('admin', 'submitter', 'validator', json(ALICE).key as Json),
    )
    const records = fc.dictionary(
      fc.constantFrom('kind', 'name', 'team', 'key', 'sources', 'types', '__proto__'),
      values,
    )
    fc.assert(
      fc.property(fc.oneof(records, fc.jsonValue()), (value) => void verdictOn(() => decode(value as Json))),
    )
  })
})

describe('names', () => {
  it('of members are short, plain and not taken by the policy or by genesis', () => {
    for (const name of ['a', '7', 'ada', 'gateway-ada', 'a--b', 'a'.repeat(63)])
      assert.equal(checkMemberName(name), name)
    for (const name of [
      '',
      'Ada',
      '-a',
      'a-',
      'a b',
      'a.b',
      'a/b',
      'a+b',
      'é',
      'a'.repeat(64),
      'none',
      'validators',
      'genesis',
      'quorum',
      'all',
    ]) {
      assert.throws(() => checkMemberName(name), refused('bad-field'), name)
      assert.throws(() => decode(json(ADA, { name })), refused('bad-field'), name)
    }
  })

  it('of ledgers are C2SP origins that leave room for the names of cosigners', () => {
    for (const origin of ['a', LEDGER, 'audit.example/café', 'a'.repeat(ORIGIN_BYTES_MAX)])
      assert.equal(checkOrigin(origin), origin)
    for (const origin of [
      '',
      'a b',
      'a+b',
      'a\u00a0b',
      'a\u0085b',
      'a\nb',
      'a\u0000',
      '\ud800',
      'a'.repeat(192),
      'é'.repeat(96),
    ]) {
      assert.throws(() => checkOrigin(origin), refused('bad-genesis'), origin)
    }
    const longest = `${'a'.repeat(ORIGIN_BYTES_MAX)}/${'b'.repeat(63)}`
    assert.ok(
      cosignedMessage(longest, 1, {
        origin: 'a'.repeat(ORIGIN_BYTES_MAX),
        size: 1,
        root: new Uint8Array(32),
      }),
    )
  })
})

const QUORUMS = { cosigners: 1, adminQuorum: 1 }
const BELLA: Admin = { ...ALICE, name: 'bella', key: signerOf('ML-DSA-65', 90).publicKey }

describe('the membership', () => {
  it('finds its members', () => {
    const bob = validatorOf('bob', 20)
    const membership = membershipOf([bob, CI, ADA, ALICE], { ...QUORUMS, cosigners: 2 })
    assert.deepEqual(
      membership.validators.map(({ name }) => name),
      ['ada', 'bob'],
    )
    assert.deepEqual(membership.admins, [ALICE])
    assert.equal(membership.submitterByKeyId.get(keyId(CI.key)), CI)
    assert.equal(membership.submitterByKeyId.get(keyId(ALICE.key)), undefined)
    assert.equal(membership.validatorByName.get('bob'), bob)
    assert.equal(membership.nodeByPeerId.get(bob.peerId), bob)
  })

  it('has no two members with one name, key or peer id, across kinds', () => {
    const bob = validatorOf('bob', 20)
    const clashes: Member[][] = [
      [ADA, ALICE, { ...bob, name: 'ada' }],
      [ADA, ALICE, { ...CI, name: 'ada' }],
      [ADA, ALICE, { ...bob, nodeKey: ADA.nodeKey }],
      [ADA, ALICE, { ...bob, cosignerKey: ADA.cosignerKey }],
      [ADA, ALICE, { ...bob, peerId: ADA.peerId }],
      [ADA, ALICE, { ...CI, key: ADA.nodeKey }],
      [ADA, BELLA, { ...ALICE, key: ADA.cosignerKey }],
      [ADA, ALICE, { ...CI, key: ALICE.key }],
    ]
    const quorums = { ...QUORUMS, cosigners: 2 }
    for (const members of clashes) {
      const cosigners = members.filter(({ kind }) => kind === 'validator').length
      assert.throws(() => membershipOf(members, { ...QUORUMS, cosigners }), refused('bad-genesis'))
    }
    assert.ok(membershipOf([ADA, bob, ALICE, CI], quorums))
  })

  it('has 1 to 15 validators', () => {
    const validators = Array.from({ length: VALIDATORS_MAX + 1 }, (_, i) => validatorOf(`v${i}`, 30 + 2 * i))
    assert.throws(() => membershipOf([ALICE, CI], QUORUMS), refused('bad-genesis'))
    const quorums = { ...QUORUMS, cosigners: 11 }
    assert.equal(membershipOf([ALICE, ...validators.slice(1)], quorums).validators.length, VALIDATORS_MAX)
    assert.throws(() => membershipOf([ALICE, ...validators], quorums), refused('bad-genesis'))
  })

  it('elects and decides by more than half of the validators', () => {
    const validators = Array.from({ length: 4 }, (_, i) => validatorOf(`v${i}`, 30 + 2 * i))
    for (const cosigners of [0, 1, 2, 5]) {
      const quorums = { ...QUORUMS, cosigners }
      assert.throws(
        () => membershipOf([ALICE, ...validators], quorums),
        refused('bad-genesis'),
        `${cosigners}`,
      )
    }
    for (const cosigners of [3, 4]) assert.ok(membershipOf([ALICE, ...validators], { ...QUORUMS, cosigners }))
  })

  it('asks by default for as many cosigners as keep a fork from going unseen', () => {
    const table = [1, 2, 3, 3, 4, 5, 5, 6, 7, 7]
    assert.deepEqual(
      table.map((_, i) => defaultCosigners(i + 1)),
      table,
    )
    for (let n = 1; n <= VALIDATORS_MAX; n++) {
      const f = Math.floor((n - 1) / 3)
      // Two quorums share more than f validators, so one of the shared is honest.
      assert.ok(2 * defaultCosigners(n) - n > f)
    }
  })

  it('gives the policy that verifies the ledger', () => {
    const membership = membershipOf([ALICE, ADA, validatorOf('bob', 20), validatorOf('cyd', 22)], {
      cosigners: 2,
      adminQuorum: 1,
    })
    const policy = policyOf(LEDGER, membership)
    assert.deepEqual(parsePolicy(printPolicy(policy)), policy)
    assert.deepEqual(new Set(policy.logs.map(({ key }) => key.name)), new Set([LEDGER]))
    assert.deepEqual(
      policy.witnesses.map(({ name, key }) => [name, key.name]),
      [
        ['ada', `${LEDGER}/ada`],
        ['bob', `${LEDGER}/bob`],
        ['cyd', `${LEDGER}/cyd`],
      ],
    )
    assert.ok(satisfied(policy, new Set(['ada', 'cyd'])))
    assert.ok(!satisfied(policy, new Set(['ada', 'dee'])))
  })
})
