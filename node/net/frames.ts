/** Sizes and protocol names of the direct streams. */
import { MESSAGE_BYTES_MAX } from '../../consensus/wire.ts'

/** The longest frame is an append: a full block, those that open terms above it, and the heads of all. */
export const FRAME_BYTES_MAX = MESSAGE_BYTES_MAX + 1

/** A request is small; an answer is one frame at most. */
export const REQUEST_BYTES_MAX = 65_536

/** Protocol ids carry the ledger's genesis, so that nodes of two ledgers never understand each other. */
export function protocols(genesisId: string) {
  const ledger = genesisId.slice(0, 16)
  return {
    frames: `/qat/${ledger}/frames/1`,
    request: `/qat/${ledger}/request/1`,
    topic: (name: string) => `/qat/${ledger}/${name}/1`,
  }
}
