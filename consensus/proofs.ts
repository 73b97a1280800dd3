/**
 * Whether what a message claims is proven: signatures, certificates of blocks and of terms. The counting is done here;
 * whose signature it is, and whether it verifies, the ledger says.
 */
import type { Acknowledge, Lead, Message, Statement, Vote, VoteReply } from './messages.ts'
import type { Ballot, BlockRef, Certified, Configuration, NodeId, Signed } from './types.ts'

export interface ProofPorts {
  /** Whether the signature is `by`'s, on the statement, by the key that is in force for it. */
  verify(by: NodeId, statement: Statement, signature: Uint8Array): Promise<boolean>
  /** Who has sealed the block: the name in its seal, if the seal is this block's and its signature verifies. */
  sealer(block: BlockRef, seal: Uint8Array): Promise<NodeId | undefined>
  /** Who counts from this block on: by what is known of its chain, also of its past, or else by the end of the log. */
  configurationAfter(block: BlockRef): Promise<Configuration>
  /** Whose quorums certify this block: also of those before it, if it is known to change them. */
  configurationsFor(block: BlockRef): Promise<readonly Configuration[]>
  /** Is it block 0 of this ledger? */
  isGenesis(block: BlockRef): boolean
  /** Whether a certificate of the ledger covers the block. */
  isCovered(block: BlockRef, bytes: Uint8Array): Promise<boolean>
}

/** The part of `Raft` that says by whom a proof is judged. */
interface Judges {
  readonly id: NodeId
  readonly ballot: Ballot | undefined
}

/** `unproven`: nothing is wrong with the sender, but it takes blocks that are not here yet to judge it. */
export type Judgement = 'proven' | 'unproven'

/**
 * Judges what `Raft.triage` wants verified. If a signature does not hold, its sender may have keys that this server has not
 * heard of yet, so nobody is blamed.
 */
export async function judge(
  raft: Judges,
  ports: ProofPorts,
  from: NodeId,
  message: Message,
): Promise<Judgement> {
  switch (message.kind) {
    case 'vote':
      return judgeVote(ports, from, message)
    case 'vote-reply':
      return judgeReply(raft, ports, from, message)
    case 'lead':
      return judgeLead(ports, message)
    case 'acknowledge':
      return judgeAcknowledge(ports, from, message)
    default:
      return 'proven'
  }
}

async function judgeVote(ports: ProofPorts, from: NodeId, message: Vote): Promise<Judgement> {
  const { term, base, signature } = message
  const own = await ports.verify(from, { kind: 'vote', term, candidate: from, base: base.block }, signature)
  return own && (await isCertified(ports, base)) ? 'proven' : 'unproven'
}

async function judgeReply(
  raft: Judges,
  ports: ProofPorts,
  from: NodeId,
  message: VoteReply,
): Promise<Judgement> {
  const { ballot } = raft
  if (message.signature === undefined || ballot?.candidate !== raft.id) return 'unproven'
  const statement: Statement = { kind: 'vote', term: message.term, ...ballot }
  return (await ports.verify(from, statement, message.signature)) ? 'proven' : 'unproven'
}

async function judgeAcknowledge(ports: ProofPorts, from: NodeId, message: Acknowledge): Promise<Judgement> {
  const { term, height, hash, signature } = message
  const statement: Statement = { kind: 'acknowledgement', term, height, hash }
  return (await ports.verify(from, statement, signature)) ? 'proven' : 'unproven'
}

async function judgeLead(ports: ProofPorts, message: Lead): Promise<Judgement> {
  const { term, leader, base, votes } = message
  const statement: Statement = { kind: 'vote', term, candidate: leader, base: base.block }
  const configuration = await ports.configurationAfter(base.block)
  const enough = await countsAsQuorum(ports, configuration, votes, statement, [])
  return enough && (await isCertified(ports, base)) ? 'proven' : 'unproven'
}

/**
 * Is the block certified? See `Proof`. Also of a block that is known to be, the proof must hold: it is kept with the
 * lock, and shown to others.
 */
export async function isCertified(ports: ProofPorts, { block, proof }: Certified): Promise<boolean> {
  if (proof.kind === 'genesis') return ports.isGenesis(block)
  if (proof.kind === 'ledger') return ports.isCovered(block, proof.bytes)
  const sealer = await ports.sealer(block, proof.seal)
  if (sealer === undefined) return false
  const { term, height, hash } = block
  const statement: Statement = { kind: 'acknowledgement', term, height, hash }
  for (const configuration of await ports.configurationsFor(block)) {
    if (!(await countsAsQuorum(ports, configuration, proof.acknowledgements, statement, [sealer])))
      return false
  }
  return true
}

/** Have as many voters signed the statement as make a quorum with those who are `counted` already? */
async function countsAsQuorum(
  ports: ProofPorts,
  { voters, quorum }: Configuration,
  signed: readonly Signed[],
  statement: Statement,
  counted: readonly NodeId[],
): Promise<boolean> {
  const named = new Map(signed.map(({ from, signature }) => [from, signature]))
  for (const name of counted) named.delete(name)
  const claimed = [...named].filter(([from]) => voters.includes(from))
  const already = counted.filter((name) => voters.includes(name)).length
  if (already + claimed.length < quorum) return false
  const verified = await Promise.all(
    claimed.map(([from, signature]) => ports.verify(from, statement, signature)),
  )
  return already + verified.filter(Boolean).length >= quorum
}
