/** The ledger's own records in words: what a change, a member record, a seal or genesis says. */
import { formatInstant } from '../../src/json.ts'
import { decodeChange } from '../../src/ledger/change.ts'
import type { Envelope } from '../../src/ledger/dsse.ts'
import { readParameters } from '../../src/ledger/genesis.ts'
import { decodeMember } from '../../src/ledger/member.ts'
import { PAYLOAD_TYPES } from '../../src/ledger/payload-types.ts'
import { decodeSeal } from '../../src/ledger/seal.ts'
import { bareQuorumFacts, changeDeed, described, type Fact, recordFacts } from './member/words.ts'
import { counted } from './output.ts'

export interface RecordText {
  /** What it is, in one line. */
  readonly line: string
  /** What it says beside that. */
  readonly facts: readonly Fact[]
}

/** Undefined for what submitters send. Throws FormatError for a record that is not one. */
export function recordText(envelope: Envelope): RecordText | undefined {
  const { payload, payloadType } = envelope
  switch (payloadType) {
    case PAYLOAD_TYPES.change: {
      const change = decodeChange(payload)
      const { sequence, what } = change
      const facts = [...('put' in what ? recordFacts(what.put) : []), ...bareQuorumFacts(change)]
      return { line: `change ${sequence} of the members: ${changeDeed(what)}`, facts }
    }
    case PAYLOAD_TYPES.member: {
      const member = decodeMember(payload)
      return { line: `founding member ${member.name}, ${described(member)}`, facts: recordFacts(member) }
    }
    case PAYLOAD_TYPES.seal: {
      const { height, proposer, term, count, time } = decodeSeal(payload)
      const before = height === 0 ? counted(count, 'record') : counted(count, 'entry', 'entries')
      const by = height === 0 ? '' : `, by ${proposer} in term ${term}`
      return { line: `seal of block ${height}${by}: ${before} at ${formatInstant(time)}`, facts: [] }
    }
    case PAYLOAD_TYPES.genesis: {
      const { parameters, members } = readParameters(envelope)
      const line = `founding of ${parameters.ledger} with ${counted(members.length, 'member record')}`
      return { line, facts: bareQuorumFacts(parameters) }
    }
    default:
      return undefined
  }
}
