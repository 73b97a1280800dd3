/** What is no message at all, or one that was never meant for now. */
import { FRAME_BYTES_MAX, REQUEST_BYTES_MAX } from '../../../node/net/frames.ts'
import { FRAME, type FrameKind, TOPICS } from '../../../node/net/network.ts'
import type { Act } from './act.ts'

export const garbage: Act = {
  name: 'garbage',
  says: 'It sends random bytes as every kind of frame, as kinds that do not exist, as requests, and by gossip.',
  async run(member) {
    const kinds: readonly number[] = [...Object.values(FRAME), 0, 77, 255]
    for (const kind of kinds) {
      for (const bytes of [0, 1, 100, 10_000]) member.frames(kind as FrameKind, member.random(bytes))
      // A peer that is sent garbage hangs up.
      await member.until(() => member.peers.length === member.others.length, 2_000)
    }
    for (const topic of TOPICS) {
      for (const bytes of [1, 100, 10_000]) await member.publish(topic, member.random(bytes))
    }
    for (const peer of member.peers) {
      for (const bytes of [0, 1, 1_000]) await member.ask(peer, member.random(bytes)).catch(() => {})
    }
  },
}

export const oversized: Act = {
  name: 'oversized',
  says: 'It sends frames, requests and gossip longer than the longest that are allowed.',
  async run(member) {
    const frame = member.random(FRAME_BYTES_MAX + 1)
    member.frames(FRAME.raft, frame)
    await member.pause(500)
    const request = member.random(REQUEST_BYTES_MAX + 1)
    for (const peer of member.peers) await member.ask(peer, request).catch(() => {})
    await member.publish('blocks', frame)
    await member.pause(500)
  },
}

const FLOOD = 2_000

export const flood: Act = {
  name: 'flood',
  says: 'It sends thousands of messages that look like those of any follower.',
  async run(member) {
    const { term } = member
    const signature = member.random(3_309)
    for (let i = 0; i < FLOOD; i++) {
      const { height } = member.follower.driver.raft.tail
      member.tell({ kind: 'heartbeat-reply', term, commit: height, round: i })
      member.tell({ kind: 'append-reply', term, match: height })
      member.tell({ kind: 'ask', term, knowsLeader: i % 2 === 0 })
      member.tell({ kind: 'pre-vote', term: term + 1, base: { term, height } })
      const hash = member.randomHash()
      member.tell({ kind: 'acknowledge', term, height: height + (i % 60), hash, signature })
      member.tell({ kind: 'vote-reply', term, signature })
      if (i % 100 === 99) await member.pause(50)
    }
  },
}

export const replays: Act = {
  name: 'replays',
  says: 'It sends to everyone, again and again, what others sent to it a moment ago, and what it said in terms before.',
  async run(member) {
    const heard = [...member.follower.heard]
    for (let i = 0; i < 2; i++) {
      for (const { message } of heard) member.tell(message)
      await member.pause(400)
    }
    const base = member.certified
    for (const term of [1, Math.max(1, member.term - 1)]) member.tell(await member.candidacy(term, base))
  },
}
