import assert from 'node:assert/strict'
import fc from 'fast-check'
import { KeyObjectCache, opensslSuite, sha256 } from '../../node/crypto/openssl.ts'
import { sha256 as nobleSha256 } from '../../src/crypto/hash.ts'
import { nobleSuite } from '../../src/crypto/noble.ts'
import type { PublicKey } from '../../src/crypto/suite.ts'
import { SEED, testSignatureSuite } from './suite.compliance.ts'

describe('ML-DSA by OpenSSL', () => {
  testSignatureSuite(opensslSuite, nobleSuite)

  it('verifies off the main thread', async () => {
    const signer = opensslSuite.signer('ML-DSA-87', SEED)
    const signature = await signer.sign(SEED)
    let done = false
    const pending = opensslSuite.verify(signer.publicKey, SEED, signature).finally(() => {
      done = true
    })
    // Had the verification run inside the call, its promise would settle within these microtasks.
    for (let turn = 0; turn < 100; turn++) await Promise.resolve()
    assert.equal(done, false)
    assert.equal(await pending, true)
  })

  it('verifies many at once, each with its own answer', async () => {
    const signer = opensslSuite.signer('ML-DSA-44', SEED)
    const messages = Array.from({ length: 32 }, (_, i) => Uint8Array.of(i))
    const signatures = await Promise.all(messages.map((message) => signer.sign(message)))
    const answers = await Promise.all(
      messages.map((message, i) =>
        opensslSuite.verify(signer.publicKey, message, signatures[i % 2 === 0 ? i : 0]!),
      ),
    )
    assert.deepEqual(
      answers,
      messages.map((_, i) => i % 2 === 0),
    )
  })
})

describe('KeyObjectCache', () => {
  const key = (fill: number): PublicKey => ({ alg: 'ML-DSA-44', bytes: new Uint8Array(1312).fill(fill) })

  it('imports equal keys once, whichever object they come in', () => {
    const cache = new KeyObjectCache(4)
    assert.equal(cache.get(key(1)), cache.get(key(1)))
    assert.equal(cache.size, 1)
  })

  it('notices that the bytes behind an object have changed', () => {
    const cache = new KeyObjectCache(4)
    const mutable = key(1)
    const first = cache.get(mutable)
    mutable.bytes.fill(2)
    assert.notEqual(cache.get(mutable), first)
  })

  it('drops the least recently used beyond its bound', () => {
    const cache = new KeyObjectCache(2)
    const one = cache.get(key(1))
    const two = cache.get(key(2))
    cache.get(key(1))
    cache.get(key(3))
    assert.equal(cache.size, 2)
    assert.equal(cache.get(key(1)), one)
    assert.notEqual(cache.get(key(2)), two)
  })
})

describe('SHA-256 by OpenSSL', () => {
  it('gives the same plain bytes as noble', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 300 }), (bytes) => {
        const digest = sha256(bytes)
        assert.equal(Object.getPrototypeOf(digest), Uint8Array.prototype)
        assert.deepEqual(digest, nobleSha256(bytes))
      }),
    )
  })

  it('hashes a view into a larger buffer', () => {
    const large = Uint8Array.from({ length: 100 }, (_, i) => i)
    assert.deepEqual(sha256(large.subarray(10, 20)), nobleSha256(large.slice(10, 20)))
  })
})
