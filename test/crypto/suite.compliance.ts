/** What every SignatureSuite owes its callers. Each implementation runs these by a line in its own test file. */
import assert from 'node:assert/strict'
import { ML_DSA, type MlDsaAlg, type PublicKey, type SignatureSuite } from '../../src/crypto/suite.ts'
import { FormatError } from '../../src/errors.ts'

export const ALGS = Object.keys(ML_DSA) as MlDsaAlg[]
export const SEED = Uint8Array.from({ length: 32 }, (_, i) => i)

const MESSAGE = new TextEncoder().encode('an entry of the ledger')

/** `judge` is an independent implementation that must agree on keys and signatures. */
export function testSignatureSuite(suite: SignatureSuite, judge: SignatureSuite): void {
  for (const alg of ALGS) {
    describe(alg, () => {
      const signer = suite.signer(alg, SEED)
      const key = signer.publicKey
      let signature: Uint8Array

      before(async () => {
        signature = await signer.sign(MESSAGE)
      })

      it('generates the public key that the judge generates', () => {
        assert.equal(key.alg, alg)
        assert.equal(key.bytes.length, ML_DSA[alg].publicKey)
        assert.deepEqual(key.bytes, judge.signer(alg, SEED).publicKey.bytes)
      })

      it('signs what it and the judge verify', async () => {
        assert.equal(signature.length, ML_DSA[alg].signature)
        assert.equal(await suite.verify(key, MESSAGE, signature), true)
        assert.equal(await judge.verify(key, MESSAGE, signature), true)
      })

      it('verifies what the judge signs', async () => {
        const theirs = await judge.signer(alg, SEED).sign(MESSAGE)
        assert.equal(await suite.verify(key, MESSAGE, theirs), true)
      })

      it('signs and verifies the empty message', async () => {
        const empty = new Uint8Array()
        assert.equal(await suite.verify(key, empty, await signer.sign(empty)), true)
      })

      it('hands out plain bytes', () => {
        assert.equal(Object.getPrototypeOf(signature), Uint8Array.prototype)
        assert.equal(Object.getPrototypeOf(key.bytes), Uint8Array.prototype)
      })

      it('signs the message as it was when sign was called', async () => {
        const message = MESSAGE.slice()
        const pending = signer.sign(message)
        message.fill(0)
        assert.equal(await suite.verify(key, MESSAGE, await pending), true)
      })

      it('keeps no hold of the seed it was given', async () => {
        const seed = SEED.slice()
        const own = suite.signer(alg, seed)
        seed.fill(0xff)
        assert.equal(await suite.verify(key, MESSAGE, await own.sign(MESSAGE)), true)
      })

      it('says no to another message and to another key', async () => {
        const other = suite.signer(alg, new Uint8Array(32)).publicKey
        assert.equal(await suite.verify(key, MESSAGE.subarray(1), signature), false)
        assert.equal(await suite.verify(other, MESSAGE, signature), false)
      })

      it('says no to a flipped bit anywhere in signature or message', async () => {
        for (let step = 0; step < 12; step++) {
          const at = Math.floor((step * (signature.length - 1)) / 11)
          assert.equal(await suite.verify(key, MESSAGE, flipped(signature, at, step)), false, `byte ${at}`)
        }
        assert.equal(await suite.verify(key, flipped(MESSAGE, 3, 0), signature), false)
      })

      it('says no, and does not throw, to wrong sizes', async () => {
        const longer = new Uint8Array([...signature, 0])
        for (const bad of [new Uint8Array(), signature.subarray(1), longer, new Uint8Array(64)]) {
          assert.equal(await suite.verify(key, MESSAGE, bad), false)
        }
        for (const bytes of [new Uint8Array(), key.bytes.subarray(1), new Uint8Array([...key.bytes, 0])]) {
          assert.equal(await suite.verify({ alg, bytes }, MESSAGE, signature), false)
        }
      })

      it('says no, and does not throw, to any other bytes of the right sizes', async () => {
        for (const fill of [0x00, 0x7f, 0xff]) {
          const junk = new Uint8Array(signature.length).fill(fill)
          const strange: PublicKey = { alg, bytes: new Uint8Array(key.bytes.length).fill(fill) }
          assert.equal(await suite.verify(key, MESSAGE, junk), false)
          assert.equal(await suite.verify(strange, MESSAGE, signature), false)
        }
      })

      it('says no to a signature of another parameter set', async () => {
        const other = ALGS[(ALGS.indexOf(alg) + 1) % ALGS.length]!
        const foreign = suite.signer(other, SEED)
        assert.equal(await suite.verify(key, MESSAGE, await foreign.sign(MESSAGE)), false)
        assert.equal(await suite.verify({ alg: other, bytes: key.bytes }, MESSAGE, signature), false)
      })

      it('refuses a seed that is not 32 bytes', () => {
        for (const length of [0, 31, 33, 64]) {
          assert.throws(
            () => suite.signer(alg, new Uint8Array(length)),
            (error: unknown) => error instanceof FormatError && error.code === 'bad-key',
          )
        }
      })
    })
  }
}

export function flipped(bytes: Uint8Array, at: number, bit: number): Uint8Array {
  const copy = bytes.slice()
  copy[at]! ^= 1 << (bit % 8)
  return copy
}
