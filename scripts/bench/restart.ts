/** How long a node is away that is started again: from the start of its process. */
import { setTimeout as sleep } from 'node:timers/promises'
import type { Devnet } from '../../node/devnet.ts'
import { statusOf } from './cluster.ts'

const POLL_MS = 5
const PATIENCE_MS = 120_000

export interface Restart {
  /** Until `node.status` is answered. */
  readonly answersMs: number
  /** Until it is ready: follows a leader, or leads. */
  readonly readyMs: number
}

/** Ends the node by the signal, SIGTERM for an orderly stop, and starts it again. */
export async function measureRestart(
  devnet: Devnet,
  name: string,
  signal: 'SIGTERM' | 'SIGKILL',
): Promise<Restart> {
  const { rpc } = devnet.nodes.find((node) => node.name === name)!
  await devnet.kill(name, signal)
  const startMs = performance.now()
  const restarted = devnet.restart(name)
  const [answersMs, readyMs] = await Promise.all([
    until(() => statusOf(rpc)).then(() => performance.now() - startMs),
    until(() => ready(rpc)).then(() => performance.now() - startMs),
  ])
  await restarted
  return { answersMs, readyMs }
}

async function ready(rpc: string): Promise<void> {
  const answer = await fetch(`${rpc}/readyz/entries`)
  await answer.body?.cancel()
  if (!answer.ok) throw new Error('not ready')
}

async function until(probe: () => Promise<unknown>): Promise<void> {
  const endMs = performance.now() + PATIENCE_MS
  for (;;) {
    try {
      await probe()
      return
    } catch (error) {
      if (performance.now() > endMs) throw error
      await sleep(POLL_MS)
    }
  }
}
