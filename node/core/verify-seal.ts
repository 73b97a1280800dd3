/** A seal that came without the chain that it belongs to: by gossip, or from the other side of a fork. */
import { keyId } from '../../src/crypto/keys.ts'
import type { PublicKey, SignatureSuite } from '../../src/crypto/suite.ts'
import { FormatError, RefusedError } from '../../src/errors.ts'
import type { ChainState } from '../../src/ledger/chain.ts'
import { decodeEnvelope, type Envelope } from '../../src/ledger/dsse.ts'
import { signatureCheck } from '../../src/ledger/entry.ts'
import { PAYLOAD_TYPES } from '../../src/ledger/payload-types.ts'
import { decodeSeal, type Seal } from '../../src/ledger/seal.ts'

export interface VerifiedSeal {
  readonly seal: Seal
  readonly envelope: Envelope
  /** The proposer's node key. */
  readonly key: PublicKey
}

/** The seal in a leaf, its first signature by the validator it names. Throws FormatError or RefusedError. */
export async function verifySeal(
  suite: SignatureSuite,
  { parameters, membership }: Pick<ChainState, 'parameters' | 'membership'>,
  leaf: Uint8Array | undefined,
): Promise<VerifiedSeal> {
  if (leaf === undefined) throw new FormatError('bad-block', 'A block without a seal.')
  const envelope = decodeEnvelope(leaf)
  if (envelope.payloadType !== PAYLOAD_TYPES.seal) {
    throw new FormatError('bad-block', 'The last leaf is no seal.')
  }
  const seal = decodeSeal(envelope.payload)
  if (seal.ledger !== parameters.ledger) throw new RefusedError('wrong-ledger', 'A block of another ledger.')
  const proposer = membership.validatorByName.get(seal.proposer)
  if (!proposer) throw new RefusedError('not-a-member', `The proposer ${seal.proposer} is no validator.`)
  if (envelope.signatures[0]?.keyid !== keyId(proposer.nodeKey)) {
    throw new RefusedError('unknown-key', 'The seal is not signed by a key of its proposer.')
  }
  const { key, message, signature } = signatureCheck(envelope, 0, proposer.nodeKey)
  if (!(await suite.verify(key, message, signature))) {
    throw new RefusedError('bad-signature', 'The seal is not signed by its proposer.')
  }
  return { seal, envelope, key }
}
