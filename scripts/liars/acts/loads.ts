/** What costs the liar little and an honest node much: blocks that are asked for and not taken. */
import { encodeSyncRequest } from '../../../node/core/sync.ts'
import { FRAME } from '../../../node/net/network.ts'
import { toHex } from '../../../src/bytes.ts'
import { encodeEntryBundle } from '../../../src/merkle/tiles.ts'
import { type Member, NotTold } from '../hostile/member.ts'
import type { Act } from './act.ts'

const ENTRIES = 80
const ENTRY_BYTES = 40_000
const BUNDLE = 20
const REJECTS = 1_000
const QUESTIONS = 250

/** Has large entries ordered, so that the newest blocks are large. */
async function fatten(member: Member): Promise<void> {
  for (let sent = 0; sent < ENTRIES; sent += BUNDLE) {
    const made: Uint8Array[] = []
    for (let i = 0; i < BUNDLE; i++) {
      made.push((await member.entry({ data: { fat: toHex(member.random(ENTRY_BYTES / 2)) } })).bytes)
    }
    member.frame(member.leader, FRAME.forward, encodeEntryBundle(made))
    await member.pause(400)
  }
  await member.pause(1_500)
}

export const rejects: Act = {
  name: 'rejects',
  says: 'Over and over it tells the leader that it lacks the same large blocks.',
  async run(member) {
    await fatten(member)
    const { leader, term } = member
    const { applied } = member.follower.chain
    const tip = applied.at(-1)!.height
    const { height, term: then } = applied.at(-60) ?? applied[0]!
    const hint = { height, term: then }
    member.follower.manners = { hears: (_, { kind }) => kind !== 'append' }
    try {
      // Of one of these the leader thinks that it is about its newest append.
      for (let rejected = tip - 5; rejected < tip + 30; rejected++) {
        member.send(leader, { kind: 'append-reject', term, rejected, hint })
      }
      for (let i = 0; i < REJECTS; i++) {
        member.send(leader, { kind: 'append-reject', term, rejected: height, hint })
        if (i % 100 === 99) await member.pause(50)
      }
      await member.pause(4_000)
    } finally {
      member.follower.manners = {}
    }
  },
}

export const unreadAnswers: Act = {
  name: 'unread-answers',
  says: 'It asks for blocks hundreds of times at once, and reads no answer.',
  async run(member) {
    await fatten(member)
    const { someFollower } = member
    const question = encodeSyncRequest({ from: 1, certified: 0 })
    const asked = await Promise.allSettled(
      Array.from({ length: QUESTIONS }, () => member.askDeaf(someFollower, question)),
    )
    await member.pause(12_000)
    const open = asked.flatMap((each) => (each.status === 'fulfilled' ? [each.value] : []))
    for (const hangUp of open) hangUp()
    if (open.length === 0) throw new NotTold('nobody took its questions')
  },
}
