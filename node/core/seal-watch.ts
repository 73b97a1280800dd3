/**
 * Watches for a proposer that seals two blocks for one term and height. Seals of applied blocks are looked up in
 * the chain; of the others, those seen last are remembered.
 */
import { equalBytes, toHex } from '../../src/bytes.ts'
import { keyId } from '../../src/crypto/keys.ts'
import type { PublicKey } from '../../src/crypto/suite.ts'
import { decodeEnvelope, type Envelope, encodeEnvelope, envelopeBy } from '../../src/ledger/dsse.ts'
import { type TwoStatements, twoSeals } from '../../src/ledger/evidence.ts'
import type { Seal } from '../../src/ledger/seal.ts'
import { BLOCK_ENTRIES_MAX } from '../../src/limits.ts'
import { leafHash } from '../../src/merkle/hash.ts'
import { decodeEntryBundle } from '../../src/merkle/tiles.ts'
import type { LedgerStore } from '../store/ledger-store.ts'

/** About 5 kB each. A window for each key: whoever floods it pushes out nobody's seals but its own. */
const SEALS_PER_KEY_MAX = 128

export class SealWatch {
  readonly #store: Pick<LedgerStore, 'facts' | 'blockBytes'>
  /** By key id, then by place; the oldest first. */
  readonly #seen = new Map<string, Map<string, Envelope>>()

  constructor(store: Pick<LedgerStore, 'facts' | 'blockBytes'>) {
    this.#store = store
  }

  /** Takes a seal whose first signature is verified to be by `key`, and answers what it contradicts. */
  async see(key: PublicKey, envelope: Envelope, seal: Seal): Promise<TwoStatements | undefined> {
    const keyid = keyId(key)
    // The signature covers the payload alone, so what else stood in the envelope is no part of the statement.
    const { payloadType, payload, signatures } = envelope
    const said = envelopeBy(key, payloadType, payload, signatures[0]!.sig)
    const applied = await this.#applied(said, seal)
    if (applied === 'same') return undefined
    const seen = this.#seen.get(keyid) ?? new Map<string, Envelope>()
    this.#seen.set(keyid, seen)
    const place = `${seal.term} ${seal.height}`
    for (const other of [applied, seen.get(place)]) {
      if (other === undefined || other.signatures[0]!.keyid !== keyid) continue
      if (!equalBytes(encodeEnvelope(other), encodeEnvelope(said))) return twoSeals(key, other, said)
    }
    if (!seen.has(place)) seen.set(place, said)
    const [oldest] = seen.keys()
    if (seen.size > SEALS_PER_KEY_MAX && oldest !== undefined) seen.delete(oldest)
    return undefined
  }

  /** The seal of the applied block at that height if it is of the same term: `same` if it is this one. */
  async #applied(said: Envelope, { height, term }: Seal): Promise<Envelope | 'same' | undefined> {
    const facts = await this.#store.facts(height)
    if (facts?.term !== term) return undefined
    if (facts.hash === toHex(leafHash(encodeEnvelope(said)))) return 'same'
    const bytes = await this.#store.blockBytes(height)
    return bytes && decodeEnvelope(decodeEntryBundle(bytes, BLOCK_ENTRIES_MAX + 1).at(-1)!)
  }
}
