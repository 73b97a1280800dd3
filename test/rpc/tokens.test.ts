import assert from 'node:assert/strict'
import { createTokenStore, tokensFromJson } from '../../node/rpc/tokens.ts'
import { ServiceError } from '../../node/service.ts'
import { FormatError } from '../../src/errors.ts'
import { sha256Hex } from './fake-service.ts'

const record = (token: string, name: string) => ({
  name,
  sha256: sha256Hex(token),
  sources: ['https://ci.example/*'],
  types: ['dev.cdevents.*'],
})

describe('bearer tokens', () => {
  const store = createTokenStore([record('alpha', 'a'), record('beta+/._~-==', 'b'), record('gamma', 'c')])

  it('stand for whoever they were given to', () => {
    for (const [token, name] of [
      ['alpha', 'a'],
      ['beta+/._~-==', 'b'],
      ['gamma', 'c'],
    ] as const) {
      const { sources, types } = record(token, name)
      assert.deepEqual(store.principalOf(`Bearer ${token}`), { name, sources, types })
      assert.equal(store.principalOf(`bearer  ${token}`).name, name)
    }
  })

  it('never show their hash', () => assert.ok(!('sha256' in store.principalOf('Bearer alpha'))))

  for (const header of [
    undefined,
    '',
    'alpha',
    'Bearer',
    'Bearer ',
    'Bearer Alpha',
    'Bearer alpha ',
    'Bearer alpha beta',
    'Basic alpha',
    `Bearer ${sha256Hex('alpha')}`,
    `Bearer ${'a'.repeat(600)}`,
    'Bearer älpha',
  ]) {
    it(`do not come as ${JSON.stringify(header)?.slice(0, 40)}`, () => {
      assert.equal(store.find(header), undefined)
      assert.throws(
        () => store.principalOf(header),
        (error) => error instanceof ServiceError && error.code === 'unauthorized',
      )
    })
  }

  it('are read strictly', () => {
    const good = record('alpha', 'a')
    assert.deepEqual(tokensFromJson([good]), [good])
    for (const bad of [
      { ...good, token: 'alpha' },
      { ...good, sha256: good.sha256.toUpperCase() },
      { ...good, sha256: good.sha256.slice(2) },
      { ...good, sources: [] },
      { ...good, name: '' },
      { name: 'a' },
    ]) {
      assert.throws(() => tokensFromJson([bad]), FormatError)
    }
    assert.throws(() => createTokenStore([good, { ...good, name: 'b' }]), FormatError)
    assert.throws(() => tokensFromJson(new Array(257).fill(good)), FormatError)
  })
})
