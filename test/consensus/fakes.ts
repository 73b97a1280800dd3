/**
 * Signatures and certificates of the ledger for tests: bytes that name who signs what. They verify by comparison, so
 * they are quick, and a test is honest as long as it signs for others only what these would.
 */
import type { Statement } from '../../consensus/messages.ts'
import type { ProofPorts } from '../../consensus/proofs.ts'
import type { BlockRef, Configuration, NodeId, Proposal } from '../../consensus/types.ts'
import { fromUtf8, utf8 } from '../../src/bytes.ts'

const place = ({ height, term, hash }: BlockRef) => `${height}/${term}/${hash}`

export function fakeSign(by: NodeId, statement: Statement): Uint8Array {
  const said =
    statement.kind === 'vote'
      ? `votes in ${statement.term} for ${statement.candidate} on ${place(statement.base)}`
      : `acknowledges ${place(statement)}`
  return utf8(`${by} ${said}`)
}

export function isFakeSigned(by: NodeId, statement: Statement, signature: Uint8Array): boolean {
  return fromUtf8(signature) === fromUtf8(fakeSign(by, statement))
}

export function fakeProposal(by: NodeId, block: BlockRef): Proposal {
  return { by, seal: utf8(`${by} seals ${place(block)}`) }
}

/** A certificate of the ledger for this very block. */
export function fakeCover(block: BlockRef): Uint8Array {
  return utf8(`covers ${place(block)}`)
}

/** Everybody has a key. */
export function fakeProofs(genesis: BlockRef, after: () => Configuration): ProofPorts {
  return {
    configurationAfter: async () => after(),
    configurationsFor: async () => [after()],
    verify: async (by, statement, signature) => isFakeSigned(by, statement, signature),
    sealer: async (block, seal) => {
      const [by, ...rest] = fromUtf8(seal).split(' ')
      return rest.join(' ') === `seals ${place(block)}` ? by : undefined
    },
    isGenesis: (block) => place(block) === place(genesis),
    isCovered: async (block, bytes) => fromUtf8(bytes) === fromUtf8(fakeCover(block)),
  }
}
