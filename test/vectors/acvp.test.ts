/**
 * NIST's ACVP vectors on both implementations. Of the signature groups, those with the external interface and
 * pure ML-DSA are ours; the internal, externalMu and pre-hash groups test functions that the ledger never calls.
 * Nearly all cases carry a context, which our suites fix to be empty, so those go through each library's own
 * call with a context: the arithmetic under test is the same.
 */
import assert from 'node:assert/strict'
import { createPrivateKey, createPublicKey, type KeyObject, sign, verify } from 'node:crypto'
import { ml_dsa44, ml_dsa65, ml_dsa87 } from '@noble/post-quantum/ml-dsa.js'
import { opensslSuite } from '../../node/crypto/openssl.ts'
import { fromHex, toHex } from '../../src/bytes.ts'
import { algorithmIdentifier } from '../../src/crypto/algorithm-id.ts'
import { der, derInteger, TAG } from '../../src/crypto/der.ts'
import { publicKeyToJwk } from '../../src/crypto/keys.ts'
import { expandSeed, nobleSuite } from '../../src/crypto/noble.ts'
import type { MlDsaAlg, PublicKey } from '../../src/crypto/suite.ts'
import { describeShared } from '../support/shared.ts'
import { type Group, readAcvp } from './acvp.ts'

type KeyGen = { readonly seed: string; readonly pk: string; readonly sk: string }
type SigGen = {
  readonly sk: string
  readonly message: string
  readonly context: string
  readonly rnd?: string
  readonly signature: string
}
type SigVer = {
  readonly pk: string
  readonly message: string
  readonly context: string
  readonly signature: string
  readonly testPassed: boolean
}

const NOBLE = { 'ML-DSA-44': ml_dsa44, 'ML-DSA-65': ml_dsa65, 'ML-DSA-87': ml_dsa87 }

describeShared('vectors/acvp-mldsa', 'ACVP ML-DSA (FIPS 204)', (folder) => {
  it('keyGen: 75 cases, public and expanded key', () => {
    let cases = 0
    for (const { parameterSet: alg, tests } of readAcvp<KeyGen>(folder, 'keyGen')) {
      for (const test of tests) {
        const seed = hex(test.seed)
        const { publicKey, expanded } = expandSeed(alg, seed)
        assert.equal(toHex(publicKey.bytes), test.pk.toLowerCase())
        assert.equal(toHex(expanded), test.sk.toLowerCase())
        assert.deepEqual(opensslSuite.signer(alg, seed).publicKey, publicKey)
        cases++
      }
    }
    assert.equal(cases, 75)
  })

  it('sigGen: 90 pure cases; noble gives the same bytes, OpenSSL verifies them and signs for noble', function () {
    this.timeout(20_000)
    let cases = 0
    for (const { parameterSet: alg, deterministic, tests } of pure(readAcvp<SigGen>(folder, 'sigGen'))) {
      for (const test of tests) {
        const [sk, message, context] = [hex(test.sk), hex(test.message), hex(test.context)]
        const extraEntropy = deterministic ? false : hex(test.rnd!)
        const signature = NOBLE[alg].sign(message, sk, { context, extraEntropy })
        assert.equal(toHex(signature), test.signature.toLowerCase())

        const privateKey = importExpanded(alg, sk)
        const publicKey = createPublicKey(privateKey)
        assert.equal(verify(null, message, { key: publicKey, context }, signature), true)
        const theirs = sign(null, message, { key: privateKey, context })
        assert.equal(NOBLE[alg].verify(theirs, message, NOBLE[alg].getPublicKey(sk), { context }), true)
        cases++
      }
    }
    assert.equal(cases, 90)
  })

  it('sigVer: 45 pure cases, 3 of them with an empty context through the suites', async () => {
    let cases = 0
    let emptyContexts = 0
    for (const { parameterSet: alg, tests } of pure(readAcvp<SigVer>(folder, 'sigVer'))) {
      for (const test of tests) {
        const key: PublicKey = { alg, bytes: hex(test.pk) }
        const [message, context, signature] = [hex(test.message), hex(test.context), hex(test.signature)]
        assert.equal(NOBLE[alg].verify(signature, message, key.bytes, { context }), test.testPassed)
        const publicKey = createPublicKey({ key: { ...publicKeyToJwk(key) }, format: 'jwk' })
        assert.equal(verify(null, message, { key: publicKey, context }, signature), test.testPassed)
        cases++
        // The suites' answer: the expected one without a context, and no to a signature made for some context.
        const ours = context.length === 0 && test.testPassed
        assert.equal(await nobleSuite.verify(key, message, signature), ours)
        assert.equal(await opensslSuite.verify(key, message, signature), ours)
        if (context.length === 0) emptyContexts++
      }
    }
    assert.deepEqual({ cases, emptyContexts }, { cases: 45, emptyContexts: 3 })
  })
})

function pure<Case>(groups: Group<Case>[]): Group<Case>[] {
  return groups.filter((group) => group.signatureInterface === 'external' && group.preHash === 'pure')
}

function importExpanded(alg: MlDsaAlg, sk: Uint8Array): KeyObject {
  const choice = der(TAG.octetString, sk)
  const pkcs8 = der(TAG.sequence, derInteger(0), algorithmIdentifier(alg), der(TAG.octetString, choice))
  return createPrivateKey({ key: Buffer.from(pkcs8), format: 'der', type: 'pkcs8' })
}

const hex = (text: string): Uint8Array => fromHex(text.toLowerCase())
