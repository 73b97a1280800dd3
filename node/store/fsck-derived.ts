/**
 * Holds everything that follows from the blocks against what a store has: facts, indexes, tiles. Block after
 * block it makes the records anew and compares; at the end it counts, and what is too much has no block.
 */
import { equalBytes, fromU64, toHex, utf8 } from '../../src/bytes.ts'
import { HASH_BYTES } from '../../src/limits.ts'
import { TILE_WIDTH } from '../../src/merkle/tiles.ts'
import { type BlockFacts, encodeFacts } from './block-facts.ts'
import { type Inspected, leafHashesIn, recordsIn } from './block-inspector.ts'
import type { Findings } from './finding.ts'
import { factsKey } from './keys.ts'
import type { Kv, KvWrite } from './kv.ts'
import { siftMany } from './sift.ts'
import { TreeStore } from './tree-store.ts'

/** What the records under each first byte are called. */
const NAMES: Readonly<Record<string, string>> = {
  A: 'changes of membership',
  E: 'index of events',
  H: 'facts of blocks',
  I: 'index of first leaves',
  J: 'index of subjects',
  L: 'index of leaves',
  S: 'index of sources',
  T: 'tiles of the tree',
  Y: 'index of types',
}

export class DerivedCheck {
  readonly #raw: Kv
  readonly #findings: Findings
  readonly #tree: TreeStore
  /** Tiles at the right edge so far, by key in hex. */
  readonly #edge = new Map<string, KvWrite>()
  /** Records there are that must be, by first byte. */
  readonly #present = new Map<string, number>()
  /** An event that a later entry carries too: its record names the later one. By key in hex and leaf index. */
  readonly #later = new Set<string>()
  /** How many records the store holds, by first byte; undefined if they cannot be read through. */
  readonly #found: Promise<ReadonlyMap<string, number | undefined>>
  #unread = false

  private constructor(raw: Kv, findings: Findings, tree: TreeStore) {
    this.#raw = raw
    this.#findings = findings
    this.#tree = tree
    // Counted while the blocks are being inspected, when this thread has little else to do.
    this.#found = countRecords(raw)
  }

  static async begin(raw: Kv, findings: Findings): Promise<DerivedCheck> {
    return new DerivedCheck(raw, findings, await TreeStore.open(raw, 0))
  }

  /** Checks what follows from the next block; returns its facts. */
  async block(inspected: Inspected): Promise<BlockFacts> {
    const { place, firstIndex } = inspected
    const facts = { ...place, firstIndex, root: await this.#grow(leafHashesIn(inspected)) }
    const own = { key: factsKey(facts.height), value: encodeFacts(facts) }
    await this.#compare([own, ...recordsIn(inspected)], `block ${facts.height}`)
    return facts
  }

  /** A block that cannot be read, by its leaf hashes: only the tree can go on. Returns the root after it. */
  async unread(leafHashes: readonly Uint8Array[]): Promise<Uint8Array> {
    this.#unread = true
    return this.#grow(leafHashes)
  }

  /** When every block has been seen: the edge of the tree, and whatever is too much. */
  async finish(): Promise<void> {
    await this.#compare([...this.#edge.values()], 'the edge of the tree')
    for (const name of this.#later) {
      const [, index] = name.split(' ')
      this.#findings.add('derived', NAMES.E!, `names leaf ${index}, which does not carry the event`, true)
    }
    const counts = await this.#found
    for (const [byte, name] of Object.entries(NAMES)) {
      // What an unread block accounts for is not known.
      if (this.#unread && byte !== 'T') continue
      const found = counts.get(byte)
      if (found === undefined) {
        this.#findings.add('derived', name, 'cannot be read through', true)
        continue
      }
      const excess = found - (this.#present.get(byte) ?? 0)
      if (excess > 0) this.#findings.add('derived', name, `holds ${excess} that no block accounts for`, true)
    }
  }

  async #grow(leafHashes: readonly Uint8Array[]): Promise<Uint8Array> {
    const size = this.#tree.size + leafHashes.length
    const { writes, roots, adopt } = this.#tree.append(leafHashes, [size])
    adopt()
    const full: KvWrite[] = []
    for (const write of writes) {
      const name = toHex(write.key)
      if (write.value!.length === TILE_WIDTH * HASH_BYTES) {
        this.#edge.delete(name)
        full.push(write)
      } else this.#edge.set(name, write)
    }
    await this.#compare(full, `the tree of ${size} leaves`)
    return roots[0]!
  }

  async #compare(writes: readonly KvWrite[], at: string): Promise<void> {
    const found = await siftMany(
      this.#raw,
      writes.map(({ key }) => key),
    )
    for (const [i, { key, value }] of writes.entries()) {
      const byte = String.fromCharCode(key[0]!)
      const stored = found[i]!
      const where = `${NAMES[byte]}, ${at}`
      // Of an event that two entries carry, the record is counted with the later one.
      const moved = byte === 'E' && stored.is === 'there' && this.#namesLater(key, stored.value, value!)
      if (stored.is !== 'missing' && !moved) this.#present.set(byte, (this.#present.get(byte) ?? 0) + 1)
      if (stored.is === 'missing') this.#findings.add('derived', where, 'lacks a record', true)
      else if (stored.is === 'damaged') this.#findings.add('derived', where, 'has a damaged record')
      else if (!moved && !equalBytes(stored.value, value!)) {
        this.#findings.add('derived', where, 'has a record that says something else than the block', true)
      }
    }
  }

  #namesLater(key: Uint8Array, stored: Uint8Array, own: Uint8Array): boolean {
    if (stored.length !== own.length) return false
    const [index, ownIndex] = [fromU64(stored), fromU64(own)]
    this.#later.delete(`${toHex(key)} ${ownIndex}`)
    if (index <= ownIndex) return false
    this.#later.add(`${toHex(key)} ${index}`)
    return true
  }
}

async function countRecords(raw: Kv): Promise<ReadonlyMap<string, number | undefined>> {
  const counts = new Map<string, number | undefined>()
  for (const byte of Object.keys(NAMES)) {
    const [from, to] = [utf8(byte), Uint8Array.of(byte.charCodeAt(0) + 1)]
    let found = 0
    try {
      for await (const _ of raw.range({ from, to })) found++
      counts.set(byte, found)
    } catch {
      counts.set(byte, undefined)
    }
  }
  return counts
}
