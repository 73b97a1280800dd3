/** Votes, acknowledgements, locks and complaints that no honest member gives. */
import type { Message } from '../../../consensus/messages.ts'
import type { Certified, Signed } from '../../../consensus/types.ts'
import { refOf } from '../hostile/chain.ts'
import { type Member, NotTold } from '../hostile/member.ts'
import type { Act } from './act.ts'

/** A node judges what a peer signs once in the time of a heartbeat. */
const JUDGED_MS = 300

export const twoVotes: Act = {
  name: 'two-votes',
  says: 'In one term it votes for the leader, and for itself on two bases.',
  convicts: true,
  async run(member) {
    const { term, leader } = member
    const { chain } = member.follower
    const [below, top] = chain.applied.slice(-2).map(refOf)
    if (!below || !top) throw new NotTold('it holds no block yet')
    const { base } = member.follower.heard.findLast(({ message }) => message.kind === 'lead')
      ? member.lead
      : { base: member.certified }
    const signature = await member.sign({ kind: 'vote', term, candidate: leader, base: base.block })
    member.send(leader, { kind: 'vote-reply', term, signature })
    for (const block of [below, top]) {
      member.tell(await member.candidacy(term, { block, proof: { kind: 'genesis' } }))
      await member.pause(JUDGED_MS)
    }
  },
}

export const twoAcknowledgements: Act = {
  name: 'two-acknowledgements',
  says: 'It acknowledges two blocks of one term at one height.',
  convicts: true,
  async run(member) {
    const { term } = member
    const height = member.follower.driver.raft.tail.height + 5
    for (const hash of [member.randomHash(), member.randomHash()]) {
      member.tell(await member.acknowledgement({ term, height, hash }))
      await member.pause(JUDGED_MS)
    }
  },
}

export const falseBases: Act = {
  name: 'false-bases',
  says: 'It stands on bases with no proof, or with too few, duplicate or forged acknowledgements.',
  async run(member) {
    for (const base of await falseBasesOf(member)) {
      member.tell(await member.candidacy(member.term, base))
      member.tell(await member.candidacy(member.term + 1, base))
      await member.pause(JUDGED_MS)
    }
  },
}

async function falseBasesOf(member: Member): Promise<Certified[]> {
  const block = await member.block(member.term)
  const { seal } = block.proposal!
  const own = await member.acknowledgement(block)
  const signature = own.kind === 'acknowledge' ? own.signature : member.random(3_309)
  const forged = member.others.map((from): Signed => ({ from, signature: member.random(3_309) }))
  const proofs: readonly (readonly Signed[])[] = [
    [],
    [{ from: member.name, signature }],
    [1, 2, 3].map(() => ({ from: member.name, signature })),
    member.others.map((from) => ({ from, signature })),
    forged,
  ]
  const high = { height: 2 ** 40, term: member.term, hash: member.randomHash() }
  return [
    { block: high, proof: { kind: 'genesis' } },
    { block: high, proof: { kind: 'ledger', bytes: member.random(5_000) } },
    ...proofs.map((acknowledgements): Certified => {
      return { block: refOf(block), proof: { kind: 'acknowledgements', seal, acknowledgements } }
    }),
  ]
}

export const bursts: Act = {
  name: 'bursts-of-candidacies',
  says: 'It stands in hundreds of terms, each higher than the one before, up to the highest there is.',
  async run(member) {
    const base = member.certified
    const { height, term: rank } = base.block
    const own = await member.candidacy(member.term + 1, base)
    for (let i = 1; i <= 300; i++) {
      const term = member.term + 2 ** Math.floor(i / 6)
      member.tell({ kind: 'pre-vote', term, base: { term: rank, height } })
      member.tell({ ...own, term })
      if (i % 20 === 0) await member.pause(100)
    }
    member.tell({ kind: 'ask', term: Number.MAX_SAFE_INTEGER, knowsLeader: false })
    member.tell({ kind: 'pre-vote-reply', term: Number.MAX_SAFE_INTEGER, granted: false })
    member.tell({ kind: 'vote-reply', term: Number.MAX_SAFE_INTEGER, signature: undefined })
  },
}

export const falseLocks: Act = {
  name: 'false-locks',
  says: 'It says that it is locked on blocks that do not exist, that it does not hold, or far above all.',
  async run(member) {
    const { term } = member
    for (const height of [1, 2, 50, 2 ** 50]) {
      const { tail } = member.follower.driver.raft
      member.tell({ kind: 'locked', term, height: tail.height + height, hash: member.randomHash() })
      member.tell({ kind: 'locked', term: tail.term, height: tail.height, hash: tail.hash })
      await member.pause(100)
    }
  },
}

export const complaints: Act = {
  name: 'complaints',
  says: 'It complains of an honest leader all the time.',
  async run(member) {
    for (let i = 0; i < 20; i++) {
      member.tell({ kind: 'complaint', term: member.term })
      await member.pause(100)
    }
  },
}

export const falseLeads: Act = {
  name: 'false-term-certificates',
  says: 'It shows certificates of terms that it was not elected in, with forged and repeated votes.',
  async run(member) {
    const base = member.certified
    const leader = member.name
    for (const term of [member.term, member.term + 1, member.term + 1_000]) {
      const signature = await member.sign({ kind: 'vote', term, candidate: leader, base: base.block })
      const votes = [member.name, ...member.others].map((from) => ({ from, signature }))
      const repeated = [1, 2, 3].map(() => ({ from: member.name, signature }))
      for (const each of [votes, repeated, []]) {
        const lead: Message = { kind: 'lead', term, leader, base, votes: each }
        member.tell(lead)
        member.tell({ kind: 'heartbeat', term, round: 1 })
        await member.pause(JUDGED_MS)
      }
    }
  },
}

export const falseHandover: Act = {
  name: 'false-handover',
  says: 'It says that it leads, and hands leadership over to itself or to others.',
  async run(member) {
    const { term } = member
    for (const to of [member.name, ...member.others, 'nobody']) {
      member.tell({ kind: 'timeout-now', term, to })
      member.tell({ kind: 'timeout-now', term: term + 1, to })
      await member.pause(50)
    }
  },
}

export const falseReplies: Act = {
  name: 'false-replies',
  says: 'It tells the leader that it has blocks which it lacks, lacks blocks which it has, and follows nobody.',
  async run(member) {
    const { term, leader } = member
    for (let i = 0; i < 10; i++) {
      const { height } = member.follower.driver.raft.tail
      for (const match of [height, height + 1, 2 ** 50])
        member.send(leader, { kind: 'append-reply', term, match })
      const hints = [
        { height: 0, term: 0 },
        { height: 2 ** 50, term: 2 ** 50 },
      ]
      for (const hint of hints) member.send(leader, { kind: 'append-reject', term, rejected: height, hint })
      member.send(leader, { kind: 'heartbeat-reply', term, commit: 2 ** 50, round: 2 ** 50 })
      member.send(leader, { kind: 'ask', term: term + 5, knowsLeader: false })
      await member.pause(100)
    }
  },
}
