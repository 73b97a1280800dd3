/** The example keys of RFC 9881 appendix C: every form of the private key, public keys, and three broken ones. */
import assert from 'node:assert/strict'
import { createPrivateKey, createPublicKey, X509Certificate } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { publicKeyFromPem, publicKeyToPem } from '../../src/crypto/keys.ts'
import { expandSeed } from '../../src/crypto/noble.ts'
import { seedFromPem, seedToPem } from '../../src/crypto/private-keys.ts'
import { ALGS, SEED } from '../crypto/suite.compliance.ts'
import { describeShared } from '../support/shared.ts'

describeShared('vectors/rfc9881-examples', 'RFC 9881 example keys', (folder) => {
  const read = (name: string): string => readFileSync(new URL(name, folder), 'utf8')

  for (const alg of ALGS) {
    it(`${alg}: reads and writes the seed form byte for byte`, () => {
      const pem = read(`${alg}-seed.priv`)
      assert.deepEqual(seedFromPem(pem), { alg, seed: SEED })
      assert.equal(seedToPem(alg, SEED), pem)
    })

    it(`${alg}: reads the seed out of the form with both`, () => {
      assert.deepEqual(seedFromPem(read(`${alg}-both.priv`)), { alg, seed: SEED })
    })

    it(`${alg}: refuses the expanded form and says what is needed`, () => {
      assert.throws(() => seedFromPem(read(`${alg}-expanded.priv`)), {
        code: 'bad-key',
        message: /seed form is needed/,
      })
    })

    it(`${alg}: reads and writes the public key byte for byte`, () => {
      const pem = read(`${alg}.pub`)
      const key = publicKeyFromPem(pem)
      assert.deepEqual(key, expandSeed(alg, SEED).publicKey)
      assert.equal(publicKeyToPem(key), pem)
    })

    it(`${alg}: the certificate holds the same public key`, () => {
      const { publicKey } = new X509Certificate(read(`${alg}.crt`))
      assert.equal(publicKey.export({ format: 'pem', type: 'spki' }), read(`${alg}.pub`))
    })

    it(`${alg}: OpenSSL reads our seed form as the same key`, () => {
      const publicKey = createPublicKey(createPrivateKey(seedToPem(alg, SEED)))
      assert.equal(publicKey.export({ format: 'pem', type: 'spki' }), read(`${alg}.pub`))
    })
  }

  it('refuses the broken key whose seed and expanded key differ', () => {
    assert.throws(() => seedFromPem(read('bad-ML-DSA-44-1.priv')), {
      code: 'bad-key',
      message: /contradicts itself/,
    })
  })

  for (const name of ['bad-ML-DSA-44-2.priv', 'bad-ML-DSA-44-3.priv']) {
    it(`refuses ${name}, an expanded key, for being one`, () => {
      assert.throws(() => seedFromPem(read(name)), { code: 'bad-key', message: /seed form is needed/ })
    })
  }
})
