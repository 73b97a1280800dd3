/** Cosignatures of C2SP tlog-cosignature, type 0x06: timestamped ML-DSA-44 signatures on checkpoints. */
import { concat, u64, utf8 } from '../bytes.ts'
import { ML_DSA, type PublicKey, type SignatureSuite, type Signer } from '../crypto/suite.ts'
import { FormatError, ProofError } from '../errors.ts'
import { HASH_BYTES } from '../limits.ts'
import type { Checkpoint } from './checkpoint.ts'
import type { NoteSignature } from './note.ts'
import { COSIGNATURE_TYPE, checkKeyName, noteKeyId, type VerifierKey } from './vkey.ts'

// Twelve bytes; they set this message apart from everything else that an ML-DSA-44 key may sign.
const LABEL = utf8('subtree/v1\n\0')
const TIMESTAMP_BYTES = 8
const SIGNATURE_BYTES = ML_DSA['ML-DSA-44'].signature

/**
 * The verifier key of an ML-DSA-44 public key under a key name. One key may have several names: the signed
 * message commits to the name. Throws FormatError bad-key.
 */
export function cosignatureKey(name: string, publicKey: PublicKey): VerifierKey {
  checkKeyName(name)
  const { alg, bytes } = publicKey
  if (alg !== 'ML-DSA-44' || bytes.length !== ML_DSA[alg].publicKey) {
    throw new FormatError('bad-key', 'C2SP defines cosignatures for ML-DSA-44 keys only.', { name, alg })
  }
  return { name, type: COSIGNATURE_TYPE, id: noteKeyId(name, COSIGNATURE_TYPE, bytes), bytes }
}

/**
 * The `cosigned_message` of a whole tree, the bytes that ML-DSA-44 signs with an empty context: label[12],
 * u8 length and cosigner name, u64 timestamp (seconds since 1970), u8 length and origin, u64 start (0),
 * u64 end (the size), root[32]; integers big-endian. Throws FormatError bad-cosignature or bad-integer.
 */
export function cosignedMessage(
  name: string,
  timestamp: number | bigint,
  checkpoint: Checkpoint,
): Uint8Array {
  const { origin, size, root } = checkpoint
  if (root.length !== HASH_BYTES) throw new FormatError('bad-cosignature', 'The root of a tree has 32 bytes.')
  return concat(LABEL, opaque8(name), timeBytes(timestamp), opaque8(origin), u64(0), u64(size), root)
}

function opaque8(text: string): Uint8Array {
  const bytes = utf8(text)
  if (bytes.length === 0 || bytes.length > 255) {
    throw new FormatError('bad-cosignature', 'Key names and origins have 1 to 255 bytes in a cosignature.')
  }
  return concat(Uint8Array.of(bytes.length), bytes)
}

/**
 * Signs a checkpoint under a key name. The statement is that this is the largest tree, consistent with all
 * before it, that the signer knew at `timestamp` (seconds since 1970, not 0): the caller answers for that.
 */
export async function signCosignature(
  signer: Signer,
  name: string,
  checkpoint: Checkpoint,
  timestamp: number | bigint,
): Promise<NoteSignature> {
  const { id } = cosignatureKey(name, signer.publicKey)
  checkTimestamp(timestamp)
  const signature = await signer.sign(cosignedMessage(name, timestamp, checkpoint))
  return { name, keyId: id, signature: concat(timeBytes(timestamp), signature) }
}

/**
 * The time in seconds since 1970 of a cosignature on a checkpoint by this key. A signer may say any u64: above
 * 2^53 − 1, which no clock shows, it is the nearest number that there is. Throws ProofError bad-signature if the line
 * is another key's or does not verify, and FormatError bad-cosignature if it is malformed.
 */
export async function verifyCosignature(
  suite: SignatureSuite,
  key: VerifierKey,
  checkpoint: Checkpoint,
  line: NoteSignature,
): Promise<number> {
  const { name, keyId, signature } = line
  if (key.type !== COSIGNATURE_TYPE || key.name !== name || key.id !== keyId) {
    throw new ProofError('bad-signature', `This line is not by the key ${key.name}.`, { name, keyId })
  }
  if (signature.length !== TIMESTAMP_BYTES + SIGNATURE_BYTES) {
    throw new FormatError('bad-cosignature', 'A cosignature is a timestamp and an ML-DSA-44 signature.', {
      name,
    })
  }
  const timestamp = timeOf(signature)
  checkTimestamp(timestamp)
  const publicKey: PublicKey = { alg: 'ML-DSA-44', bytes: key.bytes }
  const message = cosignedMessage(name, timestamp, checkpoint)
  if (!(await suite.verify(publicKey, message, signature.subarray(TIMESTAMP_BYTES)))) {
    throw new ProofError('bad-signature', `The signature of ${name} is not valid.`, { name, keyId })
  }
  return Number(timestamp)
}

/** The time that a line says, in seconds since 1970; nobody has verified it. Throws FormatError bad-cosignature. */
export function claimedTime({ signature }: NoteSignature): number {
  return Number(timeOf(signature))
}

function timeOf(signature: Uint8Array): bigint {
  if (signature.length < TIMESTAMP_BYTES) {
    throw new FormatError('bad-cosignature', 'A cosignature begins with a timestamp.')
  }
  return new DataView(signature.buffer, signature.byteOffset, TIMESTAMP_BYTES).getBigUint64(0)
}

/** Throws FormatError bad-integer for what is no u64, or a number above 2^53 − 1. */
function timeBytes(timestamp: number | bigint): Uint8Array {
  if (typeof timestamp === 'number') return u64(timestamp)
  if (BigInt.asUintN(64, timestamp) !== timestamp) {
    throw new FormatError('bad-integer', 'A timestamp has 64 bits.')
  }
  const bytes = new Uint8Array(TIMESTAMP_BYTES)
  new DataView(bytes.buffer).setBigUint64(0, timestamp)
  return bytes
}

// Time 0 means that the signer does not vouch for having seen no larger tree; our cosigners always do.
function checkTimestamp(timestamp: number | bigint): void {
  if (timestamp === 0 || timestamp === 0n)
    throw new FormatError('bad-cosignature', 'The time of a cosignature is not 0.')
}
