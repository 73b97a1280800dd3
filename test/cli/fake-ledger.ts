/**
 * A JSON-RPC server over a ledger that only knows who its members are: it judges changes by the ledger's own rules,
 * applies those that hold, and reports a cluster as the test wants it.
 */
import { opensslSuite } from '../../node/crypto/openssl.ts'
import type { ClusterStatus, LedgerService, Submission } from '../../node/service.ts'
import { RefusedError } from '../../src/errors.ts'
import { changeIn } from '../../src/ledger/chain.ts'
import { adminsOf, applyChange, type Change } from '../../src/ledger/change.ts'
import { type Entry, signatureCheck, verifyAll } from '../../src/ledger/entry.ts'
import { type Admin, type Learner, type Member, memberToJson } from '../../src/ledger/member.ts'
import { type Membership, membershipOf, type Quorums } from '../../src/ledger/membership.ts'
import { ALICE, LEDGER, signerOf, validatorOf } from '../ledger/fixture.ts'
import { HASH, type Harness, READY, startServer } from '../rpc/fake-service.ts'

/** n1 to n4, as 20 and 21, 22 and 23 and so on make their keys. */
export const FOUR = [1, 2, 3, 4].map((i) => validatorOf(`n${i}`, 18 + 2 * i))
export const N5: Learner = { ...validatorOf('n5', 40), kind: 'learner' }
export const BELLA_SEED = 90
export const BELLA: Admin = { ...ALICE, name: 'bella', key: signerOf('ML-DSA-65', BELLA_SEED).publicKey }

export interface FakeLedger extends Harness {
  membership(): Membership
  /** In the order in which they came into force. */
  readonly changes: readonly Change[]
  /** Nodes that are not online. */
  readonly offline: Set<string>
  /** What the next submissions are answered, one each, instead of being judged. */
  readonly refusals: Error[]
  /** Heights that a node reports one after the other, the last one for ever; 100 without. */
  readonly heights: Map<string, number[]>
}

export async function startLedger(
  members: readonly Member[] = [ALICE, ...FOUR],
  quorums: Quorums = { cosigners: 3, adminQuorum: 1 },
  overrides: Partial<LedgerService> = {},
): Promise<FakeLedger> {
  let membership = membershipOf(members, quorums)
  const changes: Change[] = []
  const recorded = new Set<string>()
  const offline = new Set<string>()
  const heights = new Map<string, number[]>()
  const refusals: Error[] = []
  const final = (id: string): Submission => ({ id, status: 'final', index: 7, height: 2 })

  const submit = async (entry: Entry) => {
    const refusal = refusals.shift()
    if (refusal) throw refusal
    const change = changeIn(entry)
    if (!change) throw new RefusedError('unknown-key', 'Only changes are taken here.')
    const after = applyChange(membership, change)
    const checks = adminsOf(membership, entry.envelope).map((admin, i) =>
      signatureCheck(entry.envelope, i, admin.key),
    )
    if (!(await verifyAll(opensslSuite, checks)))
      throw new RefusedError('bad-signature', 'It does not verify.')
    membership = after
    changes.push(change)
    recorded.add(entry.id)
    return final(entry.id)
  }
  const heightOf = (name: string) => {
    const reported = heights.get(name) ?? [100]
    return reported.length > 1 ? reported.shift()! : reported[0]!
  }
  const cluster = (): ClusterStatus => ({
    ledger: LEDGER,
    leader: 'n1',
    term: 1,
    cosigners: membership.cosigners,
    sequence: membership.sequence,
    ready: READY,
    evidence: [],
    nodes: [...membership.nodeByName.values()].map(({ name, kind }) => ({
      name,
      kind,
      role: name === 'n1' ? 'leader' : 'follower',
      height: heightOf(name),
      size: 200,
      finalSize: 200,
      pending: 0,
      online: !offline.has(name),
    })),
  })
  const harness = await startServer({
    submit,
    submission: async (id) => {
      if (!recorded.has(id)) throw new RefusedError('unknown-key', 'Never seen.')
      return final(id)
    },
    membership: () => {
      const { sequence, cosigners, adminQuorum } = membership
      return {
        ledger: LEDGER,
        sequence,
        cosigners,
        adminQuorum,
        members: membership.members.map(memberToJson),
      }
    },
    cluster,
    status: () => ({
      name: 'n1',
      ledger: LEDGER,
      genesis: HASH,
      version: '0.1.0',
      role: 'leader',
      leader: 'n1',
      term: 1,
      height: 100,
      size: 200,
      finalSize: 200,
      pending: 0,
      sequence: 0,
      ready: READY,
      peers: [],
    }),
    ...overrides,
  })
  return { ...harness, membership: () => membership, changes, offline, heights, refusals }
}
