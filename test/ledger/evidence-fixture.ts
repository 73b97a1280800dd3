/** Statements by the validator `ada` of the example ledger, in pairs of which no honest validator signs both. */
import type { Signer } from '../../src/crypto/suite.ts'
import {
  type Acknowledgement,
  acknowledgementEnvelope,
  acknowledgementMessage,
} from '../../src/ledger/acknowledgement.ts'
import type { Block, SealPlace } from '../../src/ledger/block.ts'
import { genesisState } from '../../src/ledger/chain.ts'
import type { Envelope } from '../../src/ledger/dsse.ts'
import {
  type Cosigned,
  type TwoCosignatures,
  type TwoStatements,
  twoCosignatures,
  twoSeals,
  twoStatements,
} from '../../src/ledger/evidence.ts'
import { cosignerName } from '../../src/ledger/membership.ts'
import { type Vote, voteEnvelope, voteMessage } from '../../src/ledger/vote.ts'
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

export async function exampleTwoSeals(changes: Partial<SealPlace> = {}): Promise<TwoStatements> {
  const [a, b] = [await exampleBlock(), await rivalBlock(changes)]
  return twoSeals(nodeSigner.publicKey, a.sealEnvelope, b.sealEnvelope)
}

/** Ada's candidacy for term 2, on block 1. */
export async function exampleVote(): Promise<Vote> {
  const { id, seal } = await exampleBlock()
  return {
    ledger: LEDGER,
    term: 2,
    candidate: 'ada',
    base: { height: seal.height, term: seal.term, hash: id },
  }
}

/** Of block 1. */
export async function exampleAcknowledgement(): Promise<Acknowledgement> {
  const { id, seal } = await exampleBlock()
  return { ledger: LEDGER, term: seal.term, height: seal.height, hash: id }
}

export async function signedVote(vote: Vote, signer: Signer = nodeSigner): Promise<Envelope> {
  return voteEnvelope(signer.publicKey, vote, await signer.sign(voteMessage(vote)))
}

export async function signedAcknowledgement(
  acknowledgement: Acknowledgement,
  signer: Signer = nodeSigner,
): Promise<Envelope> {
  const signature = await signer.sign(acknowledgementMessage(acknowledgement))
  return acknowledgementEnvelope(signer.publicKey, acknowledgement, signature)
}

/** A vote for itself, and one for bob on the same base. */
export async function exampleTwoVotes(
  changes: Partial<Vote> = { candidate: 'bob' },
  signer: Signer = nodeSigner,
): Promise<TwoStatements> {
  const vote = await exampleVote()
  const [a, b] = [await signedVote(vote, signer), await signedVote({ ...vote, ...changes }, signer)]
  return twoStatements('two-votes', signer.publicKey, a, b)
}

/** Of block 1, and of the empty block in its place. */
export async function exampleTwoAcknowledgements(
  changes: Partial<Acknowledgement> = {},
): Promise<TwoStatements> {
  const said = await exampleAcknowledgement()
  const rival = { ...said, hash: (await rivalBlock()).id, ...changes }
  const [a, b] = [await signedAcknowledgement(said), await signedAcknowledgement(rival)]
  return twoStatements('two-acknowledgements', nodeSigner.publicKey, a, b)
}

/** The candidacy for term 2 on block 1, and an empty block of term 2 in the place of block 1. */
export async function exampleBrokenCandidacy(
  seal: Partial<SealPlace> = {},
  vote: Partial<Vote> = {},
): Promise<TwoStatements> {
  const stood = await signedVote({ ...(await exampleVote()), ...vote })
  const { sealEnvelope } = await rivalBlock({ term: 2, ...seal })
  return twoStatements('broken-candidacy', nodeSigner.publicKey, stood, sealEnvelope)
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
