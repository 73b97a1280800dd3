/** Watches nodes from outside while one of them catches up: how far it is, what it costs, whom it disturbs. */
import { setTimeout as sleep } from 'node:timers/promises'
import { statusOf } from './cluster.ts'
import { metricIn } from './meters.ts'

const SAMPLE_MS = 200
/** Without progress for this long, catching up has failed. */
const PATIENCE_MS = 60_000

export interface Watch {
  /** From its first applied block on until it had all of the past. */
  readonly seconds: number
  /** CPU time of the returning node in that time. */
  readonly cpuSeconds: number
  /** Highest resident memory in MB. */
  readonly returningMb: number
  readonly leaderMb: number
  /** Leaders or terms other than those at the beginning, as the others saw them. */
  readonly leaderChanges: number
}

/** Resolves when the node at `returning` holds `size` leaves; throws if it does not get on. */
export async function watchReturn(
  { returning, leader }: { returning: string; leader: string },
  size: number,
  onProgress: (size: number) => void,
): Promise<Watch> {
  const seen = new Set<string>()
  let returningMb = 0
  let leaderMb = 0
  let began: { size: number; atMs: number; cpu: number } | undefined
  let last = { size: -1, atMs: performance.now() }
  for (;;) {
    const [now, { term, leader: name }] = await Promise.all([statusOf(returning), statusOf(leader)])
    const [own, others] = await Promise.all([metrics(returning), metrics(leader)])
    const atMs = performance.now()
    seen.add(`${name} ${term}`)
    returningMb = Math.max(returningMb, own('process_resident_memory_bytes') / 1e6)
    leaderMb = Math.max(leaderMb, others('process_resident_memory_bytes') / 1e6)
    const cpu = own('process_cpu_seconds_total')
    began ??= { size: now.size, atMs, cpu }
    onProgress(now.size)
    if (now.size >= size) {
      const seconds = (atMs - began.atMs) / 1_000
      return { seconds, cpuSeconds: cpu - began.cpu, returningMb, leaderMb, leaderChanges: seen.size - 1 }
    }
    if (now.size > last.size) last = { size: now.size, atMs }
    if (atMs - last.atMs > PATIENCE_MS) throw new Error(`the returning node is stuck at ${now.size} leaves`)
    await sleep(SAMPLE_MS)
  }
}

/** Looks metrics of a node up by their names without the prefix. */
async function metrics(rpc: string): Promise<(name: string) => number> {
  const text = await (await fetch(`${rpc}/metrics`)).text()
  return (name) => metricIn(text, name)
}
