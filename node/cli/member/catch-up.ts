/**
 * When a learner has caught up, in rounds (Raft thesis, section 4.2.1): it has when it reaches the height that the
 * leader had at the beginning of a round, and that round was short.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import { CliError } from '../exit.ts'
import type { Target } from '../rpc.ts'
import { tell } from './carry-out.ts'
import { type ClusterView, presentCluster } from './present.ts'

const POLL_MS = 500
const TELL_MS = 5_000
/** What the learner then lacks, it will have got in about this time. */
const SHORT_ROUND_MS = 10_000

/** Throws CliError timed-out when `endMs` (performance.now) has passed; `timeout` is that in seconds. */
export async function untilCaughtUp(
  target: Target,
  name: string,
  timeout: number,
  endMs: number,
): Promise<void> {
  let round: { readonly target: number; readonly sinceMs: number } | undefined
  let toldMs = Number.NEGATIVE_INFINITY
  for (;;) {
    const cluster = await presentCluster(target, endMs - performance.now())
    const node = cluster.nodes.find((candidate) => candidate.name === name)
    const nowMs = performance.now()
    round ??= { target: heightOfLeader(cluster), sinceMs: nowMs }
    if (node?.online && node.height >= round.target) {
      if (nowMs - round.sinceMs <= SHORT_ROUND_MS) break
      round = undefined
      continue
    }
    if (nowMs - toldMs >= TELL_MS) {
      tell(progress(name, node, round.target))
      toldMs = nowMs
    }
    if (nowMs + POLL_MS >= endMs) throw tooLate(name, node, round.target, timeout)
    await sleep(POLL_MS)
  }
  tell(`${name} has caught up.\n`)
}

type Learner = ClusterView['nodes'][number] | undefined

function progress(name: string, node: Learner, target: number): string {
  if (!node?.online) return `Waiting for ${name} to appear: start it, if it does not run yet.`
  return `${name} is at block ${node.height} of ${target}.`
}

function tooLate(name: string, node: Learner, target: number, timeout: number): CliError {
  const where = node?.online ? `at block ${node.height} of ${target}` : 'not online'
  const message =
    `${name} is a learner, but ${where} after ${timeout} s. ` +
    `Once it has caught up: qat member promote ${name} --admin-key KEY`
  return new CliError('timed-out', message, { name })
}

/** Without a leader that is known here, the most that anyone has. */
function heightOfLeader({ leader, nodes }: ClusterView): number {
  const found = nodes.find(({ name }) => name === leader)
  return found?.height ?? Math.max(...nodes.map(({ height }) => height))
}
