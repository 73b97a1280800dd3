/** Entries that other nodes forward to this one, as the leader: admitted at the same door as any, refusals answered. */
import { errorMessage, FormatError, RefusedError } from '../../src/errors.ts'
import { decodeEntry } from '../../src/ledger/entry.ts'
import type { Admission } from './admission.ts'
import type { Refusal } from './forwarding.ts'

/**
 * Admits what can be admitted, and says what never will be; about the rest nothing is said, and it will be
 * ordered or sent again. Throws FormatError, after the others have been seen to, if a leaf is no entry.
 */
export async function admitForwarded(
  admission: Admission,
  from: string,
  leaves: readonly Uint8Array[],
  onAdmitted: () => void,
): Promise<Refusal[]> {
  const verdicts = await Promise.allSettled(leaves.map((leaf) => admitOne(admission, from, leaf, onAdmitted)))
  return verdicts.flatMap((verdict) => {
    if (verdict.status === 'rejected') throw verdict.reason
    return verdict.value ?? []
  })
}

async function admitOne(
  admission: Admission,
  from: string,
  leaf: Uint8Array,
  onAdmitted: () => void,
): Promise<Refusal | undefined> {
  const entry = decodeEntry(leaf)
  const { id } = entry
  // A rival that is only on its way may yet be lost. When it is in a block, the sender sees it there.
  if (admission.hasRival(entry)) return undefined
  try {
    const connection = entry.envelope.signatures[0]?.keyid ?? ''
    const admitted = await admission.admit(entry, true, { name: `peer ${from}`, connection, known: true })
    if (admitted.outcome === 'admitted') onAdmitted()
    if (admitted.outcome !== 'duplicate') return undefined
    return { id, code: 'duplicate', message: 'The event is recorded already.', duplicateOf: admitted.id }
  } catch (error) {
    if (error instanceof FormatError) throw error
    // Overload is not for good: the sender keeps the entry and tries again.
    if (!(error instanceof RefusedError)) return undefined
    const rival = error.facts.id
    const duplicateOf =
      error.code === 'event-conflict' && typeof rival === 'string' ? { duplicateOf: rival } : {}
    return { id, code: error.code, message: errorMessage(error), ...duplicateOf }
  }
}
