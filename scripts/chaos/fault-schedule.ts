/**
 * What happens to whom, and when. A minority at most is struck at a time, and a node counts as struck until
 * it has caught up; now and then everything is struck at once, which is when nothing else is.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import type { Random } from '../../test/consensus/sim/random.ts'
import type { Availability } from './availability.ts'
import type { ChaosCluster } from './cluster.ts'
import { cutOff, type Fault, type FaultKind, halve, kill, pause } from './fault-kinds.ts'

export interface FaultScheduleOptions {
  readonly cluster: ChaosCluster
  readonly availability: Availability
  readonly random: Random
  readonly seconds: number
  readonly kills: number
  /** Faults still end, but nobody waits for the nodes to come back. */
  readonly interrupted: AbortSignal
  readonly say: (text: string) => void
}

/** Of each second of the run: the rest is left for the last faults to be made good in time. */
const AGENDA_MS = 900
/** The last of so many faults of a kind strikes all nodes. */
const ALL_EVERY = 8
/** A stop or partition that is late by this share of the run gives way to the kills, asked for by number. */
const LATE_SHARE = 0.05
/** A node is given this long to answer and to catch up again. */
const BACK_MS = 60_000
/** The leader is the node that it hurts most to lose. */
const LEADER_SHARE = 0.4
const HOLD_MS_MIN = 300
const HOLD_MS_MAX = 8_000
const POLL_MS = 50

export class FaultSchedule {
  /** Faults by kind, each of which struck one node or more. */
  readonly done: Record<FaultKind, number> = { kill: 0, stop: 0, partition: 0 }
  /** Faults after which every node that they struck was seen back: it answers, and has caught up. */
  recoveries = 0
  readonly #options: FaultScheduleOptions
  /** Faults that are not made good yet. */
  readonly #active = new Set<Fault>()
  readonly #strikes: Promise<void>[] = []
  #failure: unknown

  constructor(options: FaultScheduleOptions) {
    this.#options = options
  }

  /** Strikes until `signal` is aborted; returns when every fault has ended and is made good, or given up. */
  async run(signal: AbortSignal): Promise<void> {
    const begun = performance.now()
    for (const { at, kind, all } of this.#agenda()) {
      const free = () => (all ? this.#active.size === 0 : this.#struck.length < this.#minority)
      await until(() => performance.now() - begun >= at && free(), signal)
      if (signal.aborted || this.#failure !== undefined) break
      const late = performance.now() - begun - at
      if (kind !== 'kill' && late > 1_000 * this.#options.seconds * LATE_SHARE) continue
      const fault = await this.#choose(kind, all)
      this.#active.add(fault)
      const strike = this.#strike(fault, signal)
        .catch((error: unknown) => {
          this.#failure ??= error
        })
        .finally(() => this.#active.delete(fault))
      this.#strikes.push(strike)
    }
    await Promise.all(this.#strikes)
    if (this.#failure !== undefined) throw this.#failure
  }

  /** How many faults there were. */
  get total(): number {
    return this.done.kill + this.done.stop + this.done.partition
  }

  get #struck(): readonly string[] {
    return [...this.#active].flatMap(({ struck }) => struck)
  }

  get #minority(): number {
    const { names, quorum } = this.#options.cluster
    return names.length - quorum
  }

  /** When what is due, in ms from the beginning: each kind evenly, with some luck. */
  #agenda(): { at: number; kind: FaultKind; all: boolean }[] {
    const { kills, seconds, random, cluster } = this.#options
    const others = Math.ceil(kills / 2)
    const counts = [
      { kind: 'kill', count: kills },
      { kind: 'stop', count: others },
      { kind: 'partition', count: cluster.network ? others : 0 },
    ] as const
    const due = counts.flatMap(({ kind, count }) =>
      Array.from({ length: count }, (_, i) => {
        const at = ((i + random.next()) / count) * seconds * AGENDA_MS
        return { at, kind, all: i % ALL_EVERY === ALL_EVERY - 1 }
      }),
    )
    return due.sort((a, b) => a.at - b.at)
  }

  async #choose(kind: FaultKind, all: boolean): Promise<Fault> {
    const { cluster, random } = this.#options
    const { names, network } = cluster
    const victim = await this.#victim()
    const others = names.filter((name) => name !== victim)
    const struck = all ? names : [victim]
    if (kind === 'kill') return kill(cluster, struck)
    if (kind === 'stop' || !network) return pause(cluster, struck)
    return all ? halve(network, names, random) : cutOff(network, victim, others, random)
  }

  /** A node under no fault, often the leader. */
  async #victim(): Promise<string> {
    const { cluster, random } = this.#options
    const free = cluster.names.filter((name) => !this.#struck.includes(name))
    const witness = random.pick(free)
    const victim = random.pick(free)
    const leader = random.chance(LEADER_SHARE) ? (await cluster.status(witness))?.leader : undefined
    return leader !== undefined && free.includes(leader) ? leader : victim
  }

  async #strike(fault: Fault, signal: AbortSignal): Promise<void> {
    const { availability, say } = this.#options
    const { what, struck } = fault
    const holdMs = this.#holdMs()
    say(`${what} for ${(holdMs / 1_000).toFixed(1)} s`)
    this.done[fault.kind]++
    availability.strike(struck)
    await fault.begin()
    await sleep(holdMs, undefined, { signal }).catch(() => undefined)
    await fault.end((name) => availability.release([name]))
    await this.#awaitReturn(struck)
  }

  /** Some faults are over before anyone has noticed, others last through an election or two. */
  #holdMs(): number {
    const { kills, seconds, random } = this.#options
    const slotMs = (1_000 * seconds) / Math.max(1, 2 * kills)
    return HOLD_MS_MIN + random.next() * Math.min(HOLD_MS_MAX, slotMs / 2)
  }

  /** Waits until the nodes follow a leader and have what the cluster had when their fault ended. */
  async #awaitReturn(struck: readonly string[]): Promise<void> {
    const { cluster, interrupted, say } = this.#options
    const begun = performance.now()
    const sizes = (await cluster.statuses()).map((status) => status?.size ?? 0)
    const size = Math.max(...sizes)
    const isBack = async (name: string) => {
      const status = await cluster.status(name)
      return status?.leader !== undefined && status.size >= size
    }
    const allBack = async () => (await Promise.all(struck.map(isBack))).every(Boolean)
    const back = await cluster.until(async () => interrupted.aborted || allBack(), BACK_MS)
    if (interrupted.aborted) return
    const seconds = ((performance.now() - begun) / 1_000).toFixed(1)
    if (back) this.recoveries++
    const verdict = back ? 'back, with everything, after' : 'NOT back after'
    say(`${struck.join(' ')} ${verdict} ${seconds} s`)
  }
}

async function until(condition: () => boolean, signal: AbortSignal): Promise<void> {
  while (!condition() && !signal.aborted) await sleep(POLL_MS)
}
