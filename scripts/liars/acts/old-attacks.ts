/** Attacks that worked before ordering asked for proofs. */
import { connect, type Socket } from 'node:net'
import { FRAME } from '../../../node/net/network.ts'
import { refOf } from '../hostile/chain.ts'
import type { Act } from './act.ts'

export const falseCommit: Act = {
  name: 'false-commit',
  says: 'Never elected, it sends each node another block of the next term, and says that it is committed.',
  async run(member) {
    const term = member.term + 1
    const base = refOf(member.follower.chain.tip)
    const blocks = await Promise.all(member.peers.map((_, i) => member.block(term, [], Date.now() + i)))
    for (const [i, peer] of member.peers.entries()) {
      const block = blocks[i]!
      member.send(peer, { kind: 'append', term, prev: base, blocks: [block] })
      member.send(peer, { kind: 'locked', term, height: block.height, hash: block.hash })
      member.send(peer, { kind: 'behind', term, commit: block.height })
      member.send(peer, { kind: 'heartbeat', term, round: 1 })
    }
    await member.pause(500)
  },
}

export const rivalAppend: Act = {
  name: 'rival-append',
  says: 'It sends the leader rival blocks that take long to verify, for a height at which an honest block commits.',
  async run(member) {
    const { leader } = member
    const entries = await member.entries(40)
    for (const term of [member.term, member.term + 1]) {
      const base = refOf(member.follower.chain.tip)
      const block = await member.block(term, entries)
      member.send(leader, { kind: 'append', term, prev: base, blocks: [block] })
      await member.pause(500)
    }
  },
}

/** The largest number there is; the last second that a calendar can spell, and the first; a time long ago. */
const ABSURD_SECONDS = [2 ** 53 - 1, 253_402_300_799, 1]

export const absurdTimes: Act = {
  name: 'absurd-times',
  says: 'It cosigns the newest tree, under its own name and as the log, with times that cannot be.',
  async run(member) {
    for (const seconds of ABSURD_SECONDS) {
      const { tip, root } = member.follower.chain
      const note = await member.cosigned({ origin: member.ledger, size: tip.size, root }, seconds)
      member.frames(FRAME.cosignature, note)
      await member.publish('cosignatures', note)
      await member.pause(300)
    }
  },
}

const SOCKETS = 15
const SILENT_MS = 500

export const silentSockets: Act = {
  name: 'silent-sockets',
  says: 'It opens fifteen silent connections to each peer port, again when they are closed, while a node is started anew.',
  async run(member) {
    const open = new Set<Socket>()
    let over = false
    const dial = (host: string, port: number) => {
      const socket = connect(port, host)
      open.add(socket)
      socket.on('error', () => {})
      socket.on('close', () => {
        open.delete(socket)
        if (!over) setTimeout(() => !over && dial(host, port), 50)
      })
    }
    for (const { host, port } of member.addresses.values()) {
      for (let i = 0; i < SOCKETS; i++) dial(host, port)
    }
    await member.pause(SILENT_MS)
    // Members must still come through.
    member.hangUp()
    await member.restart(member.someFollower)
    over = true
    for (const socket of open) socket.destroy()
  },
}
