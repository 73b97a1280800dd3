/**
 * Makes a new ledger: keys and a folder for each node, an admin key, genesis, the policy that verifiers need.
 *
 * All private keys are made in one place here. Teams that want to keep their own from the start make them
 * with `qat keygen` and have only public member records in genesis; `createGenesis` takes those as well.
 */
import { randomBytes } from 'node:crypto'
import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { toHex, utf8 } from '../src/bytes.ts'
import { keyId } from '../src/crypto/keys.ts'
import type { MlDsaAlg } from '../src/crypto/suite.ts'
import { createGenesis, DEFAULT_LIMITS } from '../src/ledger/genesis.ts'
import type { Member, Submitter, Validator } from '../src/ledger/member.ts'
import { defaultCosigners, policyOf } from '../src/ledger/membership.ts'
import { printPolicy } from '../src/notes/policy.ts'
import { generateSeed, writeKeyFile } from './crypto/keyfile.ts'
import { opensslSuite, sha256 } from './crypto/openssl.ts'
import { FILES, fillFolder, writeNodeFolder } from './folder.ts'
import { makeGatewayKey, makeIdentity } from './identity.ts'
import { createKmes, KME_FILES } from './kme/create.ts'
import type { LinkPolicy } from './net/qkd-noise/messages.ts'
import { gatewayRecord, learnerRecord, multiaddrOf, type NodePlace, urlOf } from './node-record.ts'
import type { QkdConfig } from './qkd/config.ts'
import type { TokenRecord } from './rpc/tokens.ts'
import { createStore } from './store/create-store.ts'

export interface ClusterNode extends NodePlace {
  readonly name: string
  readonly team: string
  /** Address that the node binds for JSON-RPC; its address for others is `host`. */
  readonly rpcHost: string
  /** Address that it binds for peers, and its KME for others; that for JSON-RPC if not given. */
  readonly bind?: string
}

export interface ClusterOptions {
  readonly dir: string
  /** The ledger's name, a schema-less URL such as `audit.example/payments`. */
  readonly ledger: string
  readonly nodes: readonly ClusterNode[]
  /** Cosignatures for a certificate; n − ⌊(n−1)/3⌋ if not given. */
  readonly cosigners?: number
  /** Encrypts every private key. */
  readonly passphrase?: string
  /** Makes a bearer token that every node's gateway accepts, and writes it to DIR/token. */
  readonly token?: {
    readonly name: string
    readonly sources: readonly string[]
    readonly types: readonly string[]
  }
  /** Makes a signing key DIR/<name>.key for a submitter of this name who may log anything. */
  readonly submitterKey?: string
  /** Further submitters whose keys already exist. */
  readonly submitters?: readonly Submitter[]
  /** A simulated KME inside each node, with fibres to all others; without it links are keyed by ML-KEM alone. */
  readonly qkd?: QkdPlan
}

export interface QkdPlan {
  readonly mode: LinkPolicy
  /** Of the simulated sources, in place of the profile's. */
  readonly pulsesPerSecond?: number
  /** How long a link may go on without a new QKD key where these are required. */
  readonly maxAgedSeconds?: number
  /** Where the KME of a node listens: for its node, and for the other KMEs. */
  readonly ports: (node: ClusterNode, place: number) => { readonly api: number; readonly links: number }
}

const FIBRE = '5km'
/** Kept for each fibre: as many as links use in hours. A full pool costs little, since its blocks are only checked. */
const KEYS_MAX = 512
const LOOPBACK = '127.0.0.1'

export interface Cluster {
  readonly genesisId: string
  readonly policy: string
  readonly token?: string
  readonly nodes: readonly { name: string; dir: string; rpcUrl: string }[]
}

/** Creates the cluster's files in `dir`, which must be empty or absent, and is so again if that fails. */
export function initCluster(options: ClusterOptions): Promise<Cluster> {
  return fillFolder(options.dir, () => makeCluster(options))
}

async function makeCluster(options: ClusterOptions): Promise<Cluster> {
  const { dir, ledger, passphrase } = options
  const key = async (folder: string, file: string, alg: MlDsaAlg) => {
    const seed = generateSeed()
    await writeKeyFile(join(folder, file), alg, seed, passphrase)
    return { seed, signer: opensslSuite.signer(alg, seed) }
  }
  const admin = await key(dir, 'admin.key', 'ML-DSA-65')
  const members: Member[] = [{ kind: 'admin', name: 'admin', team: 'founders', key: admin.signer.publicKey }]
  for (const node of options.nodes)
    members.push(...(await nodeMembers(join(dir, node.name), node, passphrase)))
  if (options.submitterKey !== undefined) {
    const { seed, signer } = await key(dir, `${options.submitterKey}.key`, 'ML-DSA-65')
    seed.fill(0)
    const may = { sources: ['*'], types: ['*'] }
    members.push({
      kind: 'submitter',
      name: options.submitterKey,
      team: 'founders',
      key: signer.publicKey,
      ...may,
    })
  }
  members.push(...(options.submitters ?? []))

  const parameters = {
    ledger,
    time: Date.now(),
    cosigners: options.cosigners ?? defaultCosigners(options.nodes.length),
    adminQuorum: 1,
    limits: DEFAULT_LIMITS,
  }
  const genesis = await createGenesis(parameters, members, [admin.signer])
  admin.seed.fill(0)
  const policy = printPolicy(policyOf(ledger, genesis.membership))
  await writeFile(join(dir, FILES.genesis), genesis.block.bytes)
  await writeFile(join(dir, 'policy'), policy)

  const token = options.token && `qat_${randomBytes(24).toString('base64url')}`
  const tokens: TokenRecord[] = []
  if (token !== undefined && options.token) {
    tokens.push({ ...options.token, sha256: toHex(sha256(utf8(token))) })
    await writeFile(join(dir, 'token'), `${token}\n`, { mode: 0o600 })
  }
  const nodes = []
  for (const node of options.nodes) {
    const folder = join(dir, node.name)
    const listen = [multiaddrOf(node.bind ?? node.rpcHost, node.peerPort)]
    const rpc = { host: node.rpcHost, port: node.rpcPort }
    const config = { name: node.name, listen, rpc, ...(options.qkd && { qkd: qkdConfig(options, node) }) }
    await writeNodeFolder(folder, config, genesis.block.bytes, tokens)
    const { nodeKey, cosignerKey } = genesis.membership.nodeByName.get(node.name)!
    const owner = { name: node.name, keys: [keyId(nodeKey), keyId(cosignerKey)] }
    await createStore(join(folder, FILES.store), genesis.block.bytes, owner)
    nodes.push({ name: node.name, dir: folder, rpcUrl: urlOf(node.host, node.rpcPort) })
  }
  if (options.qkd) await makeKmes(options, options.qkd)
  return { genesisId: genesis.block.id, policy, ...(token === undefined ? {} : { token }), nodes }
}

/** Which two of these nodes, if any, would listen on one port of one host, in a sentence. */
export function portClash(nodes: readonly ClusterNode[], qkd?: QkdPlan): string | undefined {
  const taken = new Map<string, string>()
  for (const [place, node] of nodes.entries()) {
    const kme = qkd?.ports(node, place)
    const uses = [
      ['JSON-RPC', node.rpcPort],
      ['peers', node.peerPort],
      ...(kme
        ? ([
            ['its KME', kme.api],
            ['other KMEs', kme.links],
          ] as const)
        : []),
    ] as const
    for (const [what, port] of uses) {
      const mine = `${node.name} for ${what}`
      const address = `${node.host.toLowerCase()} port ${port}`
      const other = taken.get(address)
      if (other !== undefined) return `${other} and ${mine} would both listen on ${address}.`
      taken.set(address, mine)
    }
  }
  return undefined
}

function qkdConfig({ qkd, nodes }: ClusterOptions, node: ClusterNode): QkdConfig {
  const { mode, ports, maxAgedSeconds } = qkd!
  const file = (name: string) => `${FILES.qkd}/${name}`
  return {
    mode,
    server: `https://${LOOPBACK}:${ports(node, nodes.indexOf(node)).api}`,
    ca: file(KME_FILES.ca),
    cert: file(KME_FILES.saeCert),
    key: file(KME_FILES.saeKey),
    kme: file(KME_FILES.config),
    ...(maxAgedSeconds !== undefined && { maxAgedSeconds }),
  }
}

async function makeKmes({ dir, nodes }: ClusterOptions, { ports, pulsesPerSecond }: QkdPlan): Promise<void> {
  const kmes = nodes.map((node, i) => {
    const { api, links } = ports(node, i)
    return {
      sae: node.name,
      dir: join(dir, node.name, FILES.qkd),
      host: node.host,
      api: { host: LOOPBACK, port: api },
      links: { host: node.bind ?? node.rpcHost, port: links },
    }
  })
  await createKmes({
    dir,
    kmes,
    profile: FIBRE,
    keysMax: KEYS_MAX,
    now: Date.now(),
    ...(pulsesPerSecond !== undefined && { pulsesPerSecond }),
  })
}

/** A validator and the gateway that signs for senders who cannot. */
async function nodeMembers(
  folder: string,
  node: ClusterNode,
  passphrase: string | undefined,
): Promise<[Validator, Submitter]> {
  await mkdir(folder, { mode: 0o700 })
  const learner = learnerRecord(node, await makeIdentity(folder, passphrase), node)
  const gateway = await makeGatewayKey(folder, passphrase)
  return [{ ...learner, kind: 'validator' }, gatewayRecord(node, gateway)]
}
