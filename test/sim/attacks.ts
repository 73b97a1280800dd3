/**
 * What a liar does though nobody asks it to:
 *
 *   usurps                  never elected, it sends each of the others an append of a later term with a block of its own
 *   sends rivals            to the leader, on its tip, blocks that take long to verify
 *   stands                  for one term after another, without asking first; with the votes that it gets it leads, shows
 *                           why to some, and gives each of them another chain, on its base or beside it (strays)
 *   votes for all           every candidate, and so do its accomplices
 *   acknowledges anything   that it hears of, and blocks that nobody has seen, to some
 *   claims locks            on blocks that exist, or do not
 *   complains               of every leader
 *   refuses                 entries that were forwarded to anyone
 *   sends junk              as entries that wait too long
 *   seizes                  leadership: it tells itself that the leader has handed it over
 *   strands                 as leader all but a few in a later term, by a handover that each of them alone is told of; the
 *                           few it goes on leading by heartbeats, and says nothing else
 */
import type { Append, Lead, Message, Statement } from '../../consensus/messages.ts'
import type { Raft } from '../../consensus/raft.ts'
import type { BlockRef, Block as RaftBlock, Signed } from '../../consensus/types.ts'
import { decodeMessage, encodeMessage } from '../../consensus/wire.ts'
import { encodeRefusals } from '../../node/core/forwarding.ts'
import { POOL_ENTRIES_MAX } from '../../node/core/pool.ts'
import { FRAME, type FrameKind, type Topic } from '../../node/net/network.ts'
import { fromHex, toHex, utf8 } from '../../src/bytes.ts'
import { acknowledgementMessage } from '../../src/ledger/acknowledgement.ts'
import { decodeBlock } from '../../src/ledger/block.ts'
import { signEntry } from '../../src/ledger/entry.ts'
import { PAYLOAD_TYPES } from '../../src/ledger/payload-types.ts'
import { voteMessage } from '../../src/ledger/vote.ts'
import { leafHash } from '../../src/merkle/hash.ts'
import { decodeEntryBundle, encodeEntryBundle } from '../../src/merkle/tiles.ts'
import { mth } from '../support/naive-tree.ts'
import { type Forge, sealed } from './bad-blocks.ts'
import { LEDGER, type NodeKeys } from './cast.ts'
import { garbage } from './false-answers.ts'
import type { Lie } from './lies.ts'

export interface AttackTools extends Forge {
  readonly names: readonly string[]
  /** Those who are told another thing than the rest, or nothing. */
  readonly victims: ReadonlySet<string>
  /** Itself among them. */
  readonly accomplices: () => readonly { readonly name: string; readonly keys: NodeKeys }[]
  /** Of the node of production that it is, if that runs. */
  readonly raft: () => Pick<Raft, 'term' | 'leader' | 'role' | 'tail' | 'certified'> | undefined
  /** The bytes of a block on its disk. */
  readonly block: (height: number) => Uint8Array | undefined
  /** Whether it tells this lie now. */
  tells(lie: Lie, probability: number): boolean
  send(to: string, kind: FrameKind, bytes: Uint8Array): void
  /** Milliseconds since 1970. */
  now(): number
  later(ms: number, what: () => void): void
  /** To some of the others only, as gossip. */
  whisper(to: readonly string[], topic: Topic, bytes: Uint8Array): void
  /** What the node of production is made to hear. */
  hear(from: string, message: Message): void
}

const IDS_MAX = 20
/** Entries of a block that is to take long. */
const HEAVY_ENTRIES = 6
/** How often a leader that strands others is heard by those whom it keeps, and how long it goes on. */
const BEAT_MS = 150
const BEATS = 1_200
const REFUSALS = ['not-caught-up', 'duplicate', 'bad-signature', 'not-permitted', 'event-conflict']

export class Attacks {
  readonly #name: string
  readonly #tools: AttackTools
  /** What it stands for beside its node, with the votes that it was given. */
  #candidacy:
    | { readonly term: number; readonly lead: Lead; readonly votes: Map<string, Uint8Array> }
    | undefined
  /** The first block of each chain in the term that it leads so. */
  #chains: RaftBlock[] = []
  /** Ids of entries that were forwarded to it. */
  readonly #ids: string[] = []
  #count = 0
  /** It strands others: its node of production says nothing meanwhile. */
  #strands = false

  constructor(name: string, tools: AttackTools) {
    this.#name = name
    this.#tools = tools
  }

  /** A frame has come. */
  hears(from: string, kind: FrameKind, bytes: Uint8Array): void {
    try {
      if (kind === FRAME.raft) void this.#hearsRaft(from, decodeMessage(bytes))
      else if (kind === FRAME.forward)
        void this.#hearsEntries(from, decodeEntryBundle(bytes, POOL_ENTRIES_MAX))
    } catch {
      // Another liar's garbage.
    }
  }

  get strands(): boolean {
    return this.#strands
  }

  /** Now and then. */
  async act(): Promise<void> {
    const { raft, tells, random } = this.#tools
    const now = raft()
    if (now === undefined || this.#strands) return
    const leads = now.role === 'leader' && now.certified.block.term === now.term
    if (leads && tells('strands', 0.5)) return this.#strand(now.term)
    if (tells('usurps', 0.15)) await this.#usurp(now.term + random.pick([0, 1, 1, 2, 60_000]))
    if (tells('sends rivals', 0.15)) await this.#rival(now)
    if (tells('stands', 0.12)) await this.#stand(now)
    if (tells('claims locks', 0.3)) this.#claim(now)
    if (tells('acknowledges anything', 0.2)) await this.#acknowledgeUnseen(now)
    if (tells('complains', 0.5)) this.#all({ kind: 'complaint', term: now.term })
    if (tells('refuses', 0.3)) this.#refuse(random.pick(this.#tools.names))
    if (tells('sends junk', 0.15)) await this.#junk()
    const { leader, term } = now
    if (leader !== undefined && leader !== this.#name && tells('seizes', 0.1))
      this.#tools.hear(leader, { kind: 'timeout-now', term, to: this.#name })
    await this.#reign()
  }

  async #hearsRaft(from: string, message: Message): Promise<void> {
    const { tells, keys } = this.#tools
    if (message.kind === 'vote' && tells('votes for all', 0.8)) {
      const { term, base } = message
      const signature = await this.#sign(keys, { kind: 'vote', term, candidate: from, base: base.block })
      this.#say(from, { kind: 'vote-reply', term, signature })
    }
    if (message.kind === 'append') {
      for (const { term, height, hash } of message.blocks) {
        if (term === message.term && tells('acknowledges anything', 0.5))
          await this.#acknowledge({ term, height, hash })
      }
    }
    const candidacy = this.#candidacy
    if (message.kind !== 'vote-reply' || message.term !== candidacy?.term || !message.signature) return
    candidacy.votes.set(from, message.signature)
  }

  async #hearsEntries(from: string, leaves: readonly Uint8Array[]): Promise<void> {
    for (const leaf of leaves) this.#ids.push(toHex(leafHash(leaf)))
    this.#ids.splice(0, this.#ids.length - IDS_MAX)
    if (this.#tools.tells('refuses', 0.5)) this.#refuse(from)
  }

  /** Leaves so many behind that neither they nor those whom it keeps are a quorum. */
  #strand(term: number): void {
    const { names, later } = this.#tools
    const kept = names.slice(0, Math.max(1, Math.ceil(names.length / 2) - 1))
    this.#strands = true
    for (const to of names) if (!kept.includes(to)) this.#say(to, { kind: 'timeout-now', term, to })
    let left = BEATS
    const beat = () => {
      for (const to of kept) this.#say(to, { kind: 'heartbeat', term, round: 2 * BEATS - left })
      this.#strands = --left > 0
      if (this.#strands) later(BEAT_MS, beat)
    }
    beat()
  }

  // ---- never elected

  /** Each of the others another block, on what this node holds. */
  async #usurp(term: number): Promise<void> {
    const { names, random, raft } = this.#tools
    const base = raft()?.certified
    if (base === undefined) return
    const own = await this.#sign(this.#tools.keys, {
      kind: 'vote',
      term,
      candidate: this.#name,
      base: base.block,
    })
    const bad = own.map((byte, i) => (i === 0 ? byte ^ 1 : byte))
    // Too few votes, its own under every name, forged ones, or none at all.
    const voters = [this.#name, ...names]
    const votes = random.pick([
      [{ from: this.#name, signature: own }],
      voters.map((from) => ({ from, signature: own })),
      voters.map((from) => ({ from, signature: from === this.#name ? own : bad })),
      [],
    ])
    for (const name of names) {
      const append = await this.#append(term, 0)
      if (random.chance(0.7)) this.#say(name, { kind: 'lead', term, leader: this.#name, base, votes })
      if (append) this.#say(name, append)
    }
  }

  /** On the leader's tip, with entries that are new to it. */
  async #rival({
    term,
    leader,
  }: {
    readonly term: number
    readonly leader: string | undefined
  }): Promise<void> {
    const { random } = this.#tools
    const append = await this.#append(term + random.int(0, 1), HEAVY_ENTRIES)
    if (append && leader !== undefined) this.#say(leader, append)
  }

  async #append(term: number, entries: number): Promise<Append | undefined> {
    const { raft, block, random } = this.#tools
    const tail = raft()?.tail
    const height = tail === undefined ? 0 : Math.max(0, tail.height - random.pick([0, 0, 0, 1, 2]))
    const bytes = block(height)
    if (bytes === undefined) return undefined
    const { id, seal } = decodeBlock(bytes)
    const next = await this.#next(bytes, term, entries)
    return { kind: 'append', term, prev: { height, term: seal.term, hash: id }, blocks: [next] }
  }

  /** A block of its own on top of another, right in every respect but that nobody wants it. */
  async #next(on: Uint8Array, term: number, entries: number): Promise<RaftBlock> {
    const { keys, now } = this.#tools
    const { id, seal } = decodeBlock(on)
    const leaves = []
    for (let i = 0; i < entries; i++) leaves.push(await this.#entry())
    const said = {
      ledger: LEDGER,
      height: seal.height + 1,
      term,
      proposer: this.#name,
      previous: fromHex(id),
      firstIndex: seal.firstIndex + seal.count + 1,
      count: leaves.length,
      entriesRoot: mth(leaves),
      // No two are alike.
      time: Math.max(now(), seal.time) + (this.#count++ % 1_000),
    }
    const { body, hash } = await sealed(keys.node, said, leaves)
    return { height: said.height, term, prev: id, hash, body }
  }

  async #entry(): Promise<Uint8Array> {
    const event = {
      specversion: '1.0',
      id: `attack-${this.#name}-${this.#count++}`,
      source: '/liar',
      type: 'dev.sim.lie.told',
      subject: 'lie',
      time: '2026-01-31T12:00:00Z',
      datacontenttype: 'application/json',
      data: {},
    }
    return (await signEntry(PAYLOAD_TYPES.event, utf8(JSON.stringify(event)), this.#tools.keys.gateway)).bytes
  }

  // ---- elected beside its node

  /** For some terms in a row; for the last of them it waits for votes. */
  async #stand({
    term,
    certified,
  }: {
    readonly term: number
    readonly certified: Lead['base']
  }): Promise<void> {
    const { random, keys, names, victims } = this.#tools
    const leap = random.pick([1, 1, 1, 2, 100, 100_000])
    for (let i = 0; i < random.int(1, 3); i++) {
      const stands = term + leap + i
      const base = random.chance(0.7) ? certified : this.#claimedBase(certified, stands - 1)
      const { block } = base
      const statement = { kind: 'vote', term: stands, candidate: this.#name, base: block } as const
      const signature = await this.#sign(keys, statement)
      const votes = new Map<string, Uint8Array>()
      for (const { name, keys: theirs } of this.#tools.accomplices())
        votes.set(name, await this.#sign(theirs, statement))
      const lead: Lead = { kind: 'lead', term: stands, leader: this.#name, base, votes: [] }
      this.#candidacy = { term: stands, lead, votes }
      this.#chains = []
      const some = random.chance(0.3)
      for (const name of names) {
        if (!some || !victims.has(name)) this.#say(name, { kind: 'vote', term: stands, base, signature })
      }
    }
  }

  /** A block that is certified, or genesis, with a term that is not its own: it would outrank every lock. */
  #claimedBase(certified: Lead['base'], term: number): Lead['base'] {
    const genesis = this.#tools.block(0)
    if (genesis === undefined || this.#tools.random.chance(0.3))
      return { ...certified, block: { ...certified.block, term } }
    return { block: { height: 0, term, hash: decodeBlock(genesis).id }, proof: { kind: 'genesis' } }
  }

  /** Shows why it leads, and each half of the others another chain, which its accomplices acknowledge both. */
  async #reign(): Promise<void> {
    const { membership, names, victims, random, block, tells } = this.#tools
    const candidacy = this.#candidacy
    if (
      candidacy === undefined ||
      candidacy.votes.size < (membership()?.cosigners ?? Number.POSITIVE_INFINITY)
    )
      return
    const { term, lead } = candidacy
    const votes: Signed[] = [...candidacy.votes].map(([from, signature]) => ({ from, signature }))
    const base = lead.base.block
    const bytes = block(tells('strays', 0.5) ? Math.max(0, base.height - random.int(0, 2)) : base.height)
    if (bytes === undefined) return
    const { id, seal } = decodeBlock(bytes)
    while (this.#chains.length < 2) this.#chains.push(await this.#next(bytes, term, this.#chains.length))
    for (const name of names) {
      if (!(victims.has(name) && tells('hides its term', 0.5))) this.#say(name, { ...lead, votes })
      this.#say(name, { kind: 'heartbeat', term, round: 1 })
      const chain = this.#chains[victims.has(name) ? 1 : 0]!
      const prev = { height: seal.height, term: seal.term, hash: id }
      if (chain.prev === id) this.#say(name, { kind: 'append', term, prev, blocks: [chain] })
    }
    for (const chain of this.#chains) {
      for (const { keys, name } of this.#tools.accomplices()) {
        // A frame leaves under its sender's own name, so each acknowledges for itself.
        if (name === this.#name) await this.#acknowledge(chain, keys)
      }
      this.#all({ kind: 'locked', term, height: chain.height, hash: chain.hash })
    }
  }

  // ---- signed and unsigned words

  async #acknowledge({ term, height, hash }: BlockRef, keys = this.#tools.keys): Promise<void> {
    const { random, names, victims } = this.#tools
    const signed = await this.#sign(keys, { kind: 'acknowledgement', term, height, hash })
    const signature = random.chance(0.2) ? signed.map((byte) => byte ^ 1) : signed
    const some = random.chance(0.3)
    for (const name of names) {
      if (!some || victims.has(name)) this.#say(name, { kind: 'acknowledge', term, height, hash, signature })
    }
  }

  async #acknowledgeUnseen({
    term,
    tail,
  }: {
    readonly term: number
    readonly tail: BlockRef
  }): Promise<void> {
    const { random } = this.#tools
    const hash = toHex(Uint8Array.from({ length: 32 }, () => random.int(0, 255)))
    await this.#acknowledge({ term, height: tail.height + random.int(0, 2), hash })
  }

  #claim({ term, tail }: { readonly term: number; readonly tail: BlockRef }): void {
    const { random } = this.#tools
    const height = tail.height + random.pick([0, 0, 1, 1_000])
    this.#all({ kind: 'locked', term, height, hash: tail.hash })
  }

  #refuse(to: string): void {
    const { random, send } = this.#tools
    const refusals = this.#ids.map((id) => ({
      id,
      code: random.pick(REFUSALS),
      message: 'It is not wanted.',
    }))
    if (refusals.length > 0) send(to, FRAME.forwardReply, encodeRefusals(refusals))
  }

  /** Entries that wait too long, it says: none, forged ones, and its own. */
  async #junk(): Promise<void> {
    const { random, names, send } = this.#tools
    const own = await this.#entry()
    const forged = own.map((byte, i) => (i === own.length - 200 ? byte ^ 1 : byte))
    const leaf = random.pick([own, own, forged, garbage(random)])
    send(random.pick(names), random.pick([FRAME.late, FRAME.forward]), encodeEntryBundle([leaf]))
  }

  #sign({ node }: NodeKeys, statement: Statement): Promise<Uint8Array> {
    return node.sign(
      statement.kind === 'vote'
        ? voteMessage({ ...statement, ledger: LEDGER })
        : acknowledgementMessage({ ...statement, ledger: LEDGER }),
    )
  }

  #say(to: string, message: Message): void {
    this.#tools.send(to, FRAME.raft, encodeMessage(message))
  }

  #all(message: Message): void {
    for (const name of this.#tools.names) this.#say(name, message)
  }
}
