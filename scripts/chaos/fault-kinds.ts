/** What can happen to a node: how it begins, and how it ends. */
import type { Random } from '../../test/consensus/sim/random.ts'
import type { ChaosCluster } from './cluster.ts'
import type { PrivateNetwork } from './private-network.ts'

export type FaultKind = 'kill' | 'stop' | 'partition'

export interface Fault {
  readonly kind: FaultKind
  /** What happens, in a few words. */
  readonly what: string
  /** Who cannot be counted on meanwhile. */
  readonly struck: readonly string[]
  begin(): Promise<void>
  /** Ends it; `onUp` is told of each node that runs and is connected again, though it may lag behind. */
  end(onUp: (name: string) => void): Promise<void>
}

/** A node that does not even start is given up after this time. */
const START_MS = 60_000

/** SIGKILL; the end is a start from the disk. */
export function kill(cluster: ChaosCluster, struck: readonly string[]): Fault {
  const { devnet } = cluster
  return {
    kind: 'kill',
    what: `SIGKILL ${struck.join(' ')}`,
    struck,
    async begin() {
      await Promise.all(struck.map((name) => devnet.kill(name, 'SIGKILL')))
    },
    async end(onUp) {
      const restart = async (name: string) => {
        // Resolves once the node knows a leader, which may take the others; its answers come before.
        const started = devnet.restart(name).catch(() => undefined)
        const answers = async () => (await cluster.status(name)) !== undefined
        if (await cluster.until(answers, START_MS)) onUp(name)
        await started
      }
      await Promise.all(struck.map(restart))
    },
  }
}

/** SIGSTOP, then SIGCONT: the node finds that time has jumped, and its connections are still there. */
export function pause(cluster: ChaosCluster, struck: readonly string[]): Fault {
  const signal = async (name: NodeJS.Signals) => {
    await Promise.all(struck.map((node) => cluster.devnet.kill(node, name)))
  }
  return {
    kind: 'stop',
    what: `SIGSTOP ${struck.join(' ')}`,
    struck,
    begin: () => signal('SIGSTOP'),
    async end(onUp) {
      await signal('SIGCONT')
      struck.forEach(onUp)
    },
  }
}

type Direction = readonly [from: string, to: string]

function between(a: string, b: string): Direction[] {
  return [
    [a, b],
    [b, a],
  ]
}

/** One node loses its links to the others: all, in one direction, to one of them, or the whole cable. */
export function cutOff(
  network: PrivateNetwork,
  name: string,
  others: readonly string[],
  random: Random,
): Fault {
  const mute = others.map((other): Direction => [name, other])
  const deaf = others.map((other): Direction => [other, name])
  const other = random.pick(others)
  return random.pick([
    () => partition(network, `${name} | ${others.join(' ')}`, [name], [...mute, ...deaf]),
    () => partition(network, `${name} hears, but nobody hears it`, [name], mute),
    () => partition(network, `${name} hears nobody, but is heard`, [name], deaf),
    () => partition(network, `${name} | ${other}, the others reach both`, [name], between(name, other)),
    () => unplug(network, name),
  ])()
}

/** The cluster falls into halves, neither of which can make anything final. */
export function halve(network: PrivateNetwork, names: readonly string[], random: Random): Fault {
  const order = names.map((name) => ({ name, at: random.next() })).sort((a, b) => a.at - b.at)
  const shuffled = order.map(({ name }) => name)
  const half = shuffled.length >> 1
  const left = shuffled.slice(0, half)
  const right = shuffled.slice(half)
  const cuts = left.flatMap((a) => right.flatMap((b) => between(a, b)))
  return partition(network, `${left.join(' ')} | ${right.join(' ')}`, names, cuts)
}

function partition(
  network: PrivateNetwork,
  how: string,
  struck: readonly string[],
  directions: readonly Direction[],
): Fault {
  return {
    kind: 'partition',
    what: `partition ${how}`,
    struck,
    async begin() {
      await Promise.all(directions.map(([from, to]) => network.cut(from, to)))
    },
    async end(onUp) {
      await Promise.all(directions.map(([from, to]) => network.mend(from, to)))
      struck.forEach(onUp)
    },
  }
}

function unplug(network: PrivateNetwork, name: string): Fault {
  return {
    kind: 'partition',
    what: `unplug ${name}`,
    struck: [name],
    begin: () => network.unplug(name),
    async end(onUp) {
      await network.plug(name)
      onUp(name)
    },
  }
}
