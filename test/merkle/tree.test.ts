import assert from 'node:assert/strict'
import fc from 'fast-check'
import { toHex, utf8 } from '../../src/bytes.ts'
import { Frontier } from '../../src/merkle/frontier.ts'
import { perfectNodes, splitPoint } from '../../src/merkle/geometry.ts'
import { EMPTY_ROOT, leafHash, nodeHash } from '../../src/merkle/hash.ts'
import {
  consistencyNodes,
  consistencyPath,
  inclusionNodes,
  inclusionPath,
  rootNodes,
} from '../../src/merkle/proof.ts'
import { rootFromInclusion, verifyConsistency, verifyInclusion } from '../../src/merkle/verify.ts'
import { mth, path, proof } from '../support/naive-tree.ts'

const leaves = (n: number) => Array.from({ length: n }, (_, i) => utf8(`leaf ${i}`))
const hexes = (hashes: readonly Uint8Array[]) => hashes.map(toHex)

/** A tree of the given entries and a reader of its nodes, as the store of a node would hold them. */
function grow(entries: readonly Uint8Array[]) {
  const nodes = new Map<string, Uint8Array>()
  const tree = new Frontier()
  for (const entry of entries) {
    tree.append(leafHash(entry), (level, index, hash) => nodes.set(`${level}/${index}`, hash))
  }
  return { tree, read: (level: number, index: number) => nodes.get(`${level}/${index}`)! }
}

describe('the tree against its naive twin', () => {
  const all = leaves(65)
  const { read } = grow(all)

  it('has the roots of RFC 6962 at every size', () => {
    const tree = new Frontier()
    assert.deepEqual(tree.root(), mth([]))
    assert.deepEqual(EMPTY_ROOT, mth([]))
    for (let n = 1; n <= all.length; n++) {
      tree.append(leafHash(all[n - 1]!))
      assert.equal(tree.size, n)
      assert.equal(toHex(tree.root()), toHex(mth(all.slice(0, n))))
    }
  })

  it('makes and accepts every inclusion proof up to 65 leaves', () => {
    for (let size = 1; size <= all.length; size++) {
      const root = mth(all.slice(0, size))
      for (let index = 0; index < size; index++) {
        const made = inclusionPath(index, size, read)
        if (size % 8 < 2) assert.deepEqual(hexes(made), hexes(path(index, all.slice(0, size))))
        verifyInclusion({ index, size, leafHash: leafHash(all[index]!), path: made, root })
      }
    }
  })

  it('makes and accepts every consistency proof up to 33 leaves', () => {
    for (let size2 = 1; size2 <= 33; size2++) {
      const root2 = mth(all.slice(0, size2))
      for (let size1 = 1; size1 <= size2; size1++) {
        const made = consistencyPath(size1, size2, read)
        assert.deepEqual(hexes(made), hexes(proof(size1, all.slice(0, size2))))
        verifyConsistency({ size1, size2, root1: mth(all.slice(0, size1)), root2, path: made })
      }
    }
  })

  it('agrees on random entries and sizes, and refuses every altered proof', () => {
    const entries = fc.array(fc.uint8Array({ maxLength: 40 }), { minLength: 1, maxLength: 300 })
    fc.assert(
      fc.property(entries, fc.nat(), fc.nat(), fc.nat(), (data, a, b, flip) => {
        const size = data.length
        const index = a % size
        const size1 = 1 + (b % size)
        const { tree, read } = grow(data)
        const root = mth(data)
        assert.equal(toHex(tree.root()), toHex(root))

        const inclusion = {
          index,
          size,
          leafHash: leafHash(data[index]!),
          path: inclusionPath(index, size, read),
        }
        assert.deepEqual(hexes(inclusion.path), hexes(path(index, data)))
        verifyInclusion({ ...inclusion, root })
        const root1 = mth(data.slice(0, size1))
        const consistency = {
          size1,
          size2: size,
          root1,
          root2: root,
          path: consistencyPath(size1, size, read),
        }
        assert.deepEqual(hexes(consistency.path), hexes(proof(size1, data)))
        verifyConsistency(consistency)

        const refused = (run: () => void) => assert.throws(run, { name: 'ProofError' })
        const { path: hashes } = inclusion
        for (const changed of altered(hashes, flip)) {
          refused(() => verifyInclusion({ ...inclusion, path: changed, root }))
        }
        for (const changed of altered(consistency.path, flip)) {
          refused(() => verifyConsistency({ ...consistency, path: changed }))
        }
        refused(() => verifyInclusion({ ...inclusion, root: flipBit(root, flip) }))
        refused(() => verifyInclusion({ ...inclusion, leafHash: flipBit(inclusion.leafHash, flip), root }))
        refused(() => verifyConsistency({ ...consistency, root1: flipBit(root1, flip) }))
        refused(() => verifyConsistency({ ...consistency, root2: flipBit(root, flip) }))
      }),
      { numRuns: 60 },
    )
  })
})

function flipBit(bytes: Uint8Array, at: number): Uint8Array {
  const copy = bytes.slice()
  copy[at % copy.length]! ^= 1 << (at % 8)
  return copy
}

/** The proof with one hash flipped, dropped, doubled, cut, lengthened, and with one more at either end. */
function* altered(hashes: readonly Uint8Array[], at: number): Generator<Uint8Array[]> {
  const spare = new Uint8Array(32).fill(at)
  yield [...hashes, spare]
  yield [spare, ...hashes]
  if (hashes.length === 0) return
  const i = at % hashes.length
  const replaced = (...by: Uint8Array[]) => [...hashes.slice(0, i), ...by, ...hashes.slice(i + 1)]
  yield replaced(flipBit(hashes[i]!, at))
  yield replaced()
  yield replaced(hashes[i]!, hashes[i]!)
  yield replaced(hashes[i]!.slice(1))
  yield replaced(new Uint8Array([...hashes[i]!, 0]))
}

describe('proofs made to deceive', () => {
  const [a, b, spare] = ['a', 'b', 'spare'].map((text) => leafHash(utf8(text))) as [
    Uint8Array,
    Uint8Array,
    Uint8Array,
  ]
  const bytes = (...parts: Uint8Array[]) => new Uint8Array(parts.flatMap((part) => [...part]))

  it('may not move the border between two hashes', () => {
    const [head, tail] = [b.slice(0, 1), b.slice(1)]
    const root = nodeHash(a, b)
    assert.deepEqual(nodeHash(bytes(a, head), tail), root)
    assert.throws(
      () => verifyInclusion({ index: 0, size: 2, leafHash: bytes(a, head), path: [tail], root }),
      {
        code: 'bad-inclusion',
      },
    )
    const consistency = { size1: 1, size2: 2, root1: bytes(a, head), root2: root, path: [tail] }
    assert.throws(() => verifyConsistency(consistency), { code: 'bad-consistency' })
  })

  it('may not climb above the root, even where that leads to the root they give', () => {
    const root = nodeHash(a, b)
    const above = nodeHash(spare, root)
    assert.throws(() => verifyInclusion({ index: 0, size: 2, leafHash: a, path: [b, spare], root: above }), {
      code: 'bad-inclusion',
    })
    // From 3 leaves to 4: the third leaf, its sibling, and the node over the first two.
    const path = [a, b, root, spare]
    const [root1, root2] = [nodeHash(root, a), nodeHash(root, nodeHash(a, b))]
    verifyConsistency({ size1: 3, size2: 4, root1, root2, path: path.slice(0, 3) })
    const roots = { root1: nodeHash(spare, root1), root2: nodeHash(spare, root2) }
    assert.throws(() => verifyConsistency({ size1: 3, size2: 4, ...roots, path }), {
      code: 'bad-consistency',
    })
  })
})

describe('Frontier', () => {
  it('is a value: restored from its nodes, or cloned, it goes on alike and apart', () => {
    const { tree, read } = grow(leaves(37))
    const restored = new Frontier(
      37,
      rootNodes(37).map(({ level, index }) => read(level, index)),
    )
    const clone = tree.clone()
    for (const other of [restored, clone]) {
      assert.equal(toHex(other.root()), toHex(tree.root()))
      other.append(leafHash(utf8('leaf 37')))
      assert.equal(toHex(other.root()), toHex(mth(leaves(38))))
    }
    assert.equal(toHex(tree.root()), toHex(mth(leaves(37))))
    assert.deepEqual(hexes(clone.nodes), hexes(restored.nodes))
  })

  it('reports each perfect subtree once, when it is complete', () => {
    const seen: string[] = []
    const tree = new Frontier()
    for (const leaf of leaves(6))
      tree.append(leafHash(leaf), (level, index) => seen.push(`${level}/${index}`))
    assert.deepEqual(seen, ['0/0', '0/1', '1/0', '0/2', '0/3', '1/1', '2/0', '0/4', '0/5', '1/2'])
  })

  it('refuses nodes that do not fit its size, and hashes that are none', () => {
    const hash = leafHash(utf8('x'))
    for (const [size, nodes] of [
      [1, []],
      [2, [hash, hash]],
      [0, [hash]],
      [1, [hash.slice(1)]],
    ] as const) {
      assert.throws(() => new Frontier(size, nodes), { code: 'invariant' })
    }
    assert.throws(() => new Frontier().append(hash.slice(1)), { code: 'invariant' })
  })

  it('works up to the last exact integer and no further', () => {
    const full = Number.MAX_SAFE_INTEGER
    const nodes = rootNodes(full).map(() => new Uint8Array(32))
    assert.equal(nodes.length, 53)
    const tree = new Frontier(full - 1, nodes.slice(0, 52))
    tree.append(new Uint8Array(32))
    assert.equal(tree.size, full)
    assert.throws(() => tree.append(new Uint8Array(32)), { code: 'bad-integer' })
    assert.equal(tree.nodes.length, 53)
  })
})

describe('indexes beyond 32 bits', () => {
  it('split exactly', () => {
    for (let bits = 1; bits <= 52; bits++) {
      const power = 2 ** bits
      assert.equal(splitPoint(power), power / 2)
      assert.equal(splitPoint(power + 1), power)
      assert.equal(splitPoint(power * 2 - 1), power)
    }
    assert.deepEqual(perfectNodes(2 ** 40, 2 ** 40 + 3), [
      { level: 1, index: 2 ** 39 },
      { level: 0, index: 2 ** 40 + 2 },
    ])
  })

  it('make proofs that verify, in trees of equal leaves', () => {
    // In a tree of equal leaves all perfect subtrees of a level are equal, so even a huge one can be read.
    const equal = [leafHash(new Uint8Array(0))]
    for (let level = 1; level <= 53; level++) equal.push(nodeHash(equal.at(-1)!, equal.at(-1)!))
    const perfect = (level: number) => equal[level]!
    const sizes = fc.oneof(
      fc.integer({ min: 2 ** 31 - 3, max: 2 ** 33 }),
      fc.integer({ min: 2 ** 52 - 9, max: 2 ** 53 - 1 }),
    )
    fc.assert(
      fc.property(sizes, fc.double({ min: 0, max: 1, noNaN: true }), (size, part) => {
        const index = Math.min(size - 1, Math.floor(size * part))
        const root = (n: number) =>
          new Frontier(
            n,
            rootNodes(n).map(({ level }) => perfect(level)),
          ).root()
        const path = inclusionPath(index, size, perfect)
        verifyInclusion({ index, size, leafHash: perfect(0), path, root: root(size) })
        const size1 = index + 1
        const steps = consistencyPath(size1, size, perfect)
        verifyConsistency({ size1, size2: size, root1: root(size1), root2: root(size), path: steps })
      }),
      { numRuns: 200 },
    )
  })

  it('are refused above 2^53 - 1, as are fractions and negative numbers', () => {
    const hash = new Uint8Array(32)
    for (const bad of [2 ** 53, -1, 1.5, Number.NaN, Number.POSITIVE_INFINITY]) {
      const refused = (run: () => void) => assert.throws(run, { code: 'bad-integer' })
      refused(() => rootNodes(bad))
      refused(() => inclusionNodes(0, bad))
      refused(() => inclusionNodes(bad, 9))
      refused(() => consistencyNodes(1, bad))
      refused(() => rootFromInclusion({ index: bad, size: 9, leafHash: hash, path: [] }))
      refused(() => verifyConsistency({ size1: bad, size2: 9, root1: hash, root2: hash, path: [] }))
    }
  })

  it('have no proof outside the tree, nor from the empty tree', () => {
    const hash = new Uint8Array(32)
    const refused = (run: () => void) => assert.throws(run, { code: 'out-of-range' })
    refused(() => inclusionNodes(3, 3))
    refused(() => consistencyNodes(0, 3))
    refused(() => consistencyNodes(4, 3))
    refused(() => rootFromInclusion({ index: 0, size: 0, leafHash: hash, path: [] }))
    for (const size1 of [0, 4]) {
      refused(() => verifyConsistency({ size1, size2: 3, root1: hash, root2: hash, path: [] }))
    }
    refused(() => verifyConsistency({ size1: 0, size2: 0, root1: hash, root2: hash, path: [] }))
  })
})
