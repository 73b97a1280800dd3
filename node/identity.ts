/** What a node is known by: the public halves of the keys in its folder, and the peer id that follows from them. */
import { join } from 'node:path'
import type { MlDsaAlg, PublicKey } from '../src/crypto/suite.ts'
import type { NodeMember } from '../src/ledger/member.ts'
import { generateSeed, readKeyFile, writeKeyFile } from './crypto/keyfile.ts'
import { opensslSuite } from './crypto/openssl.ts'
import { FILES, peerSeedOf } from './folder.ts'
import { peerIdOf } from './net/libp2p-network.ts'

export const NODE_ALG = 'ML-DSA-65'
/** C2SP cosignatures of type 0x06 demand it. */
export const COSIGNER_ALG = 'ML-DSA-44'

/** Of a member record: what follows from the private keys. */
export type NodeIdentity = Pick<NodeMember, 'nodeKey' | 'cosignerKey' | 'peerId'>

/** Makes the two keys that peers know a node by, in `folder`. Never overwrites: KeyFileError. */
export async function makeIdentity(folder: string, passphrase?: string): Promise<NodeIdentity> {
  await makeKey(join(folder, FILES.nodeKey), NODE_ALG, passphrase)
  await makeKey(join(folder, FILES.cosignerKey), COSIGNER_ALG, passphrase)
  return readIdentity(folder, passphrase)
}

/** The identity that the keys in `folder` make. Throws KeyFileError. */
export async function readIdentity(folder: string, passphrase?: string): Promise<NodeIdentity> {
  const nodeKey = await readKeyFile(join(folder, FILES.nodeKey), passphrase)
  try {
    const cosigner = await readKeyFile(join(folder, FILES.cosignerKey), passphrase)
    const identity = await identityOf(nodeKey.seed, cosigner.seed)
    cosigner.seed.fill(0)
    return identity
  } finally {
    nodeKey.seed.fill(0)
  }
}

async function identityOf(nodeSeed: Uint8Array, cosignerSeed: Uint8Array): Promise<NodeIdentity> {
  const peerSeed = peerSeedOf(nodeSeed)
  const identity = {
    nodeKey: publicKeyOf(NODE_ALG, nodeSeed),
    cosignerKey: publicKeyOf(COSIGNER_ALG, cosignerSeed),
    peerId: await peerIdOf(peerSeed),
  }
  peerSeed.fill(0)
  return identity
}

/** Makes the key by which a node signs for senders who cannot. */
export function makeGatewayKey(folder: string, passphrase?: string): Promise<PublicKey> {
  return makeKey(join(folder, FILES.gatewayKey), 'ML-DSA-65', passphrase)
}

export async function makeKey(path: string, alg: MlDsaAlg, passphrase?: string): Promise<PublicKey> {
  const seed = generateSeed()
  try {
    await writeKeyFile(path, alg, seed, passphrase)
    return publicKeyOf(alg, seed)
  } finally {
    seed.fill(0)
  }
}

export function publicKeyOf(alg: MlDsaAlg, seed: Uint8Array): PublicKey {
  return opensslSuite.signer(alg, seed).publicKey
}
