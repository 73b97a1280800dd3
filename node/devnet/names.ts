/** What a devnet's nodes are called and where they listen, unless told otherwise. */
import { QatError } from '../../src/errors.ts'
import type { ClusterNode } from '../init.ts'

export class DevnetError extends QatError<'devnet-options' | 'devnet-folder' | 'devnet-not-ready'> {}

export const DEVNET_LEDGER = 'devnet.example/audit'
export const DEVNET_NODES = 4
export const DEVNET_PORT = 8_480
/** Peers listen this far above the JSON-RPC port of their node. */
export const PEER_PORT_OFFSET = 1_000

/** The KME inside a node listens this far above its JSON-RPC port, for the node and for other KMEs. */
export const KME_PORT_OFFSETS = { api: 100, links: 200 } as const

const HOST = '127.0.0.1'

/** VALIDATORS_MAX of them, in the order of the radio alphabet, which is also that of a directory listing. */
const NAMES = [
  ...['alpha', 'bravo', 'charlie', 'delta', 'echo', 'foxtrot', 'golf', 'hotel'],
  ...['india', 'juliett', 'kilo', 'lima', 'mike', 'november', 'oscar'],
] as const

/** The first `count` node names. Throws DevnetError `devnet-options` where there are no more. */
export function nodeNames(count: number): readonly string[] {
  if (Number.isInteger(count) && count >= 1 && count <= NAMES.length) return NAMES.slice(0, count)
  throw new DevnetError('devnet-options', `A ledger has 1 to ${NAMES.length} nodes.`, { nodes: count })
}

/** Nodes on one machine, with JSON-RPC ports from `port` upwards and peer ports PEER_PORT_OFFSET above them. */
export function localNodes(count: number, port: number): ClusterNode[] {
  if (port < 1 || port + PEER_PORT_OFFSET + count - 1 > 65_535) {
    const message = `There is no room for the ports of ${count} nodes from ${port} upwards.`
    throw new DevnetError('devnet-options', message, { port })
  }
  return nodeNames(count).map((name, i) => ({
    name,
    team: `team-${name}`,
    host: HOST,
    peerPort: port + PEER_PORT_OFFSET + i,
    rpcHost: HOST,
    rpcPort: port + i,
  }))
}

export function kmePorts({ rpcPort }: Pick<ClusterNode, 'rpcPort'>) {
  return { api: rpcPort + KME_PORT_OFFSETS.api, links: rpcPort + KME_PORT_OFFSETS.links }
}

/** Whoever signs with DIR/submitter.key, made with the devnet. */
export const DEVNET_SUBMITTER = 'submitter'
