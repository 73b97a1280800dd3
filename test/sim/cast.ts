/**
 * Who takes part: the keys and the genesis block of a ledger of n validators, and nodes that may join it later.
 * Made once for each number and suite.
 */
import type { SignatureSuite, Signer } from '../../src/crypto/suite.ts'
import { createGenesis, DEFAULT_LIMITS, type Genesis } from '../../src/ledger/genesis.ts'
import type { Member, NodeMember, Submitter } from '../../src/ledger/member.ts'
import { defaultCosigners } from '../../src/ledger/membership.ts'
import { EPOCH } from './life.ts'
import { digestSeed, replayableSigner } from './suite.ts'

export const LEDGER = 'sim.example/ledger'
export const CLIENTS = 3
/** The client that changes may shut out, and let in again. */
export const GUEST = `client-${CLIENTS - 1}`

export interface Cast {
  /** Validators from genesis on. */
  readonly founders: readonly string[]
  /** All nodes: founders, and those that may join. */
  readonly names: readonly string[]
  readonly genesis: Genesis
  readonly clients: readonly Signer[]
  /** A submitter that may log from few sources only, and whose key the liars have. */
  readonly narrow: Signer
  readonly admins: readonly Signer[]
  readonly suite: SignatureSuite
  /** The keys of a node: generation 0 until they are replaced, then 1, 2, and so on. */
  keysOf(name: string, generation: number): NodeKeys
}

export interface NodeKeys {
  readonly node: Signer
  readonly cosigner: Signer
  readonly gateway: Signer
  /** Follows from the node key, as in a node's folder. */
  readonly peerId: string
}

const NAMES = ['a', 'b', 'c', 'd', 'e', 'f', 'g', 'h']
export const NODES_MAX = NAMES.length
const ADMINS = 2
const casts = new Map<string, Promise<Cast>>()

export function castOf(size: number, newcomers: number, suite: SignatureSuite, real: boolean): Promise<Cast> {
  const name = `${size} ${newcomers} ${real}`
  const known = casts.get(name) ?? makeCast(size, newcomers, suite)
  casts.set(name, known)
  return known
}

async function makeCast(size: number, newcomers: number, suite: SignatureSuite): Promise<Cast> {
  const founders = NAMES.slice(0, size)
  const names = NAMES.slice(0, size + newcomers)
  const admins = Array.from({ length: ADMINS }, (_, i) =>
    replayableSigner(suite, 'ML-DSA-65', digestSeed(`admin ${i}`)),
  )
  const keysOf = keyRing(suite)
  const members: Member[] = [
    ...admins.map(({ publicKey }, i) => ({
      kind: 'admin' as const,
      name: `admin-${i}`,
      team: 'sim',
      key: publicKey,
    })),
    ...founders.map((name) => nodeMember('validator', name, keysOf(name, 0))),
    ...names.map((name) => submitter(`gateway-${name}`, keysOf(name, 0).gateway)),
  ]
  const clients = Array.from({ length: CLIENTS }, (_, i) =>
    replayableSigner(suite, 'ML-DSA-65', digestSeed(`client ${i}`)),
  )
  for (const [i, client] of clients.entries()) members.push(submitter(`client-${i}`, client))
  const narrow = replayableSigner(suite, 'ML-DSA-65', digestSeed('narrow'))
  members.push({ ...submitter('narrow', narrow), sources: ['/narrow/*'] })
  const parameters = {
    ledger: LEDGER,
    time: EPOCH - 1_000,
    cosigners: defaultCosigners(size),
    adminQuorum: ADMINS,
    limits: DEFAULT_LIMITS,
  }
  const genesis = await createGenesis(parameters, members, admins)
  return { founders, names, genesis, clients, narrow, admins, suite, keysOf }
}

/** Makes keys when they are first asked for: real ones cost time, and few are ever replaced. */
function keyRing(suite: SignatureSuite): Cast['keysOf'] {
  const made = new Map<string, NodeKeys>()
  return (name, generation) => {
    const id = generation === 0 ? name : `${name} ${generation}`
    const known = made.get(id) ?? {
      node: suite.signer('ML-DSA-65', digestSeed(`node ${id}`)),
      cosigner: suite.signer('ML-DSA-44', digestSeed(`cosigner ${id}`)),
      // `qat rotate` leaves the gateway's key alone.
      gateway: replayableSigner(suite, 'ML-DSA-65', digestSeed(`gateway ${name}`)),
      peerId: `peer-${name}-${generation}`,
    }
    made.set(id, known)
    return known
  }
}

export function nodeMember(
  kind: NodeMember['kind'],
  name: string,
  { node, cosigner, peerId }: NodeKeys,
): NodeMember {
  return {
    kind,
    name,
    team: 'sim',
    nodeKey: node.publicKey,
    cosignerKey: cosigner.publicKey,
    peerId,
    addresses: [`/dns4/${name}.example/tcp/1`],
    url: `https://${name}.example`,
  }
}

export function submitter(name: string, { publicKey }: Signer): Submitter {
  return { kind: 'submitter', name, team: 'sim', key: publicKey, sources: ['*'], types: ['*'] }
}
