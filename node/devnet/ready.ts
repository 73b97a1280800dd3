/** When a devnet can be used: every node answers, agrees on a leader, and holds a certificate. */
import { setTimeout as sleep } from 'node:timers/promises'
import { array, count, object, text } from '../../src/json.ts'
import { VALIDATORS_MAX } from '../../src/limits.ts'
import { createClient } from '../rpc/client.ts'
import type { NodeProcess } from './child.ts'
import { DevnetError } from './names.ts'

const POLL_MS = 100
const ANSWER_MS = 2_000

export interface Watched {
  readonly name: string
  readonly rpc: string
  readonly process: NodeProcess
}

/**
 * Waits until `probe` holds for every node that is still a member; whoever ends because it is none needs not be
 * waited for. Throws DevnetError `devnet-not-ready` when one of them ends, with
 * its last words, or when `timeoutMs` is over.
 */
export async function untilAll(
  nodes: readonly Watched[],
  probe: (node: Watched) => Promise<boolean>,
  timeoutMs: number,
): Promise<void> {
  const endMs = performance.now() + timeoutMs
  for (const node of nodes) {
    while (!node.process.removed && !(await probe(node).catch(() => false))) {
      await refuseDead(nodes)
      if (performance.now() > endMs) {
        const seconds = Math.round(timeoutMs / 1_000)
        const message = `${node.name} was not ready after ${seconds} seconds; its log is ${node.process.dir}/log.`
        throw new DevnetError('devnet-not-ready', message, { name: node.name })
      }
      await sleep(POLL_MS)
    }
  }
}

/** Whether the node answers and follows the cluster. */
export async function isUp({ rpc, process }: Watched): Promise<boolean> {
  if (!process.answers) return false
  const answer = await fetch(`${rpc}/readyz/entries`, { signal: AbortSignal.timeout(ANSWER_MS) })
  await answer.body?.cancel()
  return answer.ok
}

/** Whether the node may have forgotten what it signed: it follows then, and says nothing of itself to the others. */
export async function isRecovering({ rpc }: Watched): Promise<boolean> {
  const status = object(
    await createClient(rpc, { timeoutMs: ANSWER_MS }).call('node.status', {}),
    'The status',
  )
  return status.role === 'recovering'
}

/**
 * Whether, as this node sees it, there is a leader, and a certificate on all nodes of those names that are members:
 * entries become final. Members that run elsewhere are not waited for.
 */
export async function canFinalize({ rpc }: Watched, names: ReadonlySet<string>): Promise<boolean> {
  const client = createClient(rpc, { timeoutMs: ANSWER_MS })
  const cluster = object(await client.call('cluster.status', {}), 'The cluster')
  const nodes = array(cluster.nodes, '"nodes"', 1, VALIDATORS_MAX).map((node) => object(node, 'A node'))
  text(cluster.leader, '"leader"', 63)
  return nodes
    .filter((node) => names.has(text(node.name, '"name"', 63)))
    .every((node) => node.online === true && count(node.finalSize, '"finalSize"') > 0)
}

async function refuseDead(nodes: readonly Watched[]): Promise<void> {
  const dead = nodes.find(({ process }) => !process.running && !process.removed)
  if (dead === undefined) return
  const words = await dead.process.lastWords()
  throw new DevnetError('devnet-not-ready', `${dead.name} ended while starting: ${words}`, {
    name: dead.name,
  })
}
