/** The physical limit: ML-DSA-65 verifications a second with every core busy. */

import { generateSeed } from '../../node/crypto/keyfile.ts'
import { opensslSuite } from '../../node/crypto/openssl.ts'

export async function verifyRate(seconds: number): Promise<number> {
  const signer = opensslSuite.signer('ML-DSA-65', generateSeed())
  const message = new Uint8Array(1_024).fill(7)
  const signature = await signer.sign(message)
  let verified = 0
  const start = performance.now()
  const worker = async () => {
    while (performance.now() - start < seconds * 1_000) {
      if (!(await opensslSuite.verify(signer.publicKey, message, signature)))
        throw new Error('a signature failed')
      verified++
    }
  }
  await Promise.all(Array.from({ length: 16 }, worker))
  return verified / ((performance.now() - start) / 1_000)
}
