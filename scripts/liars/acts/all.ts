/** All that a hostile member does, in the order of its telling: what takes long stands between what does not. */
import type { Act } from './act.ts'
import { farTwoVotes, strandingCandidacy, strandingLeader } from './departures.ts'
import { falseEvidence, falseRefusals, junkLate } from './entries.ts'
import { flood, garbage, oversized, replays } from './frames.ts'
import { rejects, unreadAnswers } from './loads.ts'
import { absurdTimes, falseCommit, rivalAppend, silentSockets } from './old-attacks.ts'
import { madeUpKeys } from './qkd.ts'
import {
  deafLeader,
  dribblingLeader,
  equivocatingLeader,
  offBaseLeader,
  refusingLeader,
  silentLeader,
  slowLeader,
  unsignedLeader,
} from './reigns.ts'
import {
  bursts,
  complaints,
  falseBases,
  falseHandover,
  falseLeads,
  falseLocks,
  falseReplies,
  twoAcknowledgements,
  twoVotes,
} from './statements.ts'
import { falseAnswers, falseMemory, falseStatus, gossipFlood, twoSeals, twoTrees } from './trees.ts'

export const ACTS: readonly Act[] = [
  falseCommit,
  rivalAppend,
  twoVotes,
  silentLeader,
  twoAcknowledgements,
  falseBases,
  falseLocks,
  equivocatingLeader,
  absurdTimes,
  bursts,
  complaints,
  refusingLeader,
  garbage,
  oversized,
  falseLeads,
  unsignedLeader,
  falseHandover,
  falseReplies,
  twoSeals,
  offBaseLeader,
  flood,
  replays,
  falseRefusals,
  slowLeader,
  junkLate,
  falseStatus,
  twoTrees,
  deafLeader,
  falseAnswers,
  silentSockets,
  gossipFlood,
  rejects,
  falseEvidence,
  madeUpKeys,
  unreadAnswers,
  falseMemory,
  strandingLeader,
  farTwoVotes,
  dribblingLeader,
  strandingCandidacy,
]
