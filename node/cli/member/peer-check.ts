/**
 * Whether others could reach the node of a record. The ledger itself knows nothing of libp2p: once signed, a record
 * with a slip in it would be certified, and its node never connected.
 */
import { RefusedError } from '../../../src/errors.ts'
import type { Change } from '../../../src/ledger/change.ts'
import { isNode } from '../../../src/ledger/membership.ts'

/** Throws RefusedError bad-change if the change puts a node whose peer id or addresses are malformed. */
export async function checkPeer(what: Change['what']): Promise<void> {
  if (!('put' in what) || !isNode(what.put)) return
  // libp2p is large, and most commands have no use for it.
  const { peerFault } = await import('../../net/libp2p-network.ts')
  const fault = peerFault(what.put)
  if (fault === undefined) return
  const { name } = what.put
  throw new RefusedError(
    'bad-change',
    `Nobody could reach ${name}: ${fault} Make its record anew: qat member record`,
  )
}
