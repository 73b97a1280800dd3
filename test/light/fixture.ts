/** Proof bundles of the example ledger: fixed keys, deterministic signatures, the same bytes on every run. */
import type { Signer } from '../../src/crypto/suite.ts'
import { cosignerName, policyOf } from '../../src/ledger/membership.ts'
import { type Bundle, makeBundle } from '../../src/light/bundle.ts'
import { Frontier } from '../../src/merkle/frontier.ts'
import { leafHash } from '../../src/merkle/hash.ts'
import { inclusionPath } from '../../src/merkle/proof.ts'
import { assembleCertificate } from '../../src/notes/certificate.ts'
import type { Checkpoint } from '../../src/notes/checkpoint.ts'
import { signCosignature } from '../../src/notes/cosignature.ts'
import { cosigner, exampleBlock, exampleGenesis, LEDGER, TIME } from '../ledger/fixture.ts'

/** Seconds since 1970: the validator `ada` cosigns two seconds after genesis. */
export const COSIGNED = TIME / 1_000 + 2
/** Genesis has five leaves: parameters, three members, seal. Block 1 is the entry and its seal. */
export const LEAF = {
  parameters: 0,
  admin: 1,
  validator: 2,
  submitter: 3,
  genesisSeal: 4,
  entry: 5,
  seal: 6,
} as const

/** The note that certifies `checkpoint`: the log's line and the cosignature of the one validator. */
export async function certify(checkpoint: Checkpoint, signer: Signer = cosigner): Promise<string> {
  const names = [LEDGER, cosignerName(LEDGER, 'ada')]
  const lines = await Promise.all(names.map((name) => signCosignature(signer, name, checkpoint, COSIGNED)))
  return assembleCertificate(checkpoint, lines)
}

/** The bundle of leaf `index` in a tree of these leaves, under the policy of the example ledger. */
export async function bundleIn(leaves: readonly Uint8Array[], index: number): Promise<Bundle> {
  const { membership } = await exampleGenesis()
  const nodes = new Map<string, Uint8Array>()
  const tree = new Frontier()
  for (const leaf of leaves)
    tree.append(leafHash(leaf), (level, at, hash) => nodes.set(`${level}/${at}`, hash))
  const checkpoint = await certify({ origin: LEDGER, size: tree.size, root: tree.root() })
  const path = inclusionPath(index, tree.size, (level, at) => nodes.get(`${level}/${at}`)!)
  return makeBundle(leaves[index]!, { index, path, checkpoint }, policyOf(LEDGER, membership))
}

/** Every leaf of the example ledger: genesis and block 1. */
export async function exampleLeaves(): Promise<Uint8Array[]> {
  return [...(await exampleGenesis()).block.leaves, ...(await exampleBlock()).leaves]
}

/** The bundle of one leaf of the example ledger: by default, of its entry. */
export async function exampleBundle(index: number = LEAF.entry): Promise<Bundle> {
  return bundleIn(await exampleLeaves(), index)
}
