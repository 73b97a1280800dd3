/** Blocks that no ledger may take, each rightly sealed by the liar that proposes it, and wrong in one respect. */
import type { Block as RaftBlock } from '../../consensus/types.ts'
import { toHex, utf8 } from '../../src/bytes.ts'
import { keyId } from '../../src/crypto/keys.ts'
import type { Signer } from '../../src/crypto/suite.ts'
import type { Block } from '../../src/ledger/block.ts'
import { encodeChange } from '../../src/ledger/change.ts'
import { encodeEnvelope, signEnvelope } from '../../src/ledger/dsse.ts'
import { type Entry, signEntry } from '../../src/ledger/entry.ts'
import type { Membership } from '../../src/ledger/membership.ts'
import { PAYLOAD_TYPES } from '../../src/ledger/payload-types.ts'
import { encodeSeal, type Seal } from '../../src/ledger/seal.ts'
import { leafHash } from '../../src/merkle/hash.ts'
import { encodeEntryBundle } from '../../src/merkle/tiles.ts'
import type { Random } from '../consensus/sim/random.ts'
import { mth } from '../support/naive-tree.ts'
import { LEDGER, type NodeKeys } from './cast.ts'

export interface Forge {
  readonly random: Random
  readonly keys: NodeKeys
  /** A submitter that may speak for few sources, and lends the liar its key. */
  readonly narrow: Signer
  /** Admins that sign whatever the liar wants. */
  readonly admins: readonly Signer[]
  /** As the liar knows it. */
  membership(): Membership | undefined
}

/** What is wrong: the leaves of the block, or its seal, which else would be right. */
type Flaw = (forge: Forge, block: Block) => Promise<Partial<Flawed>>

interface Flawed {
  readonly leaves: readonly Uint8Array[]
  readonly seal: Partial<Seal>
}

const FLAWS = {
  'a forged signature': async ({ keys }, block) => {
    const { envelope } = await event(keys.gateway, '/liar', block)
    const [{ keyid, sig }] = envelope.signatures as [{ keyid: string; sig: Uint8Array }]
    const forged = sig.map((byte, i) => (i === 0 ? byte ^ 1 : byte))
    return more(block, encodeEnvelope({ ...envelope, signatures: [{ keyid, sig: forged }] }))
  },
  'an unknown submitter': async ({ keys }, block) =>
    more(block, (await event(keys.node, '/liar', block)).bytes),
  'a source not permitted': async ({ narrow }, block) =>
    more(block, (await event(narrow, '/elsewhere', block)).bytes),
  'an entry twice': async ({ keys }, block) => {
    const { bytes } = await event(keys.gateway, '/liar', block)
    return more(block, bytes, bytes)
  },
  'a wrong first index': async ({ random }, { seal }) => ({
    seal: { firstIndex: Math.max(0, seal.firstIndex + random.pick([-1, 1])) },
  }),
  'a wrong root': async (_, { seal }) => ({
    seal: { entriesRoot: seal.entriesRoot.map((byte, i) => (i === 0 ? byte ^ 1 : byte)) },
  }),
  'another height': async ({ random }, { seal }) => ({
    seal: { height: seal.height + random.pick([-1, 1]) },
  }),
  'a time before the chain': async (_, { seal }) => ({ seal: { time: seal.time - 3_600_000 } }),
  'a time in the future': async (_, { seal }) => ({ seal: { time: seal.time + 60_000 } }),
  'two changes': async (forge, block) =>
    more(block, await change(forge, 'one', block), await change(forge, 'two', block)),
} satisfies Record<string, Flaw>

export type FlawName = keyof typeof FLAWS
const NAMES = Object.keys(FLAWS) as FlawName[]

/** `block` with a flaw. The header that Raft sees is right. */
export async function spoil(forge: Forge, block: Block): Promise<RaftBlock> {
  const flaw: Flaw = FLAWS[forge.random.pick(NAMES)]
  const { leaves = block.leaves.slice(0, -1), seal = {} } = await flaw(forge, block)
  const said: Seal = { ...block.seal, count: leaves.length, entriesRoot: mth(leaves), ...seal }
  const { height, term, previous } = block.seal
  return { height, term, prev: toHex(previous), ...(await sealed(forge.keys.node, said, leaves)) }
}

/** The bytes of a block whatever its seal says, and its hash. */
export async function sealed(
  signer: Signer,
  seal: Seal,
  leaves: readonly Uint8Array[],
): Promise<{ body: Uint8Array; hash: string }> {
  const keyed = [{ keyid: keyId(signer.publicKey), signer }]
  const bytes = encodeEnvelope(await signEnvelope(PAYLOAD_TYPES.seal, encodeSeal(seal), keyed))
  return { body: encodeEntryBundle([...leaves, bytes]), hash: toHex(leafHash(bytes)) }
}

function more(block: Block, ...leaves: Uint8Array[]): Partial<Flawed> {
  return { leaves: [...block.leaves.slice(0, -1), ...leaves] }
}

function event(signer: Signer, source: string, { seal }: Block): Promise<Entry> {
  const told = {
    specversion: '1.0',
    id: `lie-${seal.height}-${seal.term}`,
    source,
    type: 'dev.sim.lie.told',
    subject: 'lie',
    time: '2026-01-31T12:00:00Z',
    datacontenttype: 'application/json',
    data: {},
  }
  return signEntry(PAYLOAD_TYPES.event, utf8(JSON.stringify(told)), signer)
}

/** A change that would be right if it stood in the block alone. */
async function change(
  { keys, admins, membership }: Forge,
  name: string,
  { seal }: Block,
): Promise<Uint8Array> {
  const { sequence = 0, cosigners = 1, adminQuorum = 1 } = membership() ?? {}
  const put = {
    kind: 'submitter' as const,
    name: `liar-${name}-${seal.height}`,
    team: 'liars',
    key: keys.gateway.publicKey,
    sources: ['*'],
    types: ['*'],
  }
  const told = { ledger: LEDGER, sequence: sequence + 1, cosigners, adminQuorum, what: { put } }
  return (await signEntry(PAYLOAD_TYPES.change, encodeChange(told), ...admins)).bytes
}
