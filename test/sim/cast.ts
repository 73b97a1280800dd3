/** Who takes part: the keys and the genesis block of a ledger of n validators. Made once for each n and suite. */
import type { SignatureSuite, Signer } from '../../src/crypto/suite.ts'
import { createGenesis, DEFAULT_LIMITS } from '../../src/ledger/genesis.ts'
import type { Member, Submitter } from '../../src/ledger/member.ts'
import { defaultCosigners } from '../../src/ledger/membership.ts'
import { EPOCH } from './life.ts'
import { digestSeed, replayableSigner } from './suite.ts'

export const LEDGER = 'sim.example/ledger'
export const CLIENTS = 3

export interface Cast {
  readonly names: readonly string[]
  readonly genesis: Uint8Array
  readonly keys: ReadonlyMap<string, NodeKeys>
  readonly clients: readonly Signer[]
  /** A submitter that may log from few sources only, and whose key the liars have. */
  readonly narrow: Signer
  readonly admins: readonly Signer[]
  readonly suite: SignatureSuite
}

export interface NodeKeys {
  readonly node: Signer
  readonly cosigner: Signer
  readonly gateway: Signer
}

const NAMES = ['a', 'b', 'c', 'd', 'e', 'f', 'g']
const casts = new Map<string, Promise<Cast>>()

export function castOf(size: number, suite: SignatureSuite, real: boolean): Promise<Cast> {
  const name = `${size} ${real}`
  const known = casts.get(name) ?? makeCast(size, suite)
  casts.set(name, known)
  return known
}

async function makeCast(size: number, suite: SignatureSuite): Promise<Cast> {
  const names = NAMES.slice(0, size)
  const admin = replayableSigner(suite, 'ML-DSA-65', digestSeed('admin'))
  const members: Member[] = [{ kind: 'admin', name: 'admin', team: 'sim', key: admin.publicKey }]
  const keys = new Map<string, NodeKeys>()
  for (const name of names) {
    const node = suite.signer('ML-DSA-65', digestSeed(`node ${name}`))
    const cosigner = suite.signer('ML-DSA-44', digestSeed(`cosigner ${name}`))
    const gateway = replayableSigner(suite, 'ML-DSA-65', digestSeed(`gateway ${name}`))
    keys.set(name, { node, cosigner, gateway })
    members.push(
      {
        kind: 'validator',
        name,
        team: 'sim',
        nodeKey: node.publicKey,
        cosignerKey: cosigner.publicKey,
        peerId: `peer-${name}`,
        addresses: [`/dns4/${name}.example/tcp/1`],
        url: `https://${name}.example`,
      },
      submitter(`gateway-${name}`, gateway),
    )
  }
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
    adminQuorum: 1,
    limits: DEFAULT_LIMITS,
  }
  const genesis = await createGenesis(parameters, members, [admin])
  return { names, genesis: genesis.block.bytes, keys, clients, narrow, admins: [admin], suite }
}

function submitter(name: string, { publicKey }: Signer): Submitter {
  return { kind: 'submitter', name, team: 'sim', key: publicKey, sources: ['*'], types: ['*'] }
}
