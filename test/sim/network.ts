/**
 * The network between the nodes, behind the port that libp2p implements in production, and harsher than TCP:
 * frames are lost, doubled and overtaken one by one. Links are cut one way or both, are slow, and break; who is
 * connected learns of that late. Gossip reaches a node directly or over one hop, if at all.
 */
import {
  FRAME,
  type FrameKind,
  type Network,
  type NetworkHandlers,
  type Topic,
} from '../../node/net/network.ts'
import type { Random } from '../consensus/sim/random.ts'
import type { Judge } from './judge.ts'
import type { Life } from './life.ts'
import type { Timeline } from './timeline.ts'
import { describeRaft, type Transcript } from './transcript.ts'

export interface Weather {
  loss: number
  duplicate: number
  /** Chance that a message takes a long way round and is overtaken. */
  detour: number
  delayMaxMs: number
  detourMaxMs: number
}

export const FINE: Weather = { loss: 0, duplicate: 0, detour: 0, delayMaxMs: 5, detourMaxMs: 5 }

/** How often missing connections are dialled, and dead ones noticed. */
const UPKEEP_MS = 400
/** Bytes on their way on one link; the libp2p implementation holds 17 MB. */
const QUEUE_BYTES_MAX = 262_144
/** Hops of gossip through other members cost this much more. */
const RELAY_MS = 50

interface Station {
  readonly life: Life
  readonly peerId: string
  readonly handlers: NetworkHandlers
  /** Whom it takes for a member, and for a former one: see `Allowed`. */
  members: Allowed['members']
  former: Allowed['former']
  /** Members it believes to be connected to, and their incarnation then. */
  readonly peers: Map<string, number>
}

/** Who may connect, as one node sees it. */
interface Allowed {
  /** Peer ids of members' nodes, by name; two of one that is about to change its own. */
  readonly members: ReadonlyMap<string, ReadonlySet<string>>
  /** Names of former nodes by their peer ids: they may ask questions, and nothing else. */
  readonly former: ReadonlyMap<string, string>
}

export interface NetworkWorld {
  readonly timeline: Timeline
  readonly random: Random
  readonly judge: Judge
  readonly transcript: Transcript
}

export class SimNetwork {
  weather: Weather = FINE
  readonly counts = { sent: 0, lost: 0, duplicated: 0, delayed: 0, cut: 0, queueFull: 0 }
  readonly #world: NetworkWorld
  readonly #names: readonly string[]
  readonly #stations = new Map<string, Station>()
  readonly #cuts = new Set<string>()
  readonly #slow = new Map<string, number>()
  readonly #onTheWay = new Map<string, number>()

  constructor(names: readonly string[], world: NetworkWorld) {
    this.#names = names
    this.#world = world
    world.timeline.after(UPKEEP_MS, () => this.#upkeep())
  }

  // ---- what goes wrong

  cut(from: string, to: string): void {
    this.#cuts.add(link(from, to))
  }

  mend(from: string, to: string): void {
    this.#cuts.delete(link(from, to))
  }

  slow(from: string, to: string, ms: number): void {
    this.#slow.set(link(from, to), ms)
  }

  heal(): void {
    this.#cuts.clear()
    this.#slow.clear()
  }

  // ---- the port

  /** The network as one life of a node sees it. */
  port(life: Life, peerId: string, passes: (point: 'sends' | 'gossips') => void): Network {
    const self = life.node
    const station = () => {
      const found = this.#stations.get(self)
      return found?.life === life && life.alive ? found : undefined
    }
    let allowed: Allowed = { members: new Map(), former: new Map() }
    return {
      setPeers: ({ nodes, former }) => {
        const others = Map.groupBy(
          nodes.filter(({ name }) => name !== self),
          ({ name }) => name,
        )
        const members = [...others].map(
          ([name, records]) => [name, new Set(records.map(({ peerId }) => peerId))] as const,
        )
        allowed = { members: new Map(members), former }
        const found = station()
        if (found === undefined) return
        Object.assign(found, allowed)
        for (const name of found.peers.keys()) {
          const other = this.#stations.get(name)
          if (other === undefined || !isMember(found, other)) found.peers.delete(name)
        }
      },
      start: async (handlers) => {
        if (life.alive) this.#stations.set(self, { life, peerId, handlers, peers: new Map(), ...allowed })
      },
      peers: () => {
        const found = station()
        return found === undefined ? [] : [...found.peers.keys()].filter((name) => found.members.has(name))
      },
      send: (to, kind, bytes) => {
        const sent = this.#send(station(), to, kind, bytes)
        passes('sends')
        return sent
      },
      request: (to, bytes, timeoutMs) => this.#request(station(), to, bytes, timeoutMs),
      publish: async (topic, bytes) => {
        this.#publish(station(), topic, bytes)
        passes('gossips')
      },
      misbehaved: (peer, code) => {
        if (!life.alive) return
        this.#world.judge.blames(self, peer, code)
        this.#world.transcript.note(self, () => `closes the connection to ${peer}: ${code}`)
        station()?.peers.delete(peer)
      },
      stop: async () => {
        if (station()) this.#stations.delete(self)
      },
    }
  }

  #send(from: Station | undefined, to: string, kind: FrameKind, bytes: Uint8Array): boolean {
    if (from === undefined) return false
    const self = from.life.node
    const { judge, transcript } = this.#world
    judge.sends(self, to, kind, bytes)
    if (!from.peers.has(to)) return false
    const name = link(self, to)
    const waiting = this.#onTheWay.get(name) ?? 0
    if (waiting > 0 && waiting + bytes.length > QUEUE_BYTES_MAX) {
      this.counts.queueFull++
      return false
    }
    const delays = this.#route(self, to)
    transcript.message(self, to, delays.length > 0, () => describeFrame(kind, bytes))
    for (const ms of delays) {
      this.#onTheWay.set(name, (this.#onTheWay.get(name) ?? 0) + bytes.length)
      this.#world.timeline.after(ms, () => {
        this.#onTheWay.set(name, this.#onTheWay.get(name)! - bytes.length)
        const target = this.#stations.get(to)
        if (target === undefined || !isMember(target, from)) return
        // A copy for each receiver, as a socket would give it.
        target.life.run(() => target.handlers.frame(self, kind, bytes.slice()))
      })
    }
    return true
  }

  async #request(
    from: Station | undefined,
    to: string,
    bytes: Uint8Array,
    timeoutMs: number,
  ): Promise<Uint8Array> {
    if (from === undefined || !from.peers.has(to)) throw new Error(`${to} is not connected.`)
    const { life } = from
    const self = life.node
    return new Promise((resolve, reject) => {
      const cancel = life.after(timeoutMs, () => reject(new Error(`${to} did not answer.`)))
      const fail = (ms: number) =>
        life.later(ms, () => {
          cancel()
          reject(new Error(`The stream to ${to} was closed.`))
        })
      const [there] = this.#route(self, to)
      this.#world.transcript.message(self, to, there !== undefined, () => 'asks for blocks')
      if (there === undefined) return
      this.#world.timeline.after(there, () => {
        const target = this.#stations.get(to)
        if (target === undefined || !admits(target, from)) return fail(1)
        target.life.run(() => {
          const answered = target.handlers.request(self, bytes.slice())
          answered.then(
            (answer) => {
              const [back] = target.life.alive ? this.#route(to, self) : []
              this.#world.transcript.message(
                to,
                self,
                back !== undefined,
                () => `answers ${answer.length} bytes`,
              )
              if (back === undefined) return
              life.later(back, () => {
                cancel()
                resolve(answer.slice())
              })
            },
            () => fail(1),
          )
        })
      })
    })
  }

  #publish(from: Station | undefined, topic: Topic, bytes: Uint8Array): void {
    if (from === undefined) return
    const self = from.life.node
    this.#world.judge.publishes(self, topic, bytes)
    this.#world.transcript.note(self, () => `tells all: ${topic}`)
    this.gossip(self, this.#names, topic, bytes)
  }

  /** Hands a message of `self` to those of `names` that it reaches. */
  gossip(self: string, names: readonly string[], topic: Topic, bytes: Uint8Array): void {
    const { judge, timeline } = this.#world
    for (const to of names) {
      if (to === self) continue
      const relay = this.#relay(self, to)
      if (relay === undefined) continue
      const [ms] = this.#route(relay.via, to)
      if (ms === undefined) continue
      timeline.after(ms + relay.ms, () => {
        const target = this.#stations.get(to)
        const via = this.#stations.get(relay.via)
        if (target === undefined || via === undefined || !isMember(target, via)) return
        target.life.run(() => {
          void target.handlers.gossip(relay.via, topic, bytes.slice()).then((verdict) => {
            if (target.life.alive) judge.verdict(to, self, topic, bytes, verdict)
          })
        })
      })
    }
  }

  /** Who hands a gossiped message to `to`: its publisher, or a member between them. */
  #relay(from: string, to: string): { via: string; ms: number } | undefined {
    const passes = (a: string, b: string) => {
      const [one, two] = [this.#stations.get(a), this.#stations.get(b)]
      return (
        one !== undefined && two !== undefined && this.#open(a, b) && isMember(two, one) && admits(one, two)
      )
    }
    if (passes(from, to)) return { via: from, ms: 0 }
    const between = this.#names.find((name) => passes(from, name) && passes(name, to))
    return between === undefined ? undefined : { via: between, ms: this.#world.random.int(1, RELAY_MS) }
  }

  // ---- links

  #open(from: string, to: string): boolean {
    return !this.#cuts.has(link(from, to))
  }

  /** The delays after which copies of a message arrive: none if it is lost. */
  #route(from: string, to: string): number[] {
    this.counts.sent++
    const { random } = this.#world
    const { loss, duplicate } = this.weather
    if (!this.#open(from, to)) {
      this.counts.cut++
      return []
    }
    if (random.chance(loss)) {
      this.counts.lost++
      return []
    }
    if (!random.chance(duplicate)) return [this.#delay(from, to)]
    this.counts.duplicated++
    return [this.#delay(from, to), this.#delay(from, to)]
  }

  #delay(from: string, to: string): number {
    const { random } = this.#world
    const { detour, delayMaxMs, detourMaxMs } = this.weather
    const slow = this.#slow.get(link(from, to)) ?? 0
    if (!random.chance(detour)) return slow + random.int(1, delayMaxMs)
    this.counts.delayed++
    return slow + random.int(delayMaxMs, detourMaxMs)
  }

  /** Dials who is missing, and notices who is gone. */
  #upkeep(): void {
    const { timeline, random } = this.#world
    for (const [i, a] of this.#names.entries()) {
      for (const b of this.#names.slice(i + 1)) this.#keep(a, b)
    }
    timeline.after(random.int(UPKEEP_MS / 2, UPKEEP_MS), () => this.#upkeep())
  }

  #keep(a: string, b: string): void {
    const { random } = this.#world
    const [one, two] = [this.#stations.get(a), this.#stations.get(b)]
    const known = one !== undefined && two !== undefined && mayConnect(one, two)
    const alive = known && one.life.alive && two.life.alive
    const open = alive && this.#open(a, b) && this.#open(b, a)
    // A former node is connected to a member, which does not count it among its peers.
    const knows = (of: Station, other: Station) =>
      !isMember(of, other) || of.peers.get(other.life.node) === other.life.incarnation
    const joined = alive && knows(one, two) && knows(two, one)
    if (open && joined) return
    if (open) {
      if (random.chance(0.3)) return
      if (isMember(one, two)) one.peers.set(b, two.life.incarnation)
      if (isMember(two, one)) two.peers.set(a, one.life.incarnation)
      one.life.later(0, () => one.handlers.connected(b))
      two.life.later(0, () => two.handlers.connected(a))
      return
    }
    if (random.chance(0.3)) lose(one, b)
    if (random.chance(0.3)) lose(two, a)
  }
}

function lose(station: Station | undefined, peer: string): void {
  if (station?.peers.delete(peer)) station.life.later(0, () => station.handlers.disconnected(peer))
}

function isMember({ members }: Station, other: Station): boolean {
  return members.get(other.life.node)?.has(other.peerId) === true
}

/** Whether `other` may open a connection: members, and former ones. */
function admits(station: Station, other: Station): boolean {
  return isMember(station, other) || station.former.has(other.peerId)
}

/** One of them dials, and it dials members only. */
function mayConnect(one: Station, two: Station): boolean {
  return (isMember(one, two) && admits(two, one)) || (isMember(two, one) && admits(one, two))
}

function link(from: string, to: string): string {
  return `${from}>${to}`
}

function describeFrame(kind: FrameKind, bytes: Uint8Array): string {
  try {
    return describe(kind, bytes)
  } catch {
    return 'garbage'
  }
}

function describe(kind: FrameKind, bytes: Uint8Array): string {
  return kind === FRAME.raft
    ? describeRaft(bytes)
    : kind === FRAME.forward
      ? 'forwards entries'
      : kind === FRAME.cosignature
        ? 'cosigns'
        : 'refuses entries'
}
