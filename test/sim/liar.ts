/**
 * Validators that lie: the node of production, with its keys, behind a mouth that says other things, and that speaks
 * also when it has nothing to say. A liar signs anything with its own keys, and with those of its accomplices;
 * it holds nobody else's.
 *
 * As leader:
 *   equivocates      it seals two blocks for one height and term, or one seal twice, and shows each half of the others
 *                    one, but not always the same
 *   proposes badly   blocks that nobody may take: see `bad-blocks.ts`
 *   strays           its blocks do not stand on what it was elected for
 *   is deaf          to entries that some nodes forward, or that some submitters sign
 *   is silent        about blocks, for a while, or for ever
 *   is slow          each block leaves seconds late
 *   hides its term   from some, who are not shown why it leads
 *
 * Asking nobody (see `attacks.ts`):
 *   usurps, sends rivals, stands, votes for all, acknowledges anything, claims locks, complains, refuses, sends junk,
 *   seizes
 *
 * In what it is asked for:
 *   cosigns two      it cosigns, and as the log signs, a second root of the same size, and shows it to some
 *   misdates         its cosignatures, by as much as numbers allow
 *   withholds        acknowledgements, locks, cosignatures, the line of the log
 *   misleads         about matches, hints, rounds, commit heights, terms
 *   replays          frames of its own from the past
 *   answers falsely  whoever asks it for blocks, or for what binds it: see `false-answers.ts`
 *   sends garbage    as frames, and by gossip
 */

import type { Append, Message } from '../../consensus/messages.ts'
import type { BlockRef, Block as RaftBlock } from '../../consensus/types.ts'
import { decodeMessage, encodeMessage } from '../../consensus/wire.ts'
import { type Announcement, signAnnouncement } from '../../node/core/announcement.ts'
import { POOL_ENTRIES_MAX } from '../../node/core/pool.ts'
import { FRAME, type FrameKind, type Network } from '../../node/net/network.ts'
import { toRaftBlock } from '../../node/store/ledger-store.ts'
import { fromHex, fromUtf8, toHex, utf8 } from '../../src/bytes.ts'
import { keyId } from '../../src/crypto/keys.ts'
import { decodeBlock, sealBlock } from '../../src/ledger/block.ts'
import { decodeEnvelope } from '../../src/ledger/dsse.ts'
import { cosignerName } from '../../src/ledger/membership.ts'
import { BLOCK_ENTRIES_MAX } from '../../src/limits.ts'
import { leafHash } from '../../src/merkle/hash.ts'
import { decodeEntryBundle, encodeEntryBundle } from '../../src/merkle/tiles.ts'
import { type Checkpoint, parseCheckpoint, printCheckpoint } from '../../src/notes/checkpoint.ts'
import { signCosignature } from '../../src/notes/cosignature.ts'
import { parseNote, printNote } from '../../src/notes/note.ts'
import { Attacks, type AttackTools } from './attacks.ts'
import { spoil } from './bad-blocks.ts'
import { LEDGER } from './cast.ts'
import { falseAnswer, garbage } from './false-answers.ts'
import { LIES, type Lie } from './lies.ts'
import { signAnew } from './suite.ts'

/** What a liar is handed: see `attacks.ts`. It chooses its lies and its victims itself. */
export type LiarTools = Omit<AttackTools, 'tells' | 'send' | 'victims'> & {
  /** How often each lie was told. */
  readonly counts: Record<string, number>
}

const OLD_FRAMES_MAX = 200
/** How often a liar that shows two chains confuses who is to see which. */
const WAVERS = 0.3
const SLOW_MS_MAX = 6_000
/** Just before a node that asks gives up. */
const SLOW_ANSWER_MS = 9_000
/** Times of cosignatures, in seconds, that cannot be. */
const ABSURD_SECONDS = [2 ** 53 - 1, 1, 253_402_300_799]

export class Liar {
  readonly #name: string
  readonly #lies: readonly Lie[]
  readonly #tools: LiarTools
  readonly #attacks: Attacks
  /** Those who are shown the second of two things, or nothing. */
  readonly #fooled: ReadonlySet<string>
  /** Key ids of submitters to which it is deaf. */
  readonly #unheard = new Map<string, boolean>()
  /** The second block of each that was sealed twice, by the hash of the first. */
  readonly #second = new Map<string, RaftBlock>()
  readonly #old: Uint8Array[] = []
  #port: Network | undefined
  /** What it has cosigned last. */
  #newest: Checkpoint | undefined

  constructor(name: string, tools: LiarTools) {
    const { random, names } = tools
    this.#name = name
    this.#tools = tools
    const share = random.pick([0.15, 0.35, 1])
    const chosen = LIES.filter(() => random.chance(share))
    this.#lies = chosen.length > 0 ? chosen : [random.pick(LIES)]
    this.#fooled = new Set(names.filter(() => random.chance(0.5)))
    this.#attacks = new Attacks(name, {
      ...tools,
      // A getter, since keys are replaced.
      get keys() {
        return tools.keys
      },
      victims: this.#fooled,
      tells: (lie, probability) => this.#tells(lie, probability),
      send: (to, kind, bytes) => void this.#port?.send(to, kind, bytes),
    })
  }

  /** The network as this node uses it, with its lies told on the way. */
  network(port: Network): Network {
    this.#port = port
    return {
      ...port,
      start: (handlers) =>
        port.start({
          ...handlers,
          frame: (from, kind, bytes) => {
            this.#attacks.hears(from, kind, bytes)
            const heard = this.#hears(from, kind, bytes)
            if (heard !== undefined) handlers.frame(from, kind, heard)
          },
          request: (from, bytes) => this.#answer(bytes, (question) => handlers.request(from, question)),
        }),
      send: (to, kind, bytes) => {
        if (this.#attacks.strands) return true
        this.#replay(port, to, kind, bytes)
        if (kind === FRAME.cosignature) return this.#cosigns(to, bytes)
        if (kind !== FRAME.raft) return port.send(to, kind, bytes)
        void this.#say(to, decodeMessage(bytes)).then((messages) => {
          for (const message of messages) port.send(to, kind, encodeMessage(message))
        })
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

  /** Called every now and then: does what nobody has asked for. */
  act(): void {
    void this.#attacks.act()
  }

  #tells(lie: Lie, probability: number): boolean {
    const { random, counts } = this.#tools
    const told = this.#lies.includes(lie) && random.chance(probability)
    if (told) counts[lie] = (counts[lie] ?? 0) + 1
    return told
  }

  #replay(port: Network, to: string, kind: FrameKind, bytes: Uint8Array): void {
    const { random } = this.#tools
    if (kind !== FRAME.raft) return
    this.#old.push(bytes)
    if (this.#old.length > OLD_FRAMES_MAX) this.#old.shift()
    if (this.#tells('replays', 0.05)) port.send(to, FRAME.raft, random.pick(this.#old))
  }

  /** What it hears of a frame: as a leader it may be deaf to what others forward. */
  #hears(from: string, kind: FrameKind, bytes: Uint8Array): Uint8Array | undefined {
    if ((kind !== FRAME.forward && kind !== FRAME.late) || !this.#lies.includes('is deaf')) return bytes
    if (this.#fooled.has(from) && this.#tells('is deaf', 1)) return undefined
    try {
      const leaves = decodeEntryBundle(bytes, POOL_ENTRIES_MAX)
      const heard = leaves.filter((leaf) => !this.#ignores(decodeEnvelope(leaf).signatures[0]?.keyid ?? ''))
      return heard.length === 0 ? undefined : encodeEntryBundle(heard)
    } catch {
      // Another liar's junk.
      return bytes
    }
  }

  #ignores(keyid: string): boolean {
    const ignored = this.#unheard.get(keyid) ?? this.#tools.random.chance(0.3)
    this.#unheard.set(keyid, ignored)
    return ignored
  }

  /** What is sent in place of a message: none, one or several. */
  async #say(to: string, message: Message): Promise<Message[]> {
    const { random } = this.#tools
    switch (message.kind) {
      case 'append-reply': {
        if (this.#tells('withholds', 0.3)) return []
        const match = Math.max(0, message.match + random.int(-3, 3))
        return [this.#tells('misleads', 0.3) ? { ...message, match } : message]
      }
      case 'append-reject': {
        const hint = { height: random.int(0, message.rejected + 3), term: random.int(0, message.term + 2) }
        return [this.#tells('misleads', 0.5) ? { ...message, hint } : message]
      }
      case 'heartbeat-reply': {
        if (!this.#tells('misleads', 0.3)) return [message]
        return [{ ...message, commit: message.commit + random.int(0, 3), round: message.round + 1_000 }]
      }
      case 'heartbeat':
        return this.#lies.includes('is silent') && this.#fooled.has(to) && random.chance(0.5) ? [] : [message]
      case 'behind':
        return [this.#tells('misleads', 0.3) ? { ...message, commit: message.commit + 1_000 } : message]
      case 'pre-vote-reply': {
        if (!this.#tells('misleads', 0.3)) return [message]
        return [{ ...message, granted: random.chance(0.5), term: message.term + random.int(0, 70_000) }]
      }
      case 'vote-reply':
        return this.#tells('withholds', 0.2) ? [] : [message]
      case 'acknowledge':
        if (this.#tells('withholds', 0.4)) return []
        return this.#lies.includes('acknowledges anything') && this.#fooled.has(to) ? [] : [message]
      case 'locked': {
        if (this.#tells('withholds', 0.4)) return []
        return [this.#tells('claims locks', 0.3) ? { ...message, height: message.height + 1 } : message]
      }
      case 'lead':
        return this.#fooled.has(to) && this.#tells('hides its term', 0.8) ? [] : [message]
      case 'append':
        return this.#append(to, message)
      default:
        return [message]
    }
  }

  async #append(to: string, append: Append): Promise<Message[]> {
    const { random, later } = this.#tools
    if (append.blocks.length > 0 && this.#tells('is silent', 0.9)) return []
    const shown: Append[] = []
    for (const chain of await this.#chainsFor(to, append)) shown.push(await this.#spoilt(chain))
    if (append.blocks.length === 0 || !this.#tells('is slow', 0.7)) return shown
    later(random.int(100, SLOW_MS_MAX), () => {
      for (const message of shown) this.#port?.send(to, FRAME.raft, encodeMessage(message))
    })
    return []
  }

  /** What it answers, given a way to learn the true answer. */
  async #answer(
    request: Uint8Array,
    truth: (request: Uint8Array) => Promise<Uint8Array>,
  ): Promise<Uint8Array> {
    const { random, keys, now, later } = this.#tools
    if (this.#tells('answers slowly', 0.7))
      await new Promise<void>((resolve) => later(SLOW_ANSWER_MS, resolve))
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
    const { random } = this.#tools
    const { seal, leaves, leafHashes } = decodeBlock(block.body)
    const moved = block.prev !== before.hash
    if (seal.proposer !== this.#name || !(moved || this.#tells('equivocates', 0.3))) return block
    const { node } = this.#tools.keys
    const entries = leaves.slice(0, seal.count).map((bytes, i) => ({ bytes, hash: leafHashes[i]! }))
    // The same seal signed once more makes another block, too.
    const same = !moved && random.chance(0.3)
    const signer = same ? { ...node, sign: (message: Uint8Array) => signAnew(node, message) } : node
    const place = { ...seal, previous: fromHex(before.hash), time: seal.time + (same ? 0 : 1) }
    const second = await sealBlock(place, entries, [{ keyid: keyId(signer.publicKey), signer }])
    const other = toRaftBlock(second)
    this.#second.set(block.hash, other)
    return other
  }

  /** By gossip, whose verdicts show the judge what the others have verified. */
  #cosigns(to: string, bytes: Uint8Array): boolean {
    const { text, signatures } = parseNote(fromUtf8(bytes))
    const checkpoint = parseCheckpoint(text)
    const isNew = checkpoint.size !== this.#newest?.size
    this.#newest = checkpoint
    if (isNew) void this.#cosignTwo(checkpoint)
    if (this.#tells('withholds', 0.5)) return true
    const own = signatures.filter(({ name }) => name !== LEDGER)
    const shown = this.#tells('withholds', 0.5) ? utf8(printNote({ text, signatures: own })) : bytes
    this.#tools.whisper([to], 'cosignatures', shown)
    return true
  }

  /** Another root of the same size, rightly signed, for some of the others; or the same one at another time. */
  async #cosignTwo(checkpoint: Checkpoint): Promise<void> {
    const { now, random, names, whisper } = this.#tools
    const seconds = Math.floor(now() / 1_000)
    if (this.#tells('misdates', 0.5)) {
      const time = random.pick([...ABSURD_SECONDS, seconds - 100_000, seconds + 100_000])
      whisper(names, 'cosignatures', await this.#note(checkpoint, time))
    }
    if (!this.#tells('cosigns two', 0.5)) return
    const root = checkpoint.root.slice()
    root[0]! ^= 1
    const other = { origin: LEDGER, size: checkpoint.size, root }
    whisper([...this.#fooled], 'cosignatures', await this.#note(other, seconds))
  }

  async #note({ origin, size, root }: Checkpoint, seconds: number): Promise<Uint8Array> {
    const { keys } = this.#tools
    const checkpoint = { origin, size, root }
    const signatures = []
    for (const name of [LEDGER, cosignerName(LEDGER, this.#name)])
      signatures.push(await signCosignature(keys.cosigner, name, checkpoint, seconds))
    return utf8(printNote({ text: printCheckpoint(checkpoint), signatures }))
  }

  /** For the transcript. */
  get describe(): string {
    return `lies: ${this.#lies.join(', ')}; fools ${[...this.#fooled].join('') || 'nobody'}`
  }
}
