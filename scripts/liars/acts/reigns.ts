/** It is elected as any candidate may be, and then misbehaves as the leader until the others are rid of it. */
import type { Append, Message } from '../../../consensus/messages.ts'
import type { Block as RaftBlock } from '../../../consensus/types.ts'
import { FRAME } from '../../../node/net/network.ts'
import { encodeEntryBundle } from '../../../src/merkle/tiles.ts'
import { refOf } from '../hostile/chain.ts'
import type { Member } from '../hostile/member.ts'
import type { Act } from './act.ts'
import { refuse } from './entries.ts'

/** Longer than the others are patient: ten seconds with an entry that is not ordered, or not final. */
const PATIENCE_MS = 18_000
/** Longer than a leader may commit nothing: six election timeouts. */
const STALL_MS = 12_000
/** Longer than the others are patient with what is ordered and becomes final too slowly. */
const DRIBBLE_MS = 40_000

export const silentLeader: Act = {
  name: 'silent-leader',
  says: 'Elected, it sends heartbeats and orders nothing.',
  run: (member) => member.reign(STALL_MS, { proposes: false }),
}

export const slowLeader: Act = {
  name: 'slow-leader',
  says: 'Elected, it orders one entry a second.',
  run: (member) => member.reign(8_000, { blockMs: 1_000, blockEntries: 1 }),
}

export const deafLeader: Act = {
  name: 'deaf-leader',
  says: 'Elected, it orders the entries of all submitters but one.',
  run(member) {
    let deafTo: string | undefined
    return member.reign(PATIENCE_MS, {
      orders: ({ envelope }) => {
        const submitter = envelope.signatures[0]?.keyid
        deafTo ??= submitter
        return submitter !== deafTo
      },
    })
  },
}

export const unsignedLeader: Act = {
  name: 'unsigned-leader',
  says: 'Elected, it orders, and never signs as the log, so that nothing becomes final.',
  run: (member) => member.reign(PATIENCE_MS, { signsAsLog: false }),
}

export const dribblingLeader: Act = {
  name: 'dribbling-leader',
  says: 'Elected, it orders everything, and signs as the log one block further every eight seconds.',
  async run(member) {
    const trees: { readonly size: number; readonly root: Uint8Array }[] = []
    const watch = setInterval(() => {
      const { tip, root } = member.follower.chain
      if (member.leads && tip.size > (trees.at(-1)?.size ?? 0)) trees.push({ size: tip.size, root })
    }, 10)
    const dribble = setInterval(() => void signNext(member, trees), 8_000)
    try {
      await member.reign(DRIBBLE_MS, { signsAsLog: false })
    } finally {
      clearInterval(watch)
      clearInterval(dribble)
    }
  },
}

async function signNext(
  member: Member,
  trees: { readonly size: number; readonly root: Uint8Array }[],
): Promise<void> {
  const tree = trees.shift()
  if (!tree || !member.leads) return
  const note = await member.cosigned({ origin: member.ledger, ...tree }, Math.floor(Date.now() / 1_000))
  member.frames(FRAME.cosignature, note)
}

export const refusingLeader: Act = {
  name: 'refusing-leader',
  says: 'Elected, it refuses every entry under every code, and orders none.',
  run: (member) =>
    member.reign(6_000, {
      orders: () => false,
      onForwarded: (from, entries) =>
        refuse(
          member,
          from,
          entries.map(({ id }) => id),
        ),
    }),
}

export const equivocatingLeader: Act = {
  name: 'equivocating-leader',
  says: 'Elected, it sends each node another block for each height, and shows the seals of all by gossip at the end.',
  convicts: true,
  async run(member) {
    const rivals = new Rivals(member)
    await member.reign(STALL_MS, {
      say: (to, message) => rivals.for(to, message),
    })
    for (const { proposal } of rivals.made) {
      await member.publish('blocks', encodeEntryBundle([proposal!.seal]))
      await member.pause(50)
    }
  },
}

/** Of the first block of the term one for each peer; what is built on others is not sent. */
class Rivals {
  readonly #member: Member
  readonly #for = new Map<string, Promise<RaftBlock>>()
  readonly made: RaftBlock[] = []

  constructor(member: Member) {
    this.#member = member
  }

  for(to: string, message: Message): readonly Message[] {
    if (message.kind !== 'append') return [message]
    const first = message.blocks.find(({ term }) => term === message.term)
    if (!first) return [message]
    void this.#send(to, message, first)
    return []
  }

  async #send(to: string, message: Append, first: RaftBlock): Promise<void> {
    const { chain } = this.#member.follower
    const before = chain.stateAfter(first.prev)
    if (!before || first.height !== (this.made[0]?.height ?? first.height)) return
    const { name: proposer, nodeKey: signer, others } = this.#member
    const time = Date.now() + others.indexOf(to)
    const forging = this.#for.get(to) ?? chain.forge(before, { term: message.term, proposer, signer, time })
    this.#for.set(to, forging)
    const rival = await forging
    if (!this.made.includes(rival)) this.made.push(rival)
    const below = message.blocks.filter(({ height }) => height < first.height)
    this.#member.send(to, { ...message, blocks: [...below, rival] })
  }
}

export const offBaseLeader: Act = {
  name: 'off-base-leader',
  says: 'Elected, it seals blocks that do not stand on the base that it was elected for.',
  async run(member) {
    await member.reign(STALL_MS, {
      say: (to, message) => {
        if (message.kind !== 'append' || message.blocks.length === 0) return [message]
        void sendOffBase(member, to, message.term)
        return []
      },
    })
  },
}

async function sendOffBase(member: Member, to: string, term: number): Promise<void> {
  const { chain } = member.follower
  const [below] = chain.applied.slice(-2)
  const before = below && chain.stateAfter(below.hash)
  if (!before) return
  const block = await chain.forge(before, { term, proposer: member.name, signer: member.nodeKey })
  member.send(to, { kind: 'append', term, prev: refOf(below), blocks: [block] })
}
