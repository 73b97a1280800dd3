/**
 * A node whose store may have forgotten what it has signed: the disk was lost, the store was restored or repaired, or
 * another node shows a signature of this one that the store does not know. What it signs next under the same keys
 * may contradict that, and nobody can tell it what it has signed: those who know may lie, and who is told of may be
 * gone. So these keys sign nothing any more. The node follows and answers; it gets new keys, an admin signs the change
 * of its record, and when that is in force here, it takes part under them. By then it holds every block that its old
 * keys have helped to decide: the quorum that decided the change did so without it.
 */
import { keyId } from '../../src/crypto/keys.ts'
import type { PublicKey, Signer } from '../../src/crypto/suite.ts'
import { errorMessage } from '../../src/errors.ts'
import type { NodeMember } from '../../src/ledger/member.ts'
import type { Membership } from '../../src/ledger/membership.ts'
import type { Logger } from '../logger.ts'
import type { LedgerStore, Recovering } from '../store/ledger-store.ts'
import { StoreError } from '../store/store-error.ts'
import { type OwnKeys, standingOf } from './standing.ts'

/** The keys that a node has beside those it runs with, as the process around it keeps them. */
export interface KeyRing {
  /** Ids of the node and cosigner keys that are in use, and of those that were made to follow them. */
  ids(): Promise<{ readonly inPlace: readonly string[]; readonly next: readonly string[] }>
  /**
   * Makes keys to follow, unless there are some that are not among `spent`, and what an admin needs to admit them.
   * `record` is the present one of the node, if its store knows of any. Returns what the operator has to do next.
   */
  prepare(spent: readonly string[], record: NodeMember | undefined): Promise<string>
  /** Signs by this node key, if it is one of them. */
  nodeSigner(key: PublicKey): Promise<Signer | undefined>
  /** Whether the keys of this record are at hand. */
  holds(record: NodeMember): Promise<boolean>
}

/**
 * Before a store is used: whose promises does it hold? Those of another node bind nobody here, and say nothing of what
 * this one has promised: StoreError `store-mismatch`. Under other keys than those that it was used with last, which no
 * change of this node's record explains, it may know nothing of what those have signed, and is marked.
 */
export async function bindStore(store: LedgerStore, name: string, ring: Pick<KeyRing, 'ids'>): Promise<void> {
  const keys = (await ring.ids()).inPlace
  const owner = await store.owner()
  if (owner && owner.name !== name) {
    throw new StoreError(
      'store-mismatch',
      `This store is that of ${owner.name}, and the folder is that of ${name}: stores cannot be copied between nodes. ` +
        `Put back the one of ${name}; if it is lost, move this one away and start, and the node says what to do.`,
      { owner: owner.name, name },
    )
  }
  if (owner && owner.keys.length === keys.length && keys.every((id) => owner.keys.includes(id))) return
  const ids = (membership: Membership) => {
    const record = membership.nodeByName.get(name)
    return record ? [keyId(record.nodeKey), keyId(record.cosignerKey)] : []
  }
  const now = ids(await store.membersInForce())
  // One of each is in place where moving the new ones there was interrupted.
  const explained =
    !owner ||
    (keys.every((id) => now.includes(id) || owner.keys.includes(id)) &&
      store.members.some((membership) => ids(membership).some((id) => owner.keys.includes(id))))
  if (!explained && !(await store.recovering())) await store.setRecovering({ keys: [], why: 'keys' })
  await store.setOwner({ name, keys })
}

/**
 * Before a marked store is used: the mark names the keys that the node has. Those in place may have signed whenever
 * the node ran; those that were to follow may have done so by the time that the store has forgotten, so at first they
 * are named, too. The ones that are made from then on are new. Returns the mark, if there is one.
 */
export async function nameSpentKeys(
  store: LedgerStore,
  ring: Pick<KeyRing, 'ids'>,
): Promise<Recovering | undefined> {
  const mark = await store.recovering()
  if (!mark) return undefined
  const { inPlace, next } = await ring.ids()
  const keys = [...new Set([...mark.keys, ...inPlace, ...(mark.keys.length === 0 ? next : [])])]
  if (keys.length === mark.keys.length) return mark
  const named = { ...mark, keys }
  await store.setRecovering(named)
  return named
}

/**
 * The mark that forbids a node with these keys to sign, if there is one. It is lifted here once the membership in
 * force names these keys for the node and the mark does not.
 */
export async function boundBy(
  store: LedgerStore,
  name: string,
  own: OwnKeys,
): Promise<Recovering | undefined> {
  const mark = await store.recovering()
  if (!mark || mark.keys.length === 0) return mark
  if (mark.keys.includes(keyId(own.node)) || mark.keys.includes(keyId(own.cosigner))) return mark
  if (standingOf(await store.membersInForce(), name, own) === 'outside') return mark
  await store.clearRecovering(name)
  return undefined
}

const WHY: Readonly<Record<Recovering['why'], string>> = {
  lost: 'its disk was lost',
  restored: 'it was put back from a backup',
  repaired: 'it was damaged, and repaired',
  old: 'other nodes hold a signature of this one that is not in it, so it is an old copy',
  keys: 'it was used under other keys before, and no change of the members says why',
  unknown: 'it says so',
}

/** What a marked node says to its operator, and what it has prepared for an admin. */
export class Recovery {
  readonly #ring: KeyRing
  readonly #logger: Logger
  readonly #mark: Recovering
  #next = ''
  #working: Promise<void> = Promise.resolve()

  constructor(mark: Recovering, ring: KeyRing, logger: Logger) {
    this.#mark = mark
    this.#ring = ring
    this.#logger = logger
  }

  get note(): string {
    const why = `This store may have forgotten what the node has signed: ${WHY[this.#mark.why]}.`
    return `${why} So the node signs nothing more under its keys; it follows, and needs new ones. ${this.#next}`
  }

  /** Has new keys ready, and a record with them; again whenever the present record has changed. Never throws. */
  prepare(record: NodeMember | undefined): Promise<void> {
    this.#working = this.#working.then(() => this.#prepare(record))
    return this.#working
  }

  async #prepare(record: NodeMember | undefined): Promise<void> {
    try {
      const next = await this.#ring.prepare(this.#mark.keys, record)
      if (next === this.#next) return
      this.#next = next
      this.#logger.warn({ why: this.#mark.why }, this.note)
    } catch (error) {
      this.#next = `They could not be made: ${errorMessage(error)}`
      this.#logger.error({ error: errorMessage(error) }, 'new keys could not be made')
    }
  }
}
