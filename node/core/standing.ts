/** What a node is to its ledger, by the member record of its name and the keys that this process holds. */
import { equalBytes } from '../../src/bytes.ts'
import type { PublicKey } from '../../src/crypto/suite.ts'
import type { Membership } from '../../src/ledger/membership.ts'

/**
 * validator: orders and cosigns. learner: follows and serves. outside: the record is missing, or names other
 * keys; such a node only asks for what is final, because it may be about to join, or to learn that it is out.
 */
export type Standing = 'validator' | 'learner' | 'outside'

export interface OwnKeys {
  readonly node: PublicKey
  readonly cosigner: PublicKey
}

export function standingOf(membership: Membership, name: string, keys: OwnKeys): Standing {
  const record = membership.nodeByName.get(name)
  const own =
    record !== undefined &&
    equalBytes(record.nodeKey.bytes, keys.node.bytes) &&
    equalBytes(record.cosignerKey.bytes, keys.cosigner.bytes)
  return own ? record.kind : 'outside'
}
