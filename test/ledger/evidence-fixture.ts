/** Two seals and two cosignatures by the validator `ada` of the example ledger that no honest validator makes. */
import type { Signer } from '../../src/crypto/suite.ts'
import type { Block, SealPlace } from '../../src/ledger/block.ts'
import { genesisState } from '../../src/ledger/chain.ts'
import {
  type Cosigned,
  type TwoCosignatures,
  type TwoSeals,
  twoCosignatures,
  twoSeals,
} from '../../src/ledger/evidence.ts'
import { cosignerName } from '../../src/ledger/membership.ts'
import { signCosignature } from '../../src/notes/cosignature.ts'
import { COSIGNED, exampleLeaves } from '../light/fixture.ts'
import { mth, proof } from '../support/naive-tree.ts'
import { blockOn, cosigner, exampleBlock, exampleGenesis, LEDGER, nodeSigner, TIME } from './fixture.ts'

/** Another block in the place of block 1: without entries, and `changes` to what its seal says. */
export async function rivalBlock(
  changes: Partial<SealPlace> = {},
  signer: Signer = nodeSigner,
): Promise<Block> {
  return blockOn(genesisState(await exampleGenesis()), [], { time: TIME + 3_000, ...changes }, signer)
}

export async function exampleTwoSeals(changes: Partial<SealPlace> = {}): Promise<TwoSeals> {
  const [a, b] = [await exampleBlock(), await rivalBlock(changes)]
  return twoSeals(nodeSigner.publicKey, a.sealEnvelope, b.sealEnvelope)
}

export interface Line {
  readonly size: number
  readonly root: Uint8Array
  readonly origin?: string
  readonly name?: string
  readonly timestamp?: number
  readonly signer?: Signer
}

/** One cosignature; by default ada's, under its own name. */
export async function cosigned(said: Line): Promise<Cosigned> {
  const { size, root, origin = LEDGER, timestamp = COSIGNED, signer = cosigner } = said
  const checkpoint = { origin, size, root }
  const name = said.name ?? cosignerName(origin, 'ada')
  return { checkpoint, line: await signCosignature(signer, name, checkpoint, timestamp) }
}

export const FORGED_ROOT = new Uint8Array(32).fill(0xfe)

/** Root and consistency proof of the example ledger's tree at a size. */
export async function exampleTree(size: number) {
  const leaves = await exampleLeaves()
  const root = mth(leaves.slice(0, size))
  return { root, proofTo: (larger: number) => proof(size, leaves.slice(0, larger)) }
}

/** A false root at size 5, and the true one at size 7: with the proof of how the tree of 7 begins. */
export async function exampleTwoCosignatures(
  false5: Partial<Line> = {},
  true7: Partial<Line> = {},
): Promise<TwoCosignatures> {
  const [five, seven] = [await exampleTree(5), await exampleTree(7)]
  return twoCosignatures(
    cosigner.publicKey,
    await cosigned({ size: 5, root: FORGED_ROOT, ...false5 }),
    await cosigned({ size: 7, root: seven.root, name: LEDGER, ...true7 }),
    { root: five.root, path: five.proofTo(7) },
  )
}

/** Two roots at one size. */
export async function exampleTwoRoots(): Promise<TwoCosignatures> {
  const { root } = await exampleTree(7)
  const [a, b] = [await cosigned({ size: 7, root }), await cosigned({ size: 7, root: FORGED_ROOT })]
  return twoCosignatures(cosigner.publicKey, a, b)
}
