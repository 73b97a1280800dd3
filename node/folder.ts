/**
 * A node's folder, the only place its configuration comes from:
 *
 *     node.json        name, addresses, log level          tokens.json     who may submit by bearer token
 *     genesis.block    block 0, the same on every node     store/          LevelDB
 *     node.key, cosigner.key, gateway.key                  private keys, mode 0600
 *     evidence/         against validators, and why the node stopped (evidence-folder.ts); absent until needed
 */
import { hkdfSync } from 'node:crypto'
import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { errorMessage, QatError } from '../src/errors.ts'
import { count, fields, type Json, object, parseJson, text, texts } from '../src/json.ts'
import { readGenesis } from '../src/ledger/genesis.ts'
import { type TokenRecord, tokensFromJson } from './rpc/tokens.ts'

export class FolderError extends QatError<'folder-missing' | 'folder-damaged' | 'folder-not-empty'> {}

export interface NodeConfig {
  readonly name: string
  /** libp2p multiaddrs to listen on. */
  readonly listen: readonly string[]
  readonly rpc: { readonly host: string; readonly port: number }
}

export const FILES = {
  config: 'node.json',
  genesis: 'genesis.block',
  tokens: 'tokens.json',
  nodeKey: 'node.key',
  cosignerKey: 'cosigner.key',
  gatewayKey: 'gateway.key',
  store: 'store',
  evidence: 'evidence',
} as const

const CONFIG_BYTES_MAX = 1_048_576

/** The libp2p identity derives from the node key: one secret less to keep, and one-way. */
export function peerSeedOf(nodeSeed: Uint8Array): Uint8Array {
  return new Uint8Array(hkdfSync('sha256', nodeSeed, '', 'quantum-audit-trail/libp2p-ed25519', 32))
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

/** Reads a node folder but for its keys; one sentence says what is missing or wrong. */
export async function readNodeFolder(dir: string) {
  const config = await readPart(dir, FILES.config, (bytes) => readConfig(parseJson(bytes, CONFIG_BYTES_MAX)))
  const genesis = await readPart(dir, FILES.genesis, (bytes) => readGenesis(new Uint8Array(bytes)))
  const tokens = await readPart(dir, FILES.tokens, (bytes) =>
    tokensFromJson(parseJson(bytes, CONFIG_BYTES_MAX)),
  )
  return { config, genesis, tokens }
}

async function readPart<T>(dir: string, file: string, parse: (bytes: Uint8Array) => T): Promise<T> {
  const path = join(dir, file)
  let bytes: Uint8Array
  try {
    bytes = await readFile(path)
  } catch (cause) {
    const message = `${path} cannot be read. Is ${dir} a node folder made by "qat init"?`
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
  const config = fields(value, 'node.json', ['name', 'listen', 'rpc'])
  const rpc = fields(object(config.rpc, '"rpc"'), '"rpc"', ['host', 'port'])
  return {
    name: text(config.name, '"name"', 63),
    listen: texts(config.listen, '"listen"', 1, 8, 256),
    rpc: { host: text(rpc.host, '"host"', 255), port: count(rpc.port, '"port"') },
  }
}

function print(value: Json): string {
  return `${JSON.stringify(value, undefined, 2)}\n`
}
