/** What can be wrong with a store, by codes that callers act on. */
import { QatError } from '../../src/errors.ts'

/**
 * The store cannot do what was asked; the message says why and what to do.
 * - `disk-full`: nothing was written; it works again once there is space and the store was reopened.
 * - `store-failed`: the disk reported an error; no more is written until the store was reopened.
 * - `store-damaged`: what was read is not what was written. Nothing of it is served.
 */
export class StoreError extends QatError<
  | 'store-locked'
  | 'store-missing'
  | 'store-exists'
  | 'store-unusable'
  | 'store-version'
  | 'store-mismatch'
  | 'store-damaged'
  | 'store-failed'
  | 'disk-full'
> {}

/** For whatever must stand on the disk and does not. */
export function damaged(what: string, facts: Record<string, unknown> = {}, cause?: unknown): StoreError {
  const advice = 'Stop the node and run "qat fsck" on its folder.'
  const all = { ...facts, reason: what }
  return new StoreError('store-damaged', `${what} ${advice}`, all, cause === undefined ? {} : { cause })
}
