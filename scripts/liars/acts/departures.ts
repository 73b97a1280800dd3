/** It is elected, falls silent, and brings others to later terms, where it shows them what it shows nobody else. */
import type { Certified } from '../../../consensus/types.ts'
import { refOf } from '../hostile/chain.ts'
import { type Member, NotTold } from '../hostile/member.ts'
import type { Act } from './act.ts'

const ELECTED_MS = 18_000
/** Longer than it takes a follower that something waits for to complain, and the others to elect somebody. */
const STRANDED_MS = 25_000
const BEAT_MS = 100
/** Above any round of heartbeats that it has begun honestly. */
const FIRST_ROUND = 1_000_000
/** Further than a node keeps votes together with those of its own term. */
const FAR_TERMS = 20

export const strandingLeader: Act = {
  name: 'stranding-leader',
  says: 'Elected, it hands over to each follower but one, telling that one alone, and goes on leading the last by heartbeats.',
  run: (member) =>
    strand(member, async (gone, { term }) => {
      for (const to of gone) member.send(to, { kind: 'timeout-now', term, to })
    }),
}

export const strandingCandidacy: Act = {
  name: 'stranding-candidacy',
  says: 'Elected, it stands anew before each follower but one, is not heard of there again, and goes on leading the last.',
  run: (member) =>
    strand(member, async (gone, { term, certified }) => {
      const candidacy = await member.candidacy(term + 1, certified)
      for (let i = 0; i < 8; i++) {
        for (const to of gone) member.send(to, candidacy)
        await member.pause(250)
      }
    }),
}

export const farTwoVotes: Act = {
  name: 'far-two-votes',
  says: 'It hands over to itself, and stands in a term far ahead on two bases.',
  convicts: true,
  async run(member) {
    const { term, certified, over } = await silentReign(member)
    const below = member.follower.chain.applied.at(-2)
    if (!below) throw new NotTold('it holds too few blocks')
    member.tell({ kind: 'timeout-now', term, to: member.name })
    await member.pause(BEAT_MS)
    const far = term + FAR_TERMS
    for (const base of [certified, { block: refOf(below), proof: { kind: 'genesis' } } as const]) {
      member.tell(await member.candidacy(far, base))
      await member.pause(600)
    }
    await over
  },
}

interface Silent {
  readonly term: number
  readonly certified: Certified
  /** Its production follower has given up leading. */
  readonly over: Promise<void>
}

/** Elected, with a block of its term decided, its follower of production says nothing any more. */
async function silentReign(member: Member): Promise<Silent> {
  let silent = false
  const over = member.reign(ELECTED_MS, { say: (_, message) => (silent ? [] : [message]) })
  over.catch(() => {})
  const opened = () => member.leads && member.certified.block.term === member.term
  if (!(await member.until(opened, ELECTED_MS))) {
    await over
    throw new NotTold('it was not elected')
  }
  await member.pause(1_500)
  silent = true
  const { term, certified } = member
  return { term, certified, over: over.catch(() => {}) }
}

/** So many are sent away that neither they nor who is kept are a quorum; until the others have helped themselves. */
async function strand(
  member: Member,
  sendAway: (gone: readonly string[], reign: Silent) => Promise<void>,
): Promise<void> {
  const reign = await silentReign(member)
  const gone = member.others.slice(0, -1)
  const [kept] = member.others.slice(-1)
  let round = FIRST_ROUND
  const beat = setInterval(() => {
    member.send(kept!, { kind: 'heartbeat', term: reign.term, round: ++round })
  }, BEAT_MS)
  try {
    await sendAway(gone, reign)
    await reign.over
    member.follower.manners = { say: () => [], hears: () => false }
    await member.pause(STRANDED_MS)
  } finally {
    clearInterval(beat)
    member.follower.manners = {}
  }
}
