/** Thousands of proofs from a quiet ledger rest on a few certificates: their signatures are verified once. */
import { sha256 } from '../../node/crypto/openssl.ts'
import { toHex } from '../../src/bytes.ts'
import type { SignatureSuite } from '../../src/crypto/suite.ts'

/** Remembers every verdict for as long as it lives: for a use in which distinct signatures are few. */
export function verifyingOnce(suite: SignatureSuite): SignatureSuite {
  const verdicts = new Map<string, Promise<boolean>>()
  return {
    signer: (alg, seed) => suite.signer(alg, seed),
    verify(key, message, signature) {
      const name = [key.bytes, message, signature].map((bytes) => toHex(sha256(bytes))).join(' ')
      const verdict = verdicts.get(name) ?? suite.verify(key, message, signature)
      verdicts.set(name, verdict)
      return verdict
    },
  }
}
