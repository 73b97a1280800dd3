/** Final blocks of a running node, as `ledger.sync` gives them. They prove themselves; nothing here trusts them. */
import { fromBase64 } from '../../src/bytes.ts'
import { errorMessage } from '../../src/errors.ts'
import { fields } from '../../src/json.ts'
import { decodeSyncAnswer, SYNC_ANSWER_BYTES_MAX, type SyncAnswer } from '../core/sync.ts'
import { CliError } from './exit.ts'
import { readReply } from './replies.ts'
import { askUntil, type Target } from './rpc.ts'

/** One answer of a few megabytes over a slow line. */
const ANSWER_MS = 60_000

/** The encoded answer of a node; it wants a token. */
export async function syncFrom(node: Target, from: number): Promise<Uint8Array> {
  const reply = await askUntil(node, 'ledger.sync', () => ({ from }), ANSWER_MS)
  return readReply(reply, (value) => {
    const { answer } = fields(value, 'The answer', ['answer'])
    if (typeof answer !== 'string' || answer.length > 2 * SYNC_ANSWER_BYTES_MAX) {
      throw new CliError('file', 'The answer of the node holds no blocks.')
    }
    return fromBase64(answer)
  })
}

/** Asks one node after the other for blocks from a height on; undefined if none has any. */
export async function syncFromAny(
  nodes: readonly Target[],
  from: number,
  onFailure: (message: string) => void,
): Promise<SyncAnswer | undefined> {
  for (const node of nodes) {
    try {
      const answer = decodeSyncAnswer(await syncFrom(node, from))
      if (answer.blocks.length > 0) return answer
    } catch (error) {
      onFailure(errorMessage(error))
    }
  }
  return undefined
}
