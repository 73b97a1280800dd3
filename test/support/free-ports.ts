/**
 * Ports to listen on, now or again later. They lie below those that systems take for outgoing connections (from
 * 32,768 upwards on Linux): a port from up there may be somebody's own end of a connection a moment later.
 */
import { createServer } from 'node:net'
import { kmePorts, localNodes } from '../../node/devnet/names.ts'

const LOWEST = 10_000
const COUNT = 20_000
/** Test runs beside each other begin in different places. */
let next = (process.pid * 331) % COUNT

/** That nobody uses at this moment; none is given twice by one process, until it has given all. */
export async function freePorts(count: number): Promise<number[]> {
  const ports: number[] = []
  while (ports.length < count) {
    const port = take(1)
    if (await isFree(port)) ports.push(port)
  }
  return ports
}

/** The first JSON-RPC port of a devnet whose nodes and KMEs find all of their ports free. */
export async function freeDevnetPort(nodes: number): Promise<number> {
  for (;;) {
    const port = take(nodes)
    const wanted = localNodes(nodes, port).flatMap((node) => {
      return [node.rpcPort, node.peerPort, ...Object.values(kmePorts(node))]
    })
    if ((await Promise.all(wanted.map(isFree))).every(Boolean)) return port
  }
}

function take(count: number): number {
  if (next + count > COUNT) next = 0
  const port = LOWEST + next
  next += count
  return port
}

function isFree(port: number): Promise<boolean> {
  const server = createServer()
  return new Promise((resolve) => {
    server.once('error', () => resolve(false))
    server.listen(port, '127.0.0.1', () => server.close(() => resolve(true)))
  })
}
