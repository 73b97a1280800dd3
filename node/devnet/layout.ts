/** The folder of a devnet: made once, and continued ever after with the nodes and ports it was made with. */
import { access, readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { QatError } from '../../src/errors.ts'
import { VALIDATORS_MAX } from '../../src/limits.ts'
import { FILES, readNodeFolder } from '../folder.ts'
import { initCluster } from '../init.ts'

export class DevnetError extends QatError<'devnet-options' | 'devnet-folder' | 'devnet-not-ready'> {}

export const DEVNET_LEDGER = 'devnet.example/audit'
export const DEVNET_NODES = 4
export const DEVNET_PORT = 8_480
/** Peers listen this far above the JSON-RPC port of their node. */
export const PEER_PORT_OFFSET = 1_000

const HOST = '127.0.0.1'

/** In the order of the radio alphabet, which is also that of a directory listing. */
const NAMES = [
  ...['alpha', 'bravo', 'charlie', 'delta', 'echo', 'foxtrot', 'golf', 'hotel'],
  ...['india', 'juliett', 'kilo', 'lima', 'mike', 'november', 'oscar'],
] as const

/** The first `count` node names. Throws DevnetError `devnet-options` beyond VALIDATORS_MAX. */
export function nodeNames(count: number): readonly string[] {
  if (!Number.isInteger(count) || count < 1 || count > Math.min(NAMES.length, VALIDATORS_MAX)) {
    throw new DevnetError('devnet-options', `A ledger has 1 to ${VALIDATORS_MAX} nodes.`, { nodes: count })
  }
  return NAMES.slice(0, count)
}

/** Nodes on one machine, with JSON-RPC ports from `port` upwards and peer ports PEER_PORT_OFFSET above them. */
export function localNodes(count: number, port: number, names = nodeNames(count)) {
  if (port < 1 || port + PEER_PORT_OFFSET + count - 1 > 65_535) {
    throw new DevnetError('devnet-options', `From port ${port}, there is no room for ${count} nodes.`, {
      port,
    })
  }
  if (count > PEER_PORT_OFFSET) throw new DevnetError('devnet-options', 'Too many nodes for their ports.')
  return names.map((name, i) => ({
    name,
    team: `team-${name}`,
    host: HOST,
    peerPort: port + PEER_PORT_OFFSET + i,
    rpcHost: HOST,
    rpcPort: port + i,
  }))
}

export interface LayoutOptions {
  readonly dir: string
  readonly nodes?: number
  readonly port?: number
  readonly ledger?: string
  readonly cosigners?: number
}

export interface Layout {
  readonly nodes: readonly { readonly name: string; readonly dir: string; readonly rpc: string }[]
  /** Bearer token that every node accepts. */
  readonly token: string
}

/**
 * The devnet in `dir`: a new one if the folder is empty or absent. Throws DevnetError `devnet-folder` if it
 * holds something else, or a devnet that contradicts the options.
 */
export async function openLayout(options: LayoutOptions): Promise<Layout> {
  const { dir } = options
  if (await exists(join(dir, FILES.genesis))) return readLayout(options)
  const { ledger = DEVNET_LEDGER, cosigners } = options
  const made = await initCluster({
    dir,
    ledger,
    nodes: localNodes(options.nodes ?? DEVNET_NODES, options.port ?? DEVNET_PORT),
    ...(cosigners !== undefined && { cosigners }),
    ...(process.env.QAT_PASSPHRASE !== undefined && { passphrase: process.env.QAT_PASSPHRASE }),
    token: { name: 'devnet', sources: ['*'], types: ['*'] },
  })
  return {
    nodes: made.nodes.map(({ name, dir: folder, rpcUrl }) => ({ name, dir: folder, rpc: rpcUrl })),
    token: made.token ?? '',
  }
}

async function readLayout({ dir, nodes: count, port, ledger }: LayoutOptions): Promise<Layout> {
  const nodes = []
  for (const name of (await readdir(dir)).toSorted()) {
    const folder = join(dir, name)
    if (!(await exists(join(folder, FILES.config)))) continue
    const { config, genesis } = await readNodeFolder(folder)
    const origin = genesis.parameters.ledger
    if (ledger !== undefined && origin !== ledger) {
      throw otherwise(dir, `is of the ledger ${origin}, not ${ledger}`)
    }
    nodes.push({ name, dir: folder, rpc: `http://${config.rpc.host}:${config.rpc.port}` })
  }
  if (count !== undefined && nodes.length !== count) {
    throw otherwise(dir, `has ${nodes.length} nodes, not ${count}`)
  }
  if (port !== undefined && !nodes.some(({ rpc }) => rpc.endsWith(`:${port}`))) {
    throw otherwise(dir, `has no node at port ${port}`)
  }
  const token = await readFile(join(dir, 'token'), 'utf8').catch((cause: unknown) => {
    throw new DevnetError(
      'devnet-folder',
      `${dir} has no file "token": no devnet was made there.`,
      {},
      { cause },
    )
  })
  return { nodes, token: token.trim() }
}

function otherwise(dir: string, how: string): DevnetError {
  const message = `The devnet in ${dir} ${how}. Leave the option out to continue it, or give another --dir.`
  return new DevnetError('devnet-folder', message, { dir })
}

async function exists(path: string): Promise<boolean> {
  return access(path).then(
    () => true,
    () => false,
  )
}
