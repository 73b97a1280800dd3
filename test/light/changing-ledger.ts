/** A ledger whose members change: real keys and signatures, one leaf and one stand-in for a seal in each block. */
import { opensslSuite } from '../../node/crypto/openssl.ts'
import { utf8 } from '../../src/bytes.ts'
import { keyId } from '../../src/crypto/keys.ts'
import type { PublicKey, Signer } from '../../src/crypto/suite.ts'
import { applyChange, type Change, encodeChange } from '../../src/ledger/change.ts'
import { signEntry } from '../../src/ledger/entry.ts'
import { createGenesis, type Genesis } from '../../src/ledger/genesis.ts'
import type { Admin, Learner, Submitter, Validator } from '../../src/ledger/member.ts'
import { cosignerName, defaultCosigners, type Membership, type Quorums } from '../../src/ledger/membership.ts'
import { PAYLOAD_TYPES } from '../../src/ledger/payload-types.ts'
import { type PolicyUpdate, readPolicyUpdate } from '../../src/light/updates.ts'
import { Frontier } from '../../src/merkle/frontier.ts'
import { leafHash } from '../../src/merkle/hash.ts'
import { inclusionPath } from '../../src/merkle/proof.ts'
import { assembleCertificate } from '../../src/notes/certificate.ts'
import { signCosignature } from '../../src/notes/cosignature.ts'
import type { TlogProof } from '../../src/notes/tlog-proof.ts'
import { ADA, ALICE, CI, LEDGER, PARAMETERS, TIME } from '../ledger/fixture.ts'

const signers = new Map<string, Signer>()

/** The key pair of a seed; known from then on to everyone who signs here. */
function keyOf(alg: 'ML-DSA-44' | 'ML-DSA-65', seed: number): PublicKey {
  const signer = opensslSuite.signer(alg, new Uint8Array(32).fill(seed))
  signers.set(keyId(signer.publicKey), signer)
  return signer.publicKey
}

export const signerFor = (key: PublicKey): Signer => signers.get(keyId(key))!

/** A validator whose keys come from `seed` and `seed + 1`. */
export function validator(name: string, seed: number): Validator {
  const nodeKey = keyOf('ML-DSA-65', seed)
  const cosignerKey = keyOf('ML-DSA-44', seed + 1)
  return { ...ADA, name, nodeKey, cosignerKey, peerId: `peer-${seed}`, url: `https://${name}.example` }
}

export const learner = (name: string, seed: number): Learner => ({
  ...validator(name, seed),
  kind: 'learner',
})

export const ADMINS: readonly Admin[] = ['alice', 'bella', 'carol'].map((name, i) => ({
  ...ALICE,
  name,
  key: keyOf('ML-DSA-65', 200 + i),
}))
export const FOUNDERS = [
  validator('ada', 10),
  validator('bob', 12),
  validator('cyd', 14),
  validator('dee', 16),
] as const
export const SUBMITTER: Submitter = CI

let genesis: Promise<Genesis> | undefined

/** Four validators of whom three make a certificate, three admins of whom two change members. Made once. */
export function foundingGenesis(): Promise<Genesis> {
  const parameters = { ...PARAMETERS, cosigners: 3, adminQuorum: 2 }
  const keys = ADMINS.slice(0, 2).map(({ key }) => signerFor(key))
  genesis ??= createGenesis(parameters, [...ADMINS, ...FOUNDERS, SUBMITTER], keys)
  return genesis
}

/** How a change is brought about, where that differs from how an honest ledger does it. */
export interface Means {
  readonly quorums?: Partial<Quorums>
  readonly ledger?: string
  readonly sequence?: number
  /** Who signs the change. By default, as many admins as it takes. */
  readonly admins?: readonly PublicKey[]
  /** Who cosigns the end of its block; the first of them also signs as the log. By default, as many as it takes. */
  readonly cosigners?: readonly Pick<Validator, 'name' | 'cosignerKey'>[]
  /** The checkpoint's origin. */
  readonly origin?: string
}

export class ChangingLedger {
  membership: Membership
  readonly leaves: Uint8Array[]

  constructor(membership: Membership, leaves: readonly Uint8Array[]) {
    this.membership = membership
    this.leaves = [...leaves]
  }

  static async found(): Promise<ChangingLedger> {
    const { membership, block } = await foundingGenesis()
    return new ChangingLedger(membership, block.leaves)
  }

  /** The next change as this ledger's members would make it: two thirds of the validators make a certificate. */
  next(what: Change['what'], { quorums, ledger = LEDGER, sequence }: Means = {}): Change {
    const { adminQuorum, validatorByName } = this.membership
    const names = new Set(validatorByName.keys())
    if ('remove' in what) names.delete(what.remove)
    else if (what.put.kind === 'validator') names.add(what.put.name)
    return {
      ledger,
      sequence: sequence ?? this.membership.sequence + 1,
      cosigners: defaultCosigners(names.size),
      adminQuorum,
      ...quorums,
      what,
    }
  }

  /** A block with one change and its certificate: the update. The members change, if the change makes sense. */
  async change(what: Change['what'], means: Means = {}): Promise<PolicyUpdate> {
    const change = this.next(what, means)
    const { adminQuorum, admins } = this.membership
    const keys = means.admins ?? admins.slice(0, adminQuorum).map(({ key }) => key)
    const { bytes } = await signEntry(PAYLOAD_TYPES.change, encodeChange(change), ...keys.map(signerFor))
    const index = this.leaves.length
    this.append(bytes)
    const update = readPolicyUpdate(bytes, await this.prove(index, means))
    this.membership = applyChange(this.membership, change)
    return update
  }

  /** A block with one leaf. */
  append(leaf: Uint8Array): void {
    this.leaves.push(leaf, utf8(`the seal after leaf ${this.leaves.length}`))
  }

  /** The proof of a leaf in the tree of all leaves so far. */
  async prove(index: number, { cosigners, origin = LEDGER }: Means = {}): Promise<TlogProof> {
    const nodes = new Map<string, Uint8Array>()
    const tree = new Frontier()
    for (const leaf of this.leaves)
      tree.append(leafHash(leaf), (level, at, hash) => nodes.set(`${level}/${at}`, hash))
    const checkpoint = { origin, size: tree.size, root: tree.root() }
    const by = cosigners ?? this.membership.validators.slice(0, this.membership.cosigners)
    const time = TIME / 1_000 + tree.size
    const sign = (name: string, key: PublicKey) => signCosignature(signerFor(key), name, checkpoint, time)
    const lines = await Promise.all([
      sign(origin, by[0]!.cosignerKey),
      ...by.map(({ name, cosignerKey }) => sign(cosignerName(origin, name), cosignerKey)),
    ])
    const path = inclusionPath(index, tree.size, (level, at) => nodes.get(`${level}/${at}`)!)
    return { index, path, checkpoint: assembleCertificate(checkpoint, lines) }
  }
}
