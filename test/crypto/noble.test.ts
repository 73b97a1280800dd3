import assert from 'node:assert/strict'
import { opensslSuite } from '../../node/crypto/openssl.ts'
import { toHex } from '../../src/bytes.ts'
import { sha256 } from '../../src/crypto/hash.ts'
import { expandSeed, nobleDeterministicSuite, nobleSuite } from '../../src/crypto/noble.ts'
import { FormatError } from '../../src/errors.ts'
import { ALGS, SEED, testSignatureSuite } from './suite.compliance.ts'

describe('ML-DSA by noble', () => {
  testSignatureSuite(nobleSuite, opensslSuite)

  it('signs hedged by default: no two signatures are equal', async () => {
    const signer = nobleSuite.signer('ML-DSA-44', SEED)
    assert.notDeepEqual(await signer.sign(SEED), await signer.sign(SEED))
  })

  it('signs deterministically on demand, the same bytes in every release', async () => {
    const digests: string[] = []
    for (const alg of ALGS) {
      const signer = nobleDeterministicSuite.signer(alg, SEED)
      const signature = await signer.sign(SEED)
      assert.equal(await opensslSuite.verify(signer.publicKey, SEED, signature), true)
      digests.push(toHex(sha256(signature)).slice(0, 16))
    }
    assert.deepEqual(digests, GOLDEN)
  })

  it('expands a seed to both halves of the pair', () => {
    const { publicKey, expanded } = expandSeed('ML-DSA-87', SEED)
    assert.equal(publicKey.bytes.length, 2592)
    assert.equal(expanded.length, 4896)
    assert.throws(() => expandSeed('ML-DSA-87', SEED.subarray(1)), FormatError)
  })
})

/** First eight bytes of the SHA-256 of the deterministic signature by SEED over SEED. */
const GOLDEN = ['5d62141734a3a862', '656364779814fd7a', 'bc799702a45c5756']
