/** What can go wrong, one kind at a time, and how often it did. */

import { META } from '../../node/store/keys.ts'
import type { Random } from '../consensus/sim/random.ts'
import type { Client } from './clients.ts'
import type { SimNetwork } from './network.ts'
import { POINTS, type SimNode } from './node.ts'
import type { Possible } from './possible.ts'

export interface Stage {
  readonly random: Random
  readonly nodes: readonly SimNode[]
  readonly clients: readonly Client[]
  readonly network: SimNetwork
  readonly possible: Possible
  readonly faults: Record<string, number>
  /** Runs `event` in `ms`, unless everything has been healed by then. */
  later(ms: number, event: () => void): void
}

/** How long the one who is told to stand is cut off at most. */
const COUP_MS_MAX = 1_400
/** How long two elections, each without the leader before, are given. */
const SUCCESSION_MS_MAX = 3_000
/** How long a block with entries of the clients may be on its way. */
const TAKEOVER_MS_MAX = 300
/** As long as a few entries take to be ordered; three times that, and a leader alone has stepped down. */
const CHECK_MS = 300
/** How often a fault that waits for something looks for it. */
const LOOK_MS = 20

type Fault = (stage: Stage, node: SimNode) => void

const FAULTS = {
  /** The process is killed and comes back. */
  kills: (stage, node) => restart(stage, node, false),
  powerCuts: (stage, node) => restart(stage, node, true),
  /** Several machines at once, as when a rack loses power. */
  blackouts: (stage) => {
    for (const node of stage.nodes) if (stage.random.chance(0.6)) restart(stage, node, true)
  },
  partitions: ({ random, nodes, network }) => {
    const left = new Set(nodes.filter(() => random.chance(0.5)))
    divide(nodes, network, left)
  },
  /** The nastiest partition: the leader with a minority that goes on believing in it. */
  isolatedLeaders: ({ random, nodes, network, clients }, any) => {
    const leader = leaderOf(nodes) ?? any
    const side = new Set([leader])
    while (side.size < Math.floor(nodes.length / 2)) side.add(random.pick(nodes))
    divide(nodes, network, side)
    // Blocks that only the minority has: they must give way to others of the same heights.
    for (const client of clients) void client.log(leader, 'pending')
  },
  /**
   * While a leader that is cut off writes blocks of its own, the others have two leaders one after the other: the
   * second meets, at the height where its log ended when it took over, another block than its own. What it orders,
   * the one that is cut off must not deny to those who ask for the truth of the moment.
   */
  successions: (stage) => {
    const { random, nodes, network, clients, later } = stage
    const first = leaderOf(nodes)
    if (first === undefined) return
    const side = new Set([first])
    if (nodes.length > 4) side.add(random.pick(nodes))
    divide(nodes, network, side)
    for (const client of clients) void client.log(first, 'pending')
    const others = nodes.filter((node) => !side.has(node))
    let second: SimNode | undefined
    const watch = (restMs: number) => {
      const leader = leaderOf(others)
      if (restMs <= 0) return network.heal()
      if (second && leader && leader !== second) {
        for (const client of clients) {
          void client.log(leader, 'ordered')
          later(CHECK_MS, () => void client.check(first))
        }
        return later(2 * CHECK_MS, () => network.heal())
      }
      if (leader === undefined && first.raft && first.raft.tail.height > first.raft.commit) {
        callToLead(random.pick(others), first.name)
      }
      if (second === undefined && leader?.ledger?.replica.driver.transfer().ok) second = leader
      later(LOOK_MS, () => watch(restMs - LOOK_MS))
    }
    watch(SUCCESSION_MS_MAX)
  },
  oneWayCuts: ({ random, nodes, network }, node) => {
    for (const other of nodes) if (other !== node && random.chance(0.6)) network.cut(node.name, other.name)
  },
  slowLinks: ({ random, nodes, network }, node) => {
    const ms = random.int(50, 800)
    for (const other of nodes) {
      if (other === node || random.chance(0.4)) continue
      network.slow(node.name, other.name, ms)
      network.slow(other.name, node.name, ms)
    }
  },
  heals: ({ network }) => network.heal(),
  /** Two clocks stay within the 10 s by which a seal may lie in the future. */
  clockJumps: ({ random }, node) => node.clock.jump(random.int(-3_500, 3_500)),
  clockDrifts: ({ random }, node) => node.clock.drift(0.9 + random.next() * 0.2),
  /** SIGSTOP, and SIGCONT later. */
  pauses: (stage, node) => {
    const { life } = node
    life?.stop()
    stage.later(stage.random.int(100, 6_000), () => life?.resume())
  },
  /** Some writes fail, or seem to: entries of the node's own are among what they should have recorded. */
  writeErrors: (stage, node) => {
    for (const client of stage.clients) void client.log(node, 'pending')
    node.disk.writeErrors = 0.05
    stage.later(stage.random.int(200, 3_000), () => {
      node.disk.writeErrors = 0
    })
  },
  fullDisks: (stage, node) => {
    node.disk.full = true
    stage.later(stage.random.int(500, 6_000), () => {
      node.disk.full = false
    })
  },
  /** For a while some reads come with a flipped bit, which must be noticed and not served. */
  bitFlips: (stage, node) => {
    node.disk.bitFlips = 0.01
    stage.later(stage.random.int(500, 4_000), () => {
      node.disk.bitFlips = 0
    })
  },
  /** One disk is replaced by an empty one, if the others, liars among them, are enough to give its node new keys. */
  lostDisks: (stage, node) => {
    if (!node.honest || stage.nodes.some((each) => each.recovering) || !stage.possible.canSpare(node)) return
    node.loseDisk()
    stage.later(stage.random.int(100, 5_000), () => node.start())
  },
  /** The same events reach the leader, and a follower that takes over before it knows what became of them. */
  takeovers: ({ random, nodes, network, clients, later }) => {
    const leader = leaderOf(nodes)
    const followers = nodes.filter((node) => node.up && node !== leader)
    if (leader === undefined || followers.length === 0) return
    const heir = random.pick(followers)
    network.cut(heir.name, leader.name)
    for (const client of clients) void client.logThrough([leader, heir])
    const watch = (restMs: number) => {
      const { raft, ledger } = heir
      const waits = raft && ledger && raft.tail.height > raft.commit && ledger.status().pending > 0
      if (!waits && restMs > 0) return later(1, () => watch(restMs - 1))
      callToLead(heir, leader.name)
      later(TAKEOVER_MS_MAX, () => network.mend(heir.name, leader.name))
    }
    watch(TAKEOVER_MS_MAX)
  },
  transfers: ({ nodes }) => {
    for (const node of nodes) node.ledger?.replica.driver.transfer()
  },
  /** Someone stands for election without reason. */
  campaigns: (_, node) => node.ledger?.replica.driver.campaign(),
  /**
   * Someone who has missed the latest blocks is told to stand, so that PreVote and the leader's judgement of its
   * successor cannot hide a mistake in the voters' own.
   */
  coups: (stage, any) => {
    const { network, nodes, random, clients } = stage
    const leading = leaderOf(nodes)
    const followers = nodes.filter((each) => each.up && each !== leading)
    const node = followers.length > 0 ? random.pick(followers) : any
    for (const other of nodes) network.cut(other.name, node.name)
    if (leading) for (const client of clients) void client.log(leading, 'pending')
    const lacks = () => nodes.some(({ raft }) => raft && node.raft && raft.commit > node.raft.tail.height)
    // Shorter than an election timeout: it goes on believing in its leader.
    const strike = (restMs: number) => {
      if (!lacks() && restMs > 0) return stage.later(LOOK_MS, () => strike(restMs - LOOK_MS))
      for (const other of nodes) network.mend(other.name, node.name)
      const leader = node.ledger?.replica.leader
      if (leader !== undefined && leader !== node.name) callToLead(node, leader)
    }
    strike(stage.random.int(100, COUP_MS_MAX))
  },
} satisfies Record<string, Fault>

export type FaultKind = keyof typeof FAULTS
export const FAULT_KINDS = Object.keys(FAULTS) as FaultKind[]

export function injectFault(stage: Stage, kinds: readonly FaultKind[]): void {
  if (kinds.length === 0) return
  const kind = stage.random.pick(kinds)
  stage.faults[kind] = (stage.faults[kind] ?? 0) + 1
  const node = stage.random.pick(stage.nodes)
  const fault: Fault = FAULTS[kind]
  fault(stage, node)
}

/** An operator has a copy of one node's disk, and puts it back some time later. Once a seed. */
export function putBackOldCopy(stage: Stage): void {
  const { random, nodes, faults, later } = stage
  const node = random.pick(nodes.filter(({ disk }) => disk.durable(META.version) !== undefined))
  const copy = node.disk.copy()
  later(random.int(1_000, 8_000), () => {
    if (!stage.possible.canSpare(node)) return
    faults.oldCopies = (faults.oldCopies ?? 0) + 1
    node.putBack(copy)
    later(random.int(100, 3_000), () => node.start())
  })
}

/** The node hears, as if from its leader, that it is to lead: it stands at once, and asks nobody beforehand. */
function callToLead({ name, ledger, raft }: SimNode, leader: string): void {
  // It would take it amiss from anybody else.
  if (ledger && raft?.leader === leader)
    ledger.replica.driver.deliver(leader, { kind: 'timeout-now', term: raft.term, to: name })
}

function leaderOf(nodes: readonly SimNode[]): SimNode | undefined {
  return nodes.find((node) => node.raft?.role === 'leader')
}

function divide(nodes: readonly SimNode[], network: SimNetwork, side: ReadonlySet<SimNode>): void {
  for (const a of nodes) for (const b of nodes) if (side.has(a) !== side.has(b)) network.cut(a.name, b.name)
}

/** Dies at once, or at some later step of its own: between any two of them, and inside them. */
function restart(stage: Stage, node: SimNode, power: boolean): void {
  const { random } = stage
  const end = () => {
    node.crash(power)
    stage.later(random.chance(0.5) ? random.int(1, 300) : random.int(300, 8_000), () => node.start())
  }
  if (random.chance(0.3)) {
    end()
    return
  }
  node.doom(random.pick(POINTS), random.int(1, 30), power)
  stage.later(1_500, end)
}
