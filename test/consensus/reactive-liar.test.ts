/**
 * One liar of four that stands whenever an honest server does, a moment before that can win: on an honest base, rightly
 * signed, and it never leads. It also says all the time that it has left the term, so that leaders stand again.
 */
import { ok } from 'node:assert/strict'
import { DEFAULT_LIMITS } from '../../consensus/config.ts'
import type { Message, Vote } from '../../consensus/messages.ts'
import { Raft } from '../../consensus/raft.ts'
import { fakeProposal, fakeSign } from './fakes.ts'
import { Random } from './sim/random.ts'
import { GENESIS, GENESIS_PROVEN, of } from './support.ts'

const HONEST = ['f', 'g', 'h']
const TICKS_PER_S = 20
/** Messages take this many rounds, of which there are twelve in a tick; the liar's take one. */
const ROUNDS = 12

class Cluster {
  readonly nodes = new Map<string, Raft>()
  #queue: { at: number; run: () => void }[] = []
  #round = 0
  #lastStand = -100
  tick = 0
  stood = 0

  constructor(seed: number) {
    const random = new Random(seed)
    for (const id of HONEST) {
      const raft = new Raft({
        id,
        configuration: of('fghx', '', 3),
        electionTicks: 20,
        heartbeatTicks: 4,
        random: random.next,
        hardState: { term: 0, vote: undefined, abstains: false },
        log: { blocks: [GENESIS], commit: 0 },
        certified: GENESIS_PROVEN,
        limits: { ...DEFAULT_LIMITS, windowBlocks: 2 },
      })
      raft.join()
      this.nodes.set(id, raft)
    }
  }

  get commit(): number {
    return Math.max(...[...this.nodes.values()].map((node) => node.commit))
  }

  #deliver(from: string, to: string, message: Message): void {
    this.#queue.push({ at: this.#round + 1, run: () => this.#arrive(from, to, message) })
  }

  #arrive(from: string, to: string, message: Message): void {
    const node = this.nodes.get(to)
    if (node === undefined) this.#lie(message)
    else if (message.kind === 'append' || node.triage(from, message) !== 'drop') node.step(from, message)
  }

  #lie(message: Message): void {
    if (message.kind !== 'pre-vote' && message.kind !== 'vote') return
    if (this.tick < 200 || this.tick - this.#lastStand < 4) return
    this.#lastStand = this.tick
    this.stood++
    const bases = [...this.nodes.values()].map(({ certified }) => certified)
    const base = bases.sort((a, b) => b.block.term - a.block.term || b.block.height - a.block.height)[0]!
    const term = message.kind === 'vote' ? message.term + 1 : message.term
    const signature = fakeSign('x', { kind: 'vote', term, candidate: 'x', base: base.block })
    const vote: Vote = { kind: 'vote', term, base, signature }
    for (const to of HONEST) this.#deliver('x', to, vote)
  }

  #pump(): void {
    for (const [id, node] of this.nodes) {
      while (node.hasReady()) {
        const ready = node.ready()
        for (const { to, message } of [...ready.early, ...ready.messages]) this.#deliver(id, to, message)
        for (const statement of ready.sign) {
          const run = () => node.signed(statement, fakeSign(id, statement))
          this.#queue.push({ at: this.#round + 1, run })
        }
        node.advance(ready)
        const last = ready.committed.at(-1)
        if (last) node.applied(last.height)
      }
    }
  }

  #propose(): void {
    for (const [id, node] of this.nodes) {
      if (node.role !== 'leader' || !(node.needsOpening || this.tick % 10 === 0)) continue
      const { height, hash } = node.tail
      const ref = { height: height + 1, term: node.term, hash: `${height + 1}/${node.term}` }
      node.propose({ ...ref, prev: hash, body: new Uint8Array(10), proposal: fakeProposal(id, ref) })
    }
  }

  pass(): void {
    this.tick++
    if (this.tick > 200 && this.tick % TICKS_PER_S === 0) {
      for (const [to, { term }] of this.nodes)
        this.#deliver('x', to, { kind: 'ask', term: term + 1, knowsLeader: false })
    }
    for (const node of this.nodes.values()) node.tick()
    this.#propose()
    for (let i = 0; i < ROUNDS; i++) {
      this.#pump()
      this.#round++
      const due = this.#queue.filter(({ at }) => at <= this.#round)
      this.#queue = this.#queue.filter(({ at }) => at > this.#round)
      for (const { run } of due) run()
    }
    this.#pump()
  }
}

describe('a liar that stands whenever others do', function () {
  this.timeout(60_000)

  it('holds them up for some seconds at most, again and again', () => {
    for (const seed of [1, 2, 3]) {
      const cluster = new Cluster(seed)
      let [commit, since, worst] = [0, 0, 0]
      while (cluster.tick < 400 * TICKS_PER_S) {
        cluster.pass()
        if (cluster.commit > commit) [commit, since] = [cluster.commit, cluster.tick]
        worst = Math.max(worst, cluster.tick - since)
      }
      ok(cluster.stood > 5, `it stood ${cluster.stood} times`)
      ok(worst < 20 * TICKS_PER_S, `seed ${seed}: nothing was committed for ${worst / TICKS_PER_S} s`)
    }
  })
})
