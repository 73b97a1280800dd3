/**
 * Keys that a node shares with its peers, from whatever key management entity (KME) stands beside it. client-014.ts
 * fetches them by ETSI GS QKD 014; nothing else in a node knows where keys come from.
 */
import { QatError } from '../../src/errors.ts'

export class QkdError extends QatError<
  | 'no-keys'
  | 'key-not-found'
  | 'kme-unavailable'
  | 'kme-refused'
  | 'kme-answer'
  | 'sae-mismatch'
  | 'policy'
  | 'busy'
  | 'handshake'
  | 'record'
> {}

export interface QkdKey {
  /** UUID, lower case. */
  readonly id: string
  /** Whoever takes it zeroes it. */
  readonly bytes: Uint8Array
}

/** What a KME says of its link to the KME of a peer; the optional parts are those of our own KME. */
export interface KeyStatus {
  readonly keySizeBits: number
  readonly storedKeys: number
  readonly maxKeys: number
  readonly linkState?: string
  /** Of the last block. */
  readonly qber?: number
  /** Bits per second. */
  readonly secretKeyRate?: number
  readonly simulated?: boolean
}

/** All reject with QkdError. */
export interface KeyProvider {
  status(peerSae: string, signal?: AbortSignal): Promise<KeyStatus>
  /** As master: a fresh key that the peer can fetch by its name. */
  getKey(peerSae: string, bits: number, signal?: AbortSignal): Promise<QkdKey>
  /** As slave. */
  getKeyById(masterSae: string, id: string, bits: number, signal?: AbortSignal): Promise<QkdKey>
}
