/**
 * From secrets to the keys of a link: HKDF-SHA-512 (RFC 5869) in the manner of NIST SP 800-56C r2, the ML-KEM secret
 * first, as the approved one, and the QKD key behind it. Each has its length before it, so that none can stand for
 * another; what an earlier agreement left for this one comes last, and keeps every key that was mixed in before.
 */
import { expand, extract } from '@noble/hashes/hkdf.js'
import { hmac } from '@noble/hashes/hmac.js'
import { sha512 } from '@noble/hashes/sha2.js'
import { utf8 } from '../../../src/bytes.ts'
import { Writer } from '../../../src/codec/writer.ts'

export const PROTOCOL = '/qat/qkd-noise/1.0.0'

/** Keys of one direction of records. */
export interface DirectionKeys {
  /** AES-256, 32 bytes. */
  readonly key: Uint8Array
  /** 12 bytes. */
  readonly iv: Uint8Array
}

export interface LinkSecrets {
  readonly fromInitiator: DirectionKeys
  readonly fromResponder: DirectionKeys
  /** 64 bytes each. */
  readonly confirm: Uint8Array
  /** For the next agreement of the same link. */
  readonly chain: Uint8Array
}

/** SHA-512 over everything that both sides have seen, each part behind its length as u32. */
export function transcriptHash(parts: readonly Uint8Array[]): Uint8Array {
  const writer = new Writer().string(PROTOCOL)
  for (const part of parts) writer.blob(part)
  return sha512(writer.finish())
}

/** Zeroes nothing that it is given. An absent QKD key, and the chain of a first agreement, are empty. */
export function linkSecrets(
  transcript: Uint8Array,
  secrets: { readonly kem: Uint8Array; readonly qkd: Uint8Array; readonly chain: Uint8Array },
): LinkSecrets {
  const material = new Writer().blob(secrets.kem).blob(secrets.qkd).blob(secrets.chain).finish()
  const prk = extract(sha512, material, transcript)
  material.fill(0)
  const derive = (field: string, bytes: number) => expand(sha512, prk, utf8(`${PROTOCOL} ${field}`), bytes)
  const made = {
    fromInitiator: { key: derive('initiator key', 32), iv: derive('initiator iv', 12) },
    fromResponder: { key: derive('responder key', 32), iv: derive('responder iv', 12) },
    confirm: derive('confirm', 64),
    chain: derive('chain', 64),
  }
  prk.fill(0)
  return made
}

export function confirmation(secrets: LinkSecrets, role: 'initiator' | 'responder', transcript: Uint8Array) {
  return hmac(sha512, secrets.confirm, new Writer().string(role).bytes(transcript).finish())
}

export function wipeSecrets({ fromInitiator, fromResponder, confirm, chain }: LinkSecrets): void {
  for (const bytes of [
    fromInitiator.key,
    fromInitiator.iv,
    fromResponder.key,
    fromResponder.iv,
    confirm,
    chain,
  ]) {
    bytes.fill(0)
  }
}
