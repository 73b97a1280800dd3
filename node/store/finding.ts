/** What a check of a store can find: in which class it falls decides what it means and what mends it. */

export type FindingKind = keyof typeof MEANINGS

export interface Finding {
  readonly kind: FindingKind
  /** The record, block or file. */
  readonly where: string
  readonly what: string
  /**
   * Something is gone, or is older than it should be, rather than unreadable where it stands. Then more may be
   * gone that leaves no trace: the newest vote, for one.
   */
  readonly lost: boolean
}

export const MEANINGS = {
  files: {
    means: 'Whatever was written last may be gone: entries, votes, cosignatures.',
    mend: '--repair lets LevelDB save what it can, and rebuilds the store. The node then needs new keys.',
  },
  genesis: {
    means: 'Nothing in the ledger can be judged without its beginning.',
    mend: 'Put back genesis.block from another node of this ledger, then run fsck again.',
  },
  block: {
    means: 'The entries of this block cannot be served or proved from here.',
    mend: '--repair --rpc URL fetches the block from another node and proves it before it is written.',
  },
  derived: {
    means: 'Something recorded might not be found or proved; the ledger itself is not touched.',
    mend: '--repair rebuilds it from the blocks.',
  },
  certificate: {
    means: 'Finality up to there cannot be shown from here.',
    mend: '--repair --rpc URL fetches the certificate from another node.',
  },
  promise: {
    means: 'The node may have forgotten what it voted for, acknowledged or cosigned.',
    mend: '--repair marks the store. The node then signs nothing more under its keys, and needs new ones.',
  },
  pending: {
    means: 'An entry that was acknowledged as pending, and is in no block yet, cannot be sent on.',
    mend: '--repair drops it. Its sender must submit it again.',
  },
  fork: {
    means: 'A quorum has signed something else than what this node holds. One of the two is a forgery.',
    mend: 'Stop, keep the folder as evidence, and compare with the other operators. --repair will not touch it.',
  },
  note: {
    means: 'After a crash or a power failure that is normal: it was never acknowledged.',
    mend: 'Nothing, unless there was no crash. Then writes were lost: --repair marks the store, and the node needs new keys.',
  },
} as const satisfies Record<string, { means: string; mend: string }>

/** Findings of one kind that are kept one by one; the others are only counted. */
const KEPT_EACH = 100

/** Collects findings without growing with the damage. */
export class Findings {
  readonly #kept: Finding[] = []
  readonly #counts = new Map<FindingKind, number>()
  #lost = false

  add(kind: FindingKind, where: string, what: string, lost = false): void {
    const count = (this.#counts.get(kind) ?? 0) + 1
    this.#counts.set(kind, count)
    if (lost) this.#lost = true
    if (count <= KEPT_EACH) this.#kept.push({ kind, where, what, lost })
  }

  get kept(): readonly Finding[] {
    return this.#kept
  }

  count(kind: FindingKind): number {
    return this.#counts.get(kind) ?? 0
  }

  /** All findings, by kind. */
  get counts(): Readonly<Partial<Record<FindingKind, number>>> {
    return Object.fromEntries(this.#counts)
  }

  /** Whether anything but notes was found. */
  get damage(): boolean {
    return [...this.#counts.keys()].some((kind) => kind !== 'note')
  }

  /** Whether the node may have forgotten what it vouched for. */
  get forgetful(): boolean {
    return this.#lost || this.count('promise') + this.count('files') + this.count('note') > 0
  }
}
