/** Trees, times and heights that are not so. */
import { signAnnouncement } from '../../../node/core/announcement.ts'
import { encodeHeld, isSignaturesRequest } from '../../../node/core/own-signatures.ts'
import { encodeSyncAnswer } from '../../../node/core/sync.ts'
import { FRAME } from '../../../node/net/network.ts'
import { utf8 } from '../../../src/bytes.ts'
import { acknowledgementEnvelope } from '../../../src/ledger/acknowledgement.ts'
import { encodeEntryBundle } from '../../../src/merkle/tiles.ts'
import type { Member } from '../hostile/member.ts'
import type { Act } from './act.ts'

export const twoTrees: Act = {
  name: 'two-trees',
  says: 'It cosigns two trees of one size, and trees that do not exist yet.',
  convicts: true,
  async run(member) {
    const { tip, root } = member.follower.chain
    const seconds = Math.floor(Date.now() / 1_000)
    const origin = member.ledger
    for (const checkpoint of [
      { origin, size: tip.size, root },
      { origin, size: tip.size, root: member.random(32) },
      { origin, size: tip.size + 50, root: member.random(32) },
    ]) {
      const note = await member.cosigned(checkpoint, seconds)
      member.frames(FRAME.cosignature, note)
      // What comes late is looked at now and then.
      await member.pause(600)
      await member.publish('cosignatures', note)
      member.frames(FRAME.cosignature, note)
      await member.pause(300)
    }
  },
}

export const twoSeals: Act = {
  name: 'two-seals',
  says: 'By gossip it shows two blocks that it has sealed for one height of one term.',
  convicts: true,
  async run(member) {
    for (const later of [0, 1]) {
      const block = await member.block(member.term, [], Date.now() + later)
      await member.publish('blocks', encodeEntryBundle([block.proposal!.seal]))
      await member.pause(200)
    }
  },
}

/** By its clock, and by how much it is ahead. */
const ANNOUNCED = [
  { ms: 0, ahead: 1_000 },
  { ms: 86_400_000, ahead: 2 ** 40 },
  { ms: -86_400_000, ahead: 0 },
]

export const falseStatus: Act = {
  name: 'false-status',
  says: 'It tells of blocks and certificates that do not exist, by a clock that is days ahead or behind.',
  async run(member) {
    const { tip } = member.follower.chain
    for (const { ms, ahead } of ANNOUNCED) {
      const said = {
        ledger: member.ledger,
        name: member.name,
        role: 'leader',
        term: member.term + ahead,
        height: tip.height + ahead,
        size: tip.size + ahead,
        finalSize: tip.size + ahead,
        pending: ahead,
        time: Date.now() + ms,
      }
      await member.publish('status', await signAnnouncement(said, member.nodeKey))
      await member.pause(400)
    }
  },
}

const ANNOUNCEMENTS = 200

export const gossipFlood: Act = {
  name: 'gossip-flood',
  says: 'By gossip it sends hundreds of announcements, seals and notes, each signed and none like another.',
  async run(member) {
    const { tip } = member.follower.chain
    const { term } = member
    const said = {
      ledger: member.ledger,
      name: member.name,
      role: 'follower',
      term,
      pending: 0,
      finalSize: 0,
    }
    for (let i = 0; i < ANNOUNCEMENTS; i++) {
      const status = { ...said, height: tip.height + i, size: tip.size + i, time: Date.now() + i }
      await member.publish('status', await signAnnouncement(status, member.nodeKey))
      const block = await member.block(term + (i % 3), [], Date.now() + i)
      await member.publish('blocks', encodeEntryBundle([block.proposal!.seal]))
      const checkpoint = { origin: member.ledger, size: tip.size + 1 + (i % 40), root: member.random(32) }
      await member.publish('cosignatures', await member.cosigned(checkpoint, Math.floor(Date.now() / 1_000)))
    }
  },
}

export const falseAnswers: Act = {
  name: 'false-answers',
  says: 'It makes others ask it for blocks, and answers with garbage, with nothing, with forged blocks, or not at all.',
  async run(member) {
    const forged = await member.block(member.term)
    const answers: readonly (() => Promise<Uint8Array>)[] = [
      async () => member.random(10_000),
      async () => new Uint8Array(0),
      async () => encodeSyncAnswer({ certificate: '', path: [], blocks: [] }),
      async () =>
        encodeSyncAnswer({ certificate: await certificateOf(member), path: [], blocks: [forged.body] }),
      async () => utf8('{"height":9007199254740991}'),
      () => new Promise(() => {}),
    ]
    const before = member.answer
    let turn = 0
    member.answer = () => answers[turn++ % answers.length]!()
    try {
      await falseStatus.run(member)
      await member.restart(member.someFollower)
      await member.pause(1_000)
    } finally {
      member.answer = before
    }
  },
}

export const falseMemory: Act = {
  name: 'false-memory',
  says: 'A node is started anew and asks what it has signed: the liar shows it old, foreign and forged signatures.',
  async run(member) {
    const node = member.someFollower
    const { nodeKey } = member.genesis.membership.nodeByName.get(node)!
    const ledger = member.ledger
    const old = member.follower.heard.flatMap(({ from, message }) => {
      if (from !== node || message.kind !== 'acknowledge') return []
      const { term, height, hash, signature } = message
      return acknowledgementEnvelope(nodeKey, { ledger, term, height, hash }, signature)
    })
    const to = { ledger, term: member.term + 5, height: 2 ** 40, hash: member.randomHash() }
    const forged = acknowledgementEnvelope(nodeKey, to, member.random(3_309))
    const foreign = acknowledgementEnvelope(
      member.nodeKey.publicKey,
      to,
      await member.sign({ kind: 'acknowledgement', ...to }),
    )
    const statements = [...old.slice(-6), forged, foreign]
    const held = encodeHeld({ statements, notes: [await certificateOf(member)] })
    const before = member.answer
    member.answer = async (from, question) => (isSignaturesRequest(question) ? held : before(from, question))
    try {
      await member.restart(node)
    } finally {
      member.answer = before
    }
  },
}

/** One that it alone has signed. */
async function certificateOf(member: Member): Promise<string> {
  const { tip, root } = member.follower.chain
  const note = await member.cosigned(
    { origin: member.ledger, size: tip.size, root },
    Math.floor(Date.now() / 1_000),
  )
  return new TextDecoder().decode(note)
}
