/**
 * A node's folder, the only place its configuration comes from:
 *
 *     node.json        name, addresses, log level          tokens.json     who may submit by bearer token
 *     genesis.block    block 0, the same on every node     store/          LevelDB
 *     node.key, cosigner.key, gateway.key                  private keys, mode 0600
 *     next/             new node.key and cosigner.key, until they are in force, and member.json for an admin
 *     spent/            keys that must not sign any more, because the store may have forgotten what they signed
 *     qkd/              of the simulated KME inside: kme.json, certificates, its store; absent without one
 *     member.json, gateway.json                            of a node that joined: the records it asks admission by
 *     evidence/         against validators, and why the node stopped (evidence-folder.ts); absent until needed
 */
import { hkdfSync } from 'node:crypto'
import { chmod, mkdir, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { errorMessage, QatError } from '../src/errors.ts'
import { array, count, fields, type Json, object, parseJson, text, texts } from '../src/json.ts'
import { readGenesis } from '../src/ledger/genesis.ts'
import { checkMemberName, MEMBER_NAME_BYTES_MAX } from '../src/ledger/names.ts'
import { VALIDATORS_MAX } from '../src/limits.ts'
import { type QkdConfig, readQkdConfig } from './qkd/config.ts'
import { type TokenRecord, tokensFromJson } from './rpc/tokens.ts'

export class FolderError extends QatError<'folder-missing' | 'folder-damaged' | 'folder-not-empty'> {}

export interface NodeConfig {
  readonly name: string
  /** libp2p multiaddrs to listen on. */
  readonly listen: readonly string[]
  readonly rpc: { readonly host: string; readonly port: number }
  /** Where to find the others when genesis no longer tells; the chain itself says who is a member. */
  readonly peers?: readonly PeerAddress[]
  /** Absent: no KME stands beside this node. */
  readonly qkd?: QkdConfig
}

export interface PeerAddress {
  readonly name: string
  /** libp2p peer id, by which whoever answers proves to be this peer. */
  readonly peerId: string
  /** libp2p multiaddrs. */
  readonly addresses: readonly string[]
}

export const FILES = {
  config: 'node.json',
  genesis: 'genesis.block',
  tokens: 'tokens.json',
  nodeKey: 'node.key',
  cosignerKey: 'cosigner.key',
  gatewayKey: 'gateway.key',
  member: 'member.json',
  gateway: 'gateway.json',
  store: 'store',
  evidence: 'evidence',
  qkd: 'qkd',
} as const

const CONFIG_BYTES_MAX = 1_048_576

/** The libp2p identity derives from the node key: one secret less to keep, and one-way. */
export function peerSeedOf(nodeSeed: Uint8Array): Uint8Array {
  return new Uint8Array(hkdfSync('sha256', nodeSeed, '', 'quantum-audit-trail/libp2p-ed25519', 32))
}

/**
 * Has `fill` fill the folder `dir`, which must be absent or empty, and closes it to others. If that fails, all is as it
 * was, so that the same command can be given again. FolderError folder-not-empty.
 */
export async function fillFolder<T>(dir: string, fill: () => Promise<T>): Promise<T> {
  const made = await mkdir(dir, { recursive: true, mode: 0o700 })
  if ((await readdir(dir)).length > 0) {
    throw new FolderError('folder-not-empty', `${dir} is not empty. Give a new folder.`)
  }
  await chmod(dir, 0o700)
  try {
    return await fill()
  } catch (error) {
    if (made === undefined) {
      for (const name of await readdir(dir)) await rm(join(dir, name), { recursive: true, force: true })
    } else await rm(made, { recursive: true, force: true })
    throw error
  }
}

export async function writeNodeFolder(
  dir: string,
  config: NodeConfig,
  genesis: Uint8Array,
  tokens: readonly TokenRecord[],
): Promise<void> {
  await mkdir(dir, { recursive: true, mode: 0o700 })
  await writeFile(join(dir, FILES.config), print(config as unknown as Json))
  await writeFile(join(dir, FILES.genesis), genesis)
  await writeFile(join(dir, FILES.tokens), print(tokens as unknown as Json), { mode: 0o600 })
}

/** Reads a node folder but for its keys and tokens; one sentence says what is missing or wrong. */
export async function readNodeFolder(dir: string) {
  const config = await readPart(dir, FILES.config, (bytes) => readConfig(parseJson(bytes, CONFIG_BYTES_MAX)))
  const genesis = await readPart(dir, FILES.genesis, (bytes) => readGenesis(new Uint8Array(bytes)))
  return { config, genesis }
}

/** Who may submit by bearer token. Throws FolderError. */
export function readTokens(dir: string): Promise<TokenRecord[]> {
  return readPart(dir, FILES.tokens, (bytes) => tokensFromJson(parseJson(bytes, CONFIG_BYTES_MAX)))
}

async function readPart<T>(dir: string, file: string, parse: (bytes: Uint8Array) => T): Promise<T> {
  const path = join(dir, file)
  let bytes: Uint8Array
  try {
    bytes = await readFile(path)
  } catch (cause) {
    const message = `${path} cannot be read. Is ${dir} a node folder, made by "qat init" or "qat join"?`
    throw new FolderError('folder-missing', message, { path }, { cause })
  }
  try {
    return parse(bytes)
  } catch (cause) {
    throw new FolderError(
      'folder-damaged',
      `${path} is not usable: ${errorMessage(cause)}`,
      { path },
      { cause },
    )
  }
}

function readConfig(value: Json): NodeConfig {
  const config = fields(value, 'node.json', ['name', 'listen', 'rpc'], ['peers', 'qkd'])
  const rpc = fields(object(config.rpc, '"rpc"'), '"rpc"', ['host', 'port'])
  return {
    name: text(config.name, '"name"', 63),
    listen: texts(config.listen, '"listen"', 1, 8, 256),
    rpc: { host: text(rpc.host, '"host"', 255), port: count(rpc.port, '"port"') },
    ...(config.peers !== undefined && {
      peers: array(config.peers, '"peers"', 0, VALIDATORS_MAX).map(readPeer),
    }),
    ...(config.qkd !== undefined && { qkd: readQkdConfig(config.qkd) }),
  }
}

function readPeer(value: Json): PeerAddress {
  const peer = fields(value, 'A peer', ['name', 'peerId', 'addresses'])
  return {
    name: checkMemberName(text(peer.name, '"name"', MEMBER_NAME_BYTES_MAX)),
    peerId: text(peer.peerId, '"peerId"', 128),
    addresses: texts(peer.addresses, '"addresses"', 1, 8, 256),
  }
}

function print(value: Json): string {
  return `${JSON.stringify(value, undefined, 2)}\n`
}
