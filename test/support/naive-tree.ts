/**
 * RFC 6962 section 2.1 word by word: slow, recursive, and the twin against which the real tree is judged.
 * Nothing of src/merkle is used here, and the hash is OpenSSL's.
 */
import { createHash } from 'node:crypto'

type Leaves = readonly Uint8Array[]

function sha(...parts: Uint8Array[]): Uint8Array {
  const hash = createHash('sha256')
  for (const part of parts) hash.update(part)
  return new Uint8Array(hash.digest())
}

function largestPowerBelow(n: number): number {
  let k = 1
  while (k * 2 < n) k *= 2
  return k
}

/** Merkle Tree Hash of the entries `d`. */
export function mth(d: Leaves): Uint8Array {
  if (d.length === 0) return sha()
  if (d.length === 1) return sha(Uint8Array.of(0), d[0]!)
  const k = largestPowerBelow(d.length)
  return sha(Uint8Array.of(1), mth(d.slice(0, k)), mth(d.slice(k)))
}

/** Section 2.1.1: PATH(m, D[n]). */
export function path(m: number, d: Leaves): Uint8Array[] {
  if (d.length === 1) return []
  const k = largestPowerBelow(d.length)
  return m < k
    ? [...path(m, d.slice(0, k)), mth(d.slice(k))]
    : [...path(m - k, d.slice(k)), mth(d.slice(0, k))]
}

/** Section 2.1.2: PROOF(m, D[n]). */
export function proof(m: number, d: Leaves): Uint8Array[] {
  return subproof(m, d, true)
}

function subproof(m: number, d: Leaves, known: boolean): Uint8Array[] {
  if (m === d.length) return known ? [] : [mth(d)]
  const k = largestPowerBelow(d.length)
  return m <= k
    ? [...subproof(m, d.slice(0, k), known), mth(d.slice(k))]
    : [...subproof(m - k, d.slice(k), false), mth(d.slice(0, k))]
}
