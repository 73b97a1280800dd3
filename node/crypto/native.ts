/** What Node does faster than JavaScript, for the two places of `src/` that let it: SHA-256 and base64. */
import { type Base64Codec, useBase64 } from '../../src/base64.ts'
import { useSha256 } from '../../src/crypto/hash.ts'
import { sha256 } from './openssl.ts'

export const nativeBase64: Base64Codec = {
  encode: (bytes) => view(bytes).toString('base64'),
  // Not Buffer.from, whose result may be a stretch of memory that others share. Of a character beyond Latin-1 it
  // would read the low byte.
  decode: (text, length) => {
    if (Buffer.byteLength(text) !== text.length) return undefined
    const bytes = new Uint8Array(length)
    return view(bytes).write(text, 'base64') === length ? bytes : undefined
  },
}

/** Called once by whatever runs on Node, before anything is hashed. */
export function useNativeCode(): void {
  useSha256(sha256)
  useBase64(nativeBase64)
}

function view(bytes: Uint8Array): Buffer {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
}
