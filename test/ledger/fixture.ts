/**
 * A small ledger with fixed keys: every private key is a seed of 32 equal bytes, and signatures are
 * deterministic (FIPS 204 section 3.4), so that every byte below is the same on every run.
 */
import { toHex, utf8 } from '../../src/bytes.ts'
import { keyId } from '../../src/crypto/keys.ts'
import { nobleDeterministicSuite } from '../../src/crypto/noble.ts'
import { ML_DSA, type MlDsaAlg, type Signer } from '../../src/crypto/suite.ts'
import { QatError } from '../../src/errors.ts'
import type { Json } from '../../src/json.ts'
import { type Block, type SealPlace, sealBlock } from '../../src/ledger/block.ts'
import { type ChainState, genesisState, nextPlace } from '../../src/ledger/chain.ts'
import { type Entry, signEntry } from '../../src/ledger/entry.ts'
import {
  createGenesis,
  DEFAULT_LIMITS,
  type Genesis,
  type GenesisParameters,
} from '../../src/ledger/genesis.ts'
import type { Admin, Submitter, Validator } from '../../src/ledger/member.ts'
import { PAYLOAD_TYPES } from '../../src/ledger/payload-types.ts'

export const LEDGER = 'audit.example/payments'
/** 2026-01-31T12:00:00.000Z */
export const TIME = 1_769_860_800_000

export function signerOf(alg: MlDsaAlg, seedByte: number): Signer {
  return nobleDeterministicSuite.signer(alg, new Uint8Array(32).fill(seedByte))
}

/** For tests in which nobody looks at signatures: the right key and size, without the work. */
export function blankSigner(signer: Signer): Signer {
  const { publicKey } = signer
  return { publicKey, sign: async () => new Uint8Array(ML_DSA[publicKey.alg].signature) }
}

export const adminSigner = signerOf('ML-DSA-65', 1)
export const nodeSigner = signerOf('ML-DSA-65', 2)
export const cosigner = signerOf('ML-DSA-44', 3)
export const submitterSigner = signerOf('ML-DSA-65', 4)

export const ALICE: Admin = { kind: 'admin', name: 'alice', team: 'audit', key: adminSigner.publicKey }

export const ADA: Validator = {
  kind: 'validator',
  name: 'ada',
  team: 'payments',
  nodeKey: nodeSigner.publicKey,
  cosignerKey: cosigner.publicKey,
  peerId: '12D3KooWJWoaqZhDaoEFshF7Rh1bpY9ohihFhzcW6d69Lr2NASuq',
  addresses: ['/dns4/ada.example/tcp/4100'],
  url: 'https://ada.example',
}

export const CI: Submitter = {
  kind: 'submitter',
  name: 'ci',
  team: 'payments',
  key: submitterSigner.publicKey,
  sources: ['/ci/*'],
  types: ['dev.cdevents.*', 'https://slsa.dev/provenance/v1'],
}

export const PARAMETERS: GenesisParameters = {
  ledger: LEDGER,
  time: TIME,
  cosigners: 1,
  adminQuorum: 1,
  limits: DEFAULT_LIMITS,
}

/** A second validator, for ledgers of several: its keys come from the seeds `seedByte` and `seedByte + 1`. */
export function validatorOf(name: string, seedByte: number): Validator {
  return {
    ...ADA,
    name,
    nodeKey: signerOf('ML-DSA-65', seedByte).publicKey,
    cosignerKey: signerOf('ML-DSA-44', seedByte + 1).publicKey,
    peerId: peerIdOf(seedByte),
  }
}

/** As libp2p names an Ed25519 key: base58btc of an identity multihash. No private key belongs to it. */
function peerIdOf(byte: number): string {
  const bytes = Uint8Array.of(0, 36, 8, 1, 18, 32, ...new Uint8Array(32).fill(byte))
  let digits = ''
  for (let rest = BigInt(`0x${toHex(bytes)}`); rest > 0n; rest /= 58n)
    digits = BASE58[Number(rest % 58n)] + digits
  return `1${digits}`
}

const BASE58 = '123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz'

let genesis: Promise<Genesis> | undefined

/** One admin, one validator, one submitter. Made once. */
export function exampleGenesis(): Promise<Genesis> {
  genesis ??= createGenesis(PARAMETERS, [ALICE, ADA, CI], [adminSigner])
  return genesis
}

/** An event that the submitter `ci` may log. */
export const EVENT = {
  specversion: '1.0',
  id: 'build-42',
  source: '/ci/payments',
  type: 'dev.cdevents.build.finished.0.3.0',
  subject: 'pkg:oci/payments@sha256:1f2e',
  time: '2026-01-31T11:59:58.5Z',
  datacontenttype: 'application/json',
  data: { outcome: 'success' },
} as const satisfies Json

export const EVENT_BYTES = utf8(JSON.stringify(EVENT))

let entry: Promise<Entry> | undefined

/** The entry of the example: `EVENT` by the submitter `ci`. Made once. */
export function exampleEntry(): Promise<Entry> {
  entry ??= signEntry(PAYLOAD_TYPES.event, EVENT_BYTES, submitterSigner)
  return entry
}

/** An entry with other attributes, signed by nobody. */
export function entryOf(changes: Record<string, Json> = {}, signer = submitterSigner): Promise<Entry> {
  return signEntry(PAYLOAD_TYPES.event, utf8(JSON.stringify({ ...EVENT, ...changes })), blankSigner(signer))
}

/** The block after `state`, sealed by `signer` under the name `ada`, with `changes` to what its seal should say. */
export function blockOn(
  state: ChainState,
  leaves: readonly { bytes: Uint8Array; hash: Uint8Array }[],
  changes: Partial<SealPlace> = {},
  signer: Signer = blankSigner(nodeSigner),
): Promise<Block> {
  const place = { ...nextPlace(state, 1, 'ada', TIME + 1_000), ...changes }
  return sealBlock(place, leaves, [{ keyid: keyId(signer.publicKey), signer }])
}

let block: Promise<Block> | undefined

/** Block 1 of the example: one entry and its seal, really signed. Made once. */
export function exampleBlock(): Promise<Block> {
  block ??= Promise.all([exampleGenesis(), exampleEntry()]).then(([genesis, entry]) =>
    blockOn(genesisState(genesis), [entry], {}, nodeSigner),
  )
  return block
}

export const refused = (code: string) => (error: unknown) => error instanceof QatError && error.code === code

/** What `read` returns, or undefined if it refuses; fails on anything thrown that is not a QatError. */
export function verdictOn<T>(read: () => T): T | undefined {
  try {
    return read()
  } catch (error) {
    if (error instanceof QatError) return undefined
    throw error
  }
}
