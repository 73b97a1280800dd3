/** Proof bundles of the example ledger: fixed keys, deterministic signatures, the same bytes on every run. */
import type { Signer } from '../../src/crypto/suite.ts'
import type { Block } from '../../src/ledger/block.ts'
import { type ChainState, extend, genesisState } from '../../src/ledger/chain.ts'
import { type Change, encodeChange } from '../../src/ledger/change.ts'
import { type Entry, signEntry } from '../../src/ledger/entry.ts'
import type { Validator } from '../../src/ledger/member.ts'
import { cosignerName, policyOf } from '../../src/ledger/membership.ts'
import { PAYLOAD_TYPES } from '../../src/ledger/payload-types.ts'
import { type Bundle, makeBundle } from '../../src/light/bundle.ts'
import type { PlacedLeaf, RecordLeaves } from '../../src/light/records.ts'
import { type PolicyUpdate, readPolicyUpdate } from '../../src/light/updates.ts'
import { Frontier } from '../../src/merkle/frontier.ts'
import { leafHash } from '../../src/merkle/hash.ts'
import { inclusionPath } from '../../src/merkle/proof.ts'
import { assembleCertificate } from '../../src/notes/certificate.ts'
import type { Checkpoint } from '../../src/notes/checkpoint.ts'
import { signCosignature } from '../../src/notes/cosignature.ts'
import type { TlogProof } from '../../src/notes/tlog-proof.ts'
import {
  ADA,
  adminSigner,
  blockOn,
  cosigner,
  exampleBlock,
  exampleEntry,
  exampleGenesis,
  LEDGER,
  nodeSigner,
  signerOf,
  TIME,
} from '../ledger/fixture.ts'

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
  // Block 2 gives ada another cosigner key; block 3 is empty, as the first of a new term.
  change: 7,
  changeSeal: 8,
  lastSeal: 9,
} as const

/** The note that certifies `checkpoint`: the log's line and the cosignature of the one validator. */
export async function certify(
  checkpoint: Checkpoint,
  signer: Signer = cosigner,
  time = COSIGNED,
): Promise<string> {
  const names = [LEDGER, cosignerName(LEDGER, 'ada')]
  const lines = await Promise.all(names.map((name) => signCosignature(signer, name, checkpoint, time)))
  return assembleCertificate(checkpoint, lines)
}

/** The tree of these leaves, and where a leaf lies in it. */
export function treeOf(leaves: readonly Uint8Array[]) {
  const nodes = new Map<string, Uint8Array>()
  const tree = new Frontier()
  for (const leaf of leaves)
    tree.append(leafHash(leaf), (level, at, hash) => nodes.set(`${level}/${at}`, hash))
  const path = (index: number) => inclusionPath(index, tree.size, (level, at) => nodes.get(`${level}/${at}`)!)
  const placed = (index: number): PlacedLeaf => ({ index, leaf: leaves[index]!, path: path(index) })
  return { checkpoint: { origin: LEDGER, size: tree.size, root: tree.root() }, path, placed }
}

/** The proof of leaf `index` in a tree of these leaves. */
async function proofIn(
  leaves: readonly Uint8Array[],
  index: number,
  ...certifiedBy: [signer?: Signer, time?: number]
): Promise<TlogProof> {
  const { checkpoint, path } = treeOf(leaves)
  return { index, path: path(index), checkpoint: await certify(checkpoint, ...certifiedBy) }
}

/** The records about leaf `index` of the example ledger, in a tree of these leaves of it. */
export function recordsIn(leaves: readonly Uint8Array[], index: number): RecordLeaves {
  const { placed } = treeOf(leaves)
  const seal = [LEAF.genesisSeal, LEAF.seal, LEAF.changeSeal, LEAF.lastSeal].find((at) => at >= index)!
  const submitter = index === LEAF.entry ? { submitter: placed(LEAF.submitter) } : {}
  return { genesis: placed(LEAF.parameters), seal: placed(seal), ...submitter }
}

/** The bundle of leaf `index` in a tree of these leaves, under the founding policy of the example ledger. */
export async function bundleIn(
  leaves: readonly Uint8Array[],
  index: number,
  records?: RecordLeaves,
  ...certifiedBy: [signer?: Signer, time?: number]
): Promise<Bundle> {
  const { membership } = await exampleGenesis()
  const proof = await proofIn(leaves, index, ...certifiedBy)
  return makeBundle(leaves[index]!, proof, policyOf(LEDGER, membership), [], records)
}

/** Every leaf of the example ledger: genesis and block 1. */
export async function exampleLeaves(): Promise<Uint8Array[]> {
  return [...(await exampleGenesis()).block.leaves, ...(await exampleBlock()).leaves]
}

/** The bundle of one leaf of the example ledger: by default, of its entry. */
export async function exampleBundle(index: number = LEAF.entry): Promise<Bundle> {
  const leaves = await exampleLeaves()
  return bundleIn(leaves, index, recordsIn(leaves, index))
}

/** Ada's next cosigner key, and her record with it. */
export const nextCosigner = signerOf('ML-DSA-44', 5)
const ADA_NEXT: Validator = { ...ADA, cosignerKey: nextCosigner.publicKey }
export const CHANGE: Change = {
  ledger: LEDGER,
  sequence: 1,
  cosigners: 1,
  adminQuorum: 1,
  what: { put: ADA_NEXT },
}

interface Sequel {
  readonly changeBlock: Block
  readonly lastBlock: Block
  readonly state: ChainState
}

async function makeSequel(): Promise<Sequel> {
  const one = extend(genesisState(await exampleGenesis()), await exampleBlock(), [await exampleEntry()])
  const change: Entry = await signEntry(PAYLOAD_TYPES.change, encodeChange(CHANGE), adminSigner)
  const changeBlock = await blockOn(one, [change], { time: TIME + 3_000 }, nodeSigner)
  const two = extend(one, changeBlock, [change])
  const lastBlock = await blockOn(two, [], { term: 2, time: TIME + 5_000 }, nodeSigner)
  return { changeBlock, lastBlock, state: extend(two, lastBlock, []) }
}

let sequel: Promise<Sequel> | undefined

/** Blocks 2 and 3 of the example ledger. Made once. */
export function exampleSequel(): Promise<Sequel> {
  sequel ??= makeSequel()
  return sequel
}

/** Every leaf of the example ledger and its sequel. */
export async function sequelLeaves(): Promise<Uint8Array[]> {
  const { changeBlock, lastBlock } = await exampleSequel()
  return [...(await exampleLeaves()), ...changeBlock.leaves, ...lastBlock.leaves]
}

/** The change, in the tree that ends with its block, certified by the key that it retires. */
export async function exampleUpdate(): Promise<PolicyUpdate> {
  const leaves = (await sequelLeaves()).slice(0, LEAF.lastSeal)
  const proof = await proofIn(leaves, LEAF.change, cosigner, COSIGNED + 2)
  return readPolicyUpdate(leaves[LEAF.change]!, proof)
}

/** The bundle of the entry in the tree of all leaves, certified by the new key, with the update. */
export async function sequelBundle(): Promise<Bundle> {
  const leaves = await sequelLeaves()
  const { state } = await exampleSequel()
  const proof = await proofIn(leaves, LEAF.entry, nextCosigner, COSIGNED + 4)
  const records = recordsIn(leaves, LEAF.entry)
  const updates = [await exampleUpdate()]
  return makeBundle(leaves[LEAF.entry]!, proof, policyOf(LEDGER, state.membership), updates, records)
}
