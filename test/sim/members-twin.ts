/**
 * The naive twin of the membership: who is a member after each block, read from the leaves of the chain alone,
 * with nothing of src/ledger/change.ts or chain.ts. On the way it judges what may stand in a block: changes in
 * their turn and signed by enough admins, entries by submitters of that moment, seals by validators of it.
 */
import { fromUtf8, toHex } from '../../src/bytes.ts'
import { keyId } from '../../src/crypto/keys.ts'
import type { Json } from '../../src/json.ts'
import type { Block } from '../../src/ledger/block.ts'
import { decodeEnvelope, type Envelope } from '../../src/ledger/dsse.ts'
import { memberFromJson } from '../../src/ledger/member.ts'
import { type Membership, membershipOf } from '../../src/ledger/membership.ts'
import { PAYLOAD_TYPES } from '../../src/ledger/payload-types.ts'
import type { Blocks } from './blocks.ts'

interface Era {
  /** In force after the block: for the next one, and for what is certified above it. */
  readonly after: Membership
  /** Tree sizes at the ends of the blocks that carried a change, oldest first: one for each change. */
  readonly boundaries: readonly number[]
}

/** The payload of a change, as JSON has it. */
interface Told {
  readonly sequence: number
  readonly cosigners: number
  readonly adminQuorum: number
  readonly put?: Json
  readonly remove?: string
}

export class MembersTwin {
  readonly #blocks: Blocks
  readonly #fail: (finding: string) => void
  readonly #eras = new Map<string, Era>()

  constructor(
    blocks: Blocks,
    genesis: { readonly id: string },
    founding: Membership,
    fail: (finding: string) => void,
  ) {
    this.#blocks = blocks
    this.#fail = fail
    this.#eras.set(genesis.id, { after: founding, boundaries: [] })
  }

  /** The membership after the block named `hash`, which some node has written. */
  after(hash: string): Membership {
    return this.#era(hash).after
  }

  /** In force for the block named `hash`, and under which its end is certified. */
  before(hash: string): Membership {
    const { seal } = this.#blocks.get(hash)!
    return seal.height === 0 ? this.after(hash) : this.after(toHex(seal.previous))
  }

  /** Tree sizes at the ends of the blocks with a change, up to the block named `hash`. */
  boundaries(hash: string): readonly number[] {
    return this.#era(hash).boundaries
  }

  #era(hash: string): Era {
    const unknown: Block[] = []
    let at = hash
    while (!this.#eras.has(at)) {
      const block = this.#blocks.get(at)
      if (block === undefined) throw new Error(`No node has written block ${at}.`)
      unknown.push(block)
      at = toHex(block.seal.previous)
    }
    for (const block of unknown.reverse()) {
      this.#eras.set(block.id, this.#extend(this.#eras.get(toHex(block.seal.previous))!, block))
    }
    return this.#eras.get(hash)!
  }

  #extend(era: Era, { leaves, seal }: Block): Era {
    const { height, proposer, firstIndex } = seal
    const before = era.after
    if (!before.validatorByName.has(proposer))
      this.#fail(`${proposer} seals block ${height} and is no validator`)
    const changes: Told[] = []
    for (const leaf of leaves.slice(0, -1)) {
      const envelope = decodeEnvelope(leaf)
      if (envelope.payloadType === PAYLOAD_TYPES.change) {
        this.#checkAdmins(before, envelope, height)
        changes.push(JSON.parse(fromUtf8(envelope.payload)) as Told)
      } else if (!envelope.signatures.every(({ keyid }) => before.submitterByKeyId.has(keyid))) {
        this.#fail(`block ${height} holds an entry of someone who is no submitter`)
      }
    }
    const [change] = changes
    if (change === undefined) return era
    if (changes.length > 1) this.#fail(`block ${height} holds ${changes.length} changes`)
    if (change.sequence !== before.sequence + 1) {
      this.#fail(`block ${height} holds change ${change.sequence} after change ${before.sequence}`)
    }
    return { after: changed(before, change), boundaries: [...era.boundaries, firstIndex + leaves.length] }
  }

  #checkAdmins({ admins, adminQuorum }: Membership, { signatures }: Envelope, height: number): void {
    const keys = new Set(admins.map(({ key }) => keyId(key)))
    const signed = new Set(signatures.map(({ keyid }) => keyid).filter((id) => keys.has(id)))
    if (signed.size < adminQuorum) {
      this.#fail(`block ${height} holds a change by ${signed.size} of ${adminQuorum} admins`)
    }
  }
}

function changed(before: Membership, { sequence, cosigners, adminQuorum, put, remove }: Told): Membership {
  const record = put === undefined ? undefined : memberFromJson(put)
  const rest = before.members.filter(({ name }) => name !== (record?.name ?? remove))
  const past = { sequence, leaving: undefined, former: new Map<string, string>() }
  return membershipOf(record ? [...rest, record] : rest, { cosigners, adminQuorum }, past)
}
