/** Entries that nobody wants, and refusals of those that somebody does. */
import { encodeRefusals } from '../../../node/core/forwarding.ts'
import { FRAME } from '../../../node/net/network.ts'
import { decodeBlock } from '../../../src/ledger/block.ts'
import { encodeEnvelope } from '../../../src/ledger/dsse.ts'
import { evidenceToJson, twoSeals } from '../../../src/ledger/evidence.ts'
import { EVIDENCE_EVENT_TYPE } from '../../../src/ledger/evidence-event.ts'
import { encodeEntryBundle } from '../../../src/merkle/tiles.ts'
import type { Member } from '../hostile/member.ts'
import type { Act } from './act.ts'

export const REFUSAL_CODES = [
  'not-caught-up',
  'duplicate',
  'bad-signature',
  'unknown-key',
  'not-permitted',
  'event-conflict',
] as const

/** Says of these ids, under every code, that they will never be ordered. */
export function refuse(member: Member, to: string, ids: readonly string[]): void {
  for (const code of REFUSAL_CODES) {
    const refusals = ids.map((id) => ({ id, code, message: 'No.', duplicateOf: member.randomHash() }))
    if (refusals.length > 0) member.frame(to, FRAME.forwardReply, encodeRefusals(refusals))
  }
}

export const falseRefusals: Act = {
  name: 'false-refusals',
  says: 'Without leading it refuses entries that it has seen, and some that do not exist.',
  async run(member) {
    for (let i = 0; i < 5; i++) {
      const ids = [...member.seen.slice(-100).map(({ id }) => id), member.randomHash()]
      for (const peer of member.peers) refuse(member, peer, ids)
      await member.pause(200)
    }
  },
}

export const falseEvidence: Act = {
  name: 'false-evidence',
  says: 'It has events recorded that accuse an honest leader: one of nothing, one with the same signature on both sides.',
  async run(member) {
    const { leader } = member
    const heard = member.follower.heard.findLast(({ from, message }) => {
      return from === leader && message.kind === 'append' && message.blocks.length > 0
    })
    const seal = heard?.message.kind === 'append' ? heard.message.blocks.at(-1)!.body : undefined
    const { nodeKey } = member.genesis.membership.nodeByName.get(leader)!
    const envelope = seal && decodeBlock(seal).sealEnvelope
    const accused = envelope && evidenceToJson(twoSeals(nodeKey, envelope, envelope))
    for (const data of [{ kind: 'two-seals' }, ...(accused === undefined ? [] : [accused])]) {
      const entry = await member.entry({ type: EVIDENCE_EVENT_TYPE, subject: leader, data })
      member.frame(leader, FRAME.forward, encodeEntryBundle([entry.bytes]))
    }
    await member.pause(500)
  },
}

export const junkLate: Act = {
  name: 'junk-late',
  says: 'It spreads junk as entries that wait too long: no entries, unsigned ones, and hundreds that nobody asked for.',
  async run(member) {
    const entries = await member.entries(200)
    member.frames(FRAME.late, encodeEntryBundle(entries.map(({ bytes }) => bytes)))
    await member.pause(500)
    member.frames(FRAME.late, encodeEntryBundle([member.random(300)]))
    await member.settle()
    member.frames(FRAME.late, encodeEntryBundle([await unsigned(member)]))
    await member.settle()
    member.frames(FRAME.forward, encodeEntryBundle([await unsigned(member), member.random(60_000)]))
    await member.pause(300)
  },
}

/** An entry that names a key of the ledger, which has not signed it. */
async function unsigned(member: Member): Promise<Uint8Array> {
  const [entry] = await member.entries(1)
  const { envelope } = entry!
  const [signature] = envelope.signatures
  return encodeEnvelope({ ...envelope, signatures: [{ ...signature!, sig: member.random(3_309) }] })
}
