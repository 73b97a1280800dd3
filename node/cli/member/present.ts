/** The members in force, by the word of a node, as the values that the ledger's own rules work on. */
import { FormatError } from '../../../src/errors.ts'
import { array, count, type Json, object, text } from '../../../src/json.ts'
import { memberFromJson } from '../../../src/ledger/member.ts'
import { type Membership, membershipOf } from '../../../src/ledger/membership.ts'
import { checkOrigin, ORIGIN_BYTES_MAX } from '../../../src/ledger/names.ts'
import { VALIDATORS_MAX } from '../../../src/limits.ts'
import { readReply, shortText } from '../replies.ts'
import { askUntil, type Target } from '../rpc.ts'

export interface Present {
  readonly ledger: string
  readonly membership: Membership
}

const MEMBERS_MAX = 100_000

/** Asks until there is an answer or `budgetMs` is over. */
export async function presentMembers(target: Target, budgetMs: number): Promise<Present> {
  return readReply(await askUntil(target, 'membership.get', () => ({}), budgetMs), presentFromJson)
}

export function presentFromJson(value: Json): Present {
  const found = object(value, 'The membership')
  const quorums = {
    cosigners: count(found.cosigners, '"cosigners"'),
    adminQuorum: count(found.adminQuorum, '"adminQuorum"'),
  }
  const past = { sequence: count(found.sequence, '"sequence"'), leaving: undefined, former: new Map() }
  const members = array(found.members, '"members"', 1, MEMBERS_MAX).map(memberFromJson)
  return {
    ledger: checkOrigin(text(found.ledger, '"ledger"', ORIGIN_BYTES_MAX)),
    membership: membershipOf(members, quorums, past),
  }
}

/** A node of the cluster, as far as a change of membership asks for it. */
export interface NodeView {
  readonly name: string
  readonly kind: string
  readonly online: boolean
  readonly height: number
}

export interface ClusterView {
  readonly leader: string | undefined
  readonly nodes: readonly NodeView[]
}

/** As one node sees it, perhaps two seconds late. */
export async function presentCluster(target: Target, budgetMs: number): Promise<ClusterView> {
  return readReply(await askUntil(target, 'cluster.status', () => ({}), budgetMs), (value) => {
    const cluster = object(value, 'The cluster')
    return {
      leader: cluster.leader === undefined ? undefined : shortText(cluster.leader, '"leader"'),
      nodes: array(cluster.nodes, '"nodes"', 1, VALIDATORS_MAX).map(nodeView),
    }
  })
}

function nodeView(value: Json): NodeView {
  const node = object(value, 'A node')
  if (typeof node.online !== 'boolean') throw new FormatError('bad-field', '"online" must be true or false.')
  return {
    name: shortText(node.name, '"name"'),
    kind: shortText(node.kind, '"kind"'),
    online: node.online,
    height: count(node.height, '"height"'),
  }
}
