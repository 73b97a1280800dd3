/**
 * SHA-256, from @noble/hashes unless the shell hands in a faster one that gives the same bytes: OpenSSL's is
 * six times as fast on a 4.7 kB entry. It cannot change a result.
 */
import { sha256 as noble } from '@noble/hashes/sha2.js'
import { concat } from '../bytes.ts'

type Hash = (bytes: Uint8Array) => Uint8Array

let current: Hash = noble

/**
 * Where short messages are joined: nodes of a tree, a million times over. What was joined stays here until the next
 * one, so a secret is never given in parts.
 */
const desk = new Uint8Array(8_192)

export function sha256(...parts: readonly Uint8Array[]): Uint8Array {
  if (parts.length === 1) return current(parts[0]!)
  let length = 0
  for (const part of parts) {
    if (length + part.length > desk.length) return current(concat(...parts))
    desk.set(part, length)
    length += part.length
  }
  return current(desk.subarray(0, length))
}

/** Hands in an implementation, which keeps nothing of what it is given. Called once, by the composition root. */
export function useSha256(implementation: Hash): void {
  current = implementation
}
