/**
 * A voter that lies. It runs the real Raft and driver, so that it gets everywhere an honest one gets, and tampers with
 * what leaves; beside that it does things of its own: candidacies on any base and leads won by them, locks and
 * acknowledgements of anything, complaints, old messages said again. All liars share their keys and what they have seen.
 * How it lies changes every now and then, by the seed.
 */
import type { Driver } from '../../../consensus/driver.ts'
import type { Lead, Message, Statement, Vote } from '../../../consensus/messages.ts'
import type { Block, BlockRef, Certified, NodeId, RaftLimits, Signed } from '../../../consensus/types.ts'
import { fakeCover, fakeSign, isFakeSigned } from '../fakes.ts'
import { blockOn, checked, GENESIS, textOf, unchecked } from './block.ts'
import { SimNode, type World } from './node.ts'

/** How a liar behaves for a while. */
interface Manner {
  /** Says nothing at all. */
  silent: boolean
  /** Keeps these kinds of messages from some peers. */
  withholds: ReadonlySet<Message['kind']>
  /** Peers from whom it withholds, and that get the second chain of an equivocating leader. */
  victims: ReadonlySet<NodeId>
  /** Sends the victims other blocks when it leads. */
  equivocates: boolean
  /** Proposes nothing but what opens a term; or nothing at all. */
  idles: 'no' | 'opens' | 'never'
  /** Stops leading as soon as it has opened its term, and stands again at once. */
  comesAndGoes: boolean
  /** Answers as if it had every block, and acknowledges all that it hears of. */
  acknowledgesAll: boolean
  /** Says that it is locked on what is not certified, or hides what is. */
  locks: 'truly' | 'ahead' | 'never'
  /** Acknowledges what it sees to the victims only. */
  complains: boolean
  /** Refuses pre-votes with a term just above the one asked for. */
  raises: boolean
  candidacies: number
  replays: number
}

/** A leadership won by hand. */
interface Usurper {
  readonly term: number
  readonly base: Certified
  readonly votes: Map<NodeId, Uint8Array>
  lead: Lead | undefined
  readonly chains: Map<NodeId, Block[]>
  until: number
}

/** What the liars know together. */
export class Coven {
  readonly ids: readonly NodeId[]
  /** Blocks that any of them has seen or made, by hash. */
  readonly blocks = new Map<string, Block>([[GENESIS.hash, GENESIS]])
  /** Certificates of blocks and of terms, the newest last. */
  readonly certified: Certified[] = [{ block: GENESIS, proof: { kind: 'genesis' } }]
  readonly leads: Lead[] = []
  /** What others said, to be said again. */
  readonly heard: { readonly from: NodeId; readonly message: Message }[] = []
  /** Acknowledgements of others, by block. */
  readonly acknowledgements = new Map<string, Map<NodeId, Uint8Array>>()

  constructor(ids: readonly NodeId[]) {
    this.ids = ids
  }

  hear(from: NodeId, message: Message): void {
    this.heard.push({ from, message })
    if (this.heard.length > 300) this.heard.splice(0, 100)
    if (message.kind === 'append')
      for (const block of message.blocks) this.blocks.set(block.hash, checked(block))
    if (message.kind === 'vote' || message.kind === 'lead') this.learn(message.base)
    if (message.kind === 'lead' && !this.leads.some(({ term }) => term === message.term))
      this.leads.push(message)
    if (message.kind === 'acknowledge') {
      const of = this.acknowledgements.get(message.hash) ?? new Map()
      this.acknowledgements.set(message.hash, of)
      of.set(from, message.signature)
    }
  }

  learn(certified: Certified): void {
    if (this.certified.some(({ block }) => block.hash === certified.block.hash)) return
    this.certified.push(certified)
    if (this.certified.length > 60) this.certified.splice(1, 20)
  }

  signatures(statement: Statement): Signed[] {
    return this.ids.map((from) => ({ from, signature: fakeSign(from, statement) }))
  }
}

export class Liar extends SimNode {
  readonly lies: Record<string, number> = {}
  readonly #coven: Coven
  #manner: Manner
  #ticks = 0
  #usurper: Usurper | undefined
  /** The second chain that victims get: by hash of the block that it stands for. */
  readonly #forks = new Map<string, Block>()

  constructor(id: NodeId, limits: RaftLimits, world: World, coven: Coven) {
    super(id, limits, world)
    this.#coven = coven
    this.#manner = this.#draw()
  }

  #count(lie: string): void {
    this.lies[lie] = (this.lies[lie] ?? 0) + 1
  }

  get #peers(): NodeId[] {
    return this.world.servers.filter((id) => id !== this.id)
  }

  #draw(): Manner {
    const { random } = this.world
    const kinds: Message['kind'][] = [
      'vote-reply',
      'lead',
      'append',
      'append-reply',
      'append-reject',
      'acknowledge',
      'locked',
      'ask',
      'heartbeat',
      'heartbeat-reply',
      'behind',
      'pre-vote-reply',
    ]
    const often = random.next()
    return {
      silent: random.chance(0.05),
      withholds: new Set(kinds.filter(() => random.chance(often * 0.5))),
      victims: new Set(this.world.servers.filter(() => random.chance(0.5))),
      equivocates: random.chance(0.4),
      idles: random.pick(['no', 'no', 'opens', 'never'] as const),
      comesAndGoes: random.chance(0.15),
      acknowledgesAll: random.chance(0.4),
      locks: random.pick(['truly', 'truly', 'ahead', 'never'] as const),
      complains: random.chance(0.4),
      raises: random.chance(0.2),
      candidacies: random.chance(0.5) ? random.next() * 0.2 : 0,
      replays: random.chance(0.5) ? random.next() : 0,
    }
  }

  override observe(): void {}
  override crash(): void {}

  protected override proposed(block: Block): void {
    this.world.checker.made(block)
    this.#coven.blocks.set(block.hash, block)
  }

  override deliver(from: NodeId, message: Message): void {
    this.#coven.hear(from, message)
    this.#overhear(from, message)
    try {
      super.deliver(from, message)
    } catch {
      this.restart()
    }
  }

  /** What its own lies have come to is not its Raft's business, and may break it. */
  restart(): void {
    void this.driver.stop()
    this.start()
  }

  override propose(text: string): void {
    if (this.#manner?.idles === 'never' || (this.#manner?.idles === 'opens' && text !== '')) return
    super.propose(text)
  }

  protected override ports(): ConstructorParameters<typeof Driver>[1] {
    const honest = super.ports()
    return {
      ...honest,
      persist: (write) => {
        const done = this.disk.persist(write)
        this.disk.finishWrite()
        return done
      },
      apply: (blocks) => {
        const done = this.disk.apply(blocks.at(-1)!.height)
        this.disk.finishApply()
        return done
      },
      sign: async (statement) => fakeSign(this.id, statement),
      send: (to, message) => this.#tamper(to, message),
      onBadMessage: () => undefined,
      onFatal: () => this.world.after(1, () => this.restart()),
    }
  }

  #send(to: NodeId, message: Message): void {
    if (to !== this.id) this.world.transmit(this.id, to, message)
  }

  #sendAll(message: Message, to: readonly NodeId[] = this.#peers): void {
    for (const peer of to) this.#send(peer, message)
  }

  /** What its Raft says, as it leaves. */
  #tamper(to: NodeId, message: Message): void {
    this.#coven.hear(this.id, message)
    const lie = this.#lieAbout(to, message)
    if (lie !== undefined) this.#count(lie)
    if (lie === 'raises') this.#send(to, { kind: 'pre-vote-reply', term: message.term + 1, granted: false })
    else if (lie === undefined) {
      const { equivocates, victims } = this.#manner
      const forks = message.kind === 'append' && equivocates && victims.has(to)
      this.#send(to, forks ? this.#forked(message) : message)
    }
  }

  /** What it does to a message instead of sending it, if anything. */
  #lieAbout(to: NodeId, { kind }: Message): string | undefined {
    const { silent, withholds, victims, locks, raises } = this.#manner
    if (silent) return 'silences'
    if (withholds.has(kind) && victims.has(to)) return 'withholdings'
    if (kind === 'locked' && locks === 'never') return 'hidden locks'
    return kind === 'pre-vote-reply' && raises ? 'raises' : undefined
  }

  /** The append with other blocks of its term in the place of those that its Raft has made. */
  #forked(append: Message & { kind: 'append' }): Message {
    const { term } = append
    const blocks: Block[] = []
    let prev: BlockRef = this.#forks.get(append.prev.hash) ?? append.prev
    const first = prev
    for (const block of append.blocks) {
      if (block.term !== term) {
        blocks.push(block)
        prev = block
        continue
      }
      let fork = this.#forks.get(block.hash)
      if (fork === undefined) {
        fork = blockOn(prev, term, this.id, `forked ${textOf(block)}`)
        this.#forks.set(block.hash, fork)
        this.#made(fork)
        this.#count('equivocations')
      }
      blocks.push(fork)
      prev = fork
    }
    return {
      ...append,
      prev: { height: first.height, term: first.term, hash: first.hash },
      blocks: blocks.map(unchecked),
    }
  }

  /** All liars acknowledge it, to everybody. */
  #made(block: Block): void {
    this.world.checker.made(block)
    this.#coven.blocks.set(block.hash, block)
    this.#acknowledge(block)
  }

  #acknowledge(block: BlockRef): void {
    const { term, height, hash } = block
    const statement: Statement = { kind: 'acknowledgement', term, height, hash }
    for (const from of this.#coven.ids) {
      const signature = fakeSign(from, statement)
      for (const to of this.#peers) {
        if (from !== to) this.world.transmit(from, to, { kind: 'acknowledge', term, height, hash, signature })
      }
    }
    this.#count('free acknowledgements')
  }

  override tick(): void {
    const { random } = this.world
    this.#ticks++
    if (random.chance(0.01)) this.#manner = this.#draw()
    const { silent, complains, candidacies, replays, comesAndGoes, locks } = this.#manner
    try {
      super.tick()
      if (comesAndGoes) this.#comeAndGo()
      if (silent) return
      const { term } = this.raft
      if (complains) this.#sendAll({ kind: 'complaint', term })
      if (random.chance(candidacies)) this.#stand()
      if (random.chance(replays)) this.#replay()
      if (locks === 'ahead' && random.chance(0.3)) this.#lockAhead()
      if (random.chance(0.05)) this.#babble()
    } catch {
      this.restart()
    }
    this.#usurp()
  }

  /** Leads just long enough for the block that opens its term. */
  #comeAndGo(): void {
    const { role, leader, tail, commit, term } = this.raft
    if (role === 'leader' && tail.height === commit && tail.term === term) {
      this.#count('comings and goings')
      this.restart()
    }
    if (leader === undefined && role === 'follower' && this.#ticks % 3 === 0) this.driver.campaign()
  }

  #replay(): void {
    const { random } = this.world
    const { heard } = this.#coven
    if (heard.length === 0) return
    this.#count('replays')
    this.#send(random.pick(this.#peers), random.pick(heard).message)
  }

  #lockAhead(): void {
    const { random } = this.world
    const seen = [...this.#coven.blocks.values()].filter((block) => block.term === this.raft.term)
    if (seen.length === 0) return
    const { term, height, hash } = random.pick(seen)
    this.#count('false locks')
    this.#sendAll({ kind: 'locked', term, height, hash })
  }

  /** Says something that is well-formed, and wrong. */
  #babble(): void {
    const { random } = this.world
    const { term, tail } = this.raft
    const far = random.pick([0, 1, 5, 1000, 2 ** 40])
    const lies: Message[] = [
      { kind: 'heartbeat', term, round: far },
      { kind: 'heartbeat', term: term + 1 + far, round: 1 },
      { kind: 'heartbeat-reply', term, commit: tail.height + far, round: far },
      { kind: 'append-reply', term, match: tail.height + random.int(-2, 2) },
      { kind: 'append-reply', term, match: far },
      { kind: 'append-reject', term, rejected: tail.height, hint: { height: 0, term: 0 } },
      {
        kind: 'append-reject',
        term,
        rejected: Math.max(0, tail.height - 1),
        hint: { height: far, term: far },
      },
      { kind: 'behind', term, commit: tail.height + far },
      { kind: 'timeout-now', term, to: random.pick(this.world.servers) },
      { kind: 'pre-vote', term: term + 1, base: { term: far, height: far } },
      { kind: 'pre-vote-reply', term: term + far, granted: random.chance(0.5) },
      { kind: 'vote-reply', term: term + far, signature: undefined },
      { kind: 'vote-reply', term, signature: new Uint8Array([1, 2, 3]) },
      { kind: 'ask', term: random.int(0, term), knowsLeader: false },
      { kind: 'complaint', term },
      {
        kind: 'acknowledge',
        term,
        height: tail.height + far,
        hash: random.chance(0.5) ? tail.hash : 'ab'.repeat(32),
        signature: new Uint8Array([4]),
      },
      { kind: 'append', term: term + random.int(0, 1), prev: tail, blocks: [this.#rogue(tail, term)] },
    ]
    this.#count('babblings')
    for (const to of this.#peers) if (random.chance(0.6)) this.#send(to, random.pick(lies))
  }

  #rogue(on: BlockRef, term: number): Block {
    const block = blockOn(on, term, this.id, `rogue ${this.#ticks}`)
    this.world.checker.made(block)
    this.#coven.blocks.set(block.hash, block)
    return unchecked(block)
  }

  /** A candidacy on some base, in some later term: the newest, an old one, one dressed up, one that nobody certified. */
  #stand(): void {
    const { random, checker } = this.world
    const { certified, blocks } = this.#coven
    this.#coven.learn(this.raft.certified)
    const highest = [...certified].sort(
      (a, b) => a.block.term - b.block.term || a.block.height - b.block.height,
    )
    let base = random.chance(0.4) ? highest.at(-1)! : random.pick(certified)
    const trick = random.int(0, 5)
    if (trick === 0) base = { ...base, block: { ...base.block, term: this.raft.term + 1 } }
    if (trick === 1) {
      const block = random.pick([...blocks.values()])
      const statement: Statement = { kind: 'acknowledgement', ...ref(block) }
      const known = [...(this.#coven.acknowledgements.get(block.hash) ?? [])].map(([from, signature]) => ({
        from,
        signature,
      }))
      const seal = block.proposal?.seal ?? new Uint8Array()
      const acknowledgements = [
        ...known,
        ...this.#coven.signatures(statement),
        ...this.#coven.signatures(statement),
      ]
      base = { block: ref(block), proof: { kind: 'acknowledgements', seal, acknowledgements } }
    }
    if (trick === 2) base = { ...base, block: { ...base.block, height: base.block.height + 1 } }
    if (trick === 3) {
      const height = random.int(0, checker.final)
      const block = checker.block(checker.committed[height]!.hash)!
      base = { block: ref(block), proof: { kind: 'ledger', bytes: fakeCover(block) } }
    }
    const term = this.raft.term + random.pick([0, 1, 1, 1, 2, 5, 70_000])
    const statement: Statement = { kind: 'vote', term, candidate: this.id, base: base.block }
    const vote: Vote = { kind: 'vote', term, base, signature: fakeSign(this.id, statement) }
    this.#count('candidacies')
    const votes = new Map(this.#coven.signatures(statement).map(({ from, signature }) => [from, signature]))
    this.#usurper = { term, base, votes, lead: undefined, chains: new Map(), until: this.#ticks + 40 }
    this.#sendAll(vote)
    // To some, another one of the same term.
    if (random.chance(0.3)) {
      const other = random.pick(certified)
      const second: Statement = { kind: 'vote', term, candidate: this.id, base: other.block }
      this.#sendAll({ kind: 'vote', term, base: other, signature: fakeSign(this.id, second) }, [
        random.pick(this.#peers),
      ])
    }
  }

  #overhear(from: NodeId, message: Message): void {
    const usurper = this.#usurper
    const { random } = this.world
    if (message.kind === 'vote-reply' && usurper && message.term === usurper.term && message.signature) {
      const statement: Statement = {
        kind: 'vote',
        term: usurper.term,
        candidate: this.id,
        base: usurper.base.block,
      }
      if (isFakeSigned(from, statement, message.signature)) usurper.votes.set(from, message.signature)
      const { quorum } = this.world.checker.configuration
      if (usurper.votes.size === quorum - 1) this.#crownFalsely(usurper)
      if (usurper.votes.size >= quorum && usurper.lead === undefined) this.#crown(usurper)
    }
    // Votes for everyone, by every liar.
    if (message.kind === 'vote' && random.chance(0.5)) {
      const statement: Statement = {
        kind: 'vote',
        term: message.term,
        candidate: from,
        base: message.base.block,
      }
      this.#count('free votes')
      this.#send(from, { kind: 'vote-reply', term: message.term, signature: fakeSign(this.id, statement) })
    }
    if (message.kind === 'append' && this.#manner.acknowledgesAll) {
      const last = message.blocks.at(-1)
      if (last !== undefined && last.term === message.term) {
        this.#acknowledge(last)
        this.#send(from, { kind: 'append-reply', term: message.term, match: last.height })
      }
    }
  }

  /** A certificate that is short of a vote, as it is or with a signature made up. */
  #crownFalsely({ term, base, votes }: Usurper): void {
    const given = [...votes].map(([from, signature]) => ({ from, signature }))
    const others = this.world.checker.configuration.voters.filter((voter) => !votes.has(voter))
    const made = others.map((from) => ({ from, signature: given[0]!.signature }))
    this.#count('false certificates')
    const all = this.world.random.chance(0.5) ? given : [...given, ...made]
    this.#sendAll({ kind: 'lead', term, leader: this.id, base, votes: all })
  }

  #crown(usurper: Usurper): void {
    const votes = [...usurper.votes].map(([from, signature]) => ({ from, signature }))
    usurper.lead = { kind: 'lead', term: usurper.term, leader: this.id, base: usurper.base, votes }
    usurper.until = this.#ticks + this.world.random.int(5, 150)
    this.#count('usurpations')
    const { victims } = this.#manner
    this.#sendAll(
      usurper.lead,
      this.#peers.filter((peer) => !victims.has(peer) || this.world.random.chance(0.7)),
    )
  }

  /** Leads by hand: each peer, or each of two groups, gets a chain of its own on the base. */
  #usurp(): void {
    const usurper = this.#usurper
    if (usurper === undefined) return
    if (this.#ticks > usurper.until) {
      this.#usurper = undefined
      return
    }
    const { random } = this.world
    const { victims, equivocates } = this.#manner
    const { term, base, lead } = usurper
    if (lead === undefined || this.#ticks % 2 !== 0) return
    for (const to of this.#peers) {
      if (random.chance(0.1)) this.#send(to, lead)
      this.#send(to, { kind: 'heartbeat', term, round: this.#ticks })
      const group = equivocates && victims.has(to) ? 'victims' : 'others'
      const chain = usurper.chains.get(group) ?? []
      usurper.chains.set(group, chain)
      if (chain.length < 5 && random.chance(0.3)) {
        const block = checked(this.#rogue(chain.at(-1) ?? base.block, term))
        chain.push(block)
        if (random.chance(0.8)) this.#acknowledge(block)
      }
      // From somewhere on its own chain, down to below the base.
      const all = [...this.#below(base.block.hash, random.int(0, 6)), ...chain]
      const from = random.int(0, Math.max(0, all.length - 2))
      const prev = all[from]
      if (prev === undefined) continue
      this.#send(to, { kind: 'append', term, prev: ref(prev), blocks: all.slice(from + 1).map(unchecked) })
    }
  }

  /** Known blocks of the chain that ends with `hash`, at most `count` below it. */
  #below(hash: string, count: number): Block[] {
    const out: Block[] = []
    let block = this.#coven.blocks.get(hash) ?? this.world.checker.block(hash)
    while (block !== undefined && out.length <= count) {
      out.unshift(block)
      block = this.#coven.blocks.get(block.prev) ?? this.world.checker.block(block.prev)
    }
    return out
  }
}

function ref({ height, term, hash }: BlockRef): BlockRef {
  return { height, term, hash }
}
