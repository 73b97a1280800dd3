/** Bytes that a seed repeats: AES-256-CTR over zeros. For simulations in tests; production draws from the system. */
import { createCipheriv, createHash } from 'node:crypto'
import type { Random } from '../../src/qkd/random.ts'

export function seededRandom(seed: string): Random {
  const key = createHash('sha256').update(seed).digest()
  const cipher = createCipheriv('aes-256-ctr', key, Buffer.alloc(16))
  return (bytes) => new Uint8Array(cipher.update(Buffer.alloc(bytes)))
}
