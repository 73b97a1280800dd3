/** What can go wrong, and how often it did. */
import type { Network } from './network.ts'
import type { SimNode } from './node.ts'
import type { Random } from './random.ts'

export interface Faults extends Record<string, number> {
  crashes: number
  partitions: number
  oneWayCuts: number
  heals: number
  transfers: number
  pulls: number
  campaigns: number
  coups: number
  complaints: number
  stuckChanges: number
  changes: number
  reads: number
  readsFailed: number
}

export function newFaults(): Faults {
  return {
    crashes: 0,
    partitions: 0,
    oneWayCuts: 0,
    heals: 0,
    transfers: 0,
    pulls: 0,
    campaigns: 0,
    coups: 0,
    complaints: 0,
    stuckChanges: 0,
    changes: 0,
    reads: 0,
    readsFailed: 0,
  }
}

interface Stage {
  readonly random: Random
  readonly nodes: readonly SimNode[]
  readonly network: Network
  readonly faults: Faults
}

/** Does one thing at random. What it plans for later, by `after`, is forgotten once healing has begun. */
export function injectFault(stage: Stage, after: (units: number, event: () => void) => void): void {
  const { random, nodes, faults } = stage
  const node = random.pick(nodes)
  const kind = random.int(0, 11)
  if (kind <= 2) crash(stage, node, after)
  else if (kind === 3) for (const each of nodes) if (random.chance(0.6)) crash(stage, each, after)
  if (kind === 4) partition(stage)
  if (kind === 5) isolateLeader(stage)
  if (kind === 6) {
    faults.oneWayCuts++
    for (const other of nodes) if (other !== node && random.chance(0.6)) stage.network.cut(node.id, other.id)
  }
  if (kind === 7) {
    faults.heals++
    stage.network.heal()
  }
  if (!node.up) return
  if (kind === 8) {
    faults.transfers++
    for (const each of nodes) if (each.up) each.driver.transfer()
  }
  if (kind === 10) coup(stage)
  if (kind === 11) {
    faults.complaints++
    for (const each of nodes) if (each.up && random.chance(0.5)) each.driver.complain()
  }
  if (kind === 9) {
    if (random.chance(0.5)) {
      faults.campaigns++
      const { leader } = node.driver.raft
      if (leader === undefined || random.chance(0.5)) node.driver.campaign()
      else node.driver.lostLink(leader)
      node.observe()
    } else {
      faults.pulls++
      for (const each of nodes) each.pull()
    }
  }
}

/**
 * Harder than any honest run: someone is told to stand whatever its log, so that PreVote and the leader's
 * judgement of its successor cannot hide a mistake in the voters' own.
 */
function coup({ random, nodes, faults }: Stage): void {
  for (const node of nodes) {
    const { leader, term } = node.raft
    if (!node.up || leader === undefined || leader === node.id || random.chance(0.5)) continue
    faults.coups++
    node.deliver(leader, { kind: 'timeout-now', term, to: node.id })
  }
}

function crash(
  { random, faults }: Stage,
  node: SimNode,
  after: (units: number, event: () => void) => void,
): void {
  if (!node.up) return
  faults.crashes++
  node.crash()
  after(random.chance(0.5) ? random.int(1, 20) : random.int(20, 600), () => {
    if (!node.up) node.start()
  })
}

/** Two sides that hear nothing of one another. */
function partition({ random, nodes, network, faults }: Stage): void {
  faults.partitions++
  const left = new Set(nodes.filter(() => random.chance(0.5)))
  for (const a of nodes) for (const b of nodes) if (left.has(a) !== left.has(b)) network.cut(a.id, b.id)
}

/**
 * The nastiest partition: the leader with a minority that goes on believing in it. As often as not the others have
 * a new leader at once, as if the old one had just handed over, while it still takes blocks and reads.
 */
function isolateLeader(stage: Stage): void {
  const { random, nodes, network, faults } = stage
  const leader = nodes.find((node) => node.up && node.raft.role === 'leader')
  if (leader === undefined) return
  faults.partitions++
  const side = new Set([leader])
  while (side.size < Math.floor(nodes.length / 2)) side.add(random.pick(nodes))
  for (const a of nodes) for (const b of nodes) if (side.has(a) !== side.has(b)) network.cut(a.id, b.id)
  if (random.chance(0.5)) coup(stage)
}
