/**
 * Validators that lie: the node of production, with its keys, behind a mouth that says other things. A liar signs
 * whatever it likes with its own keys; it holds nobody else's.
 *
 *   equivocates      as leader it seals two blocks for one height and term, and shows each half of the others one,
 *                    but not always the same
 *   proposes badly   as leader it proposes blocks that nobody may take: see `bad-blocks.ts`
 *   cosigns two      it cosigns, and as the log signs, a second root of the same size, and shows it to some
 *   withholds        cosignatures, or acknowledgements
 *   replays          frames of its own from the past
 *   overstates       commit heights, as leader and as follower
 *   answers falsely  whoever asks it for blocks, or for what binds it: see `false-answers.ts`
 *   sends garbage    as frames, and by gossip
 *   seizes           leadership, saying that the leader has handed it over
 */

import type { Append, Message } from '../../consensus/messages.ts'
import type { BlockRef, Block as RaftBlock } from '../../consensus/types.ts'
import { decodeMessage, encodeMessage } from '../../consensus/wire.ts'
import { type Announcement, signAnnouncement } from '../../node/core/announcement.ts'
import { FRAME, type Network, type Topic } from '../../node/net/network.ts'
import { toRaftBlock } from '../../node/store/ledger-store.ts'
import { fromHex, fromUtf8, toHex, utf8 } from '../../src/bytes.ts'
import { keyId } from '../../src/crypto/keys.ts'
import { decodeBlock, sealBlock } from '../../src/ledger/block.ts'
import { decodeEnvelope } from '../../src/ledger/dsse.ts'
import { cosignerName } from '../../src/ledger/membership.ts'
import { BLOCK_ENTRIES_MAX } from '../../src/limits.ts'
import { leafHash } from '../../src/merkle/hash.ts'
import { decodeEntryBundle } from '../../src/merkle/tiles.ts'
import { type Checkpoint, parseCheckpoint, printCheckpoint } from '../../src/notes/checkpoint.ts'
import { signCosignature } from '../../src/notes/cosignature.ts'
import { parseNote, printNote } from '../../src/notes/note.ts'
import { type Forge, spoil } from './bad-blocks.ts'
import { LEDGER } from './cast.ts'
import { falseAnswer, garbage } from './false-answers.ts'

export const LIES = [
  'equivocates',
  'proposes badly',
  'cosigns two',
  'withholds',
  'replays',
  'overstates',
  'answers falsely',
  'sends garbage',
  'seizes',
] as const
export type Lie = (typeof LIES)[number]

export interface LiarTools extends Forge {
  readonly names: readonly string[]
  /** How often each lie was told. */
  readonly counts: Record<string, number>
  /** Milliseconds since 1970. */
  now(): number
  /** To some of the others only, as gossip. */
  whisper(to: readonly string[], topic: Topic, bytes: Uint8Array): void
}

const OLD_FRAMES_MAX = 200
/** How often a liar that shows two chains confuses who is to see which. */
const WAVERS = 0.3

export class Liar {
  readonly #name: string
  readonly #lies: readonly Lie[]
  readonly #tools: LiarTools
  /** Whoever is shown the second of two blocks. */
  readonly #fooled: ReadonlySet<string>
  /** The second block of each that was sealed twice, by the hash of the first. */
  readonly #second = new Map<string, RaftBlock>()
  readonly #old: Uint8Array[] = []
  /** What it has cosigned last. */
  #newest: Checkpoint | undefined

  constructor(name: string, tools: LiarTools) {
    const { random, names } = tools
    this.#name = name
    this.#tools = tools
    const chosen = LIES.filter((lie) => random.chance(lie === 'seizes' ? 0.7 : 0.4))
    this.#lies = chosen.length > 0 ? chosen : [random.pick(LIES)]
    this.#fooled = new Set(names.filter(() => random.chance(0.5)))
  }

  /** The network as this node uses it, with its lies told on the way. */
  network(port: Network): Network {
    return {
      ...port,
      start: (handlers) =>
        port.start({
          ...handlers,
          request: (from, bytes) => this.#answer(bytes, (question) => handlers.request(from, question)),
        }),
      send: (to, kind, bytes) => {
        if (kind === FRAME.cosignature) return this.#cosigns(to, bytes)
        if (kind !== FRAME.raft) return port.send(to, kind, bytes)
        void this.#say(to, decodeMessage(bytes)).then((messages) => {
          for (const message of messages) port.send(to, kind, encodeMessage(message))
        })
        this.#replay(port, to, bytes)
        const { random } = this.#tools
        if (this.#tells('sends garbage', 0.02))
          port.send(to, random.pick(Object.values(FRAME)), garbage(random))
        return true
      },
      publish: async (topic, bytes) => {
        if (topic === 'blocks') await this.#showSecond(bytes)
        const boasts = topic === 'status' && this.#tells('answers falsely', 0.6)
        await port.publish(topic, boasts ? await this.#boast(bytes) : bytes)
        if (this.#tells('sends garbage', 0.1)) await port.publish(topic, garbage(this.#tools.random))
      },
    }
  }

  /** Whether it tries to lead now. */
  seizes(): boolean {
    return this.#tells('seizes', 0.5)
  }

  #tells(lie: Lie, probability: number): boolean {
    const { random, counts } = this.#tools
    const told = this.#lies.includes(lie) && random.chance(probability)
    if (told) counts[lie] = (counts[lie] ?? 0) + 1
    return told
  }

  #replay(port: Network, to: string, bytes: Uint8Array): void {
    const { random } = this.#tools
    this.#old.push(bytes)
    if (this.#old.length > OLD_FRAMES_MAX) this.#old.shift()
    if (this.#tells('replays', 0.05)) port.send(to, FRAME.raft, random.pick(this.#old))
  }

  /** What is sent in place of a message: none, one or several. */
  async #say(to: string, message: Message): Promise<Message[]> {
    switch (message.kind) {
      case 'append-reply':
        return this.#tells('withholds', 0.3) ? [] : [message]
      case 'heartbeat-reply':
        return [this.#tells('overstates', 0.2) ? { ...message, commit: message.commit + 1 } : message]
      case 'append': {
        const chains = await this.#chainsFor(to, message)
        const shown: Append[] = []
        for (const chain of chains) shown.push(await this.#spoilt(chain))
        return shown
      }
      default:
        return [message]
    }
  }

  /** What it answers, given a way to learn the true answer. */
  async #answer(
    request: Uint8Array,
    truth: (request: Uint8Array) => Promise<Uint8Array>,
  ): Promise<Uint8Array> {
    const { random, keys, now } = this.#tools
    if (!this.#tells('answers falsely', 0.6)) return truth(request)
    return falseAnswer({ name: this.#name, random, keys, now, newest: this.#newest }, request, truth)
  }

  /** Says of itself that it holds a block more than there is, and that all is final, so that the others ask for it. */
  async #boast(bytes: Uint8Array): Promise<Uint8Array> {
    const { payload } = decodeEnvelope(bytes)
    const said = JSON.parse(fromUtf8(payload)) as Omit<Announcement, 'time'> & { readonly time: string }
    const boast = { ...said, height: said.height + 1, finalSize: said.size, time: Date.parse(said.time) }
    return signAnnouncement(boast, this.#tools.keys.node)
  }

  /** The chain that a peer is to believe in; sometimes the other one, and sometimes one after the other. */
  async #chainsFor(to: string, append: Append): Promise<Append[]> {
    const fooled = this.#fooled.has(to)
    if (!this.#lies.includes('equivocates')) return [append]
    const { random } = this.#tools
    if (!random.chance(WAVERS)) return [fooled ? await this.#other(append) : append]
    const other = await this.#other(append)
    return random.pick([[append], [other], [append, other], [other, append]])
  }

  /** The append with a flaw in its last block, if that is of the liar's own making. */
  async #spoilt(append: Append): Promise<Append> {
    const last = append.blocks.at(-1)
    if (last === undefined || !this.#tells('proposes badly', 0.3)) return append
    const block = decodeBlock(last.body)
    if (block.seal.proposer !== this.#name) return append
    return { ...append, blocks: [...append.blocks.slice(0, -1), await spoil(this.#tools, block)] }
  }

  /** The second block of a height, to some who may hold the first. */
  async #showSecond(bytes: Uint8Array): Promise<void> {
    const { random, names, whisper } = this.#tools
    const leaves = decodeEntryBundle(bytes, BLOCK_ENTRIES_MAX + 1)
    const second = this.#second.get(toHex(leafHash(leaves.at(-1)!)))
    if (second === undefined) return
    whisper(
      names.filter(() => random.chance(0.5)),
      'blocks',
      second.body,
    )
  }

  /** The append as those see it who are shown the second chain. */
  async #other(append: Append): Promise<Append> {
    const prev = this.#second.get(append.prev.hash) ?? append.prev
    const blocks: RaftBlock[] = []
    let before: BlockRef = prev
    for (const block of append.blocks) {
      const second = await this.#sealAgain(block, before)
      // What others have sealed it cannot move onto a chain of its own.
      if (second.prev !== before.hash) return append
      blocks.push(second)
      before = second
    }
    return { ...append, prev: { height: prev.height, term: prev.term, hash: prev.hash }, blocks }
  }

  async #sealAgain(block: RaftBlock, before: BlockRef): Promise<RaftBlock> {
    const known = this.#second.get(block.hash)
    if (known !== undefined) return known
    const { seal, leaves, leafHashes } = decodeBlock(block.body)
    const moved = block.prev !== before.hash
    if (seal.proposer !== this.#name || !(moved || this.#tells('equivocates', 0.3))) return block
    const signer = this.#tools.keys.node
    const entries = leaves.slice(0, seal.count).map((bytes, i) => ({ bytes, hash: leafHashes[i]! }))
    const place = { ...seal, previous: fromHex(before.hash), time: seal.time + 1 }
    const second = await sealBlock(place, entries, [{ keyid: keyId(signer.publicKey), signer }])
    const other = toRaftBlock(second)
    this.#second.set(block.hash, other)
    return other
  }

  /** By gossip, whose verdicts show the judge what the others have verified. */
  #cosigns(to: string, bytes: Uint8Array): boolean {
    const checkpoint = parseCheckpoint(parseNote(fromUtf8(bytes)).text)
    const isNew = checkpoint.size !== this.#newest?.size
    this.#newest = checkpoint
    if (isNew) void this.#cosignTwo(checkpoint)
    if (!this.#tells('withholds', 0.5)) this.#tools.whisper([to], 'cosignatures', bytes)
    return true
  }

  /** Another root of the same size, rightly signed, for some of the others. */
  async #cosignTwo(checkpoint: Checkpoint): Promise<void> {
    if (!this.#tells('cosigns two', 0.5)) return
    const { keys, now, whisper } = this.#tools
    const root = checkpoint.root.slice()
    root[0]! ^= 1
    const other = { origin: LEDGER, size: checkpoint.size, root }
    const seconds = Math.floor(now() / 1_000)
    const names = [LEDGER, cosignerName(LEDGER, this.#name)]
    const signatures = []
    for (const name of names) signatures.push(await signCosignature(keys.cosigner, name, other, seconds))
    whisper([...this.#fooled], 'cosignatures', utf8(printNote({ text: printCheckpoint(other), signatures })))
  }

  /** For the transcript. */
  get describe(): string {
    return `lies: ${this.#lies.join(', ')}; fools ${[...this.#fooled].join('') || 'nobody'}`
  }
}
