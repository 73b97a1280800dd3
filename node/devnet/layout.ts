/** The folder of a devnet: made once, and continued ever after with the nodes and ports it was made with. */
import { access, readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { givenPassphrase } from '../crypto/given-passphrase.ts'
import { FILES, readNodeFolder } from '../folder.ts'
import { initCluster } from '../init.ts'
import type { LinkPolicy } from '../net/qkd-noise/messages.ts'
import { refuseTakenPorts } from './free-ports.ts'
import {
  DEVNET_LEDGER,
  DEVNET_NODES,
  DEVNET_PORT,
  DEVNET_SUBMITTER,
  DevnetError,
  kmePorts,
  localNodes,
} from './names.ts'

export interface LayoutOptions {
  readonly dir: string
  readonly nodes?: number
  readonly port?: number
  readonly ledger?: string
  readonly cosigners?: number
  /** Of a new devnet: with a simulated KME in each node. */
  readonly qkd?: LinkPolicy
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
  const nodes = localNodes(options.nodes ?? DEVNET_NODES, options.port ?? DEVNET_PORT)
  // Before the folder, which would go on naming ports that nobody can have.
  const ports = nodes.flatMap((node) => {
    const kme = options.qkd ? Object.values(kmePorts(node)) : []
    return [node.rpcPort, node.peerPort, ...kme].map((port) => ({ host: node.rpcHost, port }))
  })
  await refuseTakenPorts(ports, 'Give others by --port, or stop that program.')
  const { ledger = DEVNET_LEDGER, cosigners } = options
  const passphrase = await givenPassphrase() // the nodes find it in their environment, too
  const made = await initCluster({
    dir,
    ledger,
    nodes,
    ...(cosigners !== undefined && { cosigners }),
    ...(options.qkd && { qkd: { mode: options.qkd, ports: kmePorts } }),
    ...(passphrase !== undefined && { passphrase }),
    token: { name: 'devnet', sources: ['*'], types: ['*'] },
    submitterKey: DEVNET_SUBMITTER,
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
